"""One reading that feeds several copies: what one of them fetches, the others of its process get.

Over a network every byte that is read twice is paid for twice; on one machine reading again costs
next to nothing (replication specification 1.1), so that only stores behind a network are read this
way. Of what was fetched last a window is kept (2.9 there): who lags behind it reads for itself, and
the slowest copy never sets the pace.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.replication.content.store import ObjectReader

WINDOW_BYTES: Final = 64 << 20
"""How much is kept for those behind, for all copies of a process together."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Bytes of an object that never change: objects are named by what they hold."""

    store: str
    key: str
    offset: int
    length: int


class _Fetch:
    """A range that is being fetched, or was; without data it could not be."""

    __slots__ = ("data", "done")

    def __init__(self) -> None:
        self.done: Final = threading.Event()
        self.data: bytes | None = None


class SharedReads:
    """The readings of one process. Every method may be called from any thread."""

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self._window: Final = window_bytes
        self._lock: Final = threading.Lock()
        self._kept: Final[OrderedDict[_Range, _Fetch]] = OrderedDict()
        self._held = 0
        self._readers = Counter[str]()

    @contextlib.contextmanager
    def of(self, store: ObjectReader, replica_id: str) -> Iterator[ObjectReader]:
        """Let a copy read a store together with the others that read it at the same time.

        After a copy that failed everything is fetched anew: what was kept may be the reason.
        """
        with self._lock:
            self._readers[replica_id] += 1
        has_failed = True
        try:
            yield _SharedReader(self, store, replica_id)
            has_failed = False
        finally:
            with self._lock:
                self._readers[replica_id] -= 1
                if has_failed or not self._is_shared(replica_id):
                    self._forget(replica_id)
                # Drops the stores that nobody reads.
                self._readers += Counter()

    def read_into(self, store: ObjectReader, wanted: _Range, target: memoryview) -> None:
        """Fill `target` with what another copy fetched, or fetch it; raises what the store does."""
        with self._lock:
            fetch = self._kept.get(wanted)
            mine = None
            if fetch is None and self._is_shared(wanted.store):
                mine = self._keep(wanted)
        if fetch is not None:
            fetch.done.wait()
            if fetch.data is not None:
                target[:] = fetch.data
                return
        try:
            store.read_into(wanted.key, wanted.offset, target)
            if mine is not None:
                mine.data = bytes(target)
        finally:
            if mine is not None:
                mine.done.set()

    def _is_shared(self, replica_id: str) -> bool:
        return self._readers[replica_id] > 1

    def _keep(self, wanted: _Range) -> _Fetch:
        """Make room for a range that is about to be fetched; those who wait for an old one get it.

        The window slides: what was fetched first goes first, however often it was used.
        """
        self._held += wanted.length
        while self._kept and self._held > self._window:
            old, _ = self._kept.popitem(last=False)
            self._held -= old.length
        found = self._kept[wanted] = _Fetch()
        return found

    def _forget(self, replica_id: str) -> None:
        for one in [one for one in self._kept if one.store == replica_id]:
            del self._kept[one]
            self._held -= one.length


class _SharedReader:
    """A store as one copy reads it; see `content.store.ObjectReader`."""

    def __init__(self, reads: SharedReads, store: ObjectReader, replica_id: str) -> None:
        self._reads: Final = reads
        self._store: Final = store
        self._replica_id: Final = replica_id

    def length(self, key: str) -> int | None:
        """Return the length of an object."""
        return self._store.length(key)

    def read(self, key: str, *, limit: int) -> bytes:
        """Return a small object whole."""
        return self._store.read(key, limit=limit)

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        """Fill `target`, from the medium itself where that is asked for."""
        if uncached:
            self._store.read_into(key, offset, target, uncached=True)
        else:
            wanted = _Range(self._replica_id, key, offset, len(target))
            self._reads.read_into(self._store, wanted, target)
