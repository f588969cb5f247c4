"""A slot as a copy sees it, and the steps that copies and uploads share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.journal import Journal, JournalEntry, append_journal
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent, Segment
from services.replication.content.progress import Control
from services.replication.content.segment_io import read_packed
from services.replication.content.store import PutOutcome, Store
from services.replication.content.tombstones import keep


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a copy goes: a tenant's part of a store, and the task that it is journalled under."""

    store: Store
    tenant: str
    task: str


@dataclass(frozen=True, slots=True)
class Copied:
    """A segment that was put, or found present: what the journal and the read-back need.

    Without `extents` it is an object of its own; otherwise `fresh` of its bytes are in a pack.
    """

    index: int
    digest: bytes
    leaves: SegmentLeaves
    packed_length: int
    outcome: PutOutcome
    extents: tuple[Extent, ...] = ()
    fresh: int = 0

    @property
    def moved(self) -> int:
        """The bytes that were written for it."""
        if self.outcome is PutOutcome.PRESENT:
            return 0
        return self.fresh if self.extents else self.packed_length

    @property
    def segment(self) -> Segment:
        """The segment as it lies in the slot."""
        extents = self.extents or (Extent(self.digest, 0, self.packed_length),)
        return Segment(self.index, self.digest, self.packed_length, extents)


def count_copied(control: Control, copied: Copied) -> None:
    """Count what of a segment was copied, and what was there."""
    control.progress.add(copied=copied.moved, deduplicated=copied.packed_length - copied.moved)


def is_good(slot: Slot, copied: Copied, buffer: SegmentBuffer) -> bool:
    """Read a segment's object back from the medium and tell whether all its leaves are right."""
    try:
        read_packed(
            *(slot.store, slot.tenant, copied.segment, copied.leaves),
            buffer=buffer,
            uncached=True,
        )
    except (ObjectCorrupt, ObjectMissing):
        return False
    return True


def journal_window(
    slot: Slot,
    subject: bytes,
    sequence: int,
    *,
    start: int,
    stop: int,
    copied: Sequence[Copied],
    keep_leaves: bool,
) -> None:
    """Journal that segments [start, stop) are durable and verified, and not about to be collected.

    Raises StoreBusy where one of their objects is being collected at this moment.
    """
    keep(
        slot.store,
        {object_key(slot.tenant, one.digest) for item in copied for one in item.segment.extents},
    )
    entries = tuple(
        JournalEntry(
            item.index,
            item.digest,
            item.leaves.length,
            item.leaves.leaves if keep_leaves else b"",
            item.outcome is PutOutcome.PRESENT,
            item.extents,
            item.moved if item.extents else 0,
        )
        for item in copied
    )
    append_journal(slot.store, slot.task, sequence, Journal(subject, start, stop, entries))
