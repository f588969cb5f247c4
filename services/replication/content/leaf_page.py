"""Leaf pages: the leaf digests of the segments of one group, in a side object of their own.

Inline lists would make the manifest of a full 2 TiB disk 1 GiB long, and a list beside every
segment would double the number of objects; a page of up to 256 segments avoids both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.replication.content.digests import (
    DIGEST_BYTES,
    LEAVES_PER_SEGMENT,
    SEGMENT_BYTES,
    leaf_count,
    segment_digest,
)
from services.replication.content.errors import InvalidEncoding
from services.replication.content.manifest import GROUP_SEGMENTS

PAGE_LIMIT: Final = 16 + GROUP_SEGMENTS * (8 + LEAVES_PER_SEGMENT * DIGEST_BYTES)
"""The longest encoded page, in bytes."""

_MAGIC: Final = b"STOALEAF"
_HEADER: Final = struct.Struct("<8sHHI")
_ENTRY: Final = struct.Struct("<HHI")
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SegmentLeaves:
    """The leaf digests of one segment of `length` bytes, 32 bytes each, in order."""

    length: int
    leaves: bytes

    def digest(self) -> bytes:
        """Return the digest of the segment that has these leaves."""
        return segment_digest(self.length, self.leaves)


def encode_page(entries: Iterable[tuple[int, SegmentLeaves]]) -> bytes:
    """Encode (position in the group, leaves) pairs, given in ascending order."""
    body = bytearray()
    count = 0
    for position, entry in entries:
        body += _ENTRY.pack(position, len(entry.leaves) // DIGEST_BYTES, entry.length)
        body += entry.leaves
        count += 1
    return _HEADER.pack(_MAGIC, _VERSION, 0, count) + bytes(body)


def decode_page(data: bytes) -> Mapping[int, SegmentLeaves]:
    """Return the leaves by position in the group; raises InvalidEncoding."""
    try:
        magic, version, reserved, count = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION or reserved:
            raise InvalidEncoding("not a leaf page of format version 1")
        entries: dict[int, SegmentLeaves] = {}
        at, previous = _HEADER.size, -1
        for _ in range(count):
            position, leaves, length = _ENTRY.unpack_from(data, at)
            at += _ENTRY.size
            end = at + leaves * DIGEST_BYTES
            if not previous < position < GROUP_SEGMENTS or end > len(data):
                raise InvalidEncoding("leaf page has an entry out of order or out of bounds")
            if not 0 < length <= SEGMENT_BYTES or leaf_count(length) != leaves:
                raise InvalidEncoding("leaf page has a segment with a wrong number of leaves")
            entries[position] = SegmentLeaves(length, data[at:end])
            at, previous = end, position
    except struct.error:
        raise InvalidEncoding("leaf page is too short") from None
    if at != len(data):
        raise InvalidEncoding("leaf page is too long")
    return entries
