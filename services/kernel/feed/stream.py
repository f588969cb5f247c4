"""The serving side of a change feed: one reader of the log for any number of streams.

A thread looks at the log's cheap probe; what was appended is read once, encoded once and given
to every stream. A stream that falls behind its bounded queue loses nothing and costs nothing:
it goes back to reading the log by itself.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from services.kernel.feed.log import FeedEntry, FeedHead

LOOK_EVERY: Final = 0.02
HEARTBEAT_EVERY: Final = 1.0
QUEUED: Final = 1024
BATCH: Final = 512

_LOG = logging.getLogger(__name__)


class Log(Protocol):
    """What is read of a log; each call may come from another thread."""

    def probe(self) -> object:
        """Answer something that differs once anything was appended; cheap."""

    def head(self) -> FeedHead:
        """Answer the newest position."""

    def read_after(self, position: int, limit: int, epoch: int | None) -> Sequence[FeedEntry]:
        """Answer what follows a position, as `FeedLog.read_after` does.

        Raises:
            PositionCompacted: no longer held, or of another epoch.
            OutOfRange: the position was never given out.
        """


@dataclass(frozen=True, slots=True)
class Codec:
    """How entries become messages, each encoded once for all streams.

    `conflate` may leave out entries that a later one of the same batch makes meaningless; the
    last of a batch always stays.
    """

    entry: Callable[[FeedEntry], bytes]
    heartbeat: Callable[[FeedHead], bytes]
    conflate: Callable[[Sequence[FeedEntry]], Sequence[FeedEntry]] = lambda entries: entries


class _Subscriber:
    """One stream: what waits to be sent to it. Touched by the loop alone."""

    __slots__ = ("behind", "heartbeat", "messages", "ready")

    def __init__(self) -> None:
        self.messages: deque[tuple[int, bytes]] = deque()
        self.heartbeat: bytes | None = None
        self.ready = asyncio.Event()
        # Begins behind: what was appended before it came is in the log.
        self.behind = True

    def push(self, messages: Sequence[tuple[int, bytes]], bound: int) -> None:
        if not self.behind and len(self.messages) + len(messages) > bound:
            self.messages.clear()
            self.behind = True
        if not self.behind:
            self.messages.extend(messages)
        self.ready.set()


class FeedTail:
    """Tails one log for the streams of a process, on the running loop.

    `interval` and `heartbeat_every` are in seconds. Nothing is looked at while nobody watches.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        *,
        interval: float = LOOK_EVERY,
        heartbeat_every: float = HEARTBEAT_EVERY,
        queued: int = QUEUED,
        batch: int = BATCH,
    ) -> None:
        self._log: Final = log
        self._codec: Final = codec
        self._interval: Final = interval
        self._heartbeat_every: Final = heartbeat_every
        self._queued: Final = queued
        self._batch: Final = batch
        self._subscribers: Final[set[_Subscriber]] = set()
        self._watched: Final = threading.Event()
        self._closed: Final = threading.Event()
        self._loop: Final = asyncio.get_running_loop()
        self._readers: Final = ThreadPoolExecutor(4, thread_name_prefix="feed")
        self._thread: Final = threading.Thread(target=self._run, name="feed-tail", daemon=True)
        self._thread.start()

    @property
    def streams(self) -> int:
        """The number of streams that watch."""
        return len(self._subscribers)

    async def watch(self, after: int, epoch: int | None = None) -> AsyncGenerator[bytes, None]:
        """Answer every entry after a position, encoded and in order, and heartbeats between.

        A heartbeat is sent only when everything up to its position was.

        Raises:
            PositionCompacted: take a snapshot.
            OutOfRange: the position was never given out.
        """
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        self._watched.set()
        position = after
        try:
            while True:
                while subscriber.behind:
                    # From here on pushes are kept; what they hold too is skipped below.
                    subscriber.behind = False
                    while entries := await self._read(position, epoch):
                        for entry in self._codec.conflate(entries):
                            yield self._codec.entry(entry)
                        position = entries[-1].position
                while subscriber.messages and not subscriber.behind:
                    sent, message = subscriber.messages.popleft()
                    if sent > position:
                        yield message
                        position = sent
                if subscriber.behind:
                    continue
                if subscriber.heartbeat is not None:
                    heartbeat, subscriber.heartbeat = subscriber.heartbeat, None
                    yield heartbeat
                    continue
                subscriber.ready.clear()
                await subscriber.ready.wait()
        finally:
            self._subscribers.discard(subscriber)

    def close(self) -> None:
        """End the reading threads; streams are ended by the server."""
        self._closed.set()
        self._watched.set()
        self._thread.join()
        self._readers.shutdown(wait=False)

    async def _read(self, position: int, epoch: int | None) -> Sequence[FeedEntry]:
        return await self._loop.run_in_executor(
            self._readers, self._log.read_after, position, self._batch, epoch
        )

    def _run(self) -> None:
        """Look, read, hand over; a log that cannot be read sends no heartbeats either."""
        last: int | None = None
        seen: object = None
        beat = 0.0
        while not self._closed.is_set():
            self._watched.wait()
            if not self._subscribers:
                self._watched.clear()
                if self._subscribers:
                    self._watched.set()
                last, seen = None, None
                continue
            try:
                if last is None:
                    last = self._log.head().position
                    # Who came first may have read the log before an entry that this passes over.
                    self._loop.call_soon_threadsafe(self._send_back)
                last, seen = self._look(last, seen)
                if time.monotonic() - beat >= self._heartbeat_every:
                    beat = time.monotonic()
                    epoch = self._log.head().epoch
                    heartbeat = self._codec.heartbeat(FeedHead(epoch, last, 0))
                    self._loop.call_soon_threadsafe(self._beat, heartbeat)
            except Exception:  # noqa: BLE001 whatever it is, it is tried again
                _LOG.exception("the feed cannot be read")
                self._closed.wait(1.0)
            self._closed.wait(self._interval)

    def _look(self, last: int, seen: object) -> tuple[int, object]:
        found = self._log.probe()
        if found == seen:
            return last, seen
        while entries := self._log.read_after(last, self._batch, None):
            kept = self._codec.conflate(entries)
            messages = [(entry.position, self._codec.entry(entry)) for entry in kept]
            self._loop.call_soon_threadsafe(self._broadcast, messages)
            last = entries[-1].position
        return last, found

    def _broadcast(self, messages: Sequence[tuple[int, bytes]]) -> None:
        for subscriber in self._subscribers:
            subscriber.push(messages, self._queued)

    def _send_back(self) -> None:
        """Have every stream read the log once more, from where it is."""
        for subscriber in self._subscribers:
            subscriber.behind = True
            subscriber.ready.set()

    def _beat(self, heartbeat: bytes) -> None:
        for subscriber in self._subscribers:
            subscriber.heartbeat = heartbeat
            subscriber.ready.set()
