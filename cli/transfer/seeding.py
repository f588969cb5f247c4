"""Takes leaves from files that are here, so that they need not be moved.

A leaf is known by its digest, wherever it lies: an older version of the disk has most of the
leaves of a newer one, as a raw file, a VHD of fixed size or a QCOW2, whose clusters are leaves.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from cli.transfer.disk_file import DiskFile
from cli.transfer.progress import Meter
from cli.transfer.proof import Proof
from cli.transfer.sparse import CHUNK_BYTES, extents, read_exactly
from cli.transfer.tree import ZERO_DIGEST, leaf_digest

Range = tuple[int, int]
"""Where bytes begin and end."""


def take_leaves(
    file: DiskFile, seeds: Sequence[Path], missing: Sequence[int], proof: Proof, *, meter: Meter
) -> list[Range]:
    """Write what the seeds have of segments; answer what is still missing, by whole leaves.

    What the file itself has already in its place counts as well. The leaves of the segments
    must be known.

    Raises:
        OSError: a seed cannot be read, or the file not written.
    """
    wanted = _Wanted(file, missing, proof, meter)
    with ExitStack() as opened:
        for path in seeds:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, fd)
            wanted.take_from(fd)
    return wanted.left()


class _Wanted:
    """The leaves that nobody has given yet, by digest."""

    def __init__(self, file: DiskFile, missing: Sequence[int], proof: Proof, meter: Meter) -> None:
        self._file: Final = file
        self._meter: Final = meter
        self._layout: Final = proof.layout
        self._places: Final[dict[bytes, list[int]]] = {}
        for index in missing:
            at = index * self._layout.segment_bytes
            for digest in proof.leaves(index):
                if file.holds(at, digest):
                    meter.skip(self._length(at))
                else:
                    self._places.setdefault(digest, []).append(at)
                at += self._layout.leaf_bytes

    def take_from(self, fd: int) -> None:
        """Write each leaf that the seed has wherever it is wanted."""
        leaf = self._layout.leaf_bytes
        for begin, end in extents(fd, os.lseek(fd, 0, os.SEEK_END)):
            for at in range(begin, end, CHUNK_BYTES):
                if not self._places:
                    return
                chunk = memoryview(read_exactly(fd, at, min(CHUNK_BYTES, end - at)))
                for offset in range(0, len(chunk), leaf):
                    self._give(chunk[offset : offset + leaf])

    def _give(self, leaf: memoryview) -> None:
        # What is written is what was hashed, whoever changes the seed meanwhile.
        digest = leaf_digest(leaf)
        if digest == ZERO_DIGEST:
            return
        for at in self._places.pop(digest, ()):
            self._file.put(at, leaf)
            self._meter.seed(len(leaf))

    def left(self) -> list[Range]:
        """What must be moved."""
        places = sorted(at for places in self._places.values() for at in places)
        return joined((at, at + self._length(at)) for at in places)

    def _length(self, at: int) -> int:
        return min(self._layout.leaf_bytes, self._layout.size_bytes - at)


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Ascending ranges, neighbours as one."""
    found: list[Range] = []
    for begin, end in ranges:
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found
