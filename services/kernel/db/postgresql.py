"""PostgreSQL by psycopg: held autocommit connections for reads, a pool for transactions."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
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
from services.kernel.db.prepared import Prepared, Row
from services.kernel.errors import Unavailable

_CONFLICTS = {"40001", "40P01"}  # serialization_failure, deadlock_detected
_LOCK_NOT_AVAILABLE = "55P03"
_ATTEMPTS = 8
_CONNECT_SECONDS = 5
_SPREAD: Final = random.SystemRandom()


class PostgresqlDatabase(Database):
    """A PostgreSQL database, or what speaks its protocol."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, *, busy_timeout: float, pool_size: int) -> None:
        super().__init__()
        self._busy_timeout: Final = busy_timeout
        self._closed = False
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        # Checking a connection out of SQLAlchemy's pool doubles the cost of a small read
        # (performance.md, section 2a), so the connections for reads are kept here.
        self._readers: Final = create_engine(
            parsed,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=_connect_args(parsed, busy_timeout, read_only=True),
        )
        self._writers: Final = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=busy_timeout,
            isolation_level="READ COMMITTED",
            connect_args=_connect_args(parsed, busy_timeout, read_only=False),
        )
        self._slots: Final = threading.BoundedSemaphore(pool_size)
        self._idle: Final[deque[tuple[int, Connection]]] = deque()
        self._generation = 0
        self._counts = threading.Lock()
        self._commits = 0

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on an idle connection, once more on a new one if that was cut off."""
        self._refuse()
        if not self._slots.acquire(timeout=self._busy_timeout):
            raise unavailable("every connection to the database is in use")
        try:
            try:
                return self._read_once(fn)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The server was restarted: every connection from before is cut off with it.
            self._renew()
            return self._read_once(fn)
        except OperationalError as error:
            if better := _translated(error):
                raise better from error
            raise
        finally:
            self._slots.release()

    def first(self, lookup: Prepared, parameters: Mapping[str, Any]) -> Row | None:
        """Run a prepared lookup below SQLAlchemy, which costs more than the way to the server.

        What fails is run once more as any other read, which knows what each error means.
        """

        def run(connection: Connection) -> Row | None:
            raw = _raw_connection(connection)
            try:
                stored = raw.execute(lookup.text, lookup.named(parameters), prepare=True).fetchone()
            except psycopg.Error:
                return connection.execute(lookup.statement, parameters).first()
            for collected in self._collecting:
                collected.append(lookup.text)
            return None if stored is None else lookup.row(stored)

        return self.read(run)

    def snapshot(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in one REPEATABLE READ transaction that cannot write."""
        self._refuse()
        try:
            with self._writers.connect() as connection:
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                with connection.begin():
                    return fn(connection)
        except (OperationalError, PoolTimeoutError) as error:
            if better := _translated(error):
                raise better from error
            raise

    def transact(self, fn: Callable[[Connection], T], *, isolation: Isolation | None = None) -> T:
        """Run `fn` in a transaction of its own, again where PostgreSQL asks for that."""
        self._refuse()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer, callbacks = self._transact_once(fn, isolation)
            except (DBAPIError, PoolTimeoutError) as error:
                if attempt == _ATTEMPTS or not _may_repeat(error):
                    if better := _translated(error):
                        raise better from error
                    raise
                time.sleep(_SPREAD.uniform(0, min(0.001 * 2**attempt, 0.1)))
            else:
                with self._counts:
                    self._commits += 1
                run_callbacks(callbacks)
                return answer
        raise AssertionError("the last attempt answers or raises")

    def close(self) -> None:
        """Close every connection that is not in use, and the others when they are returned."""
        self._closed = True
        self._renew()
        self._close_idle()
        self._writers.dispose()

    def stats(self) -> Stats:
        """Answer the commits; PostgreSQL groups them itself."""
        return Stats(self._commits, self._commits)

    def data_version(self) -> None:
        """Answer None: PostgreSQL has no such number."""
        return

    def _engines(self) -> tuple[Engine, ...]:
        return self._readers, self._writers

    def _renew(self) -> None:
        self._generation += 1

    def _refuse(self) -> None:
        self._refuse_nested()
        if self._closed:
            raise RuntimeError("the database is closed")

    def _read_once(self, fn: Callable[[Connection], T]) -> T:
        generation, connection = self._take()
        try:
            return fn(connection)
        finally:
            if connection.invalidated or generation != self._generation:
                connection.close()
            else:
                self._idle.append((generation, connection))

    def _take(self) -> tuple[int, Connection]:
        while True:
            try:
                generation, connection = self._idle.pop()
            except IndexError:
                return self._generation, self._readers.connect()
            if generation == self._generation:
                return generation, connection
            connection.close()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _transact_once(
        self, fn: Callable[[Connection], T], isolation: Isolation | None
    ) -> tuple[T, list[Callable[[], object]]]:
        with self._entered(), self._writers.connect() as connection:
            if isolation is not None:
                connection.execution_options(isolation_level=isolation)
            transaction = connection.begin()
            try:
                answer = fn(connection)
            except BaseException:
                if not connection.invalidated:
                    take_callbacks(connection)
                transaction.rollback()
                raise
            callbacks = take_callbacks(connection)
            try:
                transaction.commit()
            except DBAPIError as error:
                if error.connection_invalidated:
                    # Whether it is committed is not known, so it is not tried again.
                    raise unavailable("the connection was lost during the commit") from error
                raise
            return answer, callbacks


def _raw_connection(connection: Connection) -> psycopg.Connection[tuple[Any, ...]]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError("not a connection of psycopg")
    return raw


def _connect_args(url: URL, busy_timeout: float, *, read_only: bool) -> dict[str, Any]:
    options = [
        "-c timezone=UTC",
        f"-c lock_timeout={int(busy_timeout * 1000)}",
        "-c idle_in_transaction_session_timeout=60000",
    ]
    if read_only:
        options.append("-c default_transaction_read_only=on")
    # What the operator wrote into the URL comes last and so wins.
    given = url.query.get("options", "")
    options.append(given if isinstance(given, str) else " ".join(given))
    return {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "stoa",
        "options": " ".join(options).strip(),
    }


def _may_repeat(error: DBAPIError | PoolTimeoutError) -> bool:
    if isinstance(error, PoolTimeoutError):
        return False
    return error.connection_invalidated or _state(error) in _CONFLICTS


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _translated(error: DBAPIError | PoolTimeoutError) -> Unavailable | None:
    """Answer UNAVAILABLE for a database that is gone or busy, None for anything else."""
    if isinstance(error, PoolTimeoutError):
        return unavailable("every connection to the database is in use")
    if _state(error) in _CONFLICTS | {_LOCK_NOT_AVAILABLE}:
        return unavailable("too many transactions want the same rows")
    # Without a state the server was not reached; class 08 and 57 are lost connections and
    # a server that starts or stops.
    if isinstance(error, OperationalError) and _state(error)[:2] in {"", "08", "57"}:
        return unavailable("the database does not answer", retry_after=1.0)
    return None
