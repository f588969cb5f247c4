"""Eligible assignments, with their activations."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db import tables

revision = "0002"
down_revision = "0001"

_TABLE = "eligible_assignments"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("key", tables.KeyText, nullable=False),
        sa.Column("scope_key", tables.KeyText, nullable=False),
        sa.Column("principal_key", tables.KeyText, nullable=False),
        sa.Column("role_key", tables.KeyText, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("principal_kind", sa.Text(), nullable=False),
        sa.Column("role_definition", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("start_time", tables.UtcTime(), nullable=True),
        sa.Column("end_time", tables.UtcTime(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("condition_version", sa.Text(), nullable=False),
        sa.Column("max_activation", sa.BigInteger(), nullable=False),
        sa.Column("justification_required", sa.Boolean(), nullable=False),
        sa.Column("activations", tables.Json(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f(f"pk_{_TABLE}")),
        sa.UniqueConstraint(
            "scope_key",
            "principal_key",
            "role_key",
            name=op.f(f"uq_{_TABLE}_scope_key_principal_key_role_key"),
        ),
    )
    op.create_index(op.f(f"ix_{_TABLE}_principal_key"), _TABLE, ["principal_key"])
    op.create_index(f"ix_{_TABLE}_role_key_scope_key", _TABLE, ["role_key", "scope_key"])
