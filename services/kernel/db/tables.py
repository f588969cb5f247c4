"""Column types, naming conventions and the tables that every service has.

A service builds one `MetaData` by `new_metadata`, adds the tables of the kernel that it
needs, and its own; its migrations create them all.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Every constraint has a name that a migration can refer to on both databases.
NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite numbers rows by itself in a column that is called INTEGER, and only there.
RowNumber: Final = BigInteger().with_variant(Integer(), "sqlite")

# Names' keys, compared byte by byte on both databases, so that a prefix is a range.
KeyText: Final = Text().with_variant(Text(collation="C"), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as integer microseconds since 1970.

    One representation on both databases, that sorts, compares and goes into page tokens
    without a rounding or a time zone between.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Store an aware datetime; a naive one has no place in time."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Answer an aware datetime."""
        return None if value is None else from_microseconds(value)


class Json(TypeDecorator[Any]):
    """A value of JSON, stored as text with sorted keys, so that equal values are equal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Store any value that JSON has."""
        if value is None:
            return None
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Answer the value."""
        return None if value is None else json.loads(value)


def to_microseconds(time: datetime) -> int:
    """Answer the microseconds from 1970 to an aware datetime.

    Raises:
        ValueError: the datetime is naive.
    """
    if time.tzinfo is None:
        raise ValueError("a stored time is an aware datetime")
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Answer the UTC datetime that many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=value)


def new_metadata() -> MetaData:
    """Make the MetaData of a service, with names for its constraints."""
    return MetaData(naming_convention=NAMING)


def add_outbox(metadata: MetaData) -> Table:
    """Add the messages to other services, sent in the order of `seq` per aggregate."""
    table = Table(
        "outbox",
        metadata,
        Column("seq", RowNumber, primary_key=True, autoincrement=True),
        Column("aggregate", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("trace_context", Text, nullable=False, server_default=""),
        Column("create_time", UtcTime, nullable=False),
        Column("sent_time", UtcTime),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_attempt_time", UtcTime, nullable=False),
        Column("last_error", Text, nullable=False, server_default=""),
        # A number is never given twice, even where the newest rows were deleted.
        sqlite_autoincrement=True,
    )
    unsent = text("sent_time IS NULL")
    Index(
        "ix_outbox_unsent",
        table.c.aggregate,
        table.c.seq,
        sqlite_where=unsent,
        postgresql_where=unsent,
    )
    Index("ix_outbox_sent_time", table.c.sent_time)
    return table


def add_operations(metadata: MetaData) -> Table:
    """Add the long-running operations (style.md, section 2.4)."""
    table = Table(
        "operations",
        metadata,
        Column("id", KeyText, primary_key=True),
        Column("subscription", Text, nullable=False),
        Column("subscription_key", KeyText, nullable=False),
        Column("owner", Text, nullable=False),
        Column("verb", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("target_key", KeyText, nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("update_time", UtcTime, nullable=False),
        Column("end_time", UtcTime),
        Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
        Column("metadata", LargeBinary, nullable=False),
        Column("detail", Json, nullable=False),
        Column("response", LargeBinary),
        Column("error", LargeBinary),
        Column("expire_time", UtcTime),
    )
    Index("ix_operations_list", table.c.subscription_key, table.c.create_time, table.c.id)
    unfinished = text("end_time IS NULL")
    Index(
        "ix_operations_unfinished",
        table.c.target_key,
        table.c.create_time,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    Index("ix_operations_expire_time", table.c.expire_time)
    return table


def add_request_log(metadata: MetaData) -> Table:
    """Add the replies that a repeated request id gets again."""
    table = Table(
        "request_log",
        metadata,
        Column("caller", Text, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("request_id", Text, primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        Column("reply", LargeBinary, nullable=False),
        Column("expire_time", UtcTime, nullable=False),
    )
    Index("ix_request_log_expire_time", table.c.expire_time)
    return table


def add_leases(metadata: MetaData) -> Table:
    """Add who does which duty, and until when."""
    return Table(
        "leases",
        metadata,
        Column("duty", Text, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("expire_time", UtcTime, nullable=False),
    )


def add_feed(metadata: MetaData, name: str) -> tuple[Table, Table]:
    """Add the log `<name>_log` of a change feed and the one row of its head `<name>_head`."""
    log = Table(
        f"{name}_log",
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("payload", LargeBinary, nullable=False),
        Column("create_time", UtcTime, nullable=False),
    )
    Index(f"ix_{name}_log_create_time", log.c.create_time)
    head = Table(
        f"{name}_head",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("epoch", BigInteger, nullable=False),
        Column("position", BigInteger, nullable=False),
        # The last position that was compacted away: what comes after it is held.
        Column("horizon", BigInteger, nullable=False),
    )
    return log, head


def add_feed_cursors(metadata: MetaData) -> Table:
    """Add how far this service has applied the feeds of others."""
    return Table(
        "feed_cursors",
        metadata,
        Column("feed", Text, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("position", BigInteger, nullable=False),
    )
