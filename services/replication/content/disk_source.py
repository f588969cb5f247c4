"""A disk that a store holds, read as a source: for content that is not replicated as it lies there.

The one case is an uploaded file of a format with more in it than the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.replication.content.digests import SEGMENT_BYTES, segment_length
from services.replication.content.reader import Data, DiskReader


class DiskSource:
    """A hashed disk as a source. It cannot change, since its pin is its root."""

    def __init__(self, reader: DiskReader) -> None:
        self._reader: Final = reader
        self.size: Final = reader.manifest.header.logical_size
        self.pin: Final = f"disk {reader.manifest.root.hex()}"

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield the segments from `start` that are not holes."""
        for segment in self._reader.manifest.segments(start // SEGMENT_BYTES):
            begin = segment.index * SEGMENT_BYTES
            yield max(begin, start), begin + segment_length(self.size, segment.index)

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset` with verified bytes.

        Raises:
            ObjectCorrupt, ObjectMissing, and what the store raises.
        """
        for piece in self._reader.read(offset, len(target)):
            begin = piece.offset - offset
            end = begin + piece.length
            target[begin:end] = piece.data if isinstance(piece, Data) else bytes(piece.length)

    def check(self) -> None:
        """Do nothing: every leaf is verified when it is read."""

    def close(self) -> None:
        """Do nothing: the store stays open."""
