"""Room in regions that is promised to copies and uploads, and the index that sums what is there."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table and the index."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "promised_room",
        sa.Column("location", key, nullable=False),
        sa.Column("slot", key, nullable=False),
        sa.Column("owner", key, nullable=False),
        sa.Column("disk", key, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location", "slot", "owner", "disk", name=op.f("pk_promised_room")),
    )
    op.create_index("ix_replica_disks_place", "replica_disks", ["location", "slot"])
