"""VMDK in one file: sparse, or stream-optimized with compressed grains; little-endian numbers.

As VMware's Virtual Disk Format 5.0 has it: a header, a descriptor in text, a directory of tables
of grains. A descriptor can name any file of the host; it is read for what it says of this file,
and nothing that it names is ever opened.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.replication.content.block_disk import (
    MAX_PACKED_BYTES,
    SECTOR_BYTES,
    Account,
    BlockDisk,
    FileBytes,
    Run,
    Tables,
)
from services.replication.content.errors import SourceReferenceRefused
from services.replication.content.source import Source

MAGIC: Final = b"KDMV"
DESCRIPTOR_MAGIC: Final = b"# Disk DescriptorFile"

# Magic, version, flags, capacity, grain, descriptor (offset, size), entries of a table, the
# directories, overhead, whether it is open, line ends, compression; counted in sectors.
_HEADER: Final = struct.Struct("<4sIIQQQQIQQQB4sH")
_MARKER: Final = struct.Struct("<QI")
_VERSIONS: Final = (1, 2, 3)
_LINE_ENDS: Final = b"\n \r\n"
_CHECKS_LINES, _ZERO_GRAINS, _COMPRESSED, _MARKERS = 1, 1 << 2, 1 << 16, 1 << 17
_DEFLATE: Final = 1
_AT_END: Final = 0xFFFF_FFFF_FFFF_FFFF
_FOOTER_AT: Final = 1024
_MAX_DESCRIPTOR: Final = 128
_MAX_TABLE: Final = 1 << 16
_GRAIN_BITS: Final = range(3, 13)
_TYPES: Final = ("monolithicSparse", "streamOptimized")
_NO_PARENT: Final = "ffffffff"
_ZLIB: Final = 15

_EXTENT: Final = re.compile(r'(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)")?.*')
_SETTING: Final = re.compile(r'(\w+)\s*=\s*"?([^"]*?)"?')


class Vmdk(BlockDisk):
    """The disk in a VMDK file."""

    def __init__(self, source: Source) -> None:
        """Read the header, the footer of a stream, and the descriptor.

        Raises:
            SourceReferenceRefused: a part of the disk lies in another file.
            SourceFormatInvalid: it is no such file, is damaged, or has what is not read.
            What `source.read_into` raises.
        """
        file = FileBytes(source, "VMDK")
        if source.size >= len(DESCRIPTOR_MAGIC) and (
            file.read(0, len(DESCRIPTOR_MAGIC), "its beginning") == DESCRIPTOR_MAGIC
        ):
            raise SourceReferenceRefused("the VMDK file is a descriptor of other files")
        head = _header(file, 0)
        _check_descriptor(file, head)
        if head.directory == _AT_END:
            head = _header(file, source.size - _FOOTER_AT)
        super().__init__(file, head.capacity * SECTOR_BYTES)
        if head.grain.bit_count() != 1 or head.grain.bit_length() - 1 not in _GRAIN_BITS:
            raise file.invalid(f"has grains of {head.grain} sectors")
        if not 0 < head.entries <= _MAX_TABLE:
            raise file.invalid(f"has tables of {head.entries} entries")
        self._grain: Final = head.grain * SECTOR_BYTES
        self._entries: Final = head.entries
        self._span: Final = self._grain * head.entries
        self._packed: Final = bool(head.flags & _COMPRESSED)
        self._zeros: Final = bool(head.flags & _ZERO_GRAINS)
        self._directory: Final = head.directory * SECTOR_BYTES
        self._tables: Final = Tables(file, "little", 4)
        self._count: Final = -(-self.size // self._span)
        file.require(self._directory, self._count * 4, "the directory of tables")

    def _runs(self, begin: int, end: int, account: Account) -> Iterator[Run]:
        first, last = begin // self._span, -(-end // self._span)
        for index, sector in self._tables.present(self._directory, self._count, (first, last)):
            account.table(self._entries * 4)
            base = index * self._span
            low = max(begin - base, 0) // self._grain
            high = -(-min(end - base, self._span) // self._grain)
            table = sector * SECTOR_BYTES
            for grain, found in self._tables.present(table, self._entries, (low, high)):
                if found == 1 and self._zeros:
                    continue
                at = base + grain * self._grain
                # How long a compressed one is, only its own first bytes say.
                packed = _MARKER.size if self._packed else 0
                yield Run(at, at + self._grain, found * SECTOR_BYTES, packed)

    def _block_begin(self, run: Run) -> int:
        return run.begin // self._grain * self._grain

    def _unpack(self, run: Run) -> bytes:
        marker = self._file.read(run.at, _MARKER.size, "a grain")
        sector, length = _MARKER.unpack(marker)
        if sector * SECTOR_BYTES != self._block_begin(run):
            raise self._file.invalid(f"has a grain of sector {sector} in the place of another")
        # Bytes that deflate cannot shorten grow by little.
        if length > self._grain + self._grain // 8 + SECTOR_BYTES:
            raise self._file.invalid(f"has a compressed grain of {length} bytes")
        data = self._file.read(run.at + _MARKER.size, length, "a grain")
        return self._file.inflate(data, self._grain, _ZLIB)


@dataclass(frozen=True, slots=True)
class _Header:
    flags: int
    capacity: int
    grain: int
    descriptor: int
    descriptor_sectors: int
    entries: int
    directory: int


def _header(file: FileBytes, at: int) -> _Header:
    fields = _HEADER.unpack(file.read(at, _HEADER.size, "its header"))
    magic, version, flags, capacity, grain, descriptor, sectors, entries, _, directory = fields[:10]
    is_open, line_ends, algorithm = fields[11:]
    if magic != MAGIC or version not in _VERSIONS:
        raise file.invalid("has no header of a known version")
    if flags & _CHECKS_LINES and line_ends != _LINE_ENDS:
        raise file.invalid("was changed by a transfer as text")
    if is_open:
        raise file.invalid("was not closed: stop what uses it, or let it be checked")
    if flags & _COMPRESSED:
        if algorithm != _DEFLATE or not flags & _MARKERS:
            raise file.invalid("is compressed in an unknown way")
        if grain * SECTOR_BYTES > MAX_PACKED_BYTES:
            raise file.invalid(f"has grains of {grain} sectors")
    return _Header(flags, capacity, grain, descriptor, sectors, entries, directory)


def _check_descriptor(file: FileBytes, head: _Header) -> None:
    """Refuse a disk of several files, and one that is the differences from another."""
    if not head.descriptor or not head.descriptor_sectors:
        raise SourceReferenceRefused("the VMDK file is one of several that are a disk together")
    if head.descriptor_sectors > _MAX_DESCRIPTOR:
        raise file.invalid(f"has a descriptor of {head.descriptor_sectors} sectors")
    data = file.read(
        head.descriptor * SECTOR_BYTES, head.descriptor_sectors * SECTOR_BYTES, "its descriptor"
    )
    settings: dict[str, str] = {}
    extents: list[tuple[str, str]] = []
    for line in data.partition(b"\0")[0].decode("latin-1").splitlines():
        if extent := _EXTENT.fullmatch(line.strip()):
            extents.append((extent[2], extent[3] or ""))
        elif setting := _SETTING.fullmatch(line.strip()):
            settings[setting[1].lower()] = setting[2]
    if settings.get("parentcid", _NO_PARENT).lower() != _NO_PARENT or (
        "parentfilenamehint" in settings
    ):
        raise SourceReferenceRefused("the VMDK file holds the differences from another one")
    kinds = {kind for kind, _ in extents}
    if (
        len(extents) > 1
        or kinds - {"SPARSE"}
        or any(re.search(r"[/\\]", one) for _, one in extents)
    ):
        raise SourceReferenceRefused("the VMDK file names other files as parts of the disk")
    if not extents or settings.get("createtype") not in _TYPES:
        raise file.invalid(f"is of the type {settings.get('createtype', '')!r}, which is not read")
