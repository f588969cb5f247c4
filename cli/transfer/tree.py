"""The hash tree that proves the content of a disk, as stoa.replication.v1.DiskLayout defines it."""

import struct
from typing import Final

from blake3 import blake3
from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.transfer.sparse import is_zero

DIGEST_BYTES: Final = 32
ZERO_DIGEST: Final = bytes(DIGEST_BYTES)

_SEGMENT_CONTEXT: Final = "stoa.dev content v1 segment"
_IMAGE_CONTEXT: Final = "stoa.dev content v1 image"
_SEGMENT_PREFIX: Final = struct.Struct("<II")
_IMAGE_ENTRY: Final = struct.Struct("<I32s")


def segment_digest(data: bytes | bytearray | memoryview, leaf_bytes: int) -> bytes:
    """The digest of a segment, 32 zero bytes where all of it is zero."""
    view = memoryview(data)
    leaves = [leaf_digest(view[at : at + leaf_bytes]) for at in range(0, len(view), leaf_bytes)]
    return digest_of_leaves(len(view), b"".join(leaves))


def leaf_digest(leaf: bytes | memoryview) -> bytes:
    """The digest of a leaf, 32 zero bytes where all of it is zero."""
    return ZERO_DIGEST if is_zero(leaf) else blake3(leaf).digest()


def digest_of_leaves(length: int, leaves: bytes) -> bytes:
    """The digest of a segment of `length` bytes that has these leaves."""
    if not any(leaves):
        return ZERO_DIGEST
    prefix = _SEGMENT_PREFIX.pack(length, len(leaves) // DIGEST_BYTES)
    return blake3(prefix + leaves, derive_key_context=_SEGMENT_CONTEXT).digest()


def root_digest(layout: DiskLayout, segments: list[bytes]) -> bytes:
    """The root over all segments of a disk."""
    hasher = blake3(derive_key_context=_IMAGE_CONTEXT)
    hasher.update(layout.header)
    for index, digest in enumerate(segments):
        if digest != ZERO_DIGEST:
            hasher.update(_IMAGE_ENTRY.pack(index, digest))
    return hasher.digest()


def segment_count(layout: DiskLayout) -> int:
    """How many segments a disk has."""
    return -(-layout.size_bytes // layout.segment_bytes)


def segment_span(layout: DiskLayout, index: int) -> tuple[int, int]:
    """Where a segment begins and ends."""
    begin = index * layout.segment_bytes
    return begin, min(begin + layout.segment_bytes, layout.size_bytes)
