"""What lists are ordered and searched by."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db.tables import KeyText

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Order versions by one column, across definitions too."""
    op.add_column(
        "image_versions", sa.Column("ordered_key", KeyText, nullable=False, server_default="")
    )
    names = ("parent_key", "major", "minor", "patch", "ordered_key")
    versions = sa.table("image_versions", *map(sa.column, names))
    major, minor, patch = (_padded(versions.c[name]) for name in ("major", "minor", "patch"))
    number = sa.type_coerce(major, sa.Text()) + "." + minor + "." + patch
    ordered = sa.type_coerce(versions.c.parent_key, sa.Text()) + "/versions/" + number
    op.execute(versions.update().values(ordered_key=ordered))
    op.drop_index("ix_image_versions_number", "image_versions")
    op.create_index("uq_image_versions_ordered_key", "image_versions", ["ordered_key"], unique=True)


def _padded(number: sa.ColumnClause[int]) -> sa.ColumnElement[str]:
    if op.get_bind().dialect.name == "sqlite":
        return sa.func.printf("%010d", number, type_=sa.Text())
    return sa.func.lpad(sa.cast(number, sa.Text()), 10, "0", type_=sa.Text())
