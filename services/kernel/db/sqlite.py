"""SQLite: reads on a connection per thread, writes through one thread (`sqlite_writer.py`).

A held connection that commits nothing costs a read half of what a pool would
(performance.md, section 2a).
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from services.kernel.db.engine import Database, Dialect, Isolation, Stats, T, unavailable
from services.kernel.db.prepared import Prepared, Row
from services.kernel.db.sqlite_writer import Request, Writer, is_busy, raw_connection

_MMAP_BYTES = 256 * 1024 * 1024
_READ_CACHE_KIB = 16 * 1024
_WRITE_CACHE_KIB = 64 * 1024
_JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
# Rows that a thread remembers: those that are asked for again and again, not the whole table.
_REMEMBERED_ROWS = 1024
# Larger values are not remembered: a thread holds some megabytes at most.
_REMEMBERED_BYTES = 8 * 1024


@dataclass(slots=True, eq=False)
class _Held:
    """A connection that a thread keeps, opened at some generation of the database.

    `rows` are what lookups found since the database was at `version`, a number that can only be
    compared on one connection: so each thread remembers for itself.
    """

    connection: Connection
    raw: sqlite3.Connection
    generation: int
    thread: threading.Thread
    version: int = -1
    rows: dict[tuple[Prepared, tuple[Any, ...]], Row] = field(default_factory=dict)

    def remembered(self) -> dict[tuple[Prepared, tuple[Any, ...]], Row]:
        """Answer the rows that no commit of anybody can have changed."""
        (version,) = self.raw.execute("PRAGMA data_version").fetchone()
        if version != self.version or len(self.rows) >= _REMEMBERED_ROWS:
            self.rows = {}
            self.version = version
        return self.rows


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
        self._writer: Final = Writer(
            self._engine(url, writer=True),
            group_size=group_size,
            group_wait=group_wait,
            busy_timeout=busy_timeout,
            entered=self._entered,
        )

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on the calling thread's connection."""
        self._refuse_nested()
        connection = self._thread_connection().connection
        try:
            return fn(connection)
        except OperationalError as error:
            if is_busy(error.orig):
                raise unavailable("the database is locked") from error
            raise

    def first(self, lookup: Prepared, parameters: Mapping[str, Any]) -> Row | None:
        """Run a prepared lookup on the calling thread's connection, below SQLAlchemy.

        A row that it found before, and that no commit can have changed since, is answered
        without a statement (performance.md, section 2b: the probe costs half of a lookup).
        """
        self._refuse_nested()
        held = self._thread_connection()
        values = lookup.values(parameters)
        wanted = (lookup, values)
        try:
            rows = held.remembered()
            known = rows.get(wanted)
            if known is not None:
                return known
            for collected in self._collecting:
                collected.append(lookup.text)
            stored = held.raw.execute(lookup.text, values).fetchone()
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise unavailable("the database is locked") from error
            raise
        if stored is None:
            return None
        found = lookup.row(stored)
        if all(len(one) <= _REMEMBERED_BYTES for one in stored if isinstance(one, bytes | str)):
            rows[wanted] = found
        return found

    def snapshot(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` inside one read transaction of the calling thread's connection."""
        self._refuse_nested()
        held = self._thread_connection()
        held.raw.execute("BEGIN")
        try:
            return fn(held.connection)
        finally:
            held.raw.execute("ROLLBACK")

    def transact(self, fn: Callable[[Connection], T], *, isolation: Isolation | None = None) -> T:
        """Have the writer thread run `fn`, and wait for the commit that holds it."""
        self._refuse_nested()
        request = Request(fn)
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

    def _thread_connection(self) -> _Held:
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None and held.generation == self._generation:
            return held
        with self._lock:
            if self._closed:
                raise RuntimeError("the database is closed")
            if held is not None:
                self._held.remove(held)
                held.connection.close()
            held = self._adopt() or self._open()
            self._held.append(held)
        self._local.held = held
        return held

    def _open(self) -> _Held:
        connection = self._readers.connect()
        raw = raw_connection(connection)
        return _Held(connection, raw, self._generation, threading.current_thread())

    def _adopt(self) -> _Held | None:
        """Take over the connection of a thread that has ended, and close further ones."""
        ended = [held for held in self._held if not held.thread.is_alive()]
        adopted: _Held | None = None
        for held in ended:
            self._held.remove(held)
            if adopted is None and held.generation == self._generation:
                held.thread = threading.current_thread()
                adopted = held
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
