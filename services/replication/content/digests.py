"""Sizes and hashes of the content tree: leaf, segment, image.

Levels are separated by BLAKE3 derive-key contexts and bind the lengths that they cover, so that no
list of digests can be passed off as data (docs/reference/store-format.md, "Digests").
"""

from __future__ import annotations

import struct
from typing import Final

from blake3 import blake3

LEAF_BYTES: Final = 64 * 1024
SEGMENT_BYTES: Final = 4 * 1024 * 1024
LEAVES_PER_SEGMENT: Final = SEGMENT_BYTES // LEAF_BYTES
DIGEST_BYTES: Final = 32
ZERO_LEAF: Final = bytes(DIGEST_BYTES)
"""Stands for an all-zero leaf of any length; such a leaf has no stored bytes."""

_SEGMENT_CONTEXT: Final = "stoa.dev content v1 segment"
_IMAGE_CONTEXT: Final = "stoa.dev content v1 image"
_PAGE_CONTEXT: Final = "stoa.dev content v1 leaf page"
_MANIFEST_CONTEXT: Final = "stoa.dev content v1 manifest checksum"
_JOURNAL_CONTEXT: Final = "stoa.dev content v1 journal checksum"
_SUBJECT_CONTEXT: Final = "stoa.dev content v1 journal subject"
_SEGMENT_PREFIX: Final = struct.Struct("<II")
_IMAGE_PREFIX: Final = struct.Struct("<HHIIIQ")
_IMAGE_ENTRY: Final = struct.Struct("<I32s")


def leaf_digest(data: bytes | bytearray | memoryview) -> bytes:
    """Return the digest of a leaf that is not all zero (1 to 65,536 bytes)."""
    return blake3(data).digest()


def leaf_count(length: int) -> int:
    """Return how many leaves cover `length` bytes."""
    return -(-length // LEAF_BYTES)


def segment_count(logical_size: int) -> int:
    """Return how many segments, holes included, cover a disk of `logical_size` bytes."""
    return -(-logical_size // SEGMENT_BYTES)


def segment_length(logical_size: int, index: int) -> int:
    """Return the bytes of the disk that segment `index` covers; only the last may be short."""
    return min(SEGMENT_BYTES, logical_size - index * SEGMENT_BYTES)


def packed_length(length: int, leaves: bytes) -> int:
    """Return the bytes that a segment of `length` bytes occupies without its zero leaves."""
    total = 0
    for number in range(len(leaves) // DIGEST_BYTES):
        if leaves[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES] != ZERO_LEAF:
            total += min(LEAF_BYTES, length - number * LEAF_BYTES)
    return total


def segment_digest(length: int, leaves: bytes) -> bytes:
    """Return the digest, and so the object name, of a segment with these leaf digests."""
    prefix = _SEGMENT_PREFIX.pack(length, len(leaves) // DIGEST_BYTES)
    return blake3(prefix + leaves, derive_key_context=_SEGMENT_CONTEXT).digest()


class RootHasher:
    """Hashes a disk's identity: its header and its segments that are not holes, in order."""

    def __init__(self, disk_format: int, sector_size: int, logical_size: int) -> None:
        self._hasher = blake3(derive_key_context=_IMAGE_CONTEXT)
        self._hasher.update(
            _IMAGE_PREFIX.pack(disk_format, 0, sector_size, LEAF_BYTES, SEGMENT_BYTES, logical_size)
        )

    def add(self, index: int, digest: bytes) -> None:
        """Add the segment at `index`; indexes ascend, and a missing one is a hole."""
        self._hasher.update(_IMAGE_ENTRY.pack(index, digest))

    def root(self) -> bytes:
        """Return the image root over what was added."""
        return self._hasher.digest()


def page_digest(data: bytes) -> bytes:
    """Return the digest, and so the object name, of an encoded leaf page."""
    return blake3(data, derive_key_context=_PAGE_CONTEXT).digest()


def manifest_checksum(data: bytes | memoryview) -> bytes:
    """Return the checksum that ends an encoded manifest."""
    return blake3(data, derive_key_context=_MANIFEST_CONTEXT).digest()


def journal_checksum(data: bytes | memoryview) -> bytes:
    """Return the checksum that ends an encoded journal."""
    return blake3(data, derive_key_context=_JOURNAL_CONTEXT).digest()


def journal_subject(description: str) -> bytes:
    """Return the 32 bytes by which a journal names what it is a journal of."""
    return blake3(description.encode(), derive_key_context=_SUBJECT_CONTEXT).digest()
