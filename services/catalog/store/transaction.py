"""One transaction with all its stores: the `Tx` of the use cases."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

from sqlalchemy import Connection

from services.catalog.domain.disk_encryption_set import DiskEncryptionSet
from services.catalog.domain.disks import Disk, Snapshot
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.domain.storage_account import StorageAccount
from services.catalog.domain.usage import DEFAULT_LIMITS, UsageLimits
from services.catalog.domain.virtual_machine import VirtualMachine
from services.catalog.ports.transaction import FeedCursor
from services.catalog.store import kinds
from services.catalog.store.cursor import write_cursor
from services.catalog.store.documents import dump
from services.catalog.store.galleries import DefinitionStore, GalleryStore
from services.catalog.store.operations import CatalogOperations
from services.catalog.store.regions import RegionMirror
from services.catalog.store.resources import ResourceStore
from services.catalog.store.usage import UsageCounters
from services.catalog.store.uses import UseStore
from services.catalog.store.versions import VersionStore
from services.kernel.clock import Clock
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stores:
    """What the stores of all transactions share; built once per process."""

    operations: OperationStore
    outbox: Outbox
    clock: Clock
    limits: UsageLimits = DEFAULT_LIMITS

    def run(
        self, connection: Connection, work: Callable[["Transaction"], T], traceparent: str = ""
    ) -> T:
        """Run `work` with the stores of one transaction, then write what was counted.

        Messages go on with the trace `traceparent`.

        Raises:
            ResourceExhausted: QUOTA_EXCEEDED.
        """
        tx = self.bind(connection, traceparent)
        answer = work(tx)
        tx.usage.settle()
        return answer

    def bind(self, connection: Connection, traceparent: str = "") -> "Transaction":
        """Answer the stores of one transaction; messages go on with the trace `traceparent`."""
        return Transaction(self, connection, traceparent)


class Transaction:
    """The stores of one transaction, each made when it is first used."""

    def __init__(self, stores: Stores, connection: Connection, traceparent: str) -> None:
        self._stores: Final = stores
        self._connection: Final = connection
        self._traceparent: Final = traceparent

    @cached_property
    def groups(self) -> ResourceStore[ResourceGroup]:
        """Resource groups."""
        return ResourceStore(self._connection, kinds.GROUPS)

    @cached_property
    def galleries(self) -> GalleryStore:
        """Galleries."""
        return GalleryStore(self._connection, self.usage)

    @cached_property
    def definitions(self) -> DefinitionStore:
        """Image definitions."""
        return DefinitionStore(self._connection, self.usage)

    @cached_property
    def versions(self) -> VersionStore:
        """Image versions."""
        return VersionStore(self._connection, self._stores.clock, self.usage)

    @cached_property
    def managed_images(self) -> ResourceStore[ManagedImage]:
        """Managed images."""
        return ResourceStore(self._connection, kinds.MANAGED_IMAGES)

    @cached_property
    def virtual_machines(self) -> ResourceStore[VirtualMachine]:
        """Virtual machines."""
        return ResourceStore(self._connection, kinds.VIRTUAL_MACHINES)

    @cached_property
    def disks(self) -> ResourceStore[Disk]:
        """Managed disks."""
        return ResourceStore(self._connection, kinds.DISKS)

    @cached_property
    def snapshots(self) -> ResourceStore[Snapshot]:
        """Snapshots of disks."""
        return ResourceStore(self._connection, kinds.SNAPSHOTS)

    @cached_property
    def storage_accounts(self) -> ResourceStore[StorageAccount]:
        """Storage accounts."""
        return ResourceStore(self._connection, kinds.STORAGE_ACCOUNTS)

    @cached_property
    def encryption_sets(self) -> ResourceStore[DiskEncryptionSet]:
        """Disk encryption sets."""
        return ResourceStore(self._connection, kinds.ENCRYPTION_SETS)

    @cached_property
    def usage(self) -> UsageCounters:
        """What is counted for subscriptions."""
        return UsageCounters(self._connection, self._stores.limits)

    @cached_property
    def uses(self) -> UseStore:
        """Who needs what."""
        return UseStore(self._connection)

    @cached_property
    def operations(self) -> CatalogOperations:
        """Long-running operations."""
        return CatalogOperations(self._connection, self._stores.operations, self._stores.clock)

    @cached_property
    def outbox(self) -> "BoundOutbox":
        """Messages to other services."""
        return BoundOutbox(self._connection, self._stores.outbox, self._traceparent)

    def set_cursor(self, cursor: FeedCursor) -> None:
        """Record how far the feed of replication is applied, in the transaction that applied it."""
        write_cursor(self._connection, cursor)

    @cached_property
    def regions(self) -> RegionMirror:
        """The mirror of the regions."""
        return RegionMirror(self._connection)


class BoundOutbox:
    """The outbox in one transaction; payloads are stored as JSON."""

    def __init__(self, tx: Connection, outbox: Outbox, traceparent: str) -> None:
        self._tx: Final = tx
        self._outbox: Final = outbox
        self._traceparent: Final = traceparent

    def add(self, aggregate: str, kind: str, payload: object) -> None:
        """Add a message, behind those that the aggregate has already."""
        body = json.dumps(dump(payload), separators=(",", ":")).encode()
        self._outbox.add(self._tx, aggregate, kind, body, trace_context=self._traceparent)
