"""SQLite: reads on a connection per thread, writes through one thread with group commit.

A durable commit costs a flush of the disk, whatever it holds. So one thread per process
owns the only connection that writes, takes what has queued up, runs each request in a
savepoint of its own, and commits them together (performance.md, sections 0 and 2c).
"""

import contextvars
import logging
import os
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from services.kernel.db.engine import (
    Database,
    Dialect,
    Isolation,
    Stats,
    T,
    run_callbacks,
    take_callbacks,
    unavailable,
)

_LOG = logging.getLogger(__name__)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_MMAP_BYTES = 256 * 1024 * 1024
_READ_CACHE_KIB = 16 * 1024
_WRITE_CACHE_KIB = 64 * 1024
_JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Request:
    """One transaction that a thread waits for."""

    fn: Callable[[Connection], Any]
    future: "Future[Any]" = field(default_factory=Future)
    # The caller's context, so that what `fn` traces belongs to the call that sent it.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    answer: Any = None
    error: BaseException | None = None
    callbacks: list[Callable[[], object]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Held:
    """A connection that a thread keeps, opened at some generation of the database."""

    connection: Connection
    generation: int
    thread: threading.Thread


class SqliteDatabase(Database):
    """A SQLite file in WAL mode with synchronous FULL."""

    dialect: Dialect = "sqlite"

    def __init__(
        self, url: str, *, busy_timeout: float, group_size: int, group_wait: float
    ) -> None:
        super().__init__()
        path = make_url(url).database
        if not path or path == ":memory:":
            raise ValueError("SQLite needs a file: sqlite:///<path>")
        self._path: Final = Path(path)
        self._busy_timeout: Final = busy_timeout
        _create_private(self._path)
        self._readers: Final = self._engine(url, writer=False)
        self._local: Final = threading.local()
        self._held: list[_Held] = []
        self._lock: Final = threading.Lock()
        self._generation = 0
        self._closed = False
        self._probe_lock: Final = threading.Lock()
        self._probe = self._probe_connection()
        self._writer: Final = _Writer(
            self, self._engine(url, writer=True), group_size=group_size, group_wait=group_wait
        )

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on the calling thread's connection."""
        self._refuse_nested()
        connection = self._thread_connection()
        try:
            return fn(connection)
        except OperationalError as error:
            if is_busy(error.orig):
                raise unavailable("the database is locked") from error
            raise

    def snapshot(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` inside one read transaction of the calling thread's connection."""
        self._refuse_nested()
        connection = self._thread_connection()
        raw = _raw(connection)
        raw.execute("BEGIN")
        try:
            return fn(connection)
        finally:
            raw.execute("ROLLBACK")

    def transact(self, fn: Callable[[Connection], T], *, isolation: Isolation | None = None) -> T:
        """Have the writer thread run `fn`, and wait for the commit that holds it."""
        self._refuse_nested()
        request = _Request(fn)
        self._writer.submit(request)
        answer: T = request.future.result()
        return answer

    def close(self) -> None:
        """Commit what is queued, end the writer thread, close the connections."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._writer.close()
        with self._lock:
            for held in self._held:
                held.connection.close()
            self._held.clear()
        with self._probe_lock:
            self._probe.close()

    def stats(self) -> Stats:
        """Answer the writer's counts."""
        return Stats(self._writer.requests, self._writer.commits)

    def data_version(self) -> int:
        """Answer `PRAGMA data_version` of one connection that never writes."""
        # The number is only comparable on one connection, so all threads share that one.
        with self._probe_lock:
            row = self._probe.execute("PRAGMA data_version").fetchone()
        return int(row[0])

    def _engines(self) -> tuple[Engine, ...]:
        return self._readers, self._writer.engine

    def _renew(self) -> None:
        self._generation += 1
        self._writer.renew()

    def _thread_connection(self) -> Connection:
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None and held.generation == self._generation:
            return held.connection
        with self._lock:
            if self._closed:
                raise RuntimeError("the database is closed")
            if held is not None:
                self._held.remove(held)
                held.connection.close()
            held = self._adopt() or _Held(
                self._readers.connect(), self._generation, threading.current_thread()
            )
            self._held.append(held)
        self._local.held = held
        return held.connection

    def _adopt(self) -> _Held | None:
        """Take over the connection of a thread that has ended, and close further ones."""
        ended = [held for held in self._held if not held.thread.is_alive()]
        adopted: _Held | None = None
        for held in ended:
            self._held.remove(held)
            if adopted is None and held.generation == self._generation:
                adopted = _Held(held.connection, held.generation, threading.current_thread())
            else:
                held.connection.close()
        return adopted

    def _engine(self, url: str, *, writer: bool) -> Engine:
        engine = create_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"check_same_thread": False, "timeout": self._busy_timeout},
        )

        def configure(raw: sqlite3.Connection, _: object) -> None:
            _configure(raw, writer=writer)

        event.listen(engine, "connect", configure)
        return engine

    def _probe_connection(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        # Only a connection that has opened the database notices changes of it.
        raw.execute("PRAGMA query_only = ON")
        raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return raw


class _Writer:
    """The thread that writes."""

    def __init__(
        self, database: SqliteDatabase, engine: Engine, *, group_size: int, group_wait: float
    ) -> None:
        self.engine: Final = engine
        self.requests = 0
        self.commits = 0
        self._database: Final = database
        self._size: Final = group_size
        self._wait: Final = group_wait
        self._queue: Final[queue.SimpleQueue[_Request | None]] = queue.SimpleQueue()
        self._submit_lock: Final = threading.Lock()
        self._closed = False
        self._stopping = False
        self._stale = False
        self._connection: Connection | None = None
        self._thread: Final = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, request: _Request) -> None:
        """Queue a request; nothing is queued behind the end, where nobody would answer it."""
        with self._submit_lock:
            if self._closed:
                raise RuntimeError("the database is closed")
            self._queue.put(request)

    def renew(self) -> None:
        self._stale = True

    def close(self) -> None:
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

    def _gather(self, expected: int) -> list[_Request]:
        """Wait for one request, then as long as the last group makes more seem likely.

        A lone caller so never waits for company, and many callers, who send their next
        requests just after the last commit, meet in one group again.
        """
        group: list[_Request] = []
        self._take(group, timeout=None)
        deadline = time.monotonic() + self._wait
        while not self._stopping and 0 < len(group) < self._size:
            patience = deadline - time.monotonic() if len(group) < expected else 0.0
            if not self._take(group, timeout=max(patience, 0.0)):
                break
        return group

    def _take(self, group: list[_Request], *, timeout: float | None) -> bool:
        try:
            request = self._queue.get(timeout=timeout) if timeout != 0 else self._queue.get_nowait()
        except queue.Empty:
            return False
        if request is None:
            self._stopping = True
            return False
        group.append(request)
        return True

    def _commit(self, group: list[_Request]) -> None:
        connection = self._open()
        raw = _raw(connection)
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

    def _execute(self, request: _Request, connection: Connection, raw: sqlite3.Connection) -> None:
        raw.execute("SAVEPOINT request")
        try:
            with self._database._entered():  # noqa: SLF001 - the two are one machine
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
        deadline = time.monotonic() + self._database._busy_timeout  # noqa: SLF001
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if time.monotonic() >= deadline:
                    raise unavailable("another process keeps the database locked") from error
                time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - spreads processes
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


def _fail(group: list[_Request], error: BaseException) -> None:
    for request in group:
        if not request.future.done():
            request.future.set_exception(request.error or error)


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        raise TypeError("not a connection of the sqlite3 module")
    return raw


def _configure(raw: sqlite3.Connection, *, writer: bool) -> None:
    cache = _WRITE_CACHE_KIB if writer else _READ_CACHE_KIB
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"mmap_size = {_MMAP_BYTES}",
        f"cache_size = -{cache}",
        f"journal_size_limit = {_JOURNAL_LIMIT_BYTES}",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        # The writer waits for the lock itself; see `_Writer._begin`.
        "busy_timeout = 0" if writer else "query_only = ON",
    ):
        raw.execute(f"PRAGMA {pragma}")


def _create_private(path: Path) -> None:
    """Create the file so that nobody else reads it; SQLite gives its journals the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
