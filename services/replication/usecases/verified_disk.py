"""A disk that is read from whichever of its replicas delivers what was hashed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import (
    DataError,
    InvalidEncoding,
    ObjectCorrupt,
    ObjectMissing,
)
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Manifest
from services.replication.content.reader import BATCH_BYTES, DiskReader, Piece
from services.replication.content.segment_io import LeafLists, read_manifest
from services.replication.content.store import Store
from services.replication.domain.region import Slot
from services.replication.ports.outside import Stores
from services.replication.usecases.damage import Damage
from services.replication.usecases.disk_finding import FoundDisk, no_good_replica

_DAMAGES: Final = (ObjectCorrupt, ObjectMissing, InvalidEncoding)


@dataclass(frozen=True, slots=True)
class _Copy:
    """The disk in one slot."""

    slot: Slot
    store: Store
    manifest: Manifest
    reader: DiskReader
    leaves: LeafLists


class VerifiedDisk:
    """Reads one disk in one region; one thread at a time. Opening may already fail over."""

    def __init__(self, found: FoundDisk, stores: Stores, damage: Damage) -> None:
        """Open the disk in the best slot.

        Raises:
            Unavailable: NO_GOOD_REPLICA.
        """
        self._found: Final = found
        self._stores: Final = stores
        self._damage: Final = damage
        self._waiting: Final = list(found.slots)
        self._reported: Final[set[str]] = set()
        self._copies: Final[list[_Copy]] = []
        if self._more(0) is None:
            raise no_good_replica(found.location, 0)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the disk, the same in every slot."""
        return self._copies[0].manifest

    @property
    def stores(self) -> Iterator[tuple[Slot, Store]]:
        """The opened slots, those with damage last, then the ones that were not needed yet."""
        at = 0
        while at < len(self._copies) or self._more(0) is not None:
            yield self._copies[at].slot, self._copies[at].store
            at += 1

    def read(self, offset: int, length: int) -> Iterator[Piece]:
        """Yield the pieces of a range in order, without a gap; none that was not verified.

        Raises:
            Unavailable: NO_GOOD_REPLICA, at the first byte that no slot delivers.
        """
        at, end = offset, offset + length
        while at < end:
            begun = at
            for copy in self._each(at):
                try:
                    for piece in copy.reader.read(at, end - at):
                        yield piece
                        at = piece.offset + piece.length
                    return
                except DataError as error:
                    self._failed(copy, error)
                if at > begun:
                    break
            if at == begun:
                # Every slot has something bad in this batch: perhaps not the same leaf.
                stop = min(end, at - at % BATCH_BYTES + BATCH_BYTES)
                for piece in self._by_leaf(at, stop):
                    yield piece
                    at = piece.offset + piece.length

    def leaves(self, index: int) -> SegmentLeaves | None:
        """Answer the proven leaves of a segment, None where the disk has a hole.

        Raises:
            Unavailable: NO_GOOD_REPLICA.
        """
        segment = self.manifest.find(index)
        if segment is None:
            return None
        offset = index * self.segment_bytes
        for copy in self._each(offset):
            try:
                return copy.leaves.of(segment)
            except DataError as error:
                self._failed(copy, error)
        raise no_good_replica(self._found.location, offset)

    @property
    def segment_bytes(self) -> int:
        """The length of a whole segment."""
        return SEGMENT_BYTES

    def _by_leaf(self, at: int, end: int) -> Iterator[Piece]:
        while at < end:
            stop = min(end, at - at % LEAF_BYTES + LEAF_BYTES)
            yield from self._leaf(at, stop)
            at = stop

    def _leaf(self, at: int, stop: int) -> list[Piece]:
        for copy in self._each(at):
            try:
                return list(copy.reader.read(at, stop - at))
            except DataError as error:
                self._failed(copy, error)
        raise no_good_replica(self._found.location, at)

    def _each(self, offset: int) -> Iterator[_Copy]:
        """Yield the opened copies, then those of slots that were not needed before."""
        yield from list(self._copies)
        while (copy := self._more(offset)) is not None:
            yield copy

    def _more(self, offset: int) -> _Copy | None:
        """Open the disk in another slot, None where no further one can be had."""
        while self._waiting:
            slot = self._waiting.pop(0)
            tenant = self._found.version.tenant
            try:
                store = self._stores.open(self._found.location, slot)
                manifest = read_manifest(store, tenant, self._found.root)
            except DataError as error:
                self._report(slot, error)
                continue
            reader = DiskReader(store, tenant, manifest)
            copy = _Copy(slot, store, manifest, reader, LeafLists(store, tenant, manifest))
            self._copies.append(copy)
            return copy
        return None

    def _failed(self, copy: _Copy, error: DataError) -> None:
        """Read elsewhere first from now on."""
        self._copies.remove(copy)
        self._copies.append(copy)
        self._report(copy.slot, error)

    def _report(self, slot: Slot, error: DataError) -> None:
        # A store that does not answer is no damage: whoever looks after stores sees it.
        if slot.id in self._reported or not isinstance(error, _DAMAGES):
            return
        self._reported.add(slot.id)
        self._damage.report(
            self._found.version.uid,
            self._found.location,
            slot.id,
            disk=self._found.content.disk,
            detail=str(error),
        )
