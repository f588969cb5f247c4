"""Room in a store promised to tasks, so that two of them do not count on the same bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from services.replication.content.errors import StoreFull


class Reservations:
    """The promises of one process for one store; `margin` bytes are never promised."""

    def __init__(self, free_bytes: Callable[[], int | None], margin: int) -> None:
        self._free_bytes = free_bytes
        self._margin = margin
        self._lock = threading.Lock()
        self._promised = 0

    def reserve(self, length: int) -> Reserved:
        """Promise `length` bytes; StoreFull where they are not there."""
        with self._lock:
            free = self._free_bytes()
            if length and free is not None:
                room = free - self._promised - self._margin
                if length > room:
                    raise StoreFull(f"{length} bytes are needed and {max(room, 0)} can be had")
            self._promised += length
        return Reserved(self, length)

    def free_bytes(self) -> int | None:
        """Return what can still be promised."""
        free = self._free_bytes()
        return None if free is None else max(free - self._promised - self._margin, 0)

    def give_back(self, length: int) -> None:
        """Take `length` bytes out of the promises."""
        with self._lock:
            self._promised -= length


class Reserved:
    """One promise."""

    def __init__(self, owner: Reservations, length: int) -> None:
        self._owner = owner
        self._left = length

    def use(self, length: int) -> None:
        """Tell that bytes of the promise are written: the free space shows them from now on."""
        used = min(length, self._left)
        self._left -= used
        self._owner.give_back(used)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.use(self._left)
