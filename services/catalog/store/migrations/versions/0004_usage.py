"""What is counted for each subscription and region; counters of what is there already."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from services.kernel.db.tables import to_microseconds

revision = "0004"
down_revision = "0003"

_COUNTED: Final = {
    "galleries": "galleries",
    "image_definitions": "imageDefinitions",
    "image_versions": "imageVersions",
}
_COLUMNS: Final = ("subscription_key", "location", "counter", "value")


def upgrade() -> None:
    """Order counters byte by byte, count what is there, and ask for the regions anew."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        for column in ("location", "counter"):
            op.execute(f'ALTER TABLE usage_counters ALTER COLUMN {column} TYPE TEXT COLLATE "C"')
    op.execute("DELETE FROM usage_counters")
    for name, counter in _COUNTED.items():
        table = _table(name, "subscription_key", "location")
        grouped = [table.c.subscription_key, table.c.location]
        _count(sa.literal(counter), sa.func.count(), grouped)
    _count_regions(sqlite=sqlite)
    # The mirror has no prices yet: they come with the next snapshot of the feed.
    op.execute("DELETE FROM installation WHERE name = 'replication_feed'")


def _count_regions(*, sqlite: bool) -> None:
    """Count the replicas of versions, and what came into regions in this month.

    When the bytes came is known only of regions that were complete once.
    """
    versions = _table("image_versions", "uid", "subscription_key", "location")
    regions = _table(
        "version_regions", "version_uid", "location", "stored_bytes", "crossed_bytes", "document"
    )
    v, r = versions.c, regions.c

    def of(field: str) -> sa.ColumnElement[Any]:
        if sqlite:
            return sa.func.json_extract(r.document, f"$.{field}")
        return sa.cast(sa.cast(r.document, sa.JSON)[field].as_string(), sa.BigInteger)

    def count(counter: str, value: sa.ColumnElement[Any], *, by_home: bool = False) -> None:
        made: Any = sa.literal(counter)
        grouped = [v.subscription_key, r.location]
        if by_home:
            made = made.op("||")(v.location)
            grouped.append(v.location)
        _count(made, value, grouped, v.uid == r.version_uid)

    now = datetime.now(UTC)
    month = datetime(now.year, now.month, 1, tzinfo=UTC)
    count("replicas", sa.func.sum(sa.func.coalesce(of("good"), 0)))
    count("storedBytes", sa.func.sum(r.stored_bytes))
    this_month = of("complete_time") >= to_microseconds(month)
    crossed = sa.func.sum(sa.case((this_month, r.crossed_bytes), else_=0))
    count(f"crossedBytes/{month:%Y-%m}/", crossed, by_home=True)


def _count(
    counter: sa.ColumnElement[Any],
    value: sa.ColumnElement[Any],
    grouped: Sequence[sa.ColumnElement[Any]],
    *where: sa.ColumnElement[bool],
) -> None:
    """Write counters; `grouped` begins with the subscription and the region."""
    subscription, location, *_ = grouped
    found = sa.select(subscription, location, counter, value).where(*where)
    rows = found.group_by(*grouped).having(value > 0)
    op.execute(sa.insert(_table("usage_counters", *_COLUMNS)).from_select(_COLUMNS, rows))


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(one) for one in columns))
