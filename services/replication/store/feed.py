"""The feed of regions and replications in the database."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.errors import PositionCompacted
from services.kernel.feed.log import FeedEntry, FeedHead, FeedLog
from services.kernel.feed.probe import ChangeProbe
from services.kernel.ids import new_uid
from services.replication.domain.events import FeedItem
from services.replication.store import tables
from services.replication.store.codec import decode, encode

_FEED_UID: Final = "feed_uid"


def feed_item(payload: bytes) -> FeedItem:
    """Answer the item of an entry of the log."""
    item: FeedItem = decode(FeedItem, json.loads(payload))
    return item


class FeedTable:
    """Fulfils `ports.rows.FeedRows`."""

    def __init__(self, connection: Connection, log: FeedLog) -> None:
        self._connection: Final = connection
        self._log: Final = log

    def append(self, items: Sequence[FeedItem]) -> int:
        """Add items at consecutive positions; answer the last."""
        return self._log.append_all(self._connection, [_payload(item) for item in items])

    def head(self) -> tuple[str, int]:
        """Answer the identity of the log and the newest position."""
        head = self._log.head(self._connection)
        return self._identity(head.epoch), head.position

    def after(self, log: str, position: int, limit: int) -> Sequence[tuple[int, FeedItem]]:
        """Answer the items after a position; PositionCompacted also for another log."""
        head = self._log.head(self._connection)
        if log != self._identity(head.epoch):
            raise PositionCompacted(head.horizon)
        entries = self._log.read_after(self._connection, position, limit)
        return [(entry.position, feed_item(entry.payload)) for entry in entries]

    def compact(self, older_than: datetime) -> None:
        """Drop what is older."""
        self._log.compact(self._connection, older_than=older_than)

    def _identity(self, epoch: int) -> str:
        return f"{installation_value(self._connection, _FEED_UID)}-{epoch}"


class FeedReader:
    """Fulfils the log of `kernel.feed.stream`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db: Final = db
        self._log: Final = FeedLog(tables.feed, clock)
        self._probe: Final = ChangeProbe(db, self._log)

    def probe(self) -> object:
        """Answer something that differs once anything was appended."""
        return self._probe.current()

    def head(self) -> FeedHead:
        """Answer the newest position."""
        return self._db.read(self._log.head)

    def read_after(self, position: int, limit: int, epoch: int | None) -> Sequence[FeedEntry]:
        """Answer what follows a position."""
        return self._db.read(lambda c: self._log.read_after(c, position, limit, epoch=epoch))

    def epoch_of(self, log: str) -> int:
        """Answer the epoch that a log's identity names; PositionCompacted for another log."""
        uid, _, epoch = log.rpartition("-")
        if uid != self._db.read(lambda c: installation_value(c, _FEED_UID)) or not epoch.isdigit():
            raise PositionCompacted(self.head().horizon)
        return int(epoch)


def initialise(db: Database) -> None:
    """Give a fresh database its identity; called by the parent after migrating."""

    def write(tx: Connection) -> None:
        insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
        values = {"name": _FEED_UID, "value": new_uid()}
        tx.execute(insert(tables.installation).values(values).on_conflict_do_nothing())

    db.transact(write)


def installation_value(connection: Connection, name: str) -> str:
    """Answer a value that was written when the database was made."""
    t = tables.installation.c
    return str(connection.execute(select(t.value).where(t.name == name)).scalar_one())


def _payload(item: FeedItem) -> bytes:
    return json.dumps(encode(item), separators=(",", ":")).encode()
