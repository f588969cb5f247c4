"""Tells the watchers of one process what happens to replications.

One thread looks at the database for all of them: what has become new is read once, and handed to
everybody who watches that replication. Nothing is kept here that is not in the database, so a
watch goes on after a restart of the server as if nothing had been (replication.md 2.11).
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from services.kernel.errors import ResourceExhausted
from services.replication.domain.events import Event
from services.replication.domain.snapshots import ReplicationView
from services.replication.ports.rows import UnitOfWork
from services.replication.usecases.reading import view_in

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY: Final = 0.1
QUEUED: Final = 4096
BATCH: Final = 512


class Watcher:
    """One stream. Its fields are touched by the loop alone."""

    __slots__ = ("events", "overflowed", "ready", "view")

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self.view: ReplicationView | None = None
        self.ready: Final = asyncio.Event()
        self.overflowed = False

    def push(self, events: Sequence[Event], view: ReplicationView | None) -> None:
        """Take what is new; progress that was not sent yet is replaced.

        Once something was dropped nothing follows: a stream has no gaps.
        """
        if self.overflowed or len(self.events) + len(events) > QUEUED:
            self.overflowed = True
        else:
            self.events.extend(events)
        self.view = view or self.view
        self.ready.set()

    def check(self, sequence: int) -> None:
        """Refuse to go on once a transition was dropped; `sequence` was sent last.

        Raises:
            ResourceExhausted: WATCHER_TOO_SLOW.
        """
        if self.overflowed:
            raise ResourceExhausted(
                f"the watcher is too slow; resume after sequence {sequence}",
                reason="WATCHER_TOO_SLOW",
                metadata={"sequence": str(sequence)},
            )


class _Topic:
    """A replication that is watched, and how far its watchers have been told."""

    __slots__ = ("progress", "sequence", "watchers")

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.progress = -1
        self.watchers: set[Watcher] = set()


class WatchHub:
    """Looks at the database while anybody watches; made on the running loop."""

    def __init__(
        self, rows: UnitOfWork, probe: Callable[[], int | None], *, interval: float = LOOK_EVERY
    ) -> None:
        """`probe` answers a number that changes with every commit, None where there is none."""
        self._rows: Final = rows
        self._probe: Final = probe
        self._interval: Final = interval
        self._loop: Final = asyncio.get_running_loop()
        self._readers: Final = ThreadPoolExecutor(4, thread_name_prefix="watch")
        self._lock: Final = threading.Lock()
        self._topics: Final[dict[str, _Topic]] = {}
        self._waiting: Final[dict[str, set[Watcher]]] = {}
        self._known: dict[str, frozenset[tuple[str, int]]] = {}
        self._head: tuple[str, int] | None = None
        self._busy: Final = threading.Event()
        self._joined: Final = threading.Event()
        self._closed: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="watch-hub", daemon=True)
        self._thread.start()

    async def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Run a function that reads on a thread."""
        return await self._loop.run_in_executor(self._readers, fn, *args)

    def join(self, replication: str, watcher: Watcher, sequence: int) -> int:
        """Begin to tell a watcher of what follows the answered sequence.

        What lies between `sequence` and the answer has been told to others already: the watcher
        reads it by itself.
        """
        with self._lock:
            if replication not in self._topics:
                self._topics[replication] = _Topic(sequence)
                # What was committed since that sequence was read may be the last for long.
                self._joined.set()
            topic = self._topics[replication]
            topic.watchers.add(watcher)
            self._busy.set()
            return topic.sequence

    def leave(self, replication: str, watcher: Watcher) -> None:
        """Stop telling a watcher."""
        with self._lock:
            topic = self._topics.get(replication)
            if topic is not None:
                topic.watchers.discard(watcher)
                if not topic.watchers:
                    del self._topics[replication]

    def wait_for_change(self, name_key: str, watcher: Watcher) -> None:
        """Wake a watcher, once, when a version of that name has another replication."""
        with self._lock:
            self._waiting.setdefault(name_key, set()).add(watcher)
            self._busy.set()

    def forget(self, name_key: str, watcher: Watcher) -> None:
        """Let go of a watcher that waited for a change."""
        with self._lock:
            waiting = self._waiting.get(name_key, set())
            waiting.discard(watcher)
            if not waiting:
                self._waiting.pop(name_key, None)

    def close(self) -> None:
        """End the threads; streams are ended by the server."""
        self._closed.set()
        self._busy.set()
        self._thread.join()
        self._readers.shutdown(wait=False)

    def _run(self) -> None:
        seen: int | None = None
        while not self._closed.is_set():
            self._busy.wait()
            with self._lock:
                if not self._topics and not self._waiting:
                    self._busy.clear()
                    continue
            try:
                found = self._probe()
                if found is None or found != seen or self._joined.is_set():
                    self._joined.clear()
                    self._look()
                    seen = found
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                _LOG.exception("replications cannot be watched now")
                seen = None
                self._closed.wait(1.0)
            self._closed.wait(self._interval)

    def _look(self) -> None:
        with self._lock:
            watched = list(self._topics)
        self._wake_waiting()
        for start in range(0, len(watched), BATCH):
            ids = watched[start : start + BATCH]
            for mark in self._marks(ids):
                self._tell(*mark)

    def _wake_waiting(self) -> None:
        """Wake who waits for a replication, where the feed tells of something new.

        Whoever begins to wait reads the database after that, so nothing is missed in between. The
        names are looked up once for all who wait: of thousands, none reads for itself.
        """
        head = self._rows.read(lambda tx: tx.feed.head())
        if head == self._head:
            return
        self._head = head
        with self._lock:
            names = list(self._waiting)
        marks: dict[str, frozenset[tuple[str, int]]] = {}
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            found = self._rows.read(lambda tx: tx.versions.marks(batch))  # noqa: B023
            marks |= {name: found.get(name, frozenset()) for name in batch}
        changed = [name for name in names if self._known.get(name) != marks[name]]
        self._known = marks
        with self._lock:
            waiting = [one for name in changed for one in self._waiting.pop(name, ())]
        for watcher in waiting:
            self._loop.call_soon_threadsafe(watcher.ready.set)

    def _marks(self, ids: Sequence[str]) -> Sequence[tuple[str, int, int]]:
        return self._rows.read(lambda tx: tx.replications.marks(ids))

    def _events(self, replication: str, after: int) -> Sequence[Event]:
        return self._rows.read(lambda tx: tx.replications.events_after(replication, after, BATCH))

    def _tell(self, replication: str, sequence: int, progress: int) -> None:
        with self._lock:
            topic = self._topics.get(replication)
            if topic is None or (topic.sequence, topic.progress) == (sequence, progress):
                return
            known, figures = topic.sequence, topic.progress
        events: list[Event] = []
        while known < sequence and (batch := self._events(replication, known)):
            events += batch
            known = batch[-1].sequence
        view = (
            self._rows.snapshot(lambda tx: view_in(tx, replication))
            if figures != progress
            else None
        )
        with self._lock:
            topic = self._topics.get(replication)
            if topic is None:
                return
            new = [event for event in events if event.sequence > topic.sequence]
            topic.sequence = max(topic.sequence, known)
            topic.progress = progress
            watchers = list(topic.watchers)
            # Under the lock, so that whoever joins later knows these as told.
            for watcher in watchers:
                self._loop.call_soon_threadsafe(watcher.push, new, view)
