"""The rows of blobs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.kernel.filter import Comparison
from services.replication.domain.blobs import Blob, BlobHold, BlobRemoval


@dataclass(frozen=True, slots=True)
class BlobScope:
    """Which blobs a list may answer.

    Those of a resource group, or with an empty `parent_key` those of a subscription that lie at
    or below a key of `allowed` and of no key of `denied`, less those directly in `denied_here`.
    """

    parent_key: str = ""
    subscription_key: str = ""
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    denied_here: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlobPage:
    """A page of a list: `order` are the columns that it runs by, `after` the row before it."""

    scope: BlobScope
    limit: int
    order: tuple[str, ...]
    descending: bool = False
    after: tuple[Any, ...] | None = None
    where: tuple[Comparison, ...] = ()


class BlobRows(Protocol):
    """Blobs, what holds them, and what is left of deleted ones."""

    def named(self, name_key: str, *, lock: bool = False) -> Blob | None:
        """Answer the blob that has the name now, locked until the transaction ends if asked."""

    def get(self, uid: str, *, lock: bool = False) -> Blob | None:
        """Answer the blob with that uid, locked until the transaction ends if asked."""

    def insert(self, blob: Blob) -> bool:
        """Add a blob unless its name is taken; tell whether it was added."""

    def update(self, blob: Blob) -> None:
        """Replace a blob."""

    def delete(self, uid: str) -> None:
        """Remove a blob with its holds."""

    def page(self, page: BlobPage) -> Sequence[Blob]:
        """Answer a page of blobs."""

    def reserved_bytes(self, location: str) -> Mapping[str, int]:
        """Answer, by slot, the bytes that blobs declared and have not brought yet."""

    def in_slot(self, location: str, slot: str) -> Sequence[Blob]:
        """Answer the blobs that lie, or are being uploaded, in a slot."""

    def removals(self, blobs: Collection[str]) -> Sequence[BlobRemoval]:
        """Answer what is still to be taken out of slots of these blobs."""

    def expired(self, now: datetime, limit: int) -> Sequence[str]:
        """Answer the uids of blobs whose time is over, the longest first."""

    def holds(self, uids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Answer, by blob, the names of the sources that hold it, the oldest first."""

    def add_hold(self, hold: BlobHold) -> bool:
        """Record that a source holds a blob; tell whether that is new."""

    def remove_hold(self, blob: str, source_uid: str) -> bool:
        """Record that a source holds a blob no more; tell whether it did."""

    def add_removal(self, removal: BlobRemoval) -> None:
        """Remember what is to be taken out of a slot."""

    def due_removals(self, now: datetime, limit: int) -> Sequence[BlobRemoval]:
        """Answer what is to be taken out of slots now."""

    def put_removal(self, removal: BlobRemoval) -> None:
        """Replace a removal that is still to be done."""

    def finish_removal(self, blob: str) -> None:
        """Forget a removal that is done."""
