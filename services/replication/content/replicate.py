"""Further copies of a disk: the verified content of a manifest, from one store to another.

Between slots bytes are always read, hashed and written: never linked, cloned or copied by the
kernel, which would leave two "replicas" on one set of blocks (replication specification 2.6).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import segment_count
from services.replication.content.journal import read_journals
from services.replication.content.keys import object_key
from services.replication.content.manifest import Manifest, Segment
from services.replication.content.progress import DEFAULT_OPTIONS, Control, CopyOptions, Phase
from services.replication.content.sealing import put_manifest, put_page
from services.replication.content.segment_io import LeafLists, read_packed, read_page
from services.replication.content.slots import Copied, Slot
from services.replication.content.store import ObjectWriter, PutOutcome, Store
from services.replication.content.windows import Claims, WindowedCopy
from services.replication.content.workers import Workers


@dataclass(frozen=True, slots=True)
class Origin:
    """A disk that is complete in a store."""

    store: Store
    tenant: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """Bytes of a disk for one slot: what a copy moves is `missing`, neither more nor less.

    `occupied` = `missing` + `present`; `zero` is the rest of the logical size. A segment that the
    disk holds twice is missing once and present once.
    """

    occupied: int
    missing: int
    present: int
    zero: int


def plan_disk(
    manifest: Manifest,
    store: Store,
    tenant: str,
    *,
    planned: set[bytes] | None = None,
    workers: int = 4,
) -> CopyPlan:
    """Return what a copy of the disk into a store would move, without moving it.

    `planned` are the digests of what disks that are copied before this one bring into the slot;
    those of this one are added.
    """
    with Workers(workers) as pool:
        absent = _absent(manifest, Slot(store, tenant, "plan"), 0, workers=pool)
    before = planned if planned is not None else set[bytes]()
    missing = sum(length for digest, length in absent.items() if digest not in before)
    before.update(absent)
    occupied = manifest.occupied_bytes
    zero = manifest.header.logical_size - occupied
    return CopyPlan(occupied, missing, occupied - missing, zero)


def replicate_disk(
    origin: Origin,
    slot: Slot,
    control: Control,
    *,
    options: CopyOptions = DEFAULT_OPTIONS,
) -> Manifest:
    """Copy a disk into a slot, verify it and return its durable manifest; no ref is written.

    Called again with the same task it goes on after the newest journal. The origin may be the slot
    itself (a version made from a blob beside it): nothing is then written, all is verified.

    Raises:
        ObjectCorrupt, ObjectMissing: the origin is bad there (`key` tells where), or the slot
            keeps returning other bytes than were written.
        StoreFull, StoreIoError, StoreUnavailable, StoreAccessDenied: of either store.
        Cancelled, or what `control.fence` raises: what is durable stays for the next call.
    """
    control.phase(Phase.PLANNING)
    manifest = origin.manifest
    journals = read_journals(slot.store, slot.task, manifest.root)
    start = journals[-1].end if journals else 0
    control.progress.start(
        total=manifest.occupied_bytes,
        zero=manifest.header.logical_size - manifest.occupied_bytes,
    )
    for journal in journals:
        for entry in journal.entries:
            _count_resumed(manifest, entry.index, control, deduplicated=entry.deduplicated)
    with Workers(options.workers) as workers:
        absent = _absent(manifest, slot, start, workers=workers)
        with slot.store.reserve(sum(absent.values())) as reservation:
            copy = _Replicate(origin, slot, LeafLists(origin.store, origin.tenant, manifest))
            windowed = WindowedCopy(
                slot=slot,
                subject=manifest.root,
                control=control,
                options=options,
                workers=workers,
                copy=copy.segment,
                written=reservation.use,
                keep_leaves=False,
            )
            claims = Claims(
                manifest.segments(start), lambda item: absent.get(item.digest, 0), options
            )
            control.phase(Phase.COPYING)
            end = segment_count(manifest.header.logical_size)
            for _ in windowed.run(claims, start=start, end=end, sequence=len(journals)):
                pass
    control.phase(Phase.VERIFYING)
    control.fence()
    for page in manifest.pages():
        data = read_page(origin.store, origin.tenant, page)
        put_page(slot.store, slot.tenant, slot.task, page=page, data=data)
    return put_manifest(slot.store, slot.tenant, slot.task, manifest=manifest.as_plain())


def _absent(manifest: Manifest, slot: Slot, start: int, *, workers: Workers) -> dict[bytes, int]:
    """Return digest and length of the objects that the slot lacks for segments from `start`."""
    absent: dict[bytes, int] = {}
    segments: Iterator[Segment] = manifest.segments(start)
    lock = threading.Lock()

    def claim() -> Segment | None:
        with lock:
            return next(segments, None)

    def look(segment: Segment, _: SegmentBuffer) -> None:
        if slot.store.length(object_key(slot.tenant, segment.digest)) != segment.packed_length:
            absent[segment.digest] = segment.packed_length

    workers.each(claim, look)
    return absent


def _count_resumed(manifest: Manifest, index: int, control: Control, *, deduplicated: bool) -> None:
    segment = manifest.find(index)
    length = 0 if segment is None else segment.packed_length
    if deduplicated:
        control.progress.add(deduplicated=length, verified=length)
    else:
        control.progress.add(copied=length, verified=length)


@dataclass(frozen=True, slots=True)
class _Replicate:
    """Brings segments of an origin into a window."""

    origin: Origin
    slot: Slot
    leaves: LeafLists

    def segment(self, item: Segment, buffer: SegmentBuffer, window: ObjectWriter) -> Copied:
        leaves = self.leaves.of(item)
        key = object_key(self.slot.tenant, item.digest)
        if self.slot.store.length(key) == item.packed_length:
            outcome = PutOutcome.PRESENT
        else:
            packed = read_packed(self.origin.store, self.origin.tenant, item, leaves, buffer=buffer)
            outcome = window.put(key, [packed], aligned=True)
        return Copied(item.index, item.digest, leaves, item.packed_length, outcome)
