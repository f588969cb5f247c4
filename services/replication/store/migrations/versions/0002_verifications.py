"""Verifications on request, and the indexes by which damage and old verifications are found."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db import tables

revision = "0002"
down_revision = "0001"

_DAMAGED = sa.text("health IN ('DAMAGED', 'REPAIRING')")
_COMMITTED = sa.text("state = 'COMPLETED'")


def upgrade() -> None:
    """Create the table and the indexes."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "verifications",
        sa.Column("operation", key, nullable=False),
        sa.Column("version", key, nullable=False),
        sa.Column("depth", sa.Text(), nullable=False),
        sa.Column("report_only", sa.Boolean(), nullable=False),
        sa.Column("targets", tables.Json(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("findings", tables.Json(), nullable=False),
        sa.Column("regions", tables.Json(), nullable=False),
        sa.Column("verified_count", sa.Integer(), nullable=False),
        sa.Column("damaged_count", sa.Integer(), nullable=False),
        sa.Column("all_good", sa.Boolean(), nullable=False),
        sa.Column("verified_bytes", sa.BigInteger(), nullable=False),
        sa.Column("repaired_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operation", name=op.f("pk_verifications")),
    )
    op.create_index(
        "ix_replicas_damaged",
        "replicas",
        ["due_time"],
        sqlite_where=_DAMAGED,
        postgresql_where=_DAMAGED,
    )
    op.create_index(
        "ix_replica_disks_verify_time",
        "replica_disks",
        ["verify_time"],
        sqlite_where=_COMMITTED,
        postgresql_where=_COMMITTED,
    )
