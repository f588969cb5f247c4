"""VHD of fixed size: the bytes of the disk, and a footer of 512 bytes behind them.

The footer is that of the Virtual Hard Disk Image Format Specification 1.0; all numbers in it are
big-endian. A reader of a disk never sees it: what is replicated is what the guest sees
(replication specification, section 2.4).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.replication.content.errors import SourceFormatInvalid
from services.replication.content.source import Source

FOOTER_BYTES: Final = 512
COOKIE: Final = b"conectix"
ALIGNMENT: Final = 1 << 20
"""Sizes of disks are multiples of this, as the original demands of a VHD that it takes."""

# Cookie, features, version, data offset, time and creator, original size, current size,
# geometry, disk type, checksum, unique id, saved state.
_FOOTER: Final = struct.Struct(">8sIIQ4s4s4s4sQQ4sII16sB")
_CHECKSUM_AT: Final = 64
_RESERVED_FEATURE: Final = 2
_MAJOR_VERSION: Final = 1


class VhdType(enum.IntEnum):
    """What lies before the footer."""

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


@dataclass(frozen=True, slots=True)
class VhdFooter:
    """What a footer says of the disk; `size` in bytes, without the footer.

    `data_offset` is where the header of one that is not of fixed size lies.
    """

    kind: VhdType
    size: int
    data_offset: int


def parse_footer(data: bytes | bytearray) -> VhdFooter:
    """Read a footer.

    Raises:
        SourceFormatInvalid: it is none, or is damaged.
    """
    if len(data) != FOOTER_BYTES or bytes(data[: len(COOKIE)]) != COOKIE:
        raise SourceFormatInvalid("there is no VHD footer in the last 512 bytes")
    fields = _FOOTER.unpack_from(data)
    features, version, data_offset, size, kind, checksum = (
        fields[1],
        fields[2],
        fields[3],
        fields[9],
        fields[11],
        fields[12],
    )
    if footer_checksum(data) != checksum:
        raise SourceFormatInvalid("the VHD footer fails its checksum", found="VHD")
    if version >> 16 != _MAJOR_VERSION or not features & _RESERVED_FEATURE:
        raise SourceFormatInvalid("the VHD footer is of an unknown version", found="VHD")
    if kind not in set(VhdType):
        raise SourceFormatInvalid(f"the VHD footer names the unknown disk type {kind}", found="VHD")
    return VhdFooter(VhdType(kind), size, data_offset)


def footer_checksum(data: bytes | bytearray) -> int:
    """Return the checksum of a footer: the complement of the sum of its other bytes."""
    own = sum(data[_CHECKSUM_AT : _CHECKSUM_AT + 4])
    return ~(sum(data) - own) & 0xFFFFFFFF


def read_footer(source: Source) -> VhdFooter:
    """Read the footer at the end of a file.

    Raises:
        SourceFormatInvalid: as `parse_footer`, and where the file is too short for one.
        What `source.read_into` raises.
    """
    if source.size < FOOTER_BYTES:
        raise SourceFormatInvalid("the file is too short for a VHD footer")
    data = bytearray(FOOTER_BYTES)
    source.read_into(source.size - FOOTER_BYTES, memoryview(data))
    return parse_footer(data)


def require_fixed(footer: VhdFooter, file_bytes: int) -> None:
    """Check that a file of `file_bytes` is the fixed disk that its footer speaks of.

    Raises:
        SourceFormatInvalid: it is not; says why.
    """
    if footer.kind is not VhdType.FIXED:
        name = footer.kind.name.lower()
        raise SourceFormatInvalid(f"the VHD is a {name} one, not of fixed size", found="VHD")
    if footer.size != file_bytes - FOOTER_BYTES:
        raise SourceFormatInvalid(
            f"the VHD footer speaks of {footer.size} bytes, before it are "
            f"{file_bytes - FOOTER_BYTES}",
            found="VHD",
        )
    if footer.size == 0 or footer.size % ALIGNMENT:
        raise SourceFormatInvalid(
            f"the VHD holds {footer.size} bytes, which is not a multiple of 1 MiB", found="VHD"
        )


class FixedVhd:
    """The disk in a file of a fixed VHD, as a source of its own."""

    def __init__(self, file: Source) -> None:
        """Check the footer of `file`, which is not closed by this.

        Raises:
            SourceFormatInvalid: the file is no fixed VHD, or a damaged one.
            What `file.read_into` raises.
        """
        footer = read_footer(file)
        require_fixed(footer, file.size)
        self._file: Final = file
        self.size: Final = footer.size
        self.pin: Final = f"fixed vhd {file.pin}"

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield the data extents of the file that lie on the disk."""
        for begin, end in self._file.extents(start):
            if begin >= self.size:
                return
            yield begin, min(end, self.size)

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset`."""
        self._file.read_into(offset, target)

    def check(self) -> None:
        """Raise SourceChanged unless the file is what it was."""
        self._file.check()

    def close(self) -> None:
        """Do nothing: who opened the file closes it."""
