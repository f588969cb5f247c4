"""What a copy moves into a slot, decided before it is: segments, and the packs that they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.replication.content.manifest import Extent, Manifest, Segment


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

    @property
    def packed(self) -> int:
        """The length of the pack."""
        return sum(one.moved for one in self.placements)


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
        packs = {one.pack: one.packed for one in self.groups.values() if one.pack}
        return sum(self.whole.values()) + sum(packs.values())

    def cost(self, move: Move) -> int:
        """The most bytes that one step writes."""
        if move.pack:
            return move.packed
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
