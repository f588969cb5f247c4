"""The rows that use cases read and write, and the transactions that they do it in."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from services.replication.domain.events import FeedItem
from services.replication.domain.region import Region, SlotProbe
from services.replication.ports.blobs import BlobRows
from services.replication.ports.requests import Listing, Request
from services.replication.ports.room import RoomRows
from services.replication.ports.version_rows import (
    BreakerRows,
    ReplicaRows,
    ReplicationRows,
    VerificationRows,
    VersionRows,
)

T = TypeVar("T")


class RegionRows(Protocol):
    """Regions with their slots."""

    def get(self, location: str) -> Region | None:
        """Answer the region with that id."""

    def lock(self, location: str) -> Region | None:
        """Answer the region and keep others from changing it until the transaction ends."""

    def find(self, key: str) -> Region | None:
        """Answer the region whose id or display name has that `location_key`."""

    def all(self) -> Sequence[Region]:
        """Answer all regions by id."""

    def page(self, listing: Listing) -> Sequence[Region]:
        """Answer a page of regions."""

    def insert(self, region: Region) -> None:
        """Add a region with its slots."""

    def update(self, region: Region) -> None:
        """Replace a region and its slots."""

    def delete(self, location: str) -> None:
        """Remove a region with its slots."""

    def set_position(self, location: str, position: int) -> None:
        """Record the position in the feed of the region's last change."""

    def set_probe(self, location: str, slot: str, probe: SlotProbe) -> None:
        """Record what was found out about a store."""

    def occupants(self, location: str) -> Mapping[str, int]:
        """Answer, by slot, how many replicas and blobs are in the region."""

    def stored_bytes(self, locations: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """Answer, by region and slot, the bytes that replicas and blobs occupy."""

    def is_targeted(self, location: str) -> bool:
        """Whether a version wants a replica in the region."""


class FeedRows(Protocol):
    """The log of what followers are told."""

    def append(self, items: Sequence[FeedItem]) -> int:
        """Add items at consecutive positions; answer the last. Belongs at the end of a change."""

    def head(self) -> tuple[str, int]:
        """Answer the identity of the log and the newest position."""

    def after(self, log: str, position: int, limit: int) -> Sequence[tuple[int, FeedItem]]:
        """Answer the items after a position.

        Raises:
            PositionCompacted, OutOfRange: take a snapshot.
        """

    def compact(self, older_than: datetime) -> None:
        """Drop what is older."""


class RequestRows(Protocol):
    """Replies kept by request id."""

    def lookup(self, request: Request[T]) -> bytes | None:
        """Answer the reply that was kept for a repeated request.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED.
        """

    def once(self, request: Request[T], work: Callable[[], T]) -> bytes:
        """Answer the reply that was kept, or that of the work, which is then kept."""


class OperationRows(Protocol):
    """Long-running operations, as far as the use cases end them."""

    def create(
        self, *, subscription: str, owner: str, verb: str, target: str, metadata: bytes
    ) -> str:
        """Add an operation and answer its name."""

    def progress(self, name: str, metadata: bytes) -> None:
        """Replace what is told of an operation that runs."""

    def succeed(self, name: str, response: bytes, metadata: bytes) -> None:
        """End an operation well."""

    def fail(self, name: str, status: bytes, metadata: bytes) -> None:
        """End an operation with an error."""


class Tx(Protocol):
    """One transaction; its parts see each other's changes."""

    @property
    def regions(self) -> RegionRows:
        """Regions."""

    @property
    def versions(self) -> VersionRows:
        """Versions."""

    @property
    def replications(self) -> ReplicationRows:
        """Replications."""

    @property
    def replicas(self) -> ReplicaRows:
        """Replicas."""

    @property
    def breakers(self) -> BreakerRows:
        """Slots that do not answer."""

    @property
    def verifications(self) -> VerificationRows:
        """Verifications."""

    @property
    def blobs(self) -> BlobRows:
        """Blobs."""

    @property
    def room(self) -> RoomRows:
        """Room that is promised."""

    @property
    def feed(self) -> FeedRows:
        """The feed."""

    @property
    def requests(self) -> RequestRows:
        """Replies by request id."""

    @property
    def operations(self) -> OperationRows:
        """Long-running operations."""

    def now(self) -> datetime:
        """Answer the time of the database, which leases are compared with."""


class UnitOfWork(Protocol):
    """Runs functions over the rows."""

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` without changes; each statement sees the newest commit."""

    def snapshot(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` without changes on one state of the rows."""

    def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in one durable transaction, perhaps more than once."""
