"""The first copy of a disk: bytes are hashed once, on their way into a slot.

Its manifest fixes the content; every other slot copies what that manifest names
(replication specification, section 2.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.replication.content.buffers import Scan, SegmentBuffer
from services.replication.content.delta import Base
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
from services.replication.content.manifest import DiskFormat, DiskHeader, Manifest, Segment
from services.replication.content.moves import Placement
from services.replication.content.packs import packed_move
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
    base: Manifest | None = None,
) -> Manifest:
    """Copy a source into a slot, verify it and return its durable manifest; no ref is written.

    Called again with the same task it goes on after the newest journal. The caller protects the
    result with a ref and then calls `forget_task`. Leaves that `base` has at the same place, a disk
    of the same tenant that is committed in the slot, are read and not written: what changed of a
    segment is in a pack of its own, for neighbours are not known yet when it is hashed.

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
            older = None
            if base is not None:
                older = Base.opened(base, slot.store, slot.tenant, workers=workers)
            copy = _Ingest(source, slot, control, older)
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
                map(_Reading, source_segments(source, start)),
                lambda item: item.part.data_bytes(source.size),
                options,
            )
            control.phase(Phase.COPYING)
            end = segment_count(source.size)
            for item in windowed.run(claims, start=start, end=end, sequence=len(journals)):
                builder.add(
                    item.index,
                    item.digest,
                    leaves=item.leaves,
                    packed_length=item.packed_length,
                    extents=item.extents,
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
                entry.index,
                entry.digest,
                leaves=entry.segment_leaves(),
                packed_length=length,
                extents=entry.extents,
            )
            moved = entry.moved if entry.extents else length * (not entry.deduplicated)
            control.progress.add(copied=moved, deduplicated=length - moved, verified=length)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A segment that is to be read; `whole` where no older one is to be relied on for it."""

    part: SourceSegment
    whole: bool = False

    @property
    def index(self) -> int:
        return self.part.index


@dataclass(frozen=True, slots=True)
class _Ingest:
    """Brings segments of a source into a window."""

    source: Source
    slot: Slot
    control: Control
    base: Base | None

    def segment(
        self, reading: _Reading, buffer: SegmentBuffer, window: ObjectWriter
    ) -> Sequence[tuple[_Reading, Copied]]:
        item = reading.part
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
        segment = Segment(item.index, digest, scan.packed_length, ())
        older = None if reading.whole else self._delta(segment, leaves)
        if older is not None:
            copied = self._packed(older, leaves, scan, window)
        else:
            key = object_key(self.slot.tenant, digest)
            outcome: PutOutcome = window.put(key, scan.packed, aligned=True)
            copied = Copied(item.index, digest, leaves, scan.packed_length, outcome)
        # Should it turn out bad, it is put once more: whole.
        return [(_Reading(item, whole=True), copied)]

    def _delta(self, segment: Segment, leaves: SegmentLeaves) -> Placement | None:
        """Answer what a segment shares with the base, unless it has an object of its own."""
        if self.base is None:
            return None
        key = object_key(self.slot.tenant, segment.digest)
        if self.slot.store.length(key) == segment.packed_length:
            return None
        return self.base.delta(segment, leaves)

    def _packed(
        self, placement: Placement, leaves: SegmentLeaves, scan: Scan, window: ObjectWriter
    ) -> Copied:
        """Put the changed leaves of a segment, if there are any."""
        segment = placement.segment
        move = packed_move([placement], lambda _: leaves)
        (named,) = move.placements
        outcome = PutOutcome.PRESENT
        if move.pack:
            changed = [part for run in placement.fresh for part in _cut(scan.packed, *run)]
            outcome = window.put(object_key(self.slot.tenant, move.pack), changed, aligned=True)
        return Copied(
            *(segment.index, segment.digest, leaves, segment.packed_length, outcome),
            extents=named.extents,
            fresh=named.moved,
        )


def _cut(parts: Iterable[memoryview], offset: int, length: int) -> Iterator[memoryview]:
    """Yield `length` bytes from `offset` of parts that lie one behind the other."""
    for part in parts:
        taken = part[offset : offset + length]
        if taken:
            yield taken
        length -= len(taken)
        offset = max(0, offset - len(part))
