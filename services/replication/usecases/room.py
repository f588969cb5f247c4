"""Room in a region: what all that is written into it may take together (`limits.total_bytes`).

What is stored counts, and what is promised to copies and uploads that are under way; a promise is
a row, so that all processes keep the limit together, and ends with the copy or the upload, not
with the process. What waits for collection does not count.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

from services.kernel.errors import Code
from services.replication.content.store import Reservation, Store
from services.replication.domain.failures import CopyFailed, Remedy
from services.replication.domain.region import Region
from services.replication.ports.room import Holder
from services.replication.ports.rows import Tx

# What an upload, which does not say what it will take, is promised at once.
_PIECE: Final = 64 << 20


class NoRoom(CopyFailed):
    """The limit of a region leaves no room: waited for, like that of a store."""

    def __init__(self, location: str, needed: int, free: int) -> None:
        super().__init__(
            "STORE_FULL",
            Code.RESOURCE_EXHAUSTED,
            f"{needed} bytes are needed, and the limit of {location} leaves {free}",
            remedy=Remedy.WAIT,
            metadata={
                "location": location,
                "needed_bytes": str(needed),
                "free_bytes": str(free),
            },
        )


def limit_of(region: Region | None) -> int | None:
    """Answer how many bytes may be in a region altogether, None for as many as fit."""
    return region.limits.total_bytes if region is not None and region.limits else None


def promise(tx: Tx, holder: Holder, least: int, most: int) -> int:
    """Promise a holder between `least` and `most` bytes instead of what it was promised.

    Answers the bytes that are promised. The region is locked: no two holders count on the same.

    Raises:
        NoRoom: `least` are not there.
    """
    limit = limit_of(tx.regions.lock(holder.location))
    if limit is not None:
        others = tx.room.occupied(holder.location) - tx.room.promised(holder)
        free = max(limit - others, 0)
        if least > free:
            raise NoRoom(holder.location, least, free)
        most = min(most, free)
    tx.room.promise(holder, most)
    return most


def require_any(tx: Tx, region: Region) -> None:
    """Raise NoRoom where the limit of a region leaves not a byte."""
    limit = limit_of(region)
    if limit is not None and tx.room.occupied(region.id) >= limit:
        raise NoRoom(region.id, 1, 0)


class PromisedStore:
    """The store of a copy, which asks for room in the region before room in the store."""

    def __init__(self, store: Store, ask: Callable[[int], None]) -> None:
        self._store: Final = store
        self._ask: Final = ask

    def reserve(self, length: int) -> Reservation:
        """Promise `length` bytes; NoRoom, StoreFull."""
        self._ask(length)
        return self._store.reserve(length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class UploadRoom:
    """What one upload may write: asked for in pieces, from any thread."""

    def __init__(self, ask: Callable[[int, int], int]) -> None:
        """`ask` has between so many bytes and so many promised, and answers how many."""
        self._ask: Final = ask
        self._lock: Final = threading.Lock()
        self._spent = 0
        self._left = 0

    @property
    def left(self) -> int:
        """Bytes that are promised and not spent."""
        return self._left

    @property
    def is_used(self) -> bool:
        """Whether anything was promised."""
        return self._left + self._spent > 0

    def take(self, length: int) -> None:
        """Spend so many bytes; NoRoom."""
        with self._lock:
            if self._left < length:
                least = self._spent + length
                self._left = self._ask(least, max(least, self._spent + _PIECE)) - self._spent
            self._left -= length
            self._spent += length

    def settle(self) -> None:
        """Count what was spent as stored from now on."""
        with self._lock:
            self._spent = 0
