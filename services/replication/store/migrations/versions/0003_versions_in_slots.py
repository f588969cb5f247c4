"""The index by which the versions of one definition in a slot are found."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Put names into the index of slots."""
    op.drop_index("ix_replicas_slot", "replicas")
    op.create_index("ix_replicas_slot", "replicas", ["location", "slot", "name_key"])
