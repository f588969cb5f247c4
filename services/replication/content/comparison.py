"""A segment beside an older one, leaf by leaf: what has to be moved, and where the rest lies."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from services.replication.content.digests import DIGEST_BYTES, LEAF_BYTES, ZERO_LEAF
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent, Segment
from services.replication.content.moves import Placement

MAX_OBJECTS: Final = 8
"""A segment that would lie in more objects is written whole (replication.md 2.3)."""


def compared(
    segment: Segment, leaves: SegmentLeaves, older: Segment, before: SegmentLeaves
) -> Placement | None:
    """Put a segment together from what it has in common with an older one, and what is new.

    None where it is better written whole: more than half of its leaves changed, or it would lie in
    more than `MAX_OBJECTS` objects.
    """
    extents: list[Extent] = []
    fresh: list[tuple[int, int]] = []
    at = old_at = changed = count = 0
    pairs = itertools.zip_longest(sized(leaves), sized(before), fillvalue=(ZERO_LEAF, 0))
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


def sized(leaves: SegmentLeaves) -> Iterator[tuple[bytes, int]]:
    """Yield digest and length of each leaf of a segment."""
    for number in range(len(leaves.leaves) // DIGEST_BYTES):
        digest = leaves.leaves[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
        yield digest, min(LEAF_BYTES, leaves.length - number * LEAF_BYTES)


def ranges_of(segment: Segment, offset: int, length: int) -> Iterator[Extent]:
    """Yield where `length` packed bytes from `offset` of a segment lie."""
    return _cut(segment.extents, offset, length)


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
