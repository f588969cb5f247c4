"""What lists are ordered and searched by."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db.tables import KeyText

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Order versions by one column, across definitions too, and by publication; mend indexes."""
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
    op.create_index(
        "ix_image_versions_publish_time", "image_versions", ["parent_key", "publish_time", "key"]
    )
    soft_deleted = sa.text("version_state = 'SOFT_DELETED'")
    op.create_index(
        "ix_image_versions_soft_deleted",
        "image_versions",
        ["ordered_key"],
        sqlite_where=soft_deleted,
        postgresql_where=soft_deleted,
    )
    # SQLite takes a partial index only where a query has its very words.
    parts = ["major", "minor", "patch"]
    for index in ("ix_version_regions_latest", "ix_version_regions_usable"):
        op.drop_index(index, "version_regions")
    _index("latest", "selectable", ["location", *parts])
    _index("usable", "usable", ["location", *parts, "version_uid"])
    _index("everywhere", "usable", [*parts, "location"])


def _index(name: str, condition: str, columns: list[str]) -> None:
    op.create_index(
        f"ix_version_regions_{name}",
        "version_regions",
        ["definition_key", *columns],
        sqlite_where=sa.text(f"{condition} = 1"),
        postgresql_where=sa.text(condition),
    )


def _padded(number: sa.ColumnClause[int]) -> sa.ColumnElement[str]:
    if op.get_bind().dialect.name == "sqlite":
        return sa.func.printf("%010d", number, type_=sa.Text())
    return sa.func.lpad(sa.cast(number, sa.Text()), 10, "0", type_=sa.Text())
