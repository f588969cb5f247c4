"""Which role assignments have an end, and when."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the index."""
    there = sa.text("end_time IS NOT NULL")
    op.create_index(
        "ix_role_assignments_end_time",
        "role_assignments",
        ["end_time"],
        sqlite_where=there,
        postgresql_where=there,
    )
