"""What the use cases need of the outside: stores of bytes, keys, other services."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.replication.content.source import Source
from services.replication.content.store import Store
from services.replication.domain.grants import Demand, Grant
from services.replication.domain.records import Version, VersionRegion
from services.replication.domain.region import Slot, SlotProbe, StoreAddress
from services.replication.domain.snapshots import ReplicationView
from services.replication.domain.verification import Verification


class Stores(Protocol):
    """The stores of bytes behind slots."""

    def probe(self, address: StoreAddress, *, replica_id: str = "") -> SlotProbe:
        """Look at a store without changing it; with a `replica_id`, whether it is that one.

        Raises:
            DataError: it cannot be used; ReplicaMismatch where it holds something else.
        """

    def initialise(self, address: StoreAddress) -> str:
        """Make an empty root a store; answer its replica id. DataError as `probe`."""

    def identify(self, address: StoreAddress) -> str:
        """Answer the replica id of a store, empty for an empty root. DataError as `probe`."""

    def holds_anything(self, address: StoreAddress) -> bool:
        """Whether there are objects or refs in an initialised store. DataError as `probe`."""

    def open(self, location: str, slot: Slot) -> Store:
        """Answer the opened store of a slot; it stays open. DataError."""

    def limited(self, store: Store, location: str, bytes_per_second: int | None) -> Store:
        """Answer the store with the region's limit on what is written into it."""


class SourceFiles(Protocol):
    """The stores that the operator allowed as sources, by their entries."""

    def location(self, entry: str) -> str | None:
        """Answer the region of an allowed store, None where none has that entry."""

    def check(self, entry: str) -> None:
        """Raise SourceUnavailable unless an allowed store can be reached."""

    def open(self, entry: str, path: str) -> Source:
        """Open and pin a file of a store; its `pin` is the ETag.

        Raises:
            SourceMissing: there is no such file.
            SourceUnavailable: it cannot be read now, or no such store is allowed.
        """


@dataclass(frozen=True, slots=True)
class BlobContent:
    """A blob as a source: where it lies and what it holds; `root` is empty until committed."""

    name: str
    uid: str
    location: str
    slot: str
    tenant: str
    format: str
    committed: bool
    root: str
    size_bytes: int
    file_bytes: int


class BlobSources(Protocol):
    """What a replication needs to know of blobs."""

    def by_uid(self, uid: str) -> BlobContent | None:
        """Answer a blob."""

    def named(self, name_key: str) -> BlobContent | None:
        """Answer the blob that has the name now."""


class ReaderSeat(Protocol):
    """The place of one reader of a shallow version."""

    @property
    def seconds(self) -> float:
        """How long it is kept without a word."""

    def keep(self) -> bool:
        """Keep it for as long again; False where another reader has it."""

    def leave(self) -> None:
        """Give it to the next reader."""


class ReaderSeats(Protocol):
    """How many read a shallow version at once, in all processes together."""

    @property
    def count(self) -> int:
        """The most readers of one version."""

    def take(self, version: str) -> ReaderSeat | None:
        """Answer a place among the readers of a version, None where all are taken."""


class GrantVerifier(Protocol):
    """Reads operation grants."""

    def verify(self, token: bytes) -> Grant:
        """Answer a grant that the catalog signed.

        Raises:
            PermissionDenied: GRANT_INVALID.
        """


class Rights(Protocol):
    """Whether the subject of a grant still may what the work needs."""

    def lost(self, grant: Grant) -> Demand | None:
        """Answer a demand that is no longer met, None where all are.

        Raises:
            Unavailable: it cannot be decided now.
        """


class OperationResults(Protocol):
    """Makes what an operation answers."""

    def metadata(self, view: ReplicationView) -> bytes:
        """Answer the metadata of an operation that waits for a replication."""

    def response(self, view: ReplicationView) -> bytes:
        """Answer a replication that has completed."""

    def failure(self, view: ReplicationView) -> bytes:
        """Answer the status of a replication that ended otherwise."""


class VerificationResults(Protocol):
    """Makes what an operation that verifies answers."""

    def metadata(
        self,
        version: Version,
        verification: Verification,
        regions: Sequence[VersionRegion],
        *,
        end_time: datetime | None = None,
        cancelled: bool = False,
    ) -> bytes:
        """Answer how far it is."""

    def response(self, verification: Verification) -> bytes:
        """Answer what was found."""

    def cancelled(self, version: Version) -> bytes:
        """Answer the status of one that was stopped."""
