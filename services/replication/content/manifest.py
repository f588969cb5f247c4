"""The manifest of a disk: header, segment table, extents, leaf pages.

A manifest is immutable and read lazily: it stays the bytes that were stored, and records are
decoded when they are asked for, so that a disk of terabytes needs no object for every segment.
The encoding is described byte by byte in docs/reference/store-format.md.
"""

from __future__ import annotations

import bisect
import enum
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.replication.content.digests import (
    DIGEST_BYTES,
    LEAF_BYTES,
    SEGMENT_BYTES,
    RootHasher,
    manifest_checksum,
    segment_count,
)
from services.replication.content.errors import InvalidEncoding

FORMAT_VERSION: Final = 1
GROUP_SEGMENTS: Final = 256
"""Consecutive segments, holes included, whose leaf digests share one leaf page (1 GiB)."""
MANIFEST_LIMIT: Final = 1 << 30
"""No reader takes more bytes than this for a manifest."""

_MAGIC: Final = b"STOADISK"
_HEADER: Final = struct.Struct("<8sHHIQIIIII20s")
_SEGMENT: Final = struct.Struct("<I32sIII")
_EXTENT: Final = struct.Struct("<32sQII")
_PAGE: Final = struct.Struct("<II32s")
_SECTOR_SIZES: Final = (512, 4096)


class DiskFormat(enum.IntEnum):
    """How the bytes of the disk are to be understood."""

    RAW = 1


@dataclass(frozen=True, slots=True)
class Extent:
    """`length` bytes from `offset` of the object named by `digest`."""

    digest: bytes
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that is not a hole: its place, its digest and where its bytes lie.

    The extents in order, put together, are the segment's leaves in order without the zero ones.
    """

    index: int
    digest: bytes
    packed_length: int
    extents: tuple[Extent, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the bytes are one whole object named by the segment's own digest."""
        return self.extents == (Extent(self.digest, 0, self.packed_length),)


@dataclass(frozen=True, slots=True)
class PageRef:
    """The leaf page of a group of segments: its object and the bytes of it."""

    group: int
    length: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class DiskHeader:
    """What a manifest says of the disk itself; all of it is part of the disk's identity."""

    logical_size: int
    disk_format: DiskFormat = DiskFormat.RAW
    sector_size: int = 512


class Manifest:
    """A decoded and checked manifest; `root` is the identity of the disk's content."""

    def __init__(self, data: bytes) -> None:
        """Check `data` as a whole; raises InvalidEncoding where it is not canonical."""
        if len(data) < _HEADER.size + DIGEST_BYTES:
            raise InvalidEncoding("manifest is too short")
        self.data: Final = data
        if manifest_checksum(memoryview(data)[:-DIGEST_BYTES]) != data[-DIGEST_BYTES:]:
            raise InvalidEncoding("manifest fails its checksum")
        fields = _HEADER.unpack_from(data)
        magic, version, disk_format, sector_size, logical_size, leaf, segment = fields[:7]
        self._segments = int(fields[7])
        self._extents, self._pages, reserved = fields[8:]
        if magic != _MAGIC or version != FORMAT_VERSION:
            raise InvalidEncoding("not a manifest of format version 1")
        if (leaf, segment) != (LEAF_BYTES, SEGMENT_BYTES) or any(reserved):
            raise InvalidEncoding("manifest has unknown sizes or reserved bytes")
        if disk_format not in set(DiskFormat) or sector_size not in _SECTOR_SIZES:
            raise InvalidEncoding("manifest has an unknown disk format or sector size")
        self.header: Final = DiskHeader(logical_size, DiskFormat(disk_format), sector_size)
        self._segments_at = _HEADER.size
        self._extents_at = self._segments_at + self._segments * _SEGMENT.size
        self._pages_at = self._extents_at + self._extents * _EXTENT.size
        if self._pages_at + self._pages * _PAGE.size + DIGEST_BYTES != len(data):
            raise InvalidEncoding("manifest has another length than its header says")
        self.occupied_bytes: Final = self._check_segments()
        self._check_pages()
        self.root: Final = self._root()

    def __len__(self) -> int:
        """Return the number of segments that are not holes."""
        return self._segments

    def segment(self, position: int) -> Segment:
        """Return the segment at `position` among those that are not holes."""
        index, digest, length, first, count = _SEGMENT.unpack_from(
            self.data, self._segments_at + position * _SEGMENT.size
        )
        if count == 0:
            return Segment(index, digest, length, (Extent(digest, 0, length),))
        extents = tuple(self._extent(number) for number in range(first, first + count))
        return Segment(index, digest, length, extents)

    def segments(self, start: int = 0) -> Iterator[Segment]:
        """Yield the segments that are not holes, those with an index below `start` left out."""
        for position in range(self.position(start), self._segments):
            yield self.segment(position)

    def position(self, index: int) -> int:
        """Return the position of the first segment with an index of at least `index`."""
        return bisect.bisect_left(range(self._segments), index, key=self._index)

    def find(self, index: int) -> Segment | None:
        """Return the segment with this index, or None where the disk has a hole."""
        position = self.position(index)
        if position == self._segments or self._index(position) != index:
            return None
        return self.segment(position)

    def pages(self) -> Iterator[PageRef]:
        """Yield the leaf pages in ascending order of their groups."""
        for number in range(self._pages):
            yield self._page(number)

    def page(self, group: int) -> PageRef:
        """Return the leaf page of a group that has data; raises InvalidEncoding otherwise."""
        number = bisect.bisect_left(
            range(self._pages), group, key=lambda position: self._page(position).group
        )
        if number == self._pages or self._page(number).group != group:
            raise InvalidEncoding(f"manifest has no leaf page for group {group}")
        return self._page(number)

    def as_plain(self) -> Manifest:
        """Return the manifest of the same content with every segment in its own object."""
        if self._extents == 0:
            return self
        plain = (
            Segment(item.index, item.digest, item.packed_length, ()) for item in self.segments()
        )
        return build_manifest(self.header, plain, tuple(self.pages()))

    def _index(self, position: int) -> int:
        at = self._segments_at + position * _SEGMENT.size
        return int.from_bytes(self.data[at : at + 4], "little")

    def _extent(self, number: int) -> Extent:
        digest, offset, length, _ = _EXTENT.unpack_from(
            self.data, self._extents_at + number * _EXTENT.size
        )
        return Extent(digest, offset, length)

    def _page(self, number: int) -> PageRef:
        group, length, digest = _PAGE.unpack_from(self.data, self._pages_at + number * _PAGE.size)
        return PageRef(group, length, digest)

    def _check_segments(self) -> int:
        previous, extents, total = -1, 0, 0
        limit = segment_count(self.header.logical_size)
        table = memoryview(self.data)[self._segments_at : self._extents_at]
        for index, _, length, first, count in _SEGMENT.iter_unpack(table):
            if not previous < index < limit or not 0 < length <= SEGMENT_BYTES:
                raise InvalidEncoding("manifest has a segment out of order or out of bounds")
            if first != (extents if count else 0):
                raise InvalidEncoding("manifest has extents out of order")
            extents += count
            previous = index
            total += length
        if extents != self._extents:
            raise InvalidEncoding("manifest has extents that no segment uses")
        self._check_extents()
        return total

    def _check_extents(self) -> None:
        table = memoryview(self.data)[self._extents_at : self._pages_at]
        if any(length == 0 or codec for _, _, length, codec in _EXTENT.iter_unpack(table)):
            raise InvalidEncoding("manifest has an empty extent or an unknown codec")
        if self._extents == 0:
            return
        for item in self.segments():
            if sum(extent.length for extent in item.extents) != item.packed_length:
                raise InvalidEncoding("manifest has extents of another length than their segment")
            if any(extent.length % LEAF_BYTES for extent in item.extents[:-1]):
                raise InvalidEncoding("manifest has an extent that ends inside a leaf")

    def _check_pages(self) -> None:
        table = memoryview(self.data)[self._segments_at : self._extents_at]
        groups = dict.fromkeys(index // GROUP_SEGMENTS for index, *_ in _SEGMENT.iter_unpack(table))
        if list(groups) != [page.group for page in self.pages()]:
            raise InvalidEncoding("manifest has other leaf pages than its segments need")

    def _root(self) -> bytes:
        header = self.header
        hasher = RootHasher(header.disk_format, header.sector_size, header.logical_size)
        table = memoryview(self.data)[self._segments_at : self._extents_at]
        for index, digest, *_ in _SEGMENT.iter_unpack(table):
            hasher.add(index, digest)
        return hasher.root()


def build_manifest(
    header: DiskHeader, segments: Iterable[Segment], pages: Sequence[PageRef]
) -> Manifest:
    """Encode a manifest from segments in ascending order; the one way to make one.

    A segment without extents, or with the plain one, is written in the short form: the canonical
    encoding has no other for it.
    """
    table, extents = bytearray(), bytearray()
    count = extent_count = 0
    for item in segments:
        own = () if not item.extents or item.is_plain else item.extents
        table += _SEGMENT.pack(
            item.index, item.digest, item.packed_length, extent_count if own else 0, len(own)
        )
        for extent in own:
            extents += _EXTENT.pack(extent.digest, extent.offset, extent.length, 0)
        count += 1
        extent_count += len(own)
    head = _HEADER.pack(
        *(_MAGIC, FORMAT_VERSION, header.disk_format, header.sector_size, header.logical_size),
        *(LEAF_BYTES, SEGMENT_BYTES, count, extent_count, len(pages), bytes(20)),
    )
    refs = b"".join(_PAGE.pack(page.group, page.length, page.digest) for page in pages)
    body = b"".join((head, table, extents, refs))
    return Manifest(body + manifest_checksum(body))
