"""What every process of the service has: its database, and ways to the other services."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from services.catalog.clients import authz, replication
from services.catalog.config import SERVICE, Config
from services.catalog.domain.usage import GIB, UsageLimits
from services.catalog.ports.transaction import Tx
from services.catalog.store import tables
from services.catalog.store.schema import REVISION
from services.catalog.store.transaction import Stores
from services.kernel.clock import Clock, SystemClock
from services.kernel.db.engine import Database
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.serving import open_channel, open_database, open_telemetry
from services.kernel.telemetry.telemetry import Telemetry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every process of the service has: its database, and ways to the other services."""

    config: Config
    db: Database
    stores: Stores
    clock: Clock
    telemetry: Telemetry
    replication: ServiceChannel
    authz: ServiceChannel

    def run(self, connection: Any, work: Callable[[Tx], T], traceparent: str = "") -> T:
        """Run `work` in a transaction that is open on a connection."""
        return self.stores.run(connection, work, traceparent)

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction."""
        return self.db.transact(lambda connection: self.stores.run(connection, work))


def open_foundation(config: Config, stack: ExitStack, clock: Clock | None = None) -> Foundation:
    """Open what every process has; `stack` closes it. Without a `clock` it is the machine's.

    Raises:
        SchemaMismatchError: the database is not migrated.
    """
    telemetry = open_telemetry(config, SERVICE, stack)
    clock = clock or SystemClock()
    db = open_database(config, REVISION, stack)
    stores = Stores(
        OperationStore(db, tables.operations, clock),
        Outbox(tables.outbox, clock),
        clock,
        limits_of(config),
    )

    def channel(address: str, services: tuple[str, ...]) -> ServiceChannel:
        return open_channel(config, address, services, stack=stack, telemetry=telemetry)

    return Foundation(
        config,
        db,
        stores,
        clock,
        telemetry,
        channel(config.replication_address, replication.SERVICES),
        channel(config.authz_address, authz.SERVICES),
    )


def limits_of(config: Config) -> UsageLimits:
    """Answer the limits that the operator has set."""
    return UsageLimits(
        galleries=config.max_galleries,
        image_definitions=config.max_image_definitions,
        image_versions=config.max_image_versions,
        replicas_per_version=config.max_replicas_per_version,
        full_disk_bytes=config.max_full_disk_gib * GIB,
        shallow_disk_bytes=config.max_shallow_disk_gib * GIB,
        versions_per_source=config.max_versions_per_source,
    )
