"""The receiving side of a change feed: a snapshot, then everything after it, for ever."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import grpc

from services.kernel.backoff import backoff
from services.kernel.errors import Code
from services.kernel.rpc.remote import RemoteStatus
from services.kernel.stopping import Stop

# A server sends a heartbeat each second; one that is silent for longer, in seconds, is called
# again: a connection that is dead looks like one that is idle.
SILENCE: Final = 5.0
_BASE: Final = 0.05
_CAP: Final = 2.0

_LOG = logging.getLogger(__name__)
S = TypeVar("S")
W = TypeVar("W")
_T = TypeVar("_T")


class SnapshotNeeded(Exception):
    """What was applied does not lead to what the server has: begin with a snapshot again."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a feed is applied; positions of different epochs have nothing in common."""

    epoch: str
    position: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What one message brought: a new position, or the head that a heartbeat tells of."""

    position: Position | None = None
    head: int | None = None


@dataclass(frozen=True, slots=True)
class Feed(Generic[S, W]):
    """What a follower needs of its feed and of its consumer; all are called on one thread.

    `cursor` answers what is applied, None before the first snapshot. `snapshot` and `watch` call
    the server. `load` applies a whole snapshot at once and answers its position; `apply` applies
    one message, with its cursor, in one transaction. Both raise `SnapshotNeeded` where what they
    are given does not fit.
    """

    cursor: Callable[[], Position | None]
    snapshot: Callable[[], Iterable[S]]
    load: Callable[[Iterable[S]], Position]
    watch: Callable[[Position], Iterable[W]]
    apply: Callable[[W], Applied]


class Follower(Generic[S, W]):
    """Keeps a consumer up with a feed, on a thread of its own.

    Whatever fails is tried again with growing, jittered pauses: the consumer sees its data grow
    old (`age`) and decides what that means.
    """

    def __init__(self, name: str, feed: Feed[S, W], *, silence: float = SILENCE) -> None:
        self.name: Final = name
        self._feed: Final = feed
        self._silence: Final = silence
        self._stop: Final = Stop()
        self._lock: Final = threading.Lock()
        self._call: Any = None
        self._heard = math.inf
        self._at_head: float | None = None
        self._position: Position | None = None
        self._snapshot_needed = False
        self._ready: Final = threading.Event()
        self._threads: Final = (
            threading.Thread(target=self._run, name=f"follow-{name}", daemon=True),
            threading.Thread(target=self._watch_silence, name=f"listen-{name}", daemon=True),
        )

    def start(self) -> None:
        """Begin to follow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after what is being applied."""
        self._stop.set()
        self._cancel()
        for thread in self._threads:
            thread.join()

    @property
    def position(self) -> Position | None:
        """How far the feed is applied, None before the first snapshot."""
        return self._position

    def age(self) -> float:
        """Answer the seconds since a heartbeat up to whose position everything was applied."""
        at_head = self._at_head
        return float("inf") if at_head is None else time.monotonic() - at_head

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the consumer was up with the feed once; answer whether it is."""
        return self._ready.wait(timeout)

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            before = self._position
            try:
                self._follow()
            except SnapshotNeeded as error:
                self._snapshot_needed = True
                _LOG.info("%s takes a new snapshot: %s", self.name, error)
            except grpc.RpcError as error:
                self._lost(error)
            except Exception:  # noqa: BLE001 whatever it is, it is tried again
                _LOG.exception("%s cannot apply what it received", self.name)
            if self._position != before:
                attempt = 0
            attempt += 1
            self._stop.wait(backoff(attempt, base=_BASE, cap=_CAP))

    def _lost(self, error: grpc.RpcError) -> None:
        if self._stop.is_set():
            return
        status = RemoteStatus.of(error)
        if status.code is Code.OUT_OF_RANGE:
            self._snapshot_needed = True
        _LOG.info("%s lost its feed: %s %s", self.name, status.code.name, status.message)

    def _follow(self) -> None:
        position = None if self._snapshot_needed else self._feed.cursor()
        if position is None:
            with self._called(self._feed.snapshot()) as items:
                position = self._feed.load(items)
            self._snapshot_needed = False
        self._position = position
        with self._called(self._feed.watch(position)) as messages:
            is_behind = False
            for message in messages:
                applied = self._feed.apply(message)
                position = applied.position or position
                self._position = position
                was_behind = is_behind
                is_behind = applied.head is not None and position.position < applied.head
                if is_behind and was_behind:
                    # Nothing came between two heartbeats that both tell of more than is here.
                    _LOG.info("%s lacks what was sent and asks for it again", self.name)
                    return
                if applied.head is not None and not is_behind:
                    self._at_head = time.monotonic()
                    self._ready.set()

    @contextmanager
    def _called(self, call: Iterable[_T]) -> Iterator[Iterator[_T]]:
        """Answer the messages of a call, which stopping and silence cancel, and the end too."""
        with self._lock:
            self._call = call
        if self._stop.is_set():
            self._cancel()
        try:
            yield self._heard_messages(call)
        finally:
            self._cancel()
            with self._lock:
                self._call = None

    def _heard_messages(self, call: Iterable[_T]) -> Iterator[_T]:
        self._heard = time.monotonic()
        for message in call:
            # Applying takes its time, which is not the server's silence.
            self._heard = math.inf
            yield message
            self._heard = time.monotonic()
        self._heard = math.inf

    def _watch_silence(self) -> None:
        while not self._stop.wait(self._silence / 5):
            if time.monotonic() - self._heard > self._silence:
                self._cancel()

    def _cancel(self) -> None:
        with self._lock:
            call = self._call
        if call is not None and hasattr(call, "cancel"):
            call.cancel()
