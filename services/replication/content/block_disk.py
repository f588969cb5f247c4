"""Disks that lie in a file block by block, behind tables that say where.

What the formats have in common: nothing in a file is believed. Every range is checked against
the end of the file before it is read, tables are read in pages of which few are kept, and what
the tables speak of may not add up to more than the file can hold. A damaged or hostile file ends
in SourceFormatInvalid, whatever its numbers are, and costs no memory that grows with them.
"""

from __future__ import annotations

import abc
import functools
import sys
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from services.replication.content.errors import SourceFormatInvalid
from services.replication.content.source import Source

SECTOR_BYTES: Final = 512
MAX_DISK_BYTES: Final = 1 << 50
"""Larger disks than any version may have, so that those are told as too large and not as broken."""
MAX_PACKED_BYTES: Final = 2 << 20
"""The largest block that is unpacked in memory."""

# No deflate stream unpacks to more than this many times its length.
_MOST_PACKED: Final = 1032
# 128 pages of at most 32 KiB are kept of the tables of one file.
_PAGE_ENTRIES: Final = 4096
_PAGES: Final = 128


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes [begin, end) of the disk, which lie in the file from byte `at`.

    `packed` is not 0 where they are compressed: the bytes of the file to unpack them from.
    """

    begin: int
    end: int
    at: int
    packed: int = 0


class FileBytes:
    """The bytes of a file of a format; what does not lie in it is told as damage of the format."""

    def __init__(self, file: Source, form: str) -> None:
        self.file: Final = file
        self.form: Final = form

    def invalid(self, detail: str) -> SourceFormatInvalid:
        """Build the error for what is wrong with the file."""
        return SourceFormatInvalid(f"the {self.form} file {detail}", found=self.form)

    def require(self, at: int, length: int, what: str) -> None:
        """Raise SourceFormatInvalid unless a range lies in the file."""
        if at < 0 or at + length > self.file.size:
            raise self.invalid(f"ends before {what}, {length} bytes from byte {at}")

    def read(self, at: int, length: int, what: str) -> bytes:
        """Read a range; `length` is bounded by the caller."""
        self.require(at, length, what)
        data = bytearray(length)
        self.file.read_into(at, memoryview(data))
        return bytes(data)

    def inflate(self, data: bytes, size: int, window: int) -> bytes:
        """Unpack a deflate stream to exactly `size` bytes, never to more."""
        stream = zlib.decompressobj(window)
        try:
            found = stream.decompress(data, size)
        except zlib.error as error:
            raise self.invalid(f"has a block that cannot be unpacked: {error}") from error
        if len(found) != size:
            raise self.invalid(f"has a block of {len(found)} bytes for one of {size}")
        return found


class Tables:
    """Tables of 4 or 8 byte numbers in a file, read by pages."""

    def __init__(
        self, file: FileBytes, order: Literal["big", "little"], width: Literal[4, 8]
    ) -> None:
        self._file: Final = file
        self._swapped: Final = order != sys.byteorder
        self._code: Final = "I" if width == 4 else "Q"
        self._width: Final = width
        # Kept by this object alone, and safe to use from many threads.
        self._page: Final = functools.lru_cache(_PAGES)(self._load)

    def present(
        self, at: int, count: int, span: tuple[int, int], *, absent: int = 0
    ) -> Iterator[tuple[int, int]]:
        """Yield (index, value) of a table of `count` entries at byte `at`.

        Only those from `span[0]` to before `span[1]`, and those that are `absent` left out.

        Raises:
            SourceFormatInvalid: the table does not lie in the file.
        """
        first, last = span[0], min(span[1], count)
        while first < last:
            page = first // _PAGE_ENTRIES * _PAGE_ENTRIES
            stop = min(page + _PAGE_ENTRIES, last)
            entries = self._page(at + page * self._width, min(_PAGE_ENTRIES, count - page))
            if entries.count(absent) != len(entries):
                for index in range(first, stop):
                    value = entries[index - page]
                    if value != absent:
                        yield index, value
            first = stop

    def _load(self, at: int, count: int) -> array[int]:
        found = array(self._code, self._file.read(at, count * self._width, "a table"))
        if self._swapped:
            found.byteswap()
        return found


class Account:
    """What a walk over the tables has met, against what the file can hold."""

    def __init__(self, file: FileBytes) -> None:
        self._file: Final = file
        self._met = 0

    def table(self, length: int) -> None:
        """Count a table."""
        self._add(length)

    def run(self, run: Run) -> None:
        """Count a run of bytes."""
        length = run.end - run.begin
        self._add(length // _MOST_PACKED if run.packed else length)

    def _add(self, length: int) -> None:
        self._met += length
        if self._met > self._file.file.size:
            raise self._file.invalid("refers to the same bytes more than once")


class BlockDisk(abc.ABC):
    """The disk in such a file, as a source of its own; the file is closed by who opened it."""

    def __init__(self, file: FileBytes, size: int) -> None:
        """Check the size of the disk, in bytes.

        Raises:
            SourceFormatInvalid: no disk can have it.
        """
        if size <= 0 or size % SECTOR_BYTES or size > MAX_DISK_BYTES:
            raise file.invalid(f"speaks of a disk of {size} bytes")
        self._file: Final = file
        self.size: Final = size
        self.pin: Final = f"{file.form.lower()} {file.file.pin}"

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield the allocated parts of the disk; blocks said to be zero are none.

        Raises:
            SourceFormatInvalid: a table is damaged. What reading the file raises.
        """
        begin = end = start
        account = Account(self._file)
        for run in self._clipped(start, self.size, account):
            account.run(run)
            if run.begin != end:
                if begin < end:
                    yield begin, end
                begin = run.begin
            end = run.end
        if begin < end:
            yield begin, end

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset`.

        Raises:
            SourceFormatInvalid: a table or a block is damaged. What reading the file raises.
        """
        done = offset
        stop = offset + len(target)
        for run in self._joined(offset, stop):
            _clear(target[done - offset : run.begin - offset])
            self._fill(run, target[run.begin - offset : run.end - offset])
            done = run.end
        _clear(target[done - offset :])

    def check(self) -> None:
        """Raise SourceChanged unless the file is what it was."""
        self._file.file.check()

    def close(self) -> None:  # noqa: B027
        """Do nothing: who opened the file closes it."""

    @abc.abstractmethod
    def _runs(self, begin: int, end: int, account: Account) -> Iterator[Run]:
        """Yield the blocks with bytes that touch [begin, end), whole and ascending."""

    def _unpack(self, run: Run) -> bytes:
        """Answer the bytes of the compressed block that `run` is, or is a part of."""
        raise self._file.invalid(f"has a compressed block at byte {run.at}")

    def _block_begin(self, run: Run) -> int:
        """Answer where on the disk the compressed block of a run begins."""
        return run.begin

    def _fill(self, run: Run, target: memoryview) -> None:
        if run.packed:
            begin = run.begin - self._block_begin(run)
            target[:] = self._unpack(run)[begin : begin + len(target)]
            return
        self._file.require(run.at, len(target), "a block")
        self._file.file.read_into(run.at, target)

    def _clipped(self, begin: int, end: int, account: Account) -> Iterator[Run]:
        for run in self._runs(begin, end, account):
            low, high = max(run.begin, begin), min(run.end, end)
            if low < high:
                at = run.at if run.packed else run.at + low - run.begin
                yield replace(run, begin=low, end=high, at=at)

    def _joined(self, begin: int, end: int) -> Iterator[Run]:
        """Yield the runs of a range; what lies side by side on both sides is one."""
        held: Run | None = None
        for run in self._clipped(begin, end, Account(self._file)):
            if held is not None:
                if self._adjoin(held, run):
                    held = replace(held, end=run.end)
                    continue
                yield held
            held = run
        if held is not None:
            yield held

    def _adjoin(self, held: Run, run: Run) -> bool:
        return (
            not (held.packed or run.packed)
            and held.end == run.begin
            and held.at + (held.end - held.begin) == run.at
        )


def _clear(target: memoryview) -> None:
    if len(target):
        target[:] = bytes(len(target))
