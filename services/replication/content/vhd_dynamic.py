"""VHD of dynamic size: a table of blocks, each with a bitmap of its sectors before it.

As the Virtual Hard Disk Image Format Specification 1.0 has it; all numbers are big-endian. The
size of the disk is the one in the footer.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import Final

from services.replication.content.block_disk import (
    SECTOR_BYTES,
    Account,
    BlockDisk,
    FileBytes,
    Run,
    Tables,
)
from services.replication.content.errors import SourceReferenceRefused
from services.replication.content.source import Source
from services.replication.content.vhd import VhdType, read_footer

HEADER_BYTES: Final = 1024
HEADER_COOKIE: Final = b"cxsparse"

# Cookie, data offset, table offset, version, entries, block size, checksum.
_HEADER: Final = struct.Struct(">8sQQIIII")
_CHECKSUM_AT: Final = 36
_VERSION: Final = 0x0001_0000
_ABSENT: Final = 0xFFFF_FFFF
_BLOCK_BITS: Final = range(12, 29)
_BITMAPS: Final = 64


class DynamicVhd(BlockDisk):
    """The disk in a VHD of dynamic size."""

    def __init__(self, source: Source) -> None:
        """Read the footer and the header.

        Raises:
            SourceReferenceRefused: it holds the differences from another one.
            SourceFormatInvalid: it is none, or is damaged.
            What `source.read_into` raises.
        """
        file = FileBytes(source, "VHD_DYNAMIC")
        footer = read_footer(source)
        if footer.kind is VhdType.DIFFERENCING:
            raise SourceReferenceRefused("the VHD holds the differences from another one")
        if footer.kind is not VhdType.DYNAMIC:
            raise file.invalid("is a VHD of fixed size")
        super().__init__(file, footer.size)
        head = file.read(footer.data_offset, HEADER_BYTES, "its header")
        cookie, _, table, version, entries, block, checksum = _HEADER.unpack_from(head)
        if cookie != HEADER_COOKIE or version != _VERSION:
            raise file.invalid("has no header of a known version")
        if header_checksum(head) != checksum:
            raise file.invalid("has a header that fails its checksum")
        if block.bit_count() != 1 or block.bit_length() - 1 not in _BLOCK_BITS:
            raise file.invalid(f"has blocks of {block} bytes")
        if entries * block < footer.size:
            raise file.invalid(f"has {entries} blocks for a disk of {footer.size} bytes")
        file.require(table, entries * 4, "the table of blocks")
        self._block: Final = block
        self._table: Final = table
        self._entries: Final = entries
        self._tables: Final = Tables(file, "big", 4)
        # Of whole sectors.
        self._bitmap_bytes: Final = -(-block // (SECTOR_BYTES**2 * 8)) * SECTOR_BYTES
        self._bitmap: Final = functools.lru_cache(_BITMAPS)(self._load_bitmap)

    def _runs(self, begin: int, end: int, account: Account) -> Iterator[Run]:
        first, last = begin // self._block, -(-end // self._block)
        for index, sector in self._tables.present(
            self._table, self._entries, (first, last), absent=_ABSENT
        ):
            account.table(self._bitmap_bytes)
            base = index * self._block
            yield Run(base, base + self._block, sector * SECTOR_BYTES + self._bitmap_bytes)

    def _adjoin(self, held: Run, run: Run) -> bool:
        """Keep blocks apart: each has a bitmap of its own."""
        return False

    def _fill(self, run: Run, target: memoryview) -> None:
        """Read a part of a block; sectors that its bitmap does not name were never written."""
        super()._fill(run, target)
        within = run.begin % self._block
        bitmap = self._bitmap(run.at - within - self._bitmap_bytes)
        if bitmap is None:
            return
        for sector in range(within // SECTOR_BYTES, -(-(within + len(target)) // SECTOR_BYTES)):
            if not bitmap[sector >> 3] & (0x80 >> (sector & 7)):
                low = max(sector * SECTOR_BYTES - within, 0)
                high = min((sector + 1) * SECTOR_BYTES - within, len(target))
                target[low:high] = bytes(high - low)

    def _load_bitmap(self, at: int) -> bytes | None:
        """Answer the bitmap at `at`; None where all sectors were written."""
        used = max(self._block // (SECTOR_BYTES * 8), 1)
        found = self._file.read(at, self._bitmap_bytes, "a bitmap")[:used]
        return None if found.count(0xFF) == used else found


def header_checksum(head: bytes) -> int:
    """Return the checksum of a header: the complement of the sum of its other bytes."""
    own = sum(head[_CHECKSUM_AT : _CHECKSUM_AT + 4])
    return ~(sum(head) - own) & 0xFFFF_FFFF
