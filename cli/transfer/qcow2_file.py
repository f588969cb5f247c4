"""Writes a disk as QCOW2, version 3: only what is not zero, in one pass, in little memory.

As the QEMU project specifies it; all numbers are big-endian. The header and the table of tables
come first, then the clusters, each table behind those that it names, and the counts last, by when
it is known how many there are. Every cluster is used once.
"""

import os
import struct
import sys
from array import array
from typing import Final

from cli.transfer.sparse import Data, pieces

CLUSTER_BYTES: Final = 64 * 1024

_ENTRIES: Final = CLUSTER_BYTES // 8
_SPAN: Final = CLUSTER_BYTES * _ENTRIES
_COPIED: Final = 1 << 63
_COUNTS: Final = CLUSTER_BYTES // 2
_SECTOR_BYTES: Final = 512
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQII")


def write_qcow2(source: int, size: int, target: int) -> None:
    """Write the first `size` bytes of a file into an empty one.

    A guest sees whole sectors: a last one that is cut short is filled up with zeros.

    Raises:
        OSError: the one cannot be read, or the other not written.
    """
    spans = -(-size // _SPAN)
    tables = array("Q", bytes(8 * spans))
    tables_at = CLUSTER_BYTES
    writer = _Clusters(target, -(-spans * 8 // CLUSTER_BYTES) + 1)
    table = array("Q")
    span = -1
    for piece in pieces(source, size):
        if not isinstance(piece, Data):
            continue
        for at in range(0, len(piece.data), CLUSTER_BYTES):
            index, entry = divmod((piece.offset + at) // CLUSTER_BYTES, _ENTRIES)
            if index != span:
                if table:
                    tables[span] = writer.add(_bytes(table)) | _COPIED
                table, span = array("Q", bytes(CLUSTER_BYTES)), index
            cluster = piece.data[at : at + CLUSTER_BYTES]
            table[entry] = writer.add(cluster) | _COPIED
    if table:
        tables[span] = writer.add(_bytes(table)) | _COPIED
    counts_at, clusters = writer.count()
    _pwrite(target, _bytes(tables), tables_at)
    header = _HEADER.pack(
        *(b"QFI\xfb", 3, 0, 0, CLUSTER_BYTES.bit_length() - 1),
        *(size + -size % _SECTOR_BYTES, 0, spans, tables_at, counts_at, clusters),
        # No snapshots, no features, counts of 16 bits, the length of this.
        *(0, 0, 0, 0, 0, 4, _HEADER.size),
    )
    _pwrite(target, header, 0)


class _Clusters:
    """Appends clusters to a file whose first ones are kept free."""

    def __init__(self, target: int, first: int) -> None:
        self._target: Final = target
        self._next = first

    def add(self, data: bytes) -> int:
        """Write at most a cluster; answer where it is."""
        at = self._next * CLUSTER_BYTES
        _pwrite(self._target, data, at)
        self._next += 1
        return at

    def count(self) -> tuple[int, int]:
        """Write that every cluster is used once; answer the table of it, and its clusters."""
        blocks = tables = 0
        # What is counted includes the counts.
        while True:
            used = self._next + blocks + tables
            needed = -(-used // _COUNTS)
            if needed == blocks and -(-needed * 8 // CLUSTER_BYTES) == tables:
                break
            blocks, tables = needed, -(-needed * 8 // CLUSTER_BYTES)
        one = struct.pack(">H", 1)
        places = array("Q")
        for block in range(blocks):
            counted = min(used - block * _COUNTS, _COUNTS)
            places.append(self.add(one * counted))
        at = self._next * CLUSTER_BYTES
        for begin in range(0, len(places), _ENTRIES):
            self.add(_bytes(places[begin : begin + _ENTRIES]))
        # All of the last cluster is the file's.
        os.ftruncate(self._target, self._next * CLUSTER_BYTES)
        return at, tables


def _bytes(numbers: "array[int]") -> bytes:
    found = array("Q", numbers)
    if sys.byteorder == "little":
        found.byteswap()
    return found.tobytes()


def _pwrite(target: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(target, left, offset)
        left = left[written:]
        offset += written
