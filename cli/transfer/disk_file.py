"""What a disk is pulled into: which of its bytes are right already, and how others get there."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.transfer.sparse import extents, is_zero, read_exactly
from cli.transfer.tree import ZERO_DIGEST, leaf_digest, segment_count, segment_digest, segment_span


class DiskFile(ABC):
    """The content of a file or a block device; the ones that derive from it open and name it.

    `digests` are those of the segments; None means that nothing can be verified, and then
    nothing from before counts.
    """

    def __init__(self, path: Path, layout: DiskLayout, digests: list[bytes] | None) -> None:
        self.path: Final = path
        self._layout: Final = layout
        self._digests: Final = digests
        self.fd = -1

    def __enter__(self) -> Self:
        self._open()
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
                    self.clear(*segment_span(self._layout, index))
            elif index not in stored or self._digest(index) != digest:
                found.append(index)
        return found

    def holds(self, offset: int, digest: bytes) -> bool:
        """Whether the leaf at `offset` is there already, or is zero and was made so."""
        length = min(self._layout.leaf_bytes, self._layout.size_bytes - offset)
        if digest == ZERO_DIGEST:
            self.put(offset, memoryview(bytes(length)))
            return True
        return leaf_digest(read_exactly(self.fd, offset, length)) == digest

    def put(self, offset: int, leaf: memoryview) -> int:
        """Write a leaf, zeros only over what is not zero; answer how many bytes were written."""
        if is_zero(leaf) and is_zero(read_exactly(self.fd, offset, len(leaf))):
            return 0
        self._pwrite(leaf, offset)
        return len(leaf)

    def clear(self, begin: int, end: int) -> None:
        """Make a range zero that begins and ends at leaves; holes stay holes."""
        leaf = self._layout.leaf_bytes
        for first, last in extents(self.fd, end, begin):
            for at in range(first, last, leaf):
                self.put(at, memoryview(bytes(min(leaf, last - at))))

    def is_begun(self, segments: Iterable[int]) -> bool:
        """Whether there are bytes from before in one of the segments."""
        return not self._stored().isdisjoint(segments)

    def sync(self) -> None:
        """Bring the content to stable storage."""
        os.fsync(self.fd)

    @abstractmethod
    def finish(self) -> None:
        """Show that the disk is complete."""

    @abstractmethod
    def _open(self) -> None:
        """Open what is pulled into."""

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

    def _pwrite(self, data: memoryview, offset: int) -> None:
        while data:
            written = os.pwrite(self.fd, data, offset)
            data = data[written:]
            offset += written
