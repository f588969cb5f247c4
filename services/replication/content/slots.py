"""A slot as a copy sees it, and the steps that copies and uploads share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

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
    """A segment that was put, or found present: what the journal and the read-back need."""

    index: int
    digest: bytes
    leaves: SegmentLeaves
    packed_length: int
    outcome: PutOutcome


def count_copied(control: Control, copied: Copied) -> None:
    """Count a segment as copied or as deduplicated."""
    match copied.outcome:
        case PutOutcome.WRITTEN:
            control.progress.add(copied=copied.packed_length)
        case PutOutcome.PRESENT:
            control.progress.add(deduplicated=copied.packed_length)
        case _:
            assert_never(copied.outcome)


def is_good(slot: Slot, copied: Copied, buffer: SegmentBuffer) -> bool:
    """Read a segment's object back from the medium and tell whether all its leaves are right."""
    extent = Extent(copied.digest, 0, copied.packed_length)
    segment = Segment(copied.index, copied.digest, copied.packed_length, (extent,))
    try:
        read_packed(slot.store, slot.tenant, segment, copied.leaves, buffer=buffer, uncached=True)
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
    keep(slot.store, {object_key(slot.tenant, item.digest) for item in copied})
    entries = tuple(
        JournalEntry(
            item.index,
            item.digest,
            item.leaves.length,
            item.leaves.leaves if keep_leaves else b"",
            item.outcome is PutOutcome.PRESENT,
        )
        for item in copied
    )
    append_journal(slot.store, slot.task, sequence, Journal(subject, start, stop, entries))
