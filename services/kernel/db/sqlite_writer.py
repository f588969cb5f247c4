"""The thread that writes to SQLite, and commits in groups.

A durable commit costs a flush of the disk, whatever it holds. So one thread per process
owns the only connection that writes, takes what has queued up, runs each request in a
savepoint of its own, and commits them together (performance.md, sections 0 and 2c).
"""

import contextvars
import logging
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine

from services.kernel.db.engine import run_callbacks, take_callbacks, unavailable

_LOG = logging.getLogger(__name__)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# Keeps processes that wait for each other from coming back together.
_SPREAD: Final = random.SystemRandom()


@dataclass(slots=True, eq=False)
class Request:
    """One transaction that a thread waits for."""

    fn: Callable[[Connection], Any]
    future: "Future[Any]" = field(default_factory=Future)
    # The caller's context, so that what `fn` traces belongs to the call that sent it.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    answer: Any = None
    error: BaseException | None = None
    callbacks: list[Callable[[], object]] = field(default_factory=list)


class Writer:
    """The one thread of a process that writes to a SQLite file."""

    def __init__(
        self,
        engine: Engine,
        *,
        group_size: int,
        group_wait: float,
        busy_timeout: float,
        entered: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`entered` surrounds each request's function; times are seconds."""
        self.engine: Final = engine
        self.requests = 0
        self.commits = 0
        self._entered: Final = entered
        self._busy_timeout: Final = busy_timeout
        self._size: Final = group_size
        self._wait: Final = group_wait
        self._queue: Final[queue.SimpleQueue[Request | None]] = queue.SimpleQueue()
        self._submit_lock: Final = threading.Lock()
        self._closed = False
        self._stopping = False
        self._stale = False
        self._connection: Connection | None = None
        self._thread: Final = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue a request; nothing is queued behind the end, where nobody would answer it."""
        with self._submit_lock:
            if self._closed:
                raise RuntimeError("the database is closed")
            self._queue.put(request)

    def renew(self) -> None:
        """Open the connection anew before the next group."""
        self._stale = True

    def close(self) -> None:
        """Commit what is queued, and end the thread."""
        with self._submit_lock:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        expected = 1
        while not self._stopping:
            group = self._gather(expected)
            if not group:
                continue
            try:
                self._commit(group)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the callers wait
                self._discard()
                _fail(group, error)
            expected = len(group)
        self._discard()

    def _gather(self, expected: int) -> list[Request]:
        """Wait for one request, then as long as the last group makes more seem likely.

        A lone caller so never waits for company, and many callers, who send their next
        requests just after the last commit, meet in one group again.
        """
        group: list[Request] = []
        self._take(group, timeout=None)
        deadline = time.monotonic() + self._wait
        while not self._stopping and 0 < len(group) < self._size:
            patience = deadline - time.monotonic() if len(group) < expected else 0.0
            if not self._take(group, timeout=max(patience, 0.0)):
                break
        return group

    def _take(self, group: list[Request], *, timeout: float | None) -> bool:
        try:
            request = self._queue.get(timeout=timeout) if timeout != 0 else self._queue.get_nowait()
        except queue.Empty:
            return False
        if request is None:
            self._stopping = True
            return False
        group.append(request)
        return True

    def _commit(self, group: list[Request]) -> None:
        connection = self._open()
        raw = raw_connection(connection)
        self._begin(raw)
        try:
            # The list grows while it is walked: what arrives meanwhile goes along.
            for request in group:
                self._execute(request, connection, raw)
                if request is group[-1] and len(group) < self._size and not self._stopping:
                    self._take(group, timeout=0)
            raw.execute("COMMIT")
        except sqlite3.Error as error:
            _LOG.exception("a group of %d requests was rolled back", len(group))
            raise unavailable("the database did not commit") from error
        self.commits += 1
        for request in group:
            if request.error is None:
                self.requests += 1
                request.future.set_result(request.answer)
            else:
                request.future.set_exception(request.error)
        for request in group:
            run_callbacks(request.callbacks)

    def _execute(self, request: Request, connection: Connection, raw: sqlite3.Connection) -> None:
        raw.execute("SAVEPOINT request")
        try:
            with self._entered():
                request.answer = request.context.run(request.fn, connection)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who gets it
            take_callbacks(connection)
            request.error = error
            # Out of space, for one, ends the whole transaction: this then raises, and no
            # request of the group is told that it succeeded.
            raw.execute("ROLLBACK TO request")
        else:
            request.callbacks = take_callbacks(connection)
        raw.execute("RELEASE request")

    def _begin(self, raw: sqlite3.Connection) -> None:
        """Take the write lock, which another process may hold.

        SQLite's own busy handler sleeps up to 100 ms at a time and so starves behind a
        process that commits all the time; short sleeps with jitter do not.
        """
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if time.monotonic() >= deadline:
                    raise unavailable("another process keeps the database locked") from error
                time.sleep(_SPREAD.uniform(0.0002, 0.002))
            else:
                return

    def _open(self) -> Connection:
        if self._stale:
            self._stale = False
            self._discard()
        if self._connection is None:
            self._connection = self.engine.connect()
        return self._connection

    def _discard(self) -> None:
        """Close the connection; SQLite rolls back what was open on it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def is_busy(error: BaseException | None) -> bool:
    """Whether the error says that another connection holds the lock."""
    # The low byte is the primary code; extended ones such as BUSY_SNAPSHOT add to it.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


def _fail(group: list[Request], error: BaseException) -> None:
    for request in group:
        if not request.future.done():
            request.future.set_exception(request.error or error)


def raw_connection(connection: Connection) -> sqlite3.Connection:
    """Answer the connection of the sqlite3 module behind one of SQLAlchemy."""
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        raise TypeError("not a connection of the sqlite3 module")
    return raw
