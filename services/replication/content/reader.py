"""Reading a disk by ranges: every leaf verified, zeros told as lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.replication.content.buffers import LeafRun, data_runs
from services.replication.content.digests import (
    LEAF_BYTES,
    SEGMENT_BYTES,
    leaf_count,
    segment_length,
)
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Manifest, Segment
from services.replication.content.segment_io import LeafLists, packed_offset, verify_packed
from services.replication.content.store import Store

BATCH_BYTES: Final = 1 << 20
"""The most bytes in one piece of data."""

_BATCH_LEAVES: Final = BATCH_BYTES // LEAF_BYTES


@dataclass(frozen=True, slots=True)
class Data:
    """Verified bytes of the disk from `offset`."""

    offset: int
    data: memoryview

    @property
    def length(self) -> int:
        """The number of bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Zeros:
    """`length` bytes of the disk from `offset` that are zero."""

    offset: int
    length: int


Piece = Data | Zeros


class DiskReader:
    """Random access to one disk in one store; may be used from many threads."""

    def __init__(self, store: Store, tenant: str, manifest: Manifest) -> None:
        self.manifest: Final = manifest
        self._store: Final = store
        self._tenant: Final = tenant
        self._leaves: Final = LeafLists(store, tenant, manifest)

    def read(self, offset: int, length: int) -> Iterator[Piece]:
        """Yield the pieces of [offset, offset + length) in order, without a gap.

        Data comes in pieces of at most 1 MiB; neighbouring zeros come as one piece. Nothing is
        yielded that was not verified.

        Raises:
            ValueError: the range does not lie on the disk.
            ObjectCorrupt, ObjectMissing: of the object that is bad; what was yielded before holds.
        """
        if offset < 0 or length < 0 or offset + length > self.manifest.header.logical_size:
            msg = "the range does not lie on the disk"
            raise ValueError(msg)
        if length == 0:
            return
        done = offset
        for piece in self._data(offset, offset + length):
            if piece.offset > done:
                yield Zeros(done, piece.offset - done)
            yield piece
            done = piece.offset + piece.length
        if done < offset + length:
            yield Zeros(done, offset + length - done)

    def _data(self, start: int, end: int) -> Iterator[Data]:
        """Yield the parts of the range that are stored bytes."""
        for segment in self.manifest.segments(start // SEGMENT_BYTES):
            base = segment.index * SEGMENT_BYTES
            if base >= end:
                return
            size = segment_length(self.manifest.header.logical_size, segment.index)
            first = max(start - base, 0) // LEAF_BYTES
            last = leaf_count(min(end - base, size))
            leaves = self._leaves.of(segment)
            for batch in _batches(leaves, first, last):
                begin = batch.first * LEAF_BYTES
                stop = min(begin + batch.count * LEAF_BYTES, size)
                data = self._batch(segment, leaves, batch.first, length=stop - begin)
                low, high = max(start - base, begin), min(end - base, stop)
                yield Data(base + low, data[low - begin : high - begin])

    def _batch(
        self, segment: Segment, leaves: SegmentLeaves, first: int, *, length: int
    ) -> memoryview:
        """Read and verify `length` bytes from leaf `first`; no leaf among them is zero."""
        data = memoryview(bytearray(length))
        at = packed_offset(leaves, first)
        done = 0
        for extent in segment.extents:
            if at < extent.length and done < length:
                size = min(extent.length - at, length - done)
                key = object_key(self._tenant, extent.digest)
                self._store.read_into(key, extent.offset + at, data[done : done + size])
                done += size
                at = 0
            else:
                at = max(at - extent.length, 0)
        verify_packed(self._tenant, segment, leaves, packed=data, first_leaf=first)
        return data.toreadonly()


def _batches(leaves: SegmentLeaves, first: int, last: int) -> Iterator[LeafRun]:
    for run in data_runs(leaves.leaves):
        at, end = max(run.first, first), min(run.first + run.count, last)
        while at < end:
            count = min(_BATCH_LEAVES, end - at)
            yield LeafRun(at, count)
            at += count
