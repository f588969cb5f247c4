"""Limits on the bytes that are written into one region, and read by a scrub."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from services.replication.content.store import PutOutcome, Store, Window


class TokenBucket:
    """Lets `rate` bytes per second pass, and at most one second's worth at once."""

    def __init__(self, rate: int) -> None:
        self._lock: Final = threading.Lock()
        self._rate = rate
        self._free_at = time.monotonic()

    def set_rate(self, rate: int) -> None:
        """Change the limit; it holds from the next piece on."""
        with self._lock:
            self._rate = rate

    def take(self, length: int) -> None:
        """Wait until `length` bytes may pass. Pieces longer than a second's worth pass late."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1.0) + length / self._rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)


class Bucket(Protocol):
    """Lets bytes pass at a rate."""

    def take(self, length: int) -> None:
        """Wait until `length` bytes may pass."""


class Flow(Protocol):
    """Counts what goes into regions, over all processes."""

    def take(self, location: str, seconds: float) -> float:
        """Let so much pass as a region takes in `seconds`; answer how many to wait for it."""


class RegionBucket:
    """Lets `rate` bytes per second pass into a region, by all processes together.

    At least a quarter of a second's worth is asked for at once: many small pieces are no load for
    the database. What a process does not use of it is lost to the others until it goes on.
    """

    def __init__(self, flow: Flow, location: str, rate: int) -> None:
        self._flow: Final = flow
        self._location: Final = location
        self._lock: Final = threading.Lock()
        self._rate = rate
        self._left = 0

    def set_rate(self, rate: int) -> None:
        """Change the limit; it holds from the next piece on."""
        with self._lock:
            self._rate = rate

    def take(self, length: int) -> None:
        """Wait until `length` bytes may pass; Unavailable while the database is away."""
        wait = 0.0
        with self._lock:
            missing = length - self._left
            if missing > 0:
                more = max(missing, self._rate // 4)
                wait = self._flow.take(self._location, more / self._rate)
                self._left += more
            self._left -= length
        if wait > 0:
            time.sleep(wait)


class ThrottledStore:
    """A store whose windows take their bytes from a bucket; all else goes through."""

    def __init__(self, store: Store, bucket: Bucket) -> None:
        self._store: Final = store
        self._bucket: Final = bucket

    def begin(self, task: str) -> Window:
        """Begin a window that waits for its bytes."""
        return ThrottledWindow(self._store.begin(task), self._bucket)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class ThrottledWindow:
    """A window that waits before each object."""

    def __init__(self, window: Window, bucket: Bucket) -> None:
        self._window: Final = window
        self._bucket: Final = bucket

    def put(self, key: str, parts: Sequence[memoryview], *, aligned: bool = False) -> PutOutcome:
        """Put an object once its bytes may pass."""
        self._bucket.take(sum(len(part) for part in parts))
        return self._window.put(key, parts, aligned=aligned)

    def commit(self) -> None:
        """Make the window durable."""
        self._window.commit()

    def __enter__(self) -> Self:
        self._window.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._window.__exit__(kind, error, trace)
