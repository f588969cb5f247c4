"""The formats that disks are read from: what a file looks like, and what is declared of it.

What is found in its bytes is never taken for the format to read it as.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from services.replication.content.errors import SourceFormatInvalid, SourceReferenceRefused
from services.replication.content.qcow2 import MAGIC as QCOW2_MAGIC
from services.replication.content.qcow2 import Qcow2
from services.replication.content.source import Source
from services.replication.content.vhd import (
    COOKIE,
    FOOTER_BYTES,
    FixedVhd,
    VhdType,
    parse_footer,
)
from services.replication.content.vhd_dynamic import DynamicVhd
from services.replication.content.vhdx import MAGIC as VHDX_MAGIC
from services.replication.content.vhdx import Vhdx
from services.replication.content.vmdk import DESCRIPTOR_MAGIC, Vmdk
from services.replication.content.vmdk import MAGIC as VMDK_MAGIC
from services.replication.domain.states import DiskFormat

_HEAD_BYTES: Final = 512
# What files of other formats begin with. A VHD that is not of fixed size has a copy of its
# footer there.
_MAGIC: Final = (
    (COOKIE, DiskFormat.VHD_DYNAMIC),
    (VHDX_MAGIC, DiskFormat.VHDX),
    (QCOW2_MAGIC, DiskFormat.QCOW2),
    (VMDK_MAGIC, DiskFormat.VMDK),
    (b"COWD", DiskFormat.VMDK),
    (DESCRIPTOR_MAGIC, DiskFormat.VMDK),
)


@dataclass(frozen=True, slots=True)
class FoundFormat:
    """A format, the size of the disk in it in bytes, and why it cannot be read, if so.

    `reason` is one of the contract, or empty; `found` what such a file looks like, if known.
    """

    format: DiskFormat
    size_bytes: int
    reason: str = ""
    message: str = ""
    found: str = ""


def find_format(file: Source) -> FoundFormat:
    """Look at the end and the beginning of a file; errors are those of `file.read_into`."""
    tail = _bytes(file, max(file.size - FOOTER_BYTES, 0), min(file.size, FOOTER_BYTES))
    head = _bytes(file, 0, min(file.size, _HEAD_BYTES))
    return inspect_as(file, _looks_like(head, tail))


def inspect_as(file: Source, form: DiskFormat) -> FoundFormat:
    """Look at the disk in a file of a format; errors are those of `file.read_into`.

    The size of one that cannot be read is that of the file, less what is no part of the disk.
    """
    try:
        return FoundFormat(form, open_disk(file, form).size)
    except (SourceFormatInvalid, SourceReferenceRefused) as error:
        size = max(file.size - FOOTER_BYTES, 0) if form is DiskFormat.VHD_FIXED else file.size
        found = error.found if isinstance(error, SourceFormatInvalid) else ""
        return FoundFormat(form, size, error.reason, str(error), found)


def open_disk(file: Source, form: DiskFormat) -> Source:
    """Answer the disk that a guest sees in a file of a declared format; closing it does nothing.

    Raises:
        SourceFormatInvalid: the file is not of that format, or is damaged.
        SourceReferenceRefused: a part of the disk lies in another file.
        What `file.read_into` raises.
    """
    match form:
        case DiskFormat.RAW:
            return file
        case DiskFormat.VHD_FIXED:
            return FixedVhd(file)
        case DiskFormat.VHD_DYNAMIC:
            return DynamicVhd(file)
        case DiskFormat.VHDX:
            return Vhdx(file)
        case DiskFormat.QCOW2:
            return Qcow2(file)
        case DiskFormat.VMDK:
            return Vmdk(file)
        case _:
            assert_never(form)


def _looks_like(head: bytes, tail: bytes) -> DiskFormat:
    if tail.startswith(COOKIE):
        try:
            kind = parse_footer(tail).kind
        except SourceFormatInvalid:
            return DiskFormat.VHD_FIXED
        return DiskFormat.VHD_FIXED if kind is VhdType.FIXED else DiskFormat.VHD_DYNAMIC
    return next((form for magic, form in _MAGIC if head.startswith(magic)), DiskFormat.RAW)


def _bytes(file: Source, offset: int, length: int) -> bytes:
    data = bytearray(length)
    file.read_into(offset, memoryview(data))
    return bytes(data)
