"""The log of a change feed: dense positions, given out under a locked head row.

The row lock makes the order of positions that of the commits: a reader that has seen a
position has seen everything before it, which a database sequence would not promise
(authorization.md, section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.kernel.clock import Clock
from services.kernel.errors import OutOfRange, PositionCompacted

_HEAD_ID = 1


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One change, at its position (from 1)."""

    position: int
    payload: bytes
    create_time: datetime


@dataclass(frozen=True, slots=True)
class FeedHead:
    """The newest position, and the newest that was compacted away.

    Positions of different epochs have nothing to do with each other: a restored backup
    begins a new epoch, since it may give out again what it had given out before.
    """

    epoch: int
    position: int
    horizon: int


class FeedLog:
    """Appends to a log in the caller's transaction, and reads what comes after a position."""

    def __init__(self, tables: tuple[Table, Table], clock: Clock) -> None:
        """`tables` is what `tables.add_feed` made."""
        self._log, self._head = tables
        self._clock: Final = clock
        h, t = self._head.c, self._log.c
        self._select_head: Final = select(h.epoch, h.position, h.horizon).where(h.id == _HEAD_ID)
        self._advance: Final = (
            update(self._head)
            .where(h.id == _HEAD_ID)
            .values(position=h.position + bindparam("count"))
            .returning(h.position)
        )
        self._insert: Final = insert(self._log)
        self._after: Final = (
            select(t.position, t.payload, t.create_time)
            .where(t.position > bindparam("after"))
            .order_by(t.position)
            .limit(bindparam("count"))
        )

    def append(self, tx: Connection, payload: bytes) -> int:
        """Add a change; answer its position, which is seen when the transaction commits."""
        return self.append_all(tx, (payload,))

    def append_all(self, tx: Connection, payloads: Sequence[bytes]) -> int:
        """Add changes at consecutive positions; answer the last one.

        Holds the head row until the commit, so it belongs at the end of a transaction.
        """
        if not payloads:
            raise ValueError("nothing to append")
        last = tx.execute(self._advance, {"count": len(payloads)}).scalar_one_or_none()
        if last is None:
            self._create_head(tx)
            last = tx.execute(self._advance, {"count": len(payloads)}).scalar_one()
        now = self._clock.now()
        first = last - len(payloads) + 1
        tx.execute(
            self._insert,
            [
                {"position": position, "payload": payload, "create_time": now}
                for position, payload in enumerate(payloads, first)
            ],
        )
        return int(last)

    def head(self, connection: Connection) -> FeedHead:
        """Answer the newest position; zero in epoch 1 before anything was appended."""
        row = connection.execute(self._select_head).first()
        return FeedHead(1, 0, 0) if row is None else FeedHead(*row)

    def lock_head(self, tx: Connection) -> FeedHead:
        """Answer the head and keep it from moving until the transaction ends.

        For a transaction whose decision depends on everything that was appended so far.
        """
        row = tx.execute(self._select_head.with_for_update()).first()
        if row is None:
            self._create_head(tx)
            row = tx.execute(self._select_head.with_for_update()).one()
        return FeedHead(*row)

    def read_after(
        self, connection: Connection, position: int, limit: int, *, epoch: int | None = None
    ) -> list[FeedEntry]:
        """Answer the first `limit` changes after a position; none when it is the newest.

        Raises:
            PositionCompacted: they are no longer held, or belong to another `epoch`.
            OutOfRange: the position was never given out.
        """
        rows = connection.execute(self._after, {"after": position, "count": limit}).all()
        # Dense positions make the usual case complete in itself; only a gap, or nothing at
        # all, needs a look at the head to be told from the end of the log.
        if epoch is not None or not rows or rows[0].position != position + 1:
            head = self.head(connection)
            if position < head.horizon or (epoch is not None and epoch != head.epoch):
                raise PositionCompacted(head.horizon)
            if position > head.position:
                raise OutOfRange(
                    f"the newest position is {head.position}",
                    metadata={"oldest": str(head.horizon), "newest": str(head.position)},
                )
        return [FeedEntry(*row) for row in rows]

    def compact(self, tx: Connection, *, older_than: datetime, limit: int = 10_000) -> int:
        """Drop at most `limit` of the oldest changes, if older; answer the new horizon.

        A reader that has not passed the horizon has to take a snapshot.
        """
        head = self.lock_head(tx)
        t = self._log.c
        newest = tx.execute(
            select(func.max(t.position)).where(
                t.position > head.horizon,
                t.position <= head.horizon + limit,
                t.create_time < older_than,
            )
        ).scalar_one()
        if newest is None:
            return head.horizon
        tx.execute(delete(self._log).where(t.position <= newest))
        tx.execute(update(self._head).where(self._head.c.id == _HEAD_ID).values(horizon=newest))
        return int(newest)

    def begin_epoch(self, tx: Connection) -> FeedHead:
        """Begin the next epoch, after the database was restored from a backup."""
        head = self.lock_head(tx)
        tx.execute(
            update(self._head).where(self._head.c.id == _HEAD_ID).values(epoch=head.epoch + 1)
        )
        return FeedHead(head.epoch + 1, head.position, head.horizon)

    def _create_head(self, tx: Connection) -> None:
        insert_ = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
        first = {"id": _HEAD_ID, "epoch": 1, "position": 0, "horizon": 0}
        tx.execute(insert_(self._head).values(first).on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """How far a follower has applied a feed."""

    epoch: int
    position: int


class FeedCursors:
    """The table of cursors, each moved in the transaction that applies what it passes."""

    def __init__(self, table: Table) -> None:
        self._table: Final = table

    def get(self, connection: Connection, feed: str) -> FeedPosition | None:
        """Answer how far the feed was applied, or None before its first snapshot."""
        t = self._table.c
        row = connection.execute(select(t.epoch, t.position).where(t.feed == feed)).first()
        return None if row is None else FeedPosition(*row)

    def set(self, tx: Connection, feed: str, position: FeedPosition) -> None:
        """Record how far the feed is applied with this transaction."""
        values = {"epoch": position.epoch, "position": position.position}
        insert_ = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
        tx.execute(
            insert_(self._table)
            .values(feed=feed, **values)
            .on_conflict_do_update(index_elements=["feed"], set_=values)
        )
