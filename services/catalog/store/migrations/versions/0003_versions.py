"""What versions are found by."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db.tables import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is done next to soft-deleted versions, and when."""
    op.add_column("image_versions", sa.Column("expiry_time", UtcTime))
    expiring = sa.text("expiry_time IS NOT NULL")
    op.create_index(
        "ix_image_versions_expiry",
        "image_versions",
        ["expiry_time", "key"],
        sqlite_where=expiring,
        postgresql_where=expiring,
    )
