"""How far the feed of the replication service is applied."""

from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.ports.transaction import FeedCursor
from services.catalog.store.tables import installation

_NAME: Final = "replication_feed"
_READ: Final = select(installation.c.value).where(installation.c.name == _NAME)


def read_cursor(connection: Connection) -> FeedCursor | None:
    """Answer what is applied, None before the first snapshot."""
    value = connection.execute(_READ).scalar_one_or_none()
    if value is None:
        return None
    position, _, log_uid = value.partition(" ")
    return FeedCursor(log_uid, int(position))


def write_cursor(tx: Connection, cursor: FeedCursor) -> None:
    """Record what is applied, in the transaction that applied it."""
    maker = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    value = f"{cursor.position} {cursor.log_uid}"
    tx.execute(
        maker(installation)
        .values(name=_NAME, value=value)
        .on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )
