"""The footer that makes a VHD of fixed size of the bytes of a disk.

By the Virtual Hard Disk Image Format Specification 1.0; all numbers are big-endian.
"""

import struct
from typing import Final

FOOTER_BYTES: Final = 512

# Cookie, features, version, data offset, time, creator and its version and system, original and
# current size, cylinders, heads, sectors per track, type, checksum, identity.
_FOOTER: Final = struct.Struct(">8sIIQI4sI4sQQHBBII16s")
_CHECKSUM_AT: Final = 64
_FIXED: Final = 2
_SECTOR_BYTES: Final = 512
_MOST_SECTORS: Final = 65_535 * 16 * 255


def vhd_footer(size: int, identity: bytes) -> bytes:
    """The footer of a disk of `size` bytes; of `identity` the first 16 bytes are taken.

    The same disk gives the same footer, so that the whole file can be compared.
    """
    fields = (
        b"conectix",
        2,  # A bit that is always set.
        0x0001_0000,
        0xFFFF_FFFF_FFFF_FFFF,  # No header follows.
        0,
        # Some readers take the size from the geometry, which is rounded, unless the file was made
        # by one of the programs that they know to write the exact one; this is such a name.
        b"win ",
        0x0006_0000,
        b"Wi2k",
        size,
        size,
        *_geometry(size // _SECTOR_BYTES),
        _FIXED,
        0,
        identity[:16],
    )
    footer = bytearray(_FOOTER.pack(*fields).ljust(FOOTER_BYTES, b"\0"))
    struct.pack_into(">I", footer, _CHECKSUM_AT, ~sum(footer) & 0xFFFF_FFFF)
    return bytes(footer)


def _geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track, as the appendix of the specification has them."""
    sectors = min(sectors, _MOST_SECTORS)
    if sectors >= 65_535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    tracks = sectors // 17
    heads = max((tracks + 1023) // 1024, 4)
    if tracks < heads * 1024 and heads <= 16:
        return tracks // heads, heads, 17
    tracks = sectors // 31
    if tracks < 16 * 1024:
        return tracks // 16, 16, 31
    return sectors // 63 // 16, 16, 63
