"""Where the bytes of a disk come from when nobody has hashed them yet.

Holes are never read: extents come from the file system, and zeros are looked for inside data
alone. A source is pinned at its first touch and checked again at its end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from services.replication.content.buffers import LeafRun
from services.replication.content.digests import (
    LEAF_BYTES,
    LEAVES_PER_SEGMENT,
    SEGMENT_BYTES,
    leaf_count,
)
from services.replication.content.errors import (
    DataError,
    SourceChanged,
    SourceMissing,
    SourceUnavailable,
)


class Source(Protocol):
    """A disk that can be read by ranges from many threads."""

    @property
    def size(self) -> int:
        """The logical size in bytes."""

    @property
    def pin(self) -> str:
        """What identifies the state of the source; equal pins mean equal bytes."""

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield (offset, end) of the data from byte `start`, ascending, not touching holes."""

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset`; SourceChanged where the source ends early."""

    def check(self) -> None:
        """Raise SourceChanged unless the source is still in the state of its pin."""

    def close(self) -> None:
        """Let go of the source."""


# What opens a file that is to be read and no more; one that is no file must not block.
OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# What says that nothing which could be a source has the name; a link is never followed.
_ABSENT: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
)


class FileSource:
    """The bytes of a regular file or a block device."""

    def __init__(self, path: str, *, opener: Callable[[], int] | None = None) -> None:
        """Open and pin `path`, whose last part must not be a symbolic link.

        `opener` returns a descriptor of what has the name now, where it is not to be found from
        the working directory; `path` is then what it is called in errors.

        Raises:
            SourceMissing: nothing that could be read has the name.
            SourceUnavailable: it cannot be opened.
        """
        self._path: Final = path
        self._opener: Final = opener or (lambda: os.open(path, OPEN_FLAGS))
        try:
            self._fd = self._opener()
        except OSError as error:
            raise _unopened(path, error) from error
        found = os.fstat(self._fd)
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISBLK(found.st_mode)):
            os.close(self._fd)
            raise SourceMissing(f"{path} is neither a regular file nor a block device")
        self._sparse = stat.S_ISREG(found.st_mode)
        self.size: Final = found.st_size if self._sparse else os.lseek(self._fd, 0, os.SEEK_END)
        self.pin: Final = self._state(found)

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield the data extents from `start`; one for all where holes cannot be asked for."""
        offset = start
        while offset < self.size:
            try:
                begin = os.lseek(self._fd, offset, os.SEEK_DATA) if self._sparse else offset
                end = os.lseek(self._fd, begin, os.SEEK_HOLE) if self._sparse else self.size
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                if error.errno != errno.EINVAL:
                    raise SourceUnavailable(f"cannot walk {self._path}: {error}") from error
                begin, end = offset, self.size
            yield begin, min(end, self.size)
            offset = end

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset`."""
        done = 0
        while done < len(target):
            try:
                got = os.preadv(self._fd, [target[done:]], offset + done)
            except OSError as error:
                raise SourceUnavailable(f"cannot read {self._path}: {error.strerror}") from error
            if got == 0:
                raise SourceChanged(f"{self._path} has become shorter")
            done += got

    def check(self) -> None:
        """Compare what the path and the open file are now with what they were.

        Raises:
            SourceChanged: another state, or another file.
            SourceMissing: no file has the name any more.
        """
        try:
            named = self._opener()
        except OSError as error:
            raise _unopened(self._path, error) from error
        try:
            states = {self._state(os.fstat(self._fd)), self._state(os.fstat(named))}
        finally:
            os.close(named)
        if states != {self.pin}:
            raise SourceChanged(f"{self._path} was changed while it was copied")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _state(self, found: os.stat_result) -> str:
        # Without the device, whose number may be another after a restart of the machine.
        size = found.st_size if self._sparse else self.size
        parts = (found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)
        state = ":".join(str(part) for part in parts)
        return hashlib.blake2b(state.encode(), digest_size=16).hexdigest()


def _unopened(path: str, error: OSError) -> DataError:
    if error.errno in _ABSENT:
        return SourceMissing(f"there is no {path}")
    return SourceUnavailable(f"cannot open {path}: {error.strerror}")


@dataclass(frozen=True, slots=True)
class SourceSegment:
    """A segment with data: the leaves that may be other than zero."""

    index: int
    runs: tuple[LeafRun, ...]

    def data_bytes(self, size: int) -> int:
        """Return the bytes of those leaves on a disk of `size` bytes."""
        base = self.index * SEGMENT_BYTES
        return sum(
            min(run.count * LEAF_BYTES, size - base - run.first * LEAF_BYTES) for run in self.runs
        )


def source_segments(source: Source, start: int = 0) -> Iterator[SourceSegment]:
    """Yield the segments of a source that have data, from segment `start` on."""
    index = -1
    runs: list[LeafRun] = []
    for begin, end in source.extents(start * SEGMENT_BYTES):
        leaf, last = begin // LEAF_BYTES, leaf_count(end)
        while leaf < last:
            segment, first = divmod(leaf, LEAVES_PER_SEGMENT)
            count = min(last - leaf, LEAVES_PER_SEGMENT - first)
            if segment != index:
                if runs:
                    yield SourceSegment(index, tuple(runs))
                index, runs = segment, []
            _add_run(runs, first, count)
            leaf += count
    if runs:
        yield SourceSegment(index, tuple(runs))


def _add_run(runs: list[LeafRun], first: int, count: int) -> None:
    # Two extents may meet inside one leaf, which is then read once.
    if runs and first <= runs[-1].first + runs[-1].count:
        known = runs[-1]
        runs[-1] = LeafRun(known.first, max(known.count, first + count - known.first))
        return
    runs.append(LeafRun(first, count))
