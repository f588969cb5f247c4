"""VHDs as the published format has them, made without the code that reads them."""

import os
import struct
import uuid

FOOTER = 512
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4


def vhd_footer(size: int, kind: int = FIXED, **fields: int) -> bytes:
    """The footer of a disk of `size` bytes, made by Virtual Hard Disk specification 1.0."""
    sectors = size // 512
    heads, per_track = (4, 17) if sectors < 65_535 else (16, 63)
    cylinders = min(sectors // (heads * per_track), 65_535)
    fixed = kind == FIXED
    parts = (
        b"conectix",
        struct.pack(">I", fields.get("features", 2)),
        struct.pack(">I", fields.get("version", 0x0001_0000)),
        struct.pack(">Q", 0xFFFF_FFFF_FFFF_FFFF if fixed else FOOTER),
        struct.pack(">I", fields.get("timestamp", 0)),
        b"stoa",
        struct.pack(">I", 0x0001_0000),
        b"Wi2k",
        struct.pack(">Q", fields.get("original_size", size)),
        struct.pack(">Q", fields.get("current_size", size)),
        struct.pack(">HBB", cylinders, heads, per_track),
        struct.pack(">I", kind),
        bytes(4),
        uuid.uuid4().bytes,
        bytes(1),
        bytes(427),
    )
    footer = b"".join(parts)
    assert len(footer) == FOOTER
    checksum = ~sum(footer) & 0xFFFF_FFFF
    return footer[:64] + struct.pack(">I", checksum) + footer[68:]


def fixed_vhd(disk: bytes) -> bytes:
    """A file of fixed size with these bytes as its disk."""
    return disk + vhd_footer(len(disk))


def write_fixed_vhd(path: "str | os.PathLike[str]", disk: bytes) -> None:
    """Write a fixed VHD whose zero megabytes are holes."""
    mib = 1 << 20
    with open(path, "wb") as file:
        for at in range(0, len(disk), mib):
            part = disk[at : at + mib]
            if any(part):
                file.seek(at)
                file.write(part)
        file.seek(len(disk))
        file.write(vhd_footer(len(disk)))
