"""VHDX, as MS-VHDX specifies it; all numbers are little-endian.

Two headers, the newer of which counts; a table of regions, one of which is the table of blocks
and one the metadata. A file whose log is not empty was not closed: it is refused, since what the
other structures say may be half of a change.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping
from typing import Final

from services.replication.content.block_disk import Account, BlockDisk, FileBytes, Run, Tables
from services.replication.content.crc32c import crc32c
from services.replication.content.errors import SourceFormatInvalid, SourceReferenceRefused
from services.replication.content.source import Source

MAGIC: Final = b"vhdxfile"

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_HEADERS: Final = (64 * _KIB, 128 * _KIB)
_HEADER_BYTES: Final = 4 * _KIB
# Signature, checksum, sequence, three GUIDs, versions of the log and of the format.
_HEADER: Final = struct.Struct("<4sIQ16s16s16sHH")
_REGIONS: Final = (192 * _KIB, 256 * _KIB)
_TABLE_BYTES: Final = 64 * _KIB
_REGION: Final = struct.Struct("<16sQII")
_ITEM: Final = struct.Struct("<16sIIII")
_MAX_ENTRIES: Final = 2047
_CHECKSUM: Final = slice(4, 8)

_BAT: Final = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_METADATA: Final = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_FILE_PARAMETERS: Final = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_DISK_SIZE: Final = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
_SECTOR_SIZE: Final = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
_KNOWN_ITEMS: Final = {
    _FILE_PARAMETERS: 8,
    _DISK_SIZE: 8,
    _SECTOR_SIZE: 4,
    uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556").bytes_le: 4,
    uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746").bytes_le: 16,
}
_PARENT_LOCATOR: Final = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
_REQUIRED_ITEM: Final = 4
_HAS_PARENT: Final = 2

_STATE: Final = 7
_PRESENT: Final = 6
# Not present, undefined, zero, unmapped: nothing that a guest could rely on but zeros.
_NOTHING: Final = frozenset({0, 1, 2, 3})
_BLOCK_BITS: Final = range(20, 29)


class Vhdx(BlockDisk):
    """The disk in a VHDX file."""

    def __init__(self, source: Source) -> None:
        """Read headers, regions and metadata.

        Raises:
            SourceReferenceRefused: it holds the differences from another one.
            SourceFormatInvalid: it is none, is damaged, or was not closed.
            What `source.read_into` raises.
        """
        file = FileBytes(source, "VHDX")
        if file.read(0, len(MAGIC), "its identifier") != MAGIC:
            raise file.invalid("has not the first bytes of one")
        _check_header(file)
        regions = _regions(file)
        items = _metadata(file, *regions[_METADATA])
        block, flags = struct.unpack("<II", items[_FILE_PARAMETERS])
        if flags & _HAS_PARENT:
            raise SourceReferenceRefused("the VHDX file holds the differences from another one")
        size = int.from_bytes(items[_DISK_SIZE], "little")
        sector = int.from_bytes(items[_SECTOR_SIZE], "little")
        if sector not in (512, 4096) or size % sector:
            raise file.invalid(f"has sectors of {sector} bytes on a disk of {size}")
        if block.bit_count() != 1 or block.bit_length() - 1 not in _BLOCK_BITS:
            raise file.invalid(f"has blocks of {block} bytes")
        super().__init__(file, size)
        self._block: Final = block
        # After so many blocks the table has an entry for a bitmap, which only differences need.
        self._ratio: Final = (sector << 23) // block
        self._table, length = regions[_BAT]
        self._blocks: Final = -(-size // block)
        if (self._blocks + (self._blocks - 1) // self._ratio) * 8 > length:
            raise file.invalid(f"has a table of {length} bytes for {self._blocks} blocks")
        self._tables: Final = Tables(file, "little", 8)

    def _runs(self, begin: int, end: int, account: Account) -> Iterator[Run]:
        first, last = begin // self._block, -(-end // self._block)
        for chunk in range(first // self._ratio, -(-last // self._ratio)):
            base = chunk * self._ratio
            table = self._table + (base + chunk) * 8
            count = min(self._blocks - base, self._ratio)
            span = max(first - base, 0), last - base
            for index, entry in self._tables.present(table, count, span):
                if self._is_present(entry):
                    at = (base + index) * self._block
                    yield Run(at, at + self._block, entry >> 20 << 20)

    def _is_present(self, entry: int) -> bool:
        state = entry & _STATE
        if state in _NOTHING:
            return False
        if state != _PRESENT or entry >> 20 == 0:
            raise self._file.invalid(f"has a block in the state {state}")
        return True


def _check_header(file: FileBytes) -> None:
    """Check that the newer of the valid headers is one of a closed file."""
    newest: tuple[int, bytes, int] | None = None
    for at in _HEADERS:
        data = file.read(at, _HEADER_BYTES, "its headers")
        signature, checksum, sequence, _, _, log, _, version = _HEADER.unpack_from(data)
        if signature != b"head" or _checksum(data) != checksum:
            continue
        if newest is None or sequence > newest[0]:
            newest = sequence, log, version
    if newest is None:
        raise file.invalid("has no header that passes its checksum")
    _, log, version = newest
    if version != 1:
        raise file.invalid(f"is of version {version}")
    if any(log):
        raise file.invalid("was not closed: its log must be replayed by what wrote it")


def _regions(file: FileBytes) -> Mapping[bytes, tuple[int, int]]:
    """Answer (offset, length) of the regions, from the first table that is whole."""
    problem: SourceFormatInvalid | None = None
    for at in _REGIONS:
        data = file.read(at, _TABLE_BYTES, "its regions")
        signature, checksum, count = struct.unpack_from("<4sII", data)
        if signature != b"regi" or count > _MAX_ENTRIES or _checksum(data) != checksum:
            problem = file.invalid("has no table of regions that passes its checksum")
            continue
        found = {}
        for index in range(count):
            kind, offset, length, required = _REGION.unpack_from(data, 16 + index * 32)
            if kind not in (_BAT, _METADATA):
                if required & 1:
                    raise file.invalid("needs a region of an unknown kind")
                continue
            if offset < _MIB or offset % _MIB or kind in found:
                raise file.invalid(f"has a region at byte {offset}")
            file.require(offset, length, "a region")
            found[kind] = offset, length
        if len(found) != len((_BAT, _METADATA)):
            raise file.invalid("lacks its table of blocks or its metadata")
        return found
    raise problem or file.invalid("has no table of regions")


def _metadata(file: FileBytes, region: int, length: int) -> Mapping[bytes, bytes]:
    """Answer the items of the metadata that say what the disk is."""
    if length < _TABLE_BYTES:
        raise file.invalid(f"has metadata of {length} bytes")
    data = file.read(region, _TABLE_BYTES, "its metadata")
    signature, _, count = struct.unpack_from("<8sHH", data)
    if signature != b"metadata" or count > _MAX_ENTRIES:
        raise file.invalid("has no table of metadata")
    found = {}
    for index in range(count):
        item, offset, size, flags, _ = _ITEM.unpack_from(data, 32 + index * 32)
        if item == _PARENT_LOCATOR:
            raise SourceReferenceRefused("the VHDX file holds the differences from another one")
        if item not in _KNOWN_ITEMS:
            if flags & _REQUIRED_ITEM:
                raise file.invalid("needs an item of metadata of an unknown kind")
            continue
        if size != _KNOWN_ITEMS[item] or offset + size > length or item in found:
            raise file.invalid(f"has an item of metadata of {size} bytes at {offset}")
        found[item] = file.read(region + offset, size, "its metadata")
    if {_FILE_PARAMETERS, _DISK_SIZE, _SECTOR_SIZE} - found.keys():
        raise file.invalid("lacks an item of metadata")
    return found


def _checksum(data: bytes) -> int:
    """Return the checksum of a structure, in which it counts as zero itself."""
    own = bytearray(data)
    own[_CHECKSUM] = bytes(4)
    return crc32c(own)
