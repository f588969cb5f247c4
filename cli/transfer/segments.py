"""Puts the pieces of a stream together into whole segments."""

from collections.abc import Iterator
from typing import Final

from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.errors import CliError
from cli.transfer.sparse import Data, Piece
from cli.transfer.tree import segment_span


class Segments:
    """Takes pieces that follow one another from the beginning of a segment on."""

    def __init__(self, layout: DiskLayout, begin: int) -> None:
        self._layout: Final = layout
        self._at = begin
        self._index = begin // layout.segment_bytes
        self._buffer = bytearray()
        self._restart()

    def _restart(self) -> None:
        begin, end = segment_span(self._layout, self._index)
        # A new one each time: the one before was given away.
        self._buffer = bytearray(max(end - begin, 0))

    def add_data(self, offset: int, data: bytes) -> Iterator[tuple[int, memoryview]]:
        """Take bytes; answer the segments that are complete with them."""
        return self.add(Data(offset, data))

    def add(self, piece: Piece) -> Iterator[tuple[int, memoryview]]:
        """Take a piece; answer the segments that are complete with it.

        Raises:
            CliError: the piece does not follow the one before.
        """
        if piece.offset != self._at or piece.end > self._layout.size_bytes:
            raise CliError(f"The service sent a piece at {piece.offset} in place of {self._at}.")
        while self._at < piece.end:
            begin, end = segment_span(self._layout, self._index)
            stop = min(piece.end, end)
            if isinstance(piece, Data):
                part = piece.data[self._at - piece.offset : stop - piece.offset]
                self._buffer[self._at - begin : stop - begin] = part
            self._at = stop
            if stop == end:
                yield self._index, memoryview(self._buffer)
                self._index += 1
                self._restart()
