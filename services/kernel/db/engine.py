"""Transactions and reads on SQLite or PostgreSQL, whichever the URL names.

A store hands over functions of a connection and never begins or ends a transaction
itself, so that the same store runs on both: what differs lies in `sqlite.py` and
`postgresql.py`. Row locks are asked for by `select(...).with_for_update()`, which
SQLite, having one writer at a time, leaves out.
"""

import abc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import Connection, Engine, Select, event, make_url

from services.kernel.db.prepared import Prepared, Row
from services.kernel.errors import Unavailable

T = TypeVar("T")

Dialect = Literal["sqlite", "postgresql"]
Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

_LOG = logging.getLogger(__name__)
_AFTER_COMMIT = "stoa.after_commit"


@dataclass(frozen=True, slots=True)
class Stats:
    """How many requests this process has committed, and in how many commits."""

    requests: int
    commits: int


class Database(abc.ABC):
    """One database, opened once per process and shared by its threads.

    Reads run on connections that are held open and cannot write. A transaction runs its
    function once or, after a conflict, again: the function has no effect outside of the
    database, and what it wants done after the commit it registers by `after_commit`.
    """

    dialect: Dialect

    @staticmethod
    def open(
        url: str,
        *,
        busy_timeout: float = 5.0,
        group_size: int = 16,
        group_wait: float = 0.002,
        pool_size: int = 8,
    ) -> "Database":
        """Open `sqlite:///<path>` or `postgresql://...`.

        `busy_timeout` (seconds) bounds the wait for a lock or a connection.
        `group_size` and `group_wait` (seconds) bound what one SQLite commit holds, and
        `pool_size` the connections of each kind to PostgreSQL.

        Raises:
            ValueError: a URL of neither database, or SQLite without a file.
        """
        backend = make_url(url).get_backend_name()
        if backend == "sqlite":
            from services.kernel.db.sqlite import SqliteDatabase

            return SqliteDatabase(
                url, busy_timeout=busy_timeout, group_size=group_size, group_wait=group_wait
            )
        if backend in {"postgresql", "postgres"}:
            from services.kernel.db.postgresql import PostgresqlDatabase

            return PostgresqlDatabase(url, busy_timeout=busy_timeout, pool_size=pool_size)
        raise ValueError(f"neither SQLite nor PostgreSQL: {backend}")

    def __init__(self) -> None:
        self._inside = threading.local()
        self._collecting: tuple[list[str], ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a held connection; each statement sees the newest commit.

        Raises:
            Unavailable: the database does not answer or is locked for too long.
        """

    def prepare(self, statement: Select[Any]) -> Prepared:
        """Compile a lookup for `first`, once per process.

        Raises:
            ValueError: a parameter would have to be converted.
        """
        return Prepared(statement, self._engines()[0])

    @abc.abstractmethod
    def first(self, lookup: Prepared, parameters: Mapping[str, Any]) -> Row | None:
        """Answer the first row of a prepared lookup, None where there is none.

        Raises:
            Unavailable: as `read`.
        """

    @abc.abstractmethod
    def snapshot(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` so that all its statements see the database at one moment.

        Raises:
            Unavailable: as `read`.
        """

    @abc.abstractmethod
    def transact(self, fn: Callable[[Connection], T], *, isolation: Isolation | None = None) -> T:
        """Run `fn` in one transaction and answer once it is durable.

        An exception of `fn` rolls the transaction back and is raised here. `isolation`
        is asked of PostgreSQL, which otherwise gives READ COMMITTED; SQLite's
        transactions are always serializable.

        Raises:
            Unavailable: as `read`, or the commit failed.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Finish the transactions under way and close every connection."""

    @abc.abstractmethod
    def stats(self) -> Stats:
        """Answer what was committed since the database was opened."""

    @abc.abstractmethod
    def data_version(self) -> int | None:
        """Answer a number that changes with every commit of any process (microseconds of work).

        None on PostgreSQL, which has no such number: ask the head of a feed there.
        """

    @abc.abstractmethod
    def _engines(self) -> tuple[Engine, ...]:
        """Answer the engines behind the connections."""

    @abc.abstractmethod
    def _renew(self) -> None:
        """Make every held connection be opened anew before its next use."""

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Collect the text of every SQL statement that runs inside the `with` block.

        For tests that count statements: BEGIN, SAVEPOINT and COMMIT are not among them.
        """
        collected: list[str] = []

        def record(_: object, __: object, statement: str, *___: object) -> None:
            collected.append(statement)

        for engine in self._engines():
            event.listen(engine, "before_cursor_execute", record)
        # A connection notes at its creation whether anybody listens.
        self._renew()
        self._collecting += (collected,)
        try:
            yield collected
        finally:
            self._collecting = tuple(one for one in self._collecting if one is not collected)
            for engine in self._engines():
                event.remove(engine, "before_cursor_execute", record)
            self._renew()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Mark the thread as running a transaction's function."""
        self._inside.active = True
        try:
            yield
        finally:
            self._inside.active = False

    def _refuse_nested(self) -> None:
        """Refuse a call of this database from inside a transaction's function.

        On SQLite the one writer would wait for itself, and a read would not see what the
        transaction wrote; PostgreSQL would hide both until it runs out of connections.
        """
        if getattr(self._inside, "active", False):
            raise RuntimeError("inside a transaction use its connection, not the database")


def after_commit(tx: Connection, callback: Callable[[], object]) -> None:
    """Have `callback` called once the transaction of `tx` is durable, and else never.

    It runs on the thread that committed, so it only wakes others.
    """
    tx.info.setdefault(_AFTER_COMMIT, []).append(callback)


def take_callbacks(tx: Connection) -> list[Callable[[], object]]:
    """Remove and answer what `after_commit` registered; for the backends."""
    callbacks: list[Callable[[], object]] = tx.info.pop(_AFTER_COMMIT, [])
    return callbacks


def run_callbacks(callbacks: list[Callable[[], object]]) -> None:
    """Call what waited for a commit; for the backends. The commit stands whatever they do."""
    for callback in callbacks:
        try:
            callback()
        except Exception:  # noqa: BLE001 - it cannot be told to a caller who has succeeded
            _LOG.exception("a callback after a commit failed")


def unavailable(problem: str, *, retry_after: float = 0.1) -> Unavailable:
    """Build the error for a database that does not do what it was asked to."""
    return Unavailable(problem, metadata={"service": "database"}, retry_after=retry_after)
