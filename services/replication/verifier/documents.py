"""What the bytes at one key must be, as far as they alone and the key can tell."""

import re
from typing import Final

from services.replication.content.digests import (
    DIGEST_BYTES,
    LEAF_BYTES,
    SEGMENT_BYTES,
    ZERO_LEAF,
    leaf_digest,
    page_digest,
    segment_digest,
)
from services.replication.content.errors import InvalidEncoding
from services.replication.content.leaf_page import PAGE_LIMIT, SegmentLeaves
from services.replication.content.refs import (
    BlobRef,
    VersionRef,
    decode_blob_ref,
    decode_version_ref,
)
from services.replication.content.tombstones import decode_tombstones

_REPLICA_ID: Final = re.compile(rb"[0-9a-f]{32}\n")
_DISK: Final = re.compile(r"os|[0-9]|[1-5][0-9]|6[0-3]")


def replica_id_of(data: bytes) -> str:
    """Answer the replica id of a store.

    Raises:
        InvalidEncoding: the bytes are none.
    """
    if _REPLICA_ID.fullmatch(data) is None:
        raise InvalidEncoding("a replica id is 32 hexadecimal digits and a newline")
    return data.decode().strip()


def version_ref_at(key: str, data: bytes) -> VersionRef:
    """Answer the ref of a version that lies at a key.

    Raises:
        InvalidEncoding: it is none, or not the one that belongs there.
    """
    ref = decode_version_ref(data)
    if ref.encode() != data or not key.endswith(f"/{ref.version}"):
        raise InvalidEncoding("the ref is not canonical, or of another version than its name")
    if "os" not in ref.disks or not all(map(_DISK.fullmatch, ref.disks)):
        raise InvalidEncoding("the ref does not name an OS disk and LUNs")
    return ref


def blob_ref_at(key: str, data: bytes) -> BlobRef:
    """Answer the ref of a blob that lies at a key.

    Raises:
        InvalidEncoding: it is none, or not the one that belongs there.
    """
    ref = decode_blob_ref(data)
    if ref.encode() != data or not key.endswith(f"/{ref.blob}"):
        raise InvalidEncoding("the ref is not canonical, or of another blob than its name")
    return ref


def check_tombstones(_: str, data: bytes) -> None:
    """Check a list of tombstones.

    Raises:
        InvalidEncoding: it is none, or not canonical.
    """
    if decode_tombstones(data).encode() != data:
        raise InvalidEncoding("the list of tombstones is not canonical")


def is_named_by(data: bytes, digest: bytes, leaves: SegmentLeaves | None) -> bool:
    """Whether bytes are those of a leaf page or of a segment with this digest."""
    if len(data) <= PAGE_LIMIT and page_digest(data) == digest:
        return True
    if not 0 < len(data) <= SEGMENT_BYTES:
        return False
    packed = b"".join(
        leaf_digest(data[at : at + LEAF_BYTES]) for at in range(0, len(data), LEAF_BYTES)
    )
    if segment_digest(len(data), packed) == digest:
        return True
    if leaves is None:
        return False
    listed = leaves.leaves
    each = (listed[at : at + DIGEST_BYTES] for at in range(0, len(listed), DIGEST_BYTES))
    return b"".join(one for one in each if one != ZERO_LEAF) == packed
