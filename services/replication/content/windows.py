"""The engine of every copy: commit windows, read-back, checkpoints.

A window is committed as a group, its objects are read back from the medium and hashed, and only
then is the journal written and the caller told (replication specification, section 2.5). While
one window is made durable the next one is filled, so that neither the processor nor the medium
waits for the other; together they hold no more than `CopyOptions.window_bytes`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar, assert_never

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.errors import ObjectCorrupt
from services.replication.content.keys import object_key
from services.replication.content.progress import Checkpoint, Control, CopyOptions, VerifyPolicy
from services.replication.content.slots import Copied, Slot, count_copied, is_good, journal_window
from services.replication.content.store import ObjectWriter, PutOutcome, Window
from services.replication.content.workers import Workers

WINDOW_SEGMENTS: Final = 128
"""The most segments that a window writes: a directory keeps a file open for each."""

CHECKERS: Final = 2
"""Threads, with a segment buffer each, that read back beside those that copy."""


class Item(Protocol):
    """A segment to be copied."""

    @property
    def index(self) -> int:
        """Its place on the disk."""


ItemT = TypeVar("ItemT", bound=Item)
ValueT = TypeVar("ValueT")


class Claims(Generic[ItemT]):
    """Segments in order, handed to workers until the window is full by bytes or by time."""

    def __init__(
        self, items: Iterator[ItemT], cost: Callable[[ItemT], int], options: CopyOptions
    ) -> None:
        """Take `items` in order; `cost` tells the most bytes that one may write."""
        self._items = items
        self._cost = cost
        # Halves, because two windows are under way at once.
        self._limit = options.window_bytes // 2
        self._seconds = options.window_seconds / 2
        self._lock = threading.Lock()
        self._next = next(items, None)
        self._room = 0
        self._count = 0
        self._deadline = 0.0

    def open_window(self) -> None:
        """Let workers claim again."""
        self._room = self._limit
        self._count = 0
        self._deadline = time.monotonic() + self._seconds

    def claim(self) -> ItemT | None:
        """Return the next segment, or None where the window is full; the first always fits."""
        with self._lock:
            item = self._next
            if item is None:
                return None
            cost = self._cost(item)
            is_full = cost > self._room or self._count >= WINDOW_SEGMENTS
            if self._room < self._limit and (is_full or time.monotonic() > self._deadline):
                return None
            # A segment without cost must end the state of being first, too.
            self._room -= max(cost, 1)
            self._count += cost > 0
            self._next = next(self._items, None)
            return item

    def next_index(self) -> int | None:
        """Return the index of the first segment that is not claimed, None at the end."""
        return None if self._next is None else self._next.index


class _Shared:
    """Puts into a window, knowing what the one before it is still making durable."""

    def __init__(self, window: ObjectWriter, before: frozenset[str]) -> None:
        self.keys: set[str] = set()
        self._window = window
        self._before = before

    def put(self, key: str, parts: Sequence[memoryview], *, aligned: bool = False) -> PutOutcome:
        if key in self._before:
            return PutOutcome.PRESENT
        self.keys.add(key)
        return self._window.put(key, parts, aligned=aligned)


@dataclass(frozen=True, slots=True)
class _Filled(Generic[ItemT]):
    """A window whose segments [start, stop) are put and not yet durable.

    Closing `closing` ends the window, which drops what was not committed.
    """

    window: Window
    closing: contextlib.ExitStack
    keys: frozenset[str]
    sequence: int
    start: int
    stop: int
    done: list[tuple[ItemT, Copied]]


@dataclass(frozen=True, slots=True)
class _Finished:
    """A window that is durable, verified and journalled."""

    sequence: int
    stop: int
    copied: list[Copied]


@dataclass(slots=True)
class WindowedCopy(Generic[ItemT]):
    """One pass over the segments of a disk into one slot.

    `copy` brings an item into the window, with the worker's buffer, and answers its segments that
    are not all zero, each with what is to be copied should it turn out bad. `written` hears of
    bytes that are durable.
    """

    slot: Slot
    subject: bytes
    control: Control
    options: CopyOptions
    workers: Workers
    copy: Callable[[ItemT, SegmentBuffer, ObjectWriter], Sequence[tuple[ItemT, Copied]]]
    written: Callable[[int], None]
    keep_leaves: bool
    _seen: int = field(default=0, init=False)

    def run(
        self, claims: Claims[ItemT], *, start: int, end: int, sequence: int
    ) -> Iterator[Copied]:
        """Copy segments [start, end); yield those that are not holes, once they are journalled."""
        running: Future[_Finished] | None = None
        before: frozenset[str] = frozenset()
        with (
            Workers(CHECKERS) as checkers,
            # Leaving waits for the window that is being finished: it may still be journalled.
            ThreadPoolExecutor(1, thread_name_prefix="window") as finisher,
        ):
            while claims.next_index() is not None:
                filled = self._fill(claims, before, sequence, start=start, end=end)
                try:
                    if running is not None:
                        yield from self._tell(running.result())
                    self.control.check()
                except BaseException:
                    filled.closing.close()
                    raise
                running = finisher.submit(self._finish, filled, checkers)
                before, sequence, start = filled.keys, sequence + 1, filled.stop
            if running is not None:
                yield from self._tell(running.result())

    def _fill(
        self,
        claims: Claims[ItemT],
        before: frozenset[str],
        sequence: int,
        *,
        start: int,
        end: int,
    ) -> _Filled[ItemT]:
        """Put the segments of the next window."""
        self.control.fence()
        claims.open_window()
        with contextlib.ExitStack() as closing:
            window = closing.enter_context(self.slot.store.begin(self.slot.task))
            shared = _Shared(window, before)
            done = self._put(claims.claim, shared, workers=self.workers)
            for _, copied in done:
                count_copied(self.control, copied)
            stop = claims.next_index()
            return _Filled(
                window=window,
                closing=closing.pop_all(),
                keys=frozenset(shared.keys),
                sequence=sequence,
                start=start,
                stop=end if stop is None else stop,
                done=done,
            )

    def _put(
        self, claim: Callable[[], ItemT | None], writer: ObjectWriter, *, workers: Workers
    ) -> list[tuple[ItemT, Copied]]:
        done: list[tuple[ItemT, Copied]] = []

        def work(item: ItemT, buffer: SegmentBuffer) -> None:
            self.control.check()
            done.extend(self.copy(item, buffer, writer))

        workers.each(claim, work)
        return done

    def _finish(self, filled: _Filled[ItemT], checkers: Workers) -> _Finished:
        """Make a window durable, read it back, write again what is bad, and journal it."""
        with filled.closing:
            filled.window.commit()
        self.written(_written_bytes(filled.done))
        good: list[Copied] = []
        done = filled.done
        for attempt in range(1, self.options.attempts + 1):
            bad = self._read_back(done, checkers)
            indexes = {item.index for item, _ in bad}
            good += [copied for _, copied in done if copied.index not in indexes]
            if not bad:
                break
            if attempt == self.options.attempts:
                key = object_key(self.slot.tenant, bad[0][1].digest)
                raise ObjectCorrupt(key, f"still bad after {attempt} attempts")
            done = self._repair(bad, checkers)
        good.sort(key=lambda copied: copied.index)
        journal_window(
            self.slot,
            self.subject,
            filled.sequence,
            start=filled.start,
            stop=filled.stop,
            copied=good,
            keep_leaves=self.keep_leaves,
        )
        return _Finished(filled.sequence, filled.stop, good)

    def _repair(
        self, bad: list[tuple[ItemT, Copied]], checkers: Workers
    ) -> list[tuple[ItemT, Copied]]:
        """Set bad objects aside and write them again."""
        for _, copied in bad:
            # What lies in objects of others is written whole instead: theirs may be good elsewhere.
            if not copied.extents:
                self.slot.store.quarantine(object_key(self.slot.tenant, copied.digest))
        self.control.fence()
        with self.slot.store.begin(self.slot.task) as window:
            done = self._put(_one_by_one([item for item, _ in bad]), window, workers=checkers)
            window.commit()
        self.control.progress.add(repaired=_written_bytes(done))
        return done

    def _read_back(
        self, done: list[tuple[ItemT, Copied]], checkers: Workers
    ) -> list[tuple[ItemT, Copied]]:
        """Return what does not hash to its digest."""
        bad: list[tuple[ItemT, Copied]] = []
        queue = [pair for pair in done if self._is_checked(pair[1])]

        def check(pair: tuple[ItemT, Copied], buffer: SegmentBuffer) -> None:
            self.control.check()
            if is_good(self.slot, pair[1], buffer):
                self.control.progress.add(verified=pair[1].packed_length)
            else:
                bad.append(pair)

        checkers.each(_one_by_one(queue), check)
        return bad

    def _is_checked(self, copied: Copied) -> bool:
        if copied.outcome is PutOutcome.PRESENT:
            return True
        match self.options.verify:
            case VerifyPolicy.FULL:
                return True
            case VerifyPolicy.SAMPLE:
                self._seen += 1
                return self._seen % self.options.sample_every == 1
            case VerifyPolicy.NONE:
                return False
            case _:
                assert_never(self.options.verify)

    def _tell(self, finished: _Finished) -> list[Copied]:
        self.control.checkpoint(
            Checkpoint(
                self.slot.task, finished.sequence, finished.stop, self.control.progress.sample()
            )
        )
        return finished.copied


def _written_bytes(done: Sequence[tuple[object, Copied]]) -> int:
    return sum(copied.moved for _, copied in done)


def _one_by_one(items: Sequence[ValueT]) -> Callable[[], ValueT | None]:
    remaining = iter(items)
    return lambda: next(remaining, None)
