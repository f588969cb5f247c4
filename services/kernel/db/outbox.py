"""The outbox: what a transaction wants said to another service, said after its commit.

Messages of one aggregate are sent in the order of their commits, each until its handler
returns once: at least once, so handlers are idempotent. Messages of different aggregates
do not wait for each other.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from services.kernel.backoff import backoff
from services.kernel.clock import Clock
from services.kernel.db.engine import Database, after_commit
from services.kernel.telemetry.tracer import Tracer

_LOG = logging.getLogger(__name__)
_MAX_ERROR = 2000


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message; `attempts` counts the sends that failed before this one."""

    seq: int
    aggregate: str
    kind: str
    payload: bytes
    trace_context: str
    create_time: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """What is not sent yet; `stuck` counts the messages that failed again and again."""

    unsent: int
    stuck: int
    oldest: datetime | None


Handler = Callable[[OutboxMessage], None]


class Outbox:
    """The table of messages, written in the transaction that causes them."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table: Final = table
        self.clock: Final = clock
        self._wake: Callable[[], object] | None = None
        self._insert: Final = insert(table)

    def add(
        self, tx: Connection, aggregate: str, kind: str, payload: bytes, *, trace_context: str = ""
    ) -> None:
        """Add a message, behind those that the aggregate has already.

        `aggregate` is what the order is kept for, for example a uid, and `trace_context`
        the W3C traceparent to go on with when the message is sent.
        """
        if tx.dialect.name == "postgresql":
            # Numbers are given before commits and become visible in another order. Holding
            # this until the commit makes the order of one aggregate that of its commits.
            tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(aggregate, 0))))
        now = self.clock.now()
        tx.execute(
            self._insert,
            {
                "aggregate": aggregate,
                "kind": kind,
                "payload": payload,
                "trace_context": trace_context,
                "create_time": now,
                "next_attempt_time": now,
            },
        )
        if self._wake is not None:
            after_commit(tx, self._wake)

    def on_add(self, wake: Callable[[], object]) -> None:
        """Have `wake` called after the commit of each transaction that added a message."""
        self._wake = wake

    def stats(self, connection: Connection, *, stuck_after: int) -> OutboxStats:
        """Count what is not sent, and of that what failed at least `stuck_after` times."""
        t = self.table.c
        unsent = select(
            func.count().label("unsent"),
            func.count().filter(t.attempts >= stuck_after).label("stuck"),
            func.min(t.create_time).label("oldest"),
        ).where(t.sent_time.is_(None))
        row = connection.execute(unsent).one()
        return OutboxStats(row.unsent, row.stuck, row.oldest)

    def purge(self, tx: Connection, *, older_than: timedelta, limit: int = 1000) -> int:
        """Delete at most `limit` messages that were sent that long ago; answer how many."""
        t = self.table.c
        old = select(t.seq).where(t.sent_time < self.clock.now() - older_than).limit(limit)
        return tx.execute(delete(self.table).where(t.seq.in_(old))).rowcount


class OutboxDrainer:
    """Sends what is in the outbox, in one process at a time (a lease sees to that).

    Two drainers at once would break the order, not the delivery.
    """

    def __init__(
        self,
        db: Database,
        outbox: Outbox,
        handlers: Mapping[str, Handler],
        *,
        parallel: int = 8,
        batch: int = 64,
        retry_base: float = 0.2,
        retry_cap: float = 60.0,
        stuck_after: int = 10,
        on_failure: Callable[[OutboxMessage, Exception], None] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """`retry_base` and `retry_cap` are seconds; `on_failure` is told of every failed send.

        Each handler runs in the trace of its message, as a span of `tracer`.
        A message that failed `stuck_after` times is logged as an error each time, and goes
        on being tried: what it stands for was promised.
        """
        self._db: Final = db
        self._outbox: Final = outbox
        self._handlers: Final = dict(handlers)
        self._parallel: Final = parallel
        self._retry_base: Final = retry_base
        self._retry_cap: Final = retry_cap
        self._stuck_after: Final = stuck_after
        self._on_failure: Final = on_failure
        self._tracer: Final = tracer or Tracer()
        self._woken: Final = threading.Event()
        self._lock: Final = threading.Lock()
        self._under_way: Final[set[str]] = set()
        self._heads: Final = _heads_statement(outbox.table, batch)
        outbox.on_add(self._woken.set)

    def run_once(self) -> int:
        """Send the first due message of each aggregate once; answer how many were tried."""
        with ThreadPoolExecutor(self._parallel, "outbox") as pool:
            return self._dispatch(pool)

    def run(self, stop: threading.Event, *, poll: float = 0.1) -> None:
        """Send until `stop` is set, looking at least every `poll` seconds.

        A message of this process is sent at once. Those of others show in SQLite's data
        version, which costs nothing to look at, or in the query.
        """
        seen: int | None = None
        next_look = 0.0
        clock = self._outbox.clock
        with ThreadPoolExecutor(self._parallel, "outbox") as pool:
            while not stop.is_set():
                version = self._db.data_version()
                changed = version is None or version != seen
                # Retries become due without any commit, so a look is never far away.
                if changed or self._woken.is_set() or clock.monotonic() >= next_look:
                    self._woken.clear()
                    seen = version
                    next_look = clock.monotonic() + max(poll, 0.5)
                    self._dispatch(pool)
                self._woken.wait(poll if version is None else min(poll, 0.02))

    def wake(self) -> None:
        """Make `run` look again at once."""
        self._woken.set()

    def _due(self) -> list[OutboxMessage]:
        now = self._outbox.clock.now()
        rows = self._db.read(lambda c: c.execute(self._heads, {"now": now}).all())
        return [OutboxMessage(*row) for row in rows]

    def _dispatch(self, pool: ThreadPoolExecutor) -> int:
        """Hand the due messages of aggregates that have none under way to the pool."""
        started = 0
        for message in self._due():
            with self._lock:
                if message.aggregate in self._under_way:
                    continue
                self._under_way.add(message.aggregate)
            pool.submit(self._send, message)
            started += 1
        return started

    def _send(self, message: OutboxMessage) -> None:
        try:
            self._handle(message)
        except Exception:  # noqa: BLE001 - the row is as it was, and is found again
            _LOG.exception("the state of outbox message %d was not recorded", message.seq)
        finally:
            with self._lock:
                self._under_way.discard(message.aggregate)
            # The next message of the aggregate may be waiting behind this one.
            self._woken.set()

    def _handle(self, message: OutboxMessage) -> None:
        handler = self._handlers.get(message.kind)
        if handler is None:
            self._failed(message, LookupError(f"nothing handles messages of kind {message.kind}"))
            return
        attributes = {"stoa.aggregate": message.aggregate, "stoa.attempt": message.attempts + 1}
        name, parent = f"outbox {message.kind}", message.trace_context
        try:
            with self._tracer.span(name, attributes, traceparent=parent):
                handler(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message stays
            self._failed(message, error)
        else:
            self._mark(message, sent_time=self._outbox.clock.now())

    def _failed(self, message: OutboxMessage, error: Exception) -> None:
        attempts = message.attempts + 1
        delay = backoff(attempts, base=self._retry_base, cap=self._retry_cap)
        level = logging.ERROR if attempts >= self._stuck_after else logging.WARNING
        _LOG.log(
            level,
            "outbox message %d (%s of %s) failed %d times",
            message.seq,
            message.kind,
            message.aggregate,
            attempts,
            exc_info=error,
        )
        self._mark(
            message,
            attempts=attempts,
            next_attempt_time=self._outbox.clock.now() + timedelta(seconds=delay),
            last_error=f"{type(error).__name__}: {error}"[:_MAX_ERROR],
        )
        if self._on_failure is not None:
            self._on_failure(message, error)

    def _mark(self, message: OutboxMessage, **values: Any) -> None:
        table = self._outbox.table
        statement = update(table).where(table.c.seq == message.seq).values(values)
        self._db.transact(lambda tx: tx.execute(statement))


def _heads_statement(table: Table, batch: int) -> Any:
    """Select the due messages with no unsent one of their aggregate before them."""
    t, earlier = table.c, table.alias("earlier")
    blocked = (
        select(earlier.c.seq)
        .where(
            earlier.c.aggregate == t.aggregate,
            earlier.c.sent_time.is_(None),
            earlier.c.seq < t.seq,
        )
        .exists()
    )
    return (
        select(t.seq, t.aggregate, t.kind, t.payload, t.trace_context, t.create_time, t.attempts)
        .where(t.sent_time.is_(None), t.next_attempt_time <= bindparam("now"), ~blocked)
        .order_by(t.seq)
        .limit(batch)
    )
