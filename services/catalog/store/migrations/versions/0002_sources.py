"""What sources are found by."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change nothing yet."""
