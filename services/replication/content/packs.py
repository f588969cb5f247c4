"""Packs: the changed leaves of neighbouring segments, one behind the other in one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from services.replication.content.comparison import sized
from services.replication.content.digests import SEGMENT_BYTES, ZERO_LEAF, segment_digest
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent, Manifest, Segment
from services.replication.content.moves import Move, Placement
from services.replication.content.segment_io import LeafLists

PACK_BYTES: Final = SEGMENT_BYTES
"""The longest pack: what a worker has memory for."""
_GROUP: Final = 64
"""The most segments that are copied together because of one pack."""


def grouped(
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
            groups[open_group[0].segment.index] = packed_move(open_group, leaves.of)
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


def packed_move(
    placements: Iterable[Placement], leaves: Callable[[Segment], SegmentLeaves]
) -> Move:
    """Name the pack of some segments, by its leaves as a segment is by its own."""
    members = list(placements)
    digests, total = bytearray(), 0
    for one in members:
        if one.fresh:
            digests += b"".join(_fresh_digests(one, leaves(one.segment)))
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
    for digest, size in sized(leaves):
        if digest != ZERO_LEAF:
            if any(begin <= at < begin + length for begin, length in placement.fresh):
                yield digest
            at += size
