"""What versions are found by."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Change nothing yet."""
