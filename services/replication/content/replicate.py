"""Further copies of a disk: the verified content of a manifest, from one store to another.

Between slots bytes are always read, hashed and written: never linked, cloned or copied by the
kernel, which would leave two "replicas" on one set of blocks (replication specification 2.6).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.comparison import ranges_of
from services.replication.content.delta import plan_moves
from services.replication.content.digests import (
    LEAF_BYTES,
    leaf_digest,
    segment_count,
    segment_digest,
)
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.journal import JournalEntry, read_journals
from services.replication.content.keys import object_key
from services.replication.content.manifest import Extent, Manifest, Segment, build_manifest
from services.replication.content.moves import Move, Placement
from services.replication.content.progress import DEFAULT_OPTIONS, Control, CopyOptions, Phase
from services.replication.content.sealing import put_manifest, put_page
from services.replication.content.segment_io import LeafLists, read_manifest, read_packed, read_page
from services.replication.content.slots import Copied, Slot
from services.replication.content.store import ObjectReader, ObjectWriter, PutOutcome, Store
from services.replication.content.windows import Claims, WindowedCopy
from services.replication.content.workers import Workers


@dataclass(frozen=True, slots=True)
class Origin:
    """A disk that is complete in a store."""

    store: ObjectReader
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
    origin: ObjectReader | None = None,
    base: Manifest | None = None,
) -> CopyPlan:
    """Return what a copy of the disk into a store would move, without moving it.

    `planned` are the digests of what disks that are copied before this one bring into the slot;
    those of this one are added. `origin` is the store that the disk would come from and `base` what
    `replicate_disk` would be given: without them, nothing is compared by leaf.
    """
    before = planned if planned is not None else set[bytes]()
    with Workers(workers) as pool:
        moves = plan_moves(
            manifest,
            LeafLists(origin or store, tenant, manifest),
            store,
            tenant,
            bases=_bases(manifest, store, tenant, base) if origin else (),
            workers=pool,
            present=frozenset(before),
        )
    missing = moves.missing
    before.update(moves.whole)
    occupied = manifest.occupied_bytes
    zero = manifest.header.logical_size - occupied
    return CopyPlan(occupied, missing, occupied - missing, zero)


def replicate_disk(
    origin: Origin,
    slot: Slot,
    control: Control,
    *,
    options: CopyOptions = DEFAULT_OPTIONS,
    base: Manifest | None = None,
) -> Manifest:
    """Copy a disk into a slot, verify it and return its durable manifest; no ref is written.

    Called again with the same task it goes on after the newest journal. The origin may be the slot
    itself (a version made from a blob beside it): nothing is then written, all is verified.
    Leaves that `base` has, a disk of the same tenant that is committed in the slot, are not moved.

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
    placed: dict[int, tuple[Extent, ...]] = {}
    by_digest: dict[bytes, tuple[Extent, ...]] = {}
    for journal in journals:
        for entry in journal.entries:
            _count_resumed(manifest, entry, control)
            if entry.extents:
                placed[entry.index] = by_digest[entry.digest] = entry.extents
    leaves = LeafLists(origin.store, origin.tenant, manifest)
    with Workers(options.workers) as workers:
        moves = plan_moves(
            manifest,
            leaves,
            slot.store,
            slot.tenant,
            bases=_bases(manifest, slot.store, slot.tenant, base),
            workers=workers,
            start=start,
            placed=by_digest,
        )
        with slot.store.reserve(moves.missing) as reservation:
            copy = _Replicate(origin, slot, leaves)
            windowed = WindowedCopy(
                slot=slot,
                subject=manifest.root,
                control=control,
                options=options,
                workers=workers,
                copy=copy.move,
                written=reservation.use,
                keep_leaves=False,
            )
            claims = Claims(iter(moves), moves.cost, options)
            control.phase(Phase.COPYING)
            end = segment_count(manifest.header.logical_size)
            for item in windowed.run(claims, start=start, end=end, sequence=len(journals)):
                if item.extents:
                    placed[item.index] = item.extents
    control.phase(Phase.VERIFYING)
    control.fence()
    for page in manifest.pages():
        data = read_page(origin.store, origin.tenant, page)
        put_page(slot.store, slot.tenant, slot.task, page=page, data=data)
    return put_manifest(slot.store, slot.tenant, slot.task, manifest=_placed(manifest, placed))


def _bases(
    manifest: Manifest, store: Store, tenant: str, base: Manifest | None
) -> Sequence[Manifest]:
    """Return what the slot has of use: a manifest of the same content, and the base."""
    bases = [] if base is None else [base]
    with contextlib.suppress(ObjectMissing, ObjectCorrupt):
        bases.insert(0, read_manifest(store, tenant, manifest.root))
    return bases


def _placed(manifest: Manifest, placed: Mapping[int, tuple[Extent, ...]]) -> Manifest:
    """Return the manifest as the slot has it."""
    segments = (
        Segment(one.index, one.digest, one.packed_length, placed.get(one.index, ()))
        for one in manifest.segments()
    )
    return build_manifest(manifest.header, segments, tuple(manifest.pages()))


def _count_resumed(manifest: Manifest, entry: JournalEntry, control: Control) -> None:
    segment = manifest.find(entry.index)
    length = 0 if segment is None else segment.packed_length
    moved = 0 if entry.deduplicated else length
    if entry.extents:
        moved = entry.moved
    control.progress.add(copied=moved, deduplicated=length - moved, verified=length)


@dataclass(frozen=True, slots=True)
class _Replicate:
    """Brings segments of an origin into a window."""

    origin: Origin
    slot: Slot
    leaves: LeafLists

    def move(
        self, item: Move, buffer: SegmentBuffer, window: ObjectWriter
    ) -> list[tuple[Move, Copied]]:
        outcome = PutOutcome.PRESENT
        if item.pack:
            packed = self._gather(item, buffer)
            outcome = window.put(object_key(self.slot.tenant, item.pack), [packed], aligned=True)
        done = []
        for one in item.placements:
            segment = one.segment
            if one.extents:
                copied = Copied(
                    segment.index,
                    segment.digest,
                    self.leaves.of(segment),
                    segment.packed_length,
                    outcome,
                    extents=one.extents,
                    fresh=one.moved,
                )
            else:
                copied = self._whole(segment, buffer, window)
            done.append((Move((Placement(segment),)), copied))
        return done

    def _whole(self, item: Segment, buffer: SegmentBuffer, window: ObjectWriter) -> Copied:
        leaves = self.leaves.of(item)
        key = object_key(self.slot.tenant, item.digest)
        if self.slot.store.length(key) == item.packed_length:
            outcome = PutOutcome.PRESENT
        else:
            packed = read_packed(self.origin.store, self.origin.tenant, item, leaves, buffer=buffer)
            outcome = window.put(key, [packed], aligned=True)
        return Copied(item.index, item.digest, leaves, item.packed_length, outcome)

    def _gather(self, item: Move, buffer: SegmentBuffer) -> memoryview:
        """Read the changed leaves of some segments, and nothing else, one behind the other."""
        store, tenant, at = self.origin.store, self.origin.tenant, 0
        for one in item.placements:
            for begin, length in one.fresh:
                for part in ranges_of(one.segment, begin, length):
                    target = buffer.view[at : at + part.length]
                    store.read_into(object_key(tenant, part.digest), part.offset, target)
                    at += part.length
        packed = buffer.view[:at]
        hashes = b"".join(
            leaf_digest(packed[begin : begin + LEAF_BYTES]) for begin in range(0, at, LEAF_BYTES)
        )
        if segment_digest(at, hashes) != item.pack:
            # Which leaf of which object it is, the reading of whole segments tells.
            for one in item.placements:
                leaves = self.leaves.of(one.segment)
                read_packed(store, tenant, one.segment, leaves, buffer=buffer)
            key = object_key(tenant, item.placements[0].segment.digest)
            raise ObjectCorrupt(key, "the origin answered other bytes than before")
        return packed
