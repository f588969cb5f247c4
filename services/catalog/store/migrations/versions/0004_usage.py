"""What is counted for each subscription and region."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change nothing yet."""
