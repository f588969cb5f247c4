"""QCOW2, versions 2 and 3, as the QEMU project specifies it; all numbers are big-endian.

A table of tables: each entry of L1 is an L2 table of one cluster, each entry of that a cluster of
the disk, plain, compressed, all zeros or absent. Only the active state of the disk is read;
snapshots inside the file are not looked at, and neither are reference counts, which only a
writer needs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from services.replication.content.block_disk import Account, BlockDisk, FileBytes, Run, Tables
from services.replication.content.errors import SourceReferenceRefused
from services.replication.content.source import Source

MAGIC: Final = b"QFI\xfb"

# Magic, version, backing file (offset, length), cluster bits, size, encryption, L1 (entries,
# offset), reference counts (offset, clusters), snapshots (number, offset).
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES: Final = struct.Struct(">QQQII")
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _EXTENDED = 1, 2, 4, 8, 16
_CLUSTER_BITS: Final = range(9, 22)
_MAX_L1_BYTES: Final = 32 << 20
_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED: Final = 1 << 62
_ZERO: Final = 1
# Streams have no header, and are made with a window of 4 KiB.
_WINDOW: Final = -12


class Qcow2(BlockDisk):
    """The disk in a QCOW2 file."""

    def __init__(self, source: Source) -> None:
        """Read the header.

        Raises:
            SourceReferenceRefused: a part of the disk lies in another file.
            SourceFormatInvalid: it is no such file, is damaged, or has what is not read.
            What `source.read_into` raises.
        """
        file = FileBytes(source, "QCOW2")
        head = file.read(0, _HEADER.size, "its header")
        magic, version, backing, backing_name, bits, size, crypt, entries, l1, *_ = _HEADER.unpack(
            head
        )
        if magic != MAGIC:
            raise file.invalid("has not the first bytes of one")
        if version not in (2, 3):
            raise file.invalid(f"is of version {version}")
        if backing or backing_name:
            raise SourceReferenceRefused("the QCOW2 file has a backing file")
        if version > 2:
            _check_features(file)
        if crypt:
            raise file.invalid("is encrypted")
        if bits not in _CLUSTER_BITS:
            raise file.invalid(f"has clusters of 2^{bits} bytes")
        super().__init__(file, size)
        self._bits: Final[int] = bits
        self._cluster: Final[int] = 1 << bits
        # What one L2 table, of a cluster, speaks of.
        self._span: Final = self._cluster * (self._cluster // 8)
        if entries * 8 > _MAX_L1_BYTES or entries < -(-size // self._span):
            raise file.invalid(f"has {entries} tables for a disk of {size} bytes")
        self._entries: Final = entries
        self._l1: Final = self._aligned(l1, "the table of tables")
        self._zeros: Final = version > 2
        self._tables: Final = Tables(file, "big", 8)
        file.require(l1, entries * 8, "the table of tables")

    def _runs(self, begin: int, end: int, account: Account) -> Iterator[Run]:
        first, last = begin // self._span, -(-end // self._span)
        for index, entry in self._tables.present(self._l1, self._entries, (first, last)):
            table = self._aligned(entry & _OFFSET, "a table")
            if not table:
                continue
            account.table(self._cluster)
            base = index * self._span
            low = max(begin - base, 0) >> self._bits
            high = -(-min(end - base, self._span) >> self._bits)
            for cluster, found in self._tables.present(table, self._cluster // 8, (low, high)):
                run = self._run(base + (cluster << self._bits), found)
                if run is not None:
                    yield run

    def _run(self, begin: int, entry: int) -> Run | None:
        end = begin + self._cluster
        if entry & _COMPRESSED:
            split = 70 - self._bits
            at = entry & ((1 << split) - 1)
            sectors = ((entry & (_COMPRESSED - 1)) >> split) + 1
            # The last sector may be cut short by the end of the file.
            packed = min(sectors * 512 - at % 512, self._file.file.size - at)
            if packed <= 0:
                raise self._file.invalid(f"ends before a cluster at byte {at}")
            return Run(begin, end, at, packed)
        if self._zeros and entry & _ZERO:
            return None
        at = self._aligned(entry & _OFFSET, "a cluster")
        return Run(begin, end, at) if at else None

    def _aligned(self, at: int, what: str) -> int:
        if at % self._cluster:
            raise self._file.invalid(f"has {what} at byte {at}, inside a cluster")
        return at

    def _block_begin(self, run: Run) -> int:
        return run.begin >> self._bits << self._bits

    def _unpack(self, run: Run) -> bytes:
        data = self._file.read(run.at, run.packed, "a cluster")
        return self._file.inflate(data, self._cluster, _WINDOW)


def _check_features(file: FileBytes) -> None:
    """Refuse what a reader must know and this one does not."""
    incompatible, _, _, _, length = _FEATURES.unpack(
        file.read(_HEADER.size, _FEATURES.size, "its header")
    )
    if length < _HEADER.size + _FEATURES.size:
        raise file.invalid(f"has a header of {length} bytes")
    if incompatible & _EXTERNAL:
        raise SourceReferenceRefused("the QCOW2 file keeps its data in another file")
    if incompatible & _CORRUPT:
        raise file.invalid("is marked as damaged")
    if incompatible & _DIRTY:
        raise file.invalid("was not closed: stop what uses it, or run qemu-img check -r all")
    if incompatible & _EXTENDED:
        raise file.invalid("has extended L2 entries, which are not read")
    if incompatible & _COMPRESSION:
        raise file.invalid("is compressed with another method than deflate, which is not read")
    if incompatible:
        raise file.invalid(f"has unknown features: {incompatible:#x}")
