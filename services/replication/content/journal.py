"""Journals: what a copy or an upload has made durable, kept in the slot that holds it.

One journal is written after each window, once its objects are durable and verified, and never
before. Together the journals of a task cover the disk from segment 0 without a gap. Because they
lie in the slot, a slot that was swapped or restored never inherits another's claims.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.replication.content.digests import (
    DIGEST_BYTES,
    journal_checksum,
    leaf_count,
    segment_digest,
)
from services.replication.content.errors import InvalidEncoding, ObjectMissing, SourceChanged
from services.replication.content.keys import JOURNALS, journal_key, journal_prefix
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent
from services.replication.content.store import Store

_MAGIC: Final = b"STOAJRNL"
_HEADER: Final = struct.Struct("<8sHHIQQ32s")
_ENTRY: Final = struct.Struct("<IIHH32s")
_DEDUPLICATED: Final = 1
_PLACED: Final = 2
_PLACEMENT: Final = struct.Struct("<II")
_EXTENT: Final = struct.Struct("<32sQI")
_VERSION: Final = 1
JOURNAL_LIMIT: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A segment that is durable; `leaves` are empty where a manifest elsewhere has them.

    `length` is in bytes of the disk; `deduplicated` tells that the slot had the object before.
    A segment with `extents` has no object of its own; `moved` of its bytes were written.
    """

    index: int
    digest: bytes
    length: int
    leaves: bytes = b""
    deduplicated: bool = False
    extents: tuple[Extent, ...] = ()
    moved: int = 0

    def segment_leaves(self) -> SegmentLeaves:
        """Return the leaf digests of the segment."""
        return SegmentLeaves(self.length, self.leaves)


@dataclass(frozen=True, slots=True)
class Journal:
    """Segments [start, end) of `subject` are in the slot; those without an entry are holes."""

    subject: bytes
    start: int
    end: int
    entries: tuple[JournalEntry, ...]


def encode_journal(journal: Journal) -> bytes:
    """Encode a journal with its checksum."""
    body = bytearray(
        _HEADER.pack(
            _MAGIC, _VERSION, 0, len(journal.entries), journal.start, journal.end, journal.subject
        )
    )
    for entry in journal.entries:
        count = len(entry.leaves) // DIGEST_BYTES
        flags = (_DEDUPLICATED if entry.deduplicated else 0) | (_PLACED if entry.extents else 0)
        body += _ENTRY.pack(entry.index, entry.length, count, flags, entry.digest) + entry.leaves
        if entry.extents:
            body += _PLACEMENT.pack(entry.moved, len(entry.extents))
            for extent in entry.extents:
                body += _EXTENT.pack(extent.digest, extent.offset, extent.length)
    return bytes(body) + journal_checksum(bytes(body))


def decode_journal(data: bytes) -> Journal:
    """Decode and check a journal; raises InvalidEncoding."""
    if len(data) < _HEADER.size + DIGEST_BYTES:
        raise InvalidEncoding("journal is too short")
    body = data[:-DIGEST_BYTES]
    if journal_checksum(body) != data[-DIGEST_BYTES:]:
        raise InvalidEncoding("journal fails its checksum")
    magic, version, reserved, count, start, end, subject = _HEADER.unpack_from(body)
    if magic != _MAGIC or version != _VERSION or reserved:
        raise InvalidEncoding("not a journal of format version 1")
    entries: list[JournalEntry] = []
    at, previous = _HEADER.size, start - 1
    for _ in range(count):
        if at + _ENTRY.size > len(body):
            raise InvalidEncoding("journal ends inside an entry")
        index, length, leaves, flags, digest = _ENTRY.unpack_from(body, at)
        at += _ENTRY.size
        listed = body[at : at + leaves * DIGEST_BYTES]
        if not previous < index < end or flags > _DEDUPLICATED | _PLACED:
            raise InvalidEncoding("journal has a segment out of order or with unknown flags")
        if leaves and (leaves != leaf_count(length) or segment_digest(length, listed) != digest):
            raise InvalidEncoding("journal has leaves that are not those of their segment")
        at += len(listed)
        extents: tuple[Extent, ...] = ()
        moved = 0
        if flags & _PLACED:
            moved, extents = _placement(body, at)
            at += _PLACEMENT.size + len(extents) * _EXTENT.size
        deduplicated = bool(flags & _DEDUPLICATED)
        entries.append(JournalEntry(index, digest, length, listed, deduplicated, extents, moved))
        previous = index
    if at != len(body):
        raise InvalidEncoding("journal has another length than its header says")
    return Journal(subject, start, end, tuple(entries))


def _placement(body: bytes, at: int) -> tuple[int, tuple[Extent, ...]]:
    """Return how much of a segment was written, and where it lies; InvalidEncoding."""
    if at + _PLACEMENT.size > len(body):
        raise InvalidEncoding("journal ends inside an entry")
    moved, count = _PLACEMENT.unpack_from(body, at)
    at += _PLACEMENT.size
    end = at + count * _EXTENT.size
    if count == 0 or end > len(body):
        raise InvalidEncoding("journal ends inside an entry")
    return moved, tuple(Extent(*fields) for fields in _EXTENT.iter_unpack(body[at:end]))


def read_journals(store: Store, task: str, subject: bytes) -> list[Journal]:
    """Return what the task has made durable so far, in order and without a gap.

    A journal that cannot be read ends the list, and it and what follows are deleted: those segments
    are then copied again. SourceChanged where the journals are of another subject.
    """
    keys = sorted(item.key for item in store.list_objects(journal_prefix(task)))
    journals: list[Journal] = []
    for sequence, key in enumerate(keys):
        try:
            journal = decode_journal(store.read(key, limit=JOURNAL_LIMIT))
        except (InvalidEncoding, ObjectMissing):
            store.delete(keys[sequence:])
            break
        if journal.subject != subject:
            raise SourceChanged(f"task {task} has begun with another source")
        expected = journals[-1].end if journals else 0
        if key != journal_key(task, sequence) or journal.start != expected:
            store.delete(keys[sequence:])
            break
        journals.append(journal)
    return journals


def append_journal(store: Store, task: str, sequence: int, journal: Journal) -> None:
    """Make the journal of window `sequence` durable."""
    with store.begin(task) as window:
        window.put(journal_key(task, sequence), [memoryview(encode_journal(journal))])
        window.commit()


def forget_ended(store: Store, live_tasks: Container[str], *, before: datetime) -> None:
    """Delete the journals from before a time of tasks that are not live.

    Their worker died between the end of its task and `forget_task`; as long as they are there, they
    hold what they tell of back from collection. Both must hold, as for temporary files.
    """
    keys = [
        item.key
        for item in store.list_objects(JOURNALS)
        if item.modified_time <= before and item.key.split("/")[1] not in live_tasks
    ]
    store.delete(keys)


def forget_task(store: Store, task: str) -> None:
    """Delete the journals of a task, once a ref holds its result or it is given up."""
    keys: Sequence[str] = [item.key for item in store.list_objects(journal_prefix(task))]
    store.delete(keys)
