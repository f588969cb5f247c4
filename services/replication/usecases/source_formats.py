"""What a file looks like: found in its bytes, and never taken for the format to read it as."""

from dataclasses import dataclass
from typing import Final

from services.replication.content.errors import SourceFormatInvalid
from services.replication.content.source import Source
from services.replication.content.vhd import (
    COOKIE,
    FOOTER_BYTES,
    VhdFooter,
    VhdType,
    parse_footer,
    require_fixed,
)
from services.replication.domain.states import DiskFormat

_HEAD_BYTES: Final = 512
# What files of other formats begin with. A VHD that is not of fixed size has a copy of its
# footer there.
_MAGIC: Final = (
    (COOKIE, DiskFormat.VHD_DYNAMIC),
    (b"vhdxfile", DiskFormat.VHDX),
    (b"QFI\xfb", DiskFormat.QCOW2),
    (b"KDMV", DiskFormat.VMDK),
    (b"COWD", DiskFormat.VMDK),
    (b"# Disk DescriptorFile", DiskFormat.VMDK),
)


@dataclass(frozen=True, slots=True)
class FoundFormat:
    """A format, the size of the disk in it in bytes, and why it cannot be read, if so.

    `reason` is one of the contract, or empty.
    """

    format: DiskFormat
    size_bytes: int
    reason: str = ""
    message: str = ""


def find_format(file: Source) -> FoundFormat:
    """Look at the end and the beginning of a file; errors are those of `file.read_into`."""
    tail = _bytes(file, max(file.size - FOOTER_BYTES, 0), min(file.size, FOOTER_BYTES))
    head = _bytes(file, 0, min(file.size, _HEAD_BYTES))
    if tail.startswith(COOKIE):
        return _vhd(tail, file.size)
    for magic, form in _MAGIC:
        if head.startswith(magic):
            return _unreadable(form, file.size, f"files of the format {form.value} are not read")
    return FoundFormat(DiskFormat.RAW, file.size)


def _vhd(tail: bytes, file_bytes: int) -> FoundFormat:
    size = max(file_bytes - FOOTER_BYTES, 0)
    try:
        footer = parse_footer(tail)
    except SourceFormatInvalid as error:
        return _unreadable(DiskFormat.VHD_FIXED, size, str(error))
    if footer.kind is not VhdType.FIXED:
        return _not_fixed(footer)
    try:
        require_fixed(footer, file_bytes)
    except SourceFormatInvalid as error:
        return _unreadable(DiskFormat.VHD_FIXED, size, str(error))
    return FoundFormat(DiskFormat.VHD_FIXED, footer.size)


def _not_fixed(footer: VhdFooter) -> FoundFormat:
    if footer.kind is VhdType.DIFFERENCING:
        return FoundFormat(
            DiskFormat.VHD_DYNAMIC,
            footer.size,
            "SOURCE_REFERENCE_REFUSED",
            "the VHD holds the differences from another one",
        )
    return _unreadable(DiskFormat.VHD_DYNAMIC, footer.size, "VHDs of dynamic size are not read")


def _unreadable(form: DiskFormat, size: int, message: str) -> FoundFormat:
    return FoundFormat(form, size, "SOURCE_FORMAT_INVALID", message)


def _bytes(file: Source, offset: int, length: int) -> bytes:
    data = bytearray(length)
    file.read_into(offset, memoryview(data))
    return bytes(data)
