"""A file that is being pulled: sparse, verified by segments, renamed when it is complete."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.errors import CliError, ExitCode
from cli.transfer.sparse import extents, is_zero, read_exactly
from cli.transfer.tree import ZERO_DIGEST, segment_count, segment_digest, segment_span


class PartialFile:
    """`<name>.part` beside the file; what it holds from before counts where it is right.

    `digests` are those of the segments; None means that nothing can be verified, and then
    nothing from before counts.
    """

    def __init__(self, path: Path, layout: DiskLayout, digests: list[bytes] | None) -> None:
        self._path: Final = path
        self._part: Final = path.with_name(path.name + ".part")
        self._layout: Final = layout
        self._digests: Final = digests
        self._made: Path | None = None
        self.fd = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self.fd)
            raise CliError(
                f"Another command pulls into {self._path}.", code=ExitCode.CONFLICT
            ) from error
        if self._digests is None:
            os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, self._layout.size_bytes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.fd)

    def missing(self) -> list[int]:
        """The segments that must still be read; what must be zero is made so at once."""
        count = segment_count(self._layout)
        if self._digests is None:
            return list(range(count))
        stored = self._stored()
        found = []
        for index, digest in enumerate(self._digests):
            if digest == ZERO_DIGEST:
                if index in stored:
                    self._clear(index)
            elif index not in stored or self._digest(index) != digest:
                found.append(index)
        return found

    def write(self, index: int, data: memoryview) -> int:
        """Write a whole segment, its zeros as holes where the file has holes.

        Answers how many bytes were written.

        Raises:
            CliError: it is not what it must be; nothing is written.
        """
        if self._digests is not None:
            found = segment_digest(data, self._layout.leaf_bytes)
            if found != self._digests[index]:
                raise CliError(
                    "Bytes were damaged on their way.",
                    why=(f"segment {index} does not have its digest",),
                    todo="Repeat the command; it goes on where it stopped.",
                )
        begin, end = segment_span(self._layout, index)
        # Where the file has bytes from before, zeros must be written over them.
        fresh = next(extents(self.fd, end, begin), None) is None
        leaf = self._layout.leaf_bytes
        written = 0
        for at in range(0, len(data), leaf):
            part = data[at : at + leaf]
            if not (fresh and is_zero(part)):
                self._pwrite(part, begin + at)
                written += len(part)
        return written

    def sync(self) -> None:
        """Bring the content to stable storage."""
        os.fsync(self.fd)

    def append(self, data: bytes) -> None:
        """Put what is no part of the disk behind it; the next pull cuts it off again."""
        self._pwrite(memoryview(data), self._layout.size_bytes)
        self.sync()

    def rewrite(self, write: Callable[[int, int, int], None]) -> None:
        """Make another file of the disk, which gets the name in place of this one.

        `write` is given this file, the size of the disk and the other file.
        """
        made = self._path.with_name(self._path.name + ".new")
        with made.open("wb") as file:
            write(self.fd, self._layout.size_bytes, file.fileno())
            os.fsync(file.fileno())
        self._made = made

    def finish(self) -> None:
        """Give the file its name."""
        if self._made is None:
            self._part.replace(self._path)
        else:
            self._made.replace(self._path)
            self._part.unlink()
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _stored(self) -> set[int]:
        """The segments in which the file has stored bytes."""
        found: set[int] = set()
        size = self._layout.segment_bytes
        for begin, end in extents(self.fd, self._layout.size_bytes):
            found.update(range(begin // size, -(-end // size)))
        return found

    def _digest(self, index: int) -> bytes:
        begin, end = segment_span(self._layout, index)
        return segment_digest(read_exactly(self.fd, begin, end - begin), self._layout.leaf_bytes)

    def _clear(self, index: int) -> None:
        begin, end = segment_span(self._layout, index)
        for at in range(begin, end, self._layout.leaf_bytes):
            length = min(self._layout.leaf_bytes, end - at)
            if not is_zero(read_exactly(self.fd, at, length)):
                self._pwrite(memoryview(bytes(length)), at)

    def _pwrite(self, data: memoryview, offset: int) -> None:
        while data:
            written = os.pwrite(self.fd, data, offset)
            data = data[written:]
            offset += written
