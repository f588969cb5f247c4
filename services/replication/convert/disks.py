"""Disks and their hash trees as messages."""

import struct
from typing import Final

from stoa.replication.v1 import image_disk_pb2 as pb

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Manifest

# What a source is read as having, since no format that is read tells of another size.
SECTOR_BYTES: Final = 512
_HEADER: Final = struct.Struct("<HHIIIQ")


def layout_message(manifest: Manifest) -> pb.DiskLayout:
    """Answer what a disk is, and with which bytes its root begins."""
    header = manifest.header
    return pb.DiskLayout(
        root_digest=manifest.root,
        header=_HEADER.pack(
            header.disk_format,
            0,
            header.sector_size,
            LEAF_BYTES,
            SEGMENT_BYTES,
            header.logical_size,
        ),
        size_bytes=header.logical_size,
        sector_bytes=header.sector_size,
        leaf_bytes=LEAF_BYTES,
        segment_bytes=SEGMENT_BYTES,
    )


def unhashed_layout(size: int) -> pb.DiskLayout:
    """Answer what a disk is that nobody has hashed, and that nothing proves."""
    return pb.DiskLayout(
        size_bytes=size,
        sector_bytes=SECTOR_BYTES,
        leaf_bytes=LEAF_BYTES,
        segment_bytes=SEGMENT_BYTES,
    )


def leaves_message(segment: int, leaves: SegmentLeaves | None) -> pb.SegmentLeaves | None:
    """Answer the leaves of a segment; None for a hole."""
    if leaves is None:
        return None
    return pb.SegmentLeaves(segment=segment, digests=leaves.leaves)
