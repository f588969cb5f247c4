"""Reads disks with holes: what is zero is told as a length, whether stored or not."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

CHUNK_BYTES: Final = 1024 * 1024
"""The most bytes in one piece of data; UploadBlob takes pieces of this size fastest."""

_GRAIN: Final = 64 * 1024
_ZEROS: Final = bytes(CHUNK_BYTES)


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes from `offset`, not all of them zero."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Where the piece ends."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class Zeros:
    """`length` zero bytes from `offset`."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Where the piece ends."""
        return self.offset + self.length


Piece = Data | Zeros


def pieces(fd: int, size: int, start: int = 0) -> Iterator[Piece]:
    """The bytes [start, size) of a file as pieces without a gap; neighbouring zeros are one.

    Data comes in pieces of at most 1 MiB, none of which crosses a multiple of 1 MiB.

    Raises:
        OSError: the file cannot be read, or became shorter.
    """
    done = start
    for piece in _data(fd, size, start):
        if piece.offset > done:
            yield Zeros(done, piece.offset - done)
        yield piece
        done = piece.end
    if done < size:
        yield Zeros(done, size - done)


def _data(fd: int, size: int, start: int) -> Iterator[Data]:
    for begin, end in extents(fd, size, start):
        at = begin
        while at < end:
            stop = min(end, at - at % CHUNK_BYTES + CHUNK_BYTES)
            chunk = read_exactly(fd, at, stop - at)
            yield from _without_zeros(at, chunk)
            at = stop


def extents(fd: int, size: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where a file has stored bytes, widened to multiples of 64 KiB and joined.

    A file system that does not tell holes calls the whole file one extent; so is a block device.
    """
    at = start
    pending: tuple[int, int] | None = None
    while at < size:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # Nothing but a hole follows.
            if error.errno != errno.EINVAL:
                raise
            begin, end = at, size  # A block device knows of no holes.
        if begin >= size:
            break  # What follows lies behind the part that is asked for.
        begin = max(begin - begin % _GRAIN, start)
        end = min(end + -end % _GRAIN, size)
        if pending is not None and begin <= pending[1]:
            pending = (pending[0], max(end, pending[1]))
        else:
            if pending is not None:
                yield pending
            pending = (begin, end)
        at = end
    if pending is not None:
        yield pending


def _without_zeros(offset: int, chunk: bytes) -> Iterator[Data]:
    """The runs of a chunk that are not zero, by grains of 64 KiB."""
    begin: int | None = None
    for at in range(0, len(chunk), _GRAIN):
        if is_zero(chunk[at : at + _GRAIN]):
            if begin is not None:
                yield Data(offset + begin, chunk[begin:at])
                begin = None
        elif begin is None:
            begin = at
    if begin is not None:
        yield Data(offset + begin, chunk[begin:])


def is_zero(data: bytes | memoryview) -> bool:
    """Whether all of at most 1 MiB is zero."""
    # Comparing ends at the first byte that differs, in C.
    return data == _ZEROS[: len(data)]


def read_exactly(fd: int, offset: int, length: int) -> bytes:
    """Read `length` bytes at `offset`.

    Raises:
        OSError: the file ends before.
    """
    found = os.pread(fd, length, offset)
    if len(found) == length:
        return found
    parts = [found]
    missing = length - len(found)
    while missing:
        part = os.pread(fd, missing, offset + length - missing)
        if not part:
            raise OSError(errno.EIO, "the file became shorter while it was read")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


class Digests:
    """BLAKE3 and, where it is wanted, SHA-256 of a whole disk, zeros included."""

    def __init__(self, *, sha256: bool = False) -> None:
        self._blake3: Final = blake3(max_threads=blake3.AUTO)
        self._sha256: Final = hashlib.sha256() if sha256 else None

    def add(self, piece: Piece) -> None:
        """Add the next piece."""
        if isinstance(piece, Data):
            self._update(piece.data)
            return
        left = piece.length
        while left:
            part = _ZEROS[: min(left, CHUNK_BYTES)]
            self._update(part)
            left -= len(part)

    def _update(self, data: bytes) -> None:
        self._blake3.update(data)
        if self._sha256 is not None:
            self._sha256.update(data)

    @property
    def blake3(self) -> bytes:
        """BLAKE3 over what was added."""
        return self._blake3.digest()

    def named(self) -> dict[str, str]:
        """The digests in hexadecimal, by name."""
        found = {"blake3": self._blake3.hexdigest()}
        if self._sha256 is not None:
            found["sha256"] = self._sha256.hexdigest()
        return found


def digests_of(
    fd: int, size: int, *, sha256: bool = False, on_piece: Callable[[Piece], None] | None = None
) -> Digests:
    """The digests of a file's first `size` bytes."""
    found = Digests(sha256=sha256)
    for piece in pieces(fd, size):
        found.add(piece)
        if on_piece is not None:
            on_piece(piece)
    return found
