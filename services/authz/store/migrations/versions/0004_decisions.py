"""Decisions that can be explained."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db import tables

revision = "0004"
down_revision = "0003"

_TABLE = "decisions"


def upgrade() -> None:
    """Create the table, and find what the audit log knows of a decision."""
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("plane", sa.Text(), nullable=False),
        sa.Column("context", tables.Json(), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_TABLE}")),
    )
    op.create_index(op.f(f"ix_{_TABLE}_time"), _TABLE, ["time"])
    told = sa.text("decision_id <> ''")
    op.create_index(
        "ix_audit_records_decision_id",
        "audit_records",
        ["decision_id"],
        sqlite_where=told,
        postgresql_where=told,
    )
