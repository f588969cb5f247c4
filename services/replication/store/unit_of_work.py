"""Transactions over all rows of the service."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, func, select

from services.kernel.clock import Clock, SystemClock
from services.kernel.db.engine import Database
from services.kernel.db.operations import OperationStore
from services.kernel.db.request_log import RequestKey, RequestLog
from services.kernel.feed.log import FeedLog
from services.replication.ports.requests import Request
from services.replication.ports.rows import Tx
from services.replication.store import tables
from services.replication.store.blobs import BlobTable
from services.replication.store.breakers import BreakerTable
from services.replication.store.feed import FeedTable
from services.replication.store.promised_room import RoomTable
from services.replication.store.regions import RegionTable
from services.replication.store.replicas import ReplicaTable
from services.replication.store.replications import ReplicationTable
from services.replication.store.verifications import VerificationTable
from services.replication.store.versions import VersionTable

T = TypeVar("T")


class RequestTable:
    """Fulfils `ports.rows.RequestRows`."""

    def __init__(self, connection: Connection, log: RequestLog) -> None:
        self._connection: Final = connection
        self._log: Final = log

    def lookup(self, request: Request[T]) -> bytes | None:
        """Answer the reply that was kept for a repeated request."""
        if not request.request_id:
            return None
        key = RequestKey(request.caller, request.method, request.request_id)
        return self._log.lookup(self._connection, key, request.digest)

    def once(self, request: Request[T], work: Callable[[], T]) -> bytes:
        """Answer the reply that was kept, or that of the work, which is then kept."""
        key = RequestKey(request.caller, request.method, request.request_id)
        return self._log.once(self._connection, key, request.digest, lambda: request.encode(work()))


class OperationTable:
    """Fulfils `ports.rows.OperationRows`."""

    def __init__(self, connection: Connection, store: OperationStore) -> None:
        self._connection: Final = connection
        self._store: Final = store

    def create(
        self, *, subscription: str, owner: str, verb: str, target: str, metadata: bytes
    ) -> str:
        """Add an operation and answer its name."""
        return self._store.create(
            self._connection,
            subscription=subscription,
            owner=owner,
            verb=verb,
            target=target,
            metadata=metadata,
        ).name

    def progress(self, name: str, metadata: bytes) -> None:
        """Replace what is told of an operation that runs."""
        self._store.progress(self._connection, name, metadata)

    def succeed(self, name: str, response: bytes, metadata: bytes) -> None:
        """End an operation well."""
        self._store.succeed(self._connection, name, response, metadata=metadata)

    def fail(self, name: str, status: bytes, metadata: bytes) -> None:
        """End an operation with an error."""
        self._store.fail(self._connection, name, status, metadata=metadata)


class SqlTx:
    """Fulfils `ports.rows.Tx` on one connection."""

    def __init__(self, connection: Connection, kernel: "SqlUnitOfWork") -> None:
        self.connection: Final = connection
        self.regions: Final = RegionTable(connection)
        self.versions: Final = VersionTable(connection)
        self.replications: Final = ReplicationTable(connection)
        self.replicas: Final = ReplicaTable(connection)
        self.breakers: Final = BreakerTable(connection)
        self.verifications: Final = VerificationTable(connection)
        self.blobs: Final = BlobTable(connection)
        self.room: Final = RoomTable(connection)
        self.feed: Final = FeedTable(connection, kernel.feed_log)
        self.requests: Final = RequestTable(connection, kernel.request_log)
        self.operations: Final = OperationTable(connection, kernel.operation_store)
        self._clock: Final = kernel.clock

    def now(self) -> datetime:
        """Answer the database server's time on PostgreSQL, the machine's on SQLite."""
        if self._clock is None and self.connection.dialect.name == "postgresql":
            now: datetime = self.connection.execute(select(func.clock_timestamp())).scalar_one()
            return now
        return (self._clock or SystemClock()).now()


class SqlUnitOfWork:
    """Fulfils `ports.rows.UnitOfWork`; with a `clock`, time is its time on both databases."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        rows_clock = clock or SystemClock()
        self.db: Final = db
        self.clock: Final = clock
        self.feed_log: Final = FeedLog(tables.feed, rows_clock)
        self.request_log: Final = RequestLog(tables.request_log, rows_clock)
        self.operation_store: Final = OperationStore(db, tables.operations, rows_clock)

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` without changes; each statement sees the newest commit."""
        return self.db.read(lambda connection: fn(SqlTx(connection, self)))

    def snapshot(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` without changes on one state of the rows."""
        return self.db.snapshot(lambda connection: fn(SqlTx(connection, self)))

    def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in one durable transaction, perhaps more than once."""
        return self.db.transact(lambda connection: fn(SqlTx(connection, self)))
