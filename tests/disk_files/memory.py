"""A file in memory that notes what is read of it."""

from collections.abc import Iterator


class MemoryFile:
    """A source of these bytes; it fails where anything is read behind its end."""

    def __init__(self, data: bytes, *, size: int | None = None) -> None:
        """With `size` the bytes are followed by zeros, which take no memory."""
        self._data = data
        self.size = len(data) if size is None else size
        self.pin = "memory"
        self.read_bytes = 0
        self.largest = 0

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield all of it."""
        if start < self.size:
            yield start, self.size

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset`."""
        assert 0 <= offset <= offset + len(target) <= self.size
        self.read_bytes += len(target)
        self.largest = max(self.largest, len(target))
        target[:] = self._data[offset : offset + len(target)].ljust(len(target), b"\0")

    def check(self) -> None:
        """Do nothing: it does not change."""

    def close(self) -> None:
        """Do nothing."""
