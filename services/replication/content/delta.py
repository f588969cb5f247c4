"""What a copy moves into a slot: whole segments, or the leaves that a version before it lacks.

The one place where that is decided: a plan sums up what a copy then does. Leaves that changed lie
one behind the other in a pack, for several segments together; the rest of such a segment stays in
the objects of the base, a disk that is committed in the same slot (replication.md 2.2 and 2.3).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.comparison import compared
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent, Manifest, Segment
from services.replication.content.moves import Moves, Placement
from services.replication.content.packs import grouped
from services.replication.content.segment_io import LeafLists
from services.replication.content.store import ObjectReader
from services.replication.content.workers import Workers

_MOST: Final = 1 << 16
"""The most segments of a disk that are taken apart: what is known of each is kept in memory."""

ItemT = TypeVar("ItemT")


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
    older = Base(bases[-1], LeafLists(slot, tenant, bases[-1]), lengths) if bases else None
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
            placement = older.delta(segment, leaves.of(segment))
        if placement is None:
            whole[digest] = segment.packed_length
        else:
            found[segment.index] = placement
    return Moves(manifest, start, whole, grouped(manifest, start, whole, found, leaves=leaves))


class Base:
    """A disk of the slot that leaves are compared with."""

    def __init__(self, manifest: Manifest, leaves: LeafLists, lengths: Mapping[bytes, int]) -> None:
        """`lengths` are those of the objects of the disk that are there."""
        self._manifest: Final = manifest
        self._leaves: Final = leaves
        self._lengths: Final = lengths

    @classmethod
    def opened(
        cls, manifest: Manifest, slot: ObjectReader, tenant: str, *, workers: Workers
    ) -> Base:
        """Look for all objects of a disk at once, where what it is compared with is not known."""
        wanted = {extent.digest for one in manifest.segments() for extent in one.extents}
        lengths = _lengths(slot, tenant, wanted, workers=workers)
        return cls(manifest, LeafLists(slot, tenant, manifest), lengths)

    def delta(self, segment: Segment, leaves: SegmentLeaves) -> Placement | None:
        """Answer what changed of a segment; None where it is better written whole."""
        older = self._manifest.find(segment.index)
        if older is None or not _is_there(older.extents, self._lengths):
            return None
        try:
            before = self._leaves.of(older)
        except (ObjectCorrupt, ObjectMissing):
            return None
        return compared(segment, leaves, older, before)


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
