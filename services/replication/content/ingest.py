"""The first copy of a disk: bytes are hashed once, on their way into a slot.

Its manifest fixes the content; every other slot copies what that manifest names
(replication specification, section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import (
    LEAF_BYTES,
    SEGMENT_BYTES,
    journal_subject,
    packed_length,
    segment_count,
    segment_length,
)
from services.replication.content.journal import Journal, read_journals
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import DiskFormat, DiskHeader, Manifest
from services.replication.content.progress import DEFAULT_OPTIONS, Control, CopyOptions, Phase
from services.replication.content.sealing import DiskBuilder
from services.replication.content.slots import Copied, Slot
from services.replication.content.source import Source, SourceSegment, source_segments
from services.replication.content.store import ObjectWriter, PutOutcome
from services.replication.content.windows import Claims, WindowedCopy
from services.replication.content.workers import Workers


@dataclass(frozen=True, slots=True)
class DiskKind:
    """What the caller knows of a source beyond its bytes."""

    disk_format: DiskFormat = DiskFormat.RAW
    sector_size: int = 512


RAW_DISK: Final = DiskKind()


def ingest_disk(
    source: Source,
    slot: Slot,
    control: Control,
    *,
    kind: DiskKind = RAW_DISK,
    options: CopyOptions = DEFAULT_OPTIONS,
) -> Manifest:
    """Copy a source into a slot, verify it and return its durable manifest; no ref is written.

    Called again with the same task it goes on after the newest journal. The caller protects the
    result with a ref and then calls `forget_task`.

    Raises:
        SourceChanged: the source is not what it was; nothing is committed.
        StoreFull, StoreIoError, StoreUnavailable, StoreAccessDenied, ObjectCorrupt: of the slot.
        Cancelled, or what `control.fence` raises: what is durable stays for the next call.
    """
    control.phase(Phase.PLANNING)
    source.check()
    subject = journal_subject(f"source {source.pin}")
    journals = read_journals(slot.store, slot.task, subject)
    start = journals[-1].end if journals else 0
    builder = DiskBuilder(slot.store, slot.tenant, slot.task)
    with Workers(options.workers) as workers:
        left = _plan(source, start, journals, control=control)
        _resume(journals, builder, control)
        with slot.store.reserve(left) as reservation:
            copy = _Ingest(source, slot, control)
            windowed = WindowedCopy(
                slot=slot,
                subject=subject,
                control=control,
                options=options,
                workers=workers,
                copy=copy.segment,
                written=reservation.use,
                keep_leaves=True,
            )
            claims = Claims(
                source_segments(source, start), lambda item: item.data_bytes(source.size), options
            )
            control.phase(Phase.COPYING)
            end = segment_count(source.size)
            for item in windowed.run(claims, start=start, end=end, sequence=len(journals)):
                builder.add(
                    item.index, item.digest, leaves=item.leaves, packed_length=item.packed_length
                )
        control.phase(Phase.VERIFYING)
        source.check()
        control.fence()
        return builder.seal(DiskHeader(source.size, kind.disk_format, kind.sector_size))


def _plan(source: Source, start: int, journals: list[Journal], *, control: Control) -> int:
    """Begin the counters; return the most bytes that are still to be written."""
    done = left = 0
    for item in source_segments(source):
        data = item.data_bytes(source.size)
        if item.index < start:
            done += data
        else:
            left += data
    control.progress.start(total=done + left, zero=source.size - done - left)
    kept = sum(
        packed_length(entry.length, entry.leaves) for item in journals for entry in item.entries
    )
    control.progress.add(zero=done - kept)
    return left


def _resume(journals: list[Journal], builder: DiskBuilder, control: Control) -> None:
    for journal in journals:
        for entry in journal.entries:
            length = packed_length(entry.length, entry.leaves)
            builder.add(
                entry.index, entry.digest, leaves=entry.segment_leaves(), packed_length=length
            )
            if entry.deduplicated:
                control.progress.add(deduplicated=length, verified=length)
            else:
                control.progress.add(copied=length, verified=length)


@dataclass(frozen=True, slots=True)
class _Ingest:
    """Brings segments of a source into a window."""

    source: Source
    slot: Slot
    control: Control

    def segment(
        self, item: SourceSegment, buffer: SegmentBuffer, window: ObjectWriter
    ) -> Sequence[tuple[SourceSegment, Copied]]:
        base = item.index * SEGMENT_BYTES
        size = segment_length(self.source.size, item.index)
        for run in item.runs:
            begin = run.first * LEAF_BYTES
            end = min(begin + run.count * LEAF_BYTES, size)
            self.source.read_into(base + begin, buffer.view[begin:end])
        scan = buffer.scan(size, item.runs)
        self.control.progress.add(zero=item.data_bytes(self.source.size) - scan.packed_length)
        if scan.packed_length == 0:
            return ()
        leaves = SegmentLeaves(size, scan.leaves)
        digest = leaves.digest()
        key = object_key(self.slot.tenant, digest)
        outcome: PutOutcome = window.put(key, scan.packed, aligned=True)
        return [(item, Copied(item.index, digest, leaves, scan.packed_length, outcome))]
