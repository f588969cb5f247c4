"""One transaction with all its stores, and how a call gets one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from services.catalog.domain.disk_encryption_set import DiskEncryptionSet
from services.catalog.domain.disks import Disk, Snapshot
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.domain.storage_account import StorageAccount
from services.catalog.domain.virtual_machine import VirtualMachine
from services.catalog.ports.operations import Operations
from services.catalog.ports.rows import (
    Definitions,
    Galleries,
    RegionMirror,
    Resources,
    Uses,
    Versions,
)
from services.catalog.ports.usage import Counters

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Outbox(Protocol):
    """Messages that are sent after the commit, in their order for each aggregate."""

    def add(self, aggregate: str, kind: str, payload: object) -> None:
        """Add a message; the payload is a value of the domain, or a mapping."""


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """How far the feed of replication is applied: a position of the log with this uid."""

    log_uid: str
    position: int


class Tx(Protocol):
    """One transaction and its stores."""

    @property
    def groups(self) -> Resources[ResourceGroup]:
        """Resource groups."""

    @property
    def galleries(self) -> Galleries:
        """Galleries."""

    @property
    def definitions(self) -> Definitions:
        """Image definitions."""

    @property
    def versions(self) -> Versions:
        """Image versions."""

    @property
    def managed_images(self) -> Resources[ManagedImage]:
        """Managed images."""

    @property
    def virtual_machines(self) -> Resources[VirtualMachine]:
        """Virtual machines."""

    @property
    def disks(self) -> Resources[Disk]:
        """Managed disks."""

    @property
    def snapshots(self) -> Resources[Snapshot]:
        """Snapshots of disks."""

    @property
    def storage_accounts(self) -> Resources[StorageAccount]:
        """Storage accounts."""

    @property
    def encryption_sets(self) -> Resources[DiskEncryptionSet]:
        """Disk encryption sets."""

    @property
    def usage(self) -> Counters:
        """What is counted for subscriptions."""

    @property
    def uses(self) -> Uses:
        """Who needs what."""

    @property
    def operations(self) -> Operations:
        """Long-running operations."""

    @property
    def outbox(self) -> Outbox:
        """Messages to other services."""

    @property
    def regions(self) -> RegionMirror:
        """The mirror of the regions."""

    def set_cursor(self, cursor: FeedCursor) -> None:
        """Record how far the feed of replication is applied, in the transaction that applied it."""


class Transact(Protocol):
    """Runs transactions that are not the one of a call."""

    def __call__(self, work: Callable[[Tx], T]) -> T:
        """Run `work`, perhaps more than once, and answer what it answered."""


class Run(Protocol):
    """Runs work in a transaction that is open on a connection."""

    def __call__(self, connection: Any, work: Callable[[Tx], T], traceparent: str = "") -> T:
        """Run `work`, and then write what it counted; messages go on with `traceparent`.

        Raises:
            ResourceExhausted: QUOTA_EXCEEDED.
        """


class Mutation(Protocol, Generic[T_contra]):
    """The one transaction of a call that changes something.

    It knows the request id and `validate_only`: a repeated request is answered as the first time
    without running `work`, and a validated one leaves nothing behind.
    """

    def commit(self, work: Callable[[Tx], T_contra]) -> bytes:
        """Run `work` in a transaction and answer the serialized reply made from its result."""
