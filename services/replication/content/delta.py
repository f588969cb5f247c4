"""What a copy moves into a slot: whole segments, or the leaves that a version before it lacks.

The one place where that is decided: a plan sums up what a copy then does. Leaves that changed lie
one behind the other in a pack, for several segments together; the rest of such a segment stays in
the objects of the base, a disk that is committed in the same slot (replication.md 2.2 and 2.3).
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import (
    DIGEST_BYTES,
    LEAF_BYTES,
    SEGMENT_BYTES,
    ZERO_LEAF,
    segment_digest,
)
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent, Manifest, Segment
from services.replication.content.segment_io import LeafLists
from services.replication.content.store import ObjectReader
from services.replication.content.workers import Workers

MAX_OBJECTS: Final = 8
"""A segment that would lie in more objects is written whole."""
PACK_BYTES: Final = SEGMENT_BYTES
"""The longest pack: what a worker has memory for."""
_GROUP: Final = 64
"""The most segments that are copied together because of one pack."""
_MOST: Final = 1 << 16
"""The most segments of a disk that are taken apart: what is known of each is kept in memory."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a segment is to lie, and the ranges of its packed bytes that have to be moved.

    No extents mean an object of its own.
    """

    segment: Segment
    extents: tuple[Extent, ...] = ()
    fresh: tuple[tuple[int, int], ...] = ()

    @property
    def moved(self) -> int:
        """How many bytes go into the pack."""
        return sum(length for _, length in self.fresh)


@dataclass(frozen=True, slots=True)
class Move:
    """Consecutive segments that are copied together; `pack` names the object that they share.

    Without a pack it is one segment in an object of its own, or segments that need no bytes.
    """

    placements: tuple[Placement, ...]
    pack: bytes = b""

    @property
    def index(self) -> int:
        """The first segment."""
        return self.placements[0].segment.index


@dataclass(frozen=True, slots=True)
class Moves:
    """What is to be moved of a disk, decided before anything is."""

    manifest: Manifest
    start: int
    whole: Mapping[bytes, int]
    groups: Mapping[int, Move]

    @property
    def missing(self) -> int:
        """The bytes that the copy writes."""
        packs = {one.pack: _packed(one) for one in self.groups.values() if one.pack}
        return sum(self.whole.values()) + sum(packs.values())

    def cost(self, move: Move) -> int:
        """The most bytes that one step writes."""
        if move.pack:
            return _packed(move)
        return self.whole.get(move.placements[0].segment.digest, 0)

    def __iter__(self) -> Iterator[Move]:
        """Yield the steps in the order of the disk."""
        last = -1
        for segment in self.manifest.segments(self.start):
            if segment.index <= last:
                continue
            move = self.groups.get(segment.index) or Move((Placement(segment),))
            last = move.placements[-1].segment.index
            yield move


def plan_moves(
    manifest: Manifest,
    leaves: LeafLists,
    slot: ObjectReader,
    tenant: str,
    *,
    bases: Sequence[Manifest],
    workers: Workers,
    start: int = 0,
    present: frozenset[bytes] = frozenset(),
    placed: Mapping[bytes, tuple[Extent, ...]] | None = None,
) -> Moves:
    """Decide how the segments from `start` on get into a slot.

    `leaves` are those of the disk at its origin. `bases` are disks of the slot, the best last: one
    with the same segment is referred to, the last one also by leaf. `present` are segments that
    somebody else brings before, `placed` those that this copy has put into packs already.

    Raises:
        ObjectCorrupt, ObjectMissing: of the origin.
    """
    absent = _absent(manifest, slot, tenant, start=start, workers=workers)
    for digest in present:
        absent.pop(digest, None)
    if not absent or not (bases or placed):
        return Moves(manifest, start, absent, {})
    elsewhere = _elsewhere(bases, absent)
    elsewhere.update(placed or {})
    wanted = {extent.digest for extents in elsewhere.values() for extent in extents}
    if bases:
        wanted |= _compared_with(bases[-1], manifest, absent)
    lengths = _lengths(slot, tenant, wanted, workers=workers)
    known = {
        digest: extents for digest, extents in elsewhere.items() if _is_there(extents, lengths)
    }
    older = _Base(bases[-1], LeafLists(slot, tenant, bases[-1]), lengths) if bases else None
    whole: dict[bytes, int] = {}
    found: dict[int, Placement] = {}
    for segment in manifest.segments(start):
        digest = segment.digest
        if digest not in absent or digest in whole:
            continue
        placement = None
        if digest in known:
            placement = Placement(segment, known[digest])
        elif older is not None and len(found) < _MOST:
            placement = older.delta(segment, leaves)
        if placement is None:
            whole[digest] = segment.packed_length
        else:
            found[segment.index] = placement
    return Moves(manifest, start, whole, _grouped(manifest, start, whole, found, leaves=leaves))


class _Base:
    """A disk of the slot that leaves are compared with."""

    def __init__(self, manifest: Manifest, leaves: LeafLists, lengths: Mapping[bytes, int]) -> None:
        self._manifest: Final = manifest
        self._leaves: Final = leaves
        self._lengths: Final = lengths

    def delta(self, segment: Segment, leaves: LeafLists) -> Placement | None:
        """Answer what changed of a segment; None where it is better written whole."""
        older = self._manifest.find(segment.index)
        if older is None or not _is_there(older.extents, self._lengths):
            return None
        try:
            before = self._leaves.of(older)
        except (ObjectCorrupt, ObjectMissing):
            return None
        return _compared(segment, leaves.of(segment), older, before)


def _compared(
    segment: Segment, leaves: SegmentLeaves, older: Segment, before: SegmentLeaves
) -> Placement | None:
    """Put a segment together from what it has in common with an older one, and what is new."""
    extents: list[Extent] = []
    fresh: list[tuple[int, int]] = []
    at = old_at = changed = count = 0
    pairs = itertools.zip_longest(_sized(leaves), _sized(before), fillvalue=(ZERO_LEAF, 0))
    for (digest, size), (old_digest, old_size) in pairs:
        if digest != ZERO_LEAF:
            count += 1
            if digest == old_digest and size == old_size:
                for piece in _cut(older.extents, old_at, size):
                    _append(extents, piece)
            else:
                changed += 1
                # The pack has no name yet: where in it the bytes will lie is filled in with it.
                _append(extents, Extent(b"", sum(length for _, length in fresh), size))
                if fresh and sum(fresh[-1]) == at:
                    fresh[-1] = (fresh[-1][0], fresh[-1][1] + size)
                else:
                    fresh.append((at, size))
            at += size
        if old_digest != ZERO_LEAF:
            old_at += old_size
    if changed * 2 > count or len({extent.digest for extent in extents}) > MAX_OBJECTS:
        return None
    return Placement(segment, tuple(extents), tuple(fresh))


def _sized(leaves: SegmentLeaves) -> Iterator[tuple[bytes, int]]:
    for number in range(len(leaves.leaves) // DIGEST_BYTES):
        digest = leaves.leaves[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
        yield digest, min(LEAF_BYTES, leaves.length - number * LEAF_BYTES)


def _append(extents: list[Extent], more: Extent) -> None:
    last = extents[-1] if extents else None
    if last and last.digest == more.digest and last.offset + last.length == more.offset:
        extents[-1] = replace(last, length=last.length + more.length)
    else:
        extents.append(more)


def _cut(extents: Iterable[Extent], offset: int, length: int) -> Iterator[Extent]:
    for extent in extents:
        if length and offset < extent.length:
            taken = min(length, extent.length - offset)
            yield Extent(extent.digest, extent.offset + offset, taken)
            offset, length = 0, length - taken
        else:
            offset -= min(offset, extent.length)


def ranges_of(segment: Segment, offset: int, length: int) -> Iterator[Extent]:
    """Yield where `length` packed bytes from `offset` of a segment lie."""
    return _cut(segment.extents, offset, length)


def _grouped(
    manifest: Manifest,
    start: int,
    whole: Mapping[bytes, int],
    found: Mapping[int, Placement],
    *,
    leaves: LeafLists,
) -> dict[int, Move]:
    """Share packs between neighbours, as long as nothing between them is written whole."""
    groups: dict[int, Move] = {}
    open_group: list[Placement] = []

    def close() -> None:
        if open_group:
            groups[open_group[0].segment.index] = _packed_move(open_group, leaves)
            open_group.clear()

    for segment in manifest.segments(start):
        placement = found.get(segment.index)
        if placement is None:
            if segment.digest in whole:
                close()
                continue
            if not open_group:
                continue
            placement = Placement(segment)
        moved = sum(one.moved for one in open_group) + placement.moved
        if moved > PACK_BYTES or len(open_group) == _GROUP:
            close()
            if segment.index not in found:
                continue
        open_group.append(placement)
    close()
    return groups


def _packed_move(placements: Iterable[Placement], leaves: LeafLists) -> Move:
    """Name the pack of some segments, by its leaves as a segment is by its own."""
    members = list(placements)
    digests, total = bytearray(), 0
    for one in members:
        if one.fresh:
            digests += b"".join(_fresh_digests(one, leaves.of(one.segment)))
            total += one.moved
    if not total:
        return Move(tuple(members))
    name = segment_digest(total, bytes(digests))
    base, named = 0, []
    for one in members:
        extents = tuple(
            extent if extent.digest else Extent(name, base + extent.offset, extent.length)
            for extent in one.extents
        )
        named.append(replace(one, extents=extents))
        base += one.moved
    return Move(tuple(named), name)


def _fresh_digests(placement: Placement, leaves: SegmentLeaves) -> Iterator[bytes]:
    at = 0
    for digest, size in _sized(leaves):
        if digest != ZERO_LEAF:
            if any(begin <= at < begin + length for begin, length in placement.fresh):
                yield digest
            at += size


def _packed(move: Move) -> int:
    return sum(one.moved for one in move.placements)


def _absent(
    manifest: Manifest, slot: ObjectReader, tenant: str, *, start: int, workers: Workers
) -> dict[bytes, int]:
    """Return digest and length of the segments from `start` that have no object of their own."""
    absent: dict[bytes, int] = {}

    def look(segment: Segment, _: SegmentBuffer) -> None:
        if slot.length(object_key(tenant, segment.digest)) != segment.packed_length:
            absent[segment.digest] = segment.packed_length

    workers.each(_one_by_one(manifest.segments(start)), look)
    return absent


def _elsewhere(
    bases: Iterable[Manifest], absent: Mapping[bytes, int]
) -> dict[bytes, tuple[Extent, ...]]:
    """Return where bases have segments that are in no object of their own."""
    return {
        segment.digest: segment.extents
        for base in bases
        for segment in base.segments()
        if segment.digest in absent and not segment.is_plain
    }


def _compared_with(base: Manifest, manifest: Manifest, absent: Mapping[bytes, int]) -> set[bytes]:
    found: set[bytes] = set()
    for segment in manifest.segments():
        older = base.find(segment.index) if segment.digest in absent else None
        if older is not None:
            found.update(extent.digest for extent in older.extents)
    return found


def _lengths(
    slot: ObjectReader, tenant: str, wanted: Iterable[bytes], *, workers: Workers
) -> dict[bytes, int]:
    lengths: dict[bytes, int] = {}

    def look(digest: bytes, _: SegmentBuffer) -> None:
        length = slot.length(object_key(tenant, digest))
        if length is not None:
            lengths[digest] = length

    workers.each(_one_by_one(iter(wanted)), look)
    return lengths


def _is_there(extents: Iterable[Extent], lengths: Mapping[bytes, int]) -> bool:
    return all(extent.offset + extent.length <= lengths.get(extent.digest, 0) for extent in extents)


def _one_by_one(items: Iterator[ItemT]) -> Callable[[], ItemT | None]:
    lock = threading.Lock()

    def claim() -> ItemT | None:
        with lock, contextlib.suppress(StopIteration):
            return next(items)
        return None

    return claim
