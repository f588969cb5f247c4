"""The engine of every copy: commit windows, read-back, checkpoints.

A window is committed as a group, its objects are read back from the medium and hashed, and only
then is the journal written and the caller told (replication specification, section 2.5).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, assert_never

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.journal import Journal, JournalEntry, append_journal
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import Extent, Segment
from services.replication.content.progress import (
    Checkpoint,
    Control,
    CopyOptions,
    VerifyPolicy,
)
from services.replication.content.segment_io import read_packed
from services.replication.content.store import PutOutcome, Store, Window
from services.replication.content.workers import Workers


@dataclass(frozen=True, slots=True)
class Copied:
    """A segment that was put, or found present: what the journal and the read-back need."""

    index: int
    digest: bytes
    leaves: SegmentLeaves
    packed_length: int
    outcome: PutOutcome


class Item(Protocol):
    """A segment to be copied."""

    @property
    def index(self) -> int:
        """Its place on the disk."""


ItemT = TypeVar("ItemT", bound=Item)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a copy goes: a tenant's part of a store, and the task that it is journalled under."""

    store: Store
    tenant: str
    task: str


class Claims(Generic[ItemT]):
    """Segments in order, handed to workers until the window is full by bytes or by time."""

    def __init__(
        self, items: Iterator[ItemT], cost: Callable[[ItemT], int], options: CopyOptions
    ) -> None:
        self._items = items
        self._cost = cost
        self._options = options
        self._lock = threading.Lock()
        self._next = next(items, None)
        self._room = 0
        self._deadline = 0.0

    def open_window(self) -> None:
        """Let workers claim again."""
        self._room = self._options.window_bytes
        self._deadline = time.monotonic() + self._options.window_seconds

    def claim(self) -> ItemT | None:
        """Return the next segment, or None where the window is full; the first always fits."""
        with self._lock:
            item = self._next
            if item is None:
                return None
            cost = self._cost(item)
            is_first = self._room == self._options.window_bytes
            if not is_first and (cost > self._room or time.monotonic() > self._deadline):
                return None
            # A segment without cost must end the state of being first, too.
            self._room -= max(cost, 1)
            self._next = next(self._items, None)
            return item

    def next_index(self) -> int | None:
        """Return the index of the first segment that is not claimed, None at the end."""
        return None if self._next is None else self._next.index


@dataclass(slots=True)
class WindowedCopy(Generic[ItemT]):
    """One pass over the segments of a disk into one slot.

    `copy` brings one segment into the window, with the worker's buffer, and answers None for a
    segment that turned out to be all zero. `written` hears of bytes that are durable.
    """

    slot: Slot
    subject: bytes
    control: Control
    options: CopyOptions
    workers: Workers
    copy: Callable[[ItemT, SegmentBuffer, Window], Copied | None]
    written: Callable[[int], None]
    keep_leaves: bool
    _seen: int = field(default=0, init=False)

    def run(
        self, claims: Claims[ItemT], *, start: int, end: int, sequence: int
    ) -> Iterator[Copied]:
        """Copy segments [start, end); yield those that are not holes, once they are journalled."""
        while claims.next_index() is not None:
            claims.open_window()
            copied = self._window(claims)
            stop = claims.next_index()
            stop = end if stop is None else stop
            checkpoint(
                self.slot,
                self.control,
                self.subject,
                sequence=sequence,
                start=start,
                stop=stop,
                copied=copied,
                keep_leaves=self.keep_leaves,
            )
            yield from copied
            sequence += 1
            start = stop

    def _window(self, claims: Claims[ItemT]) -> list[Copied]:
        claimed = claims.claim
        good: list[Copied] = []
        for attempt in range(self.options.attempts):
            done = self._put(claimed, repairing=attempt > 0)
            bad = self._read_back(done)
            indexes = {item.index for item, _ in bad}
            good += [copied for _, copied in done if copied.index not in indexes]
            if not bad:
                return sorted(good, key=lambda copied: copied.index)
            for _, copied in bad:
                self.slot.store.quarantine(object_key(self.slot.tenant, copied.digest))
            claimed = _one_by_one([item for item, _ in bad])
        key = object_key(self.slot.tenant, bad[0][1].digest)
        raise ObjectCorrupt(key, f"still bad after {self.options.attempts} attempts")

    def _put(
        self, claim: Callable[[], ItemT | None], *, repairing: bool
    ) -> list[tuple[ItemT, Copied]]:
        self.control.fence()
        self.control.check()
        done: list[tuple[ItemT, Copied]] = []
        with self.slot.store.begin(self.slot.task) as window:

            def work(item: ItemT, buffer: SegmentBuffer) -> None:
                self.control.check()
                copied = self.copy(item, buffer, window)
                if copied is not None:
                    done.append((item, copied))
                    if not repairing:
                        count_copied(self.control, copied)

            self.workers.each(claim, work)
            window.commit()
        lengths = [c.packed_length for _, c in done if c.outcome is PutOutcome.WRITTEN]
        self.written(sum(lengths))
        if repairing:
            self.control.progress.add(repaired=sum(lengths))
        return done

    def _read_back(self, done: list[tuple[ItemT, Copied]]) -> list[tuple[ItemT, Copied]]:
        bad: list[tuple[ItemT, Copied]] = []
        queue = [pair for pair in done if self._is_checked(pair[1])]

        def check(pair: tuple[ItemT, Copied], buffer: SegmentBuffer) -> None:
            self.control.check()
            if is_good(self.slot, pair[1], buffer):
                self.control.progress.add(verified=pair[1].packed_length)
            else:
                bad.append(pair)

        self.workers.each(_one_by_one(queue), check)
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


def count_copied(control: Control, copied: Copied) -> None:
    """Count a segment as copied or as deduplicated."""
    match copied.outcome:
        case PutOutcome.WRITTEN:
            control.progress.add(copied=copied.packed_length)
        case PutOutcome.PRESENT:
            control.progress.add(deduplicated=copied.packed_length)
        case _:
            assert_never(copied.outcome)


def is_good(slot: Slot, copied: Copied, buffer: SegmentBuffer) -> bool:
    """Read a segment's object back from the medium and tell whether all its leaves are right."""
    extent = Extent(copied.digest, 0, copied.packed_length)
    segment = Segment(copied.index, copied.digest, copied.packed_length, (extent,))
    try:
        read_packed(slot.store, slot.tenant, segment, copied.leaves, buffer=buffer, uncached=True)
    except (ObjectCorrupt, ObjectMissing):
        return False
    return True


def checkpoint(
    slot: Slot,
    control: Control,
    subject: bytes,
    *,
    sequence: int,
    start: int,
    stop: int,
    copied: Sequence[Copied],
    keep_leaves: bool,
) -> None:
    """Journal that segments [start, stop) are durable and verified, then tell the caller."""
    entries = tuple(
        JournalEntry(
            item.index,
            item.digest,
            item.leaves.length,
            item.leaves.leaves if keep_leaves else b"",
            item.outcome is PutOutcome.PRESENT,
        )
        for item in copied
    )
    append_journal(slot.store, slot.task, sequence, Journal(subject, start, stop, entries))
    control.checkpoint(Checkpoint(slot.task, sequence, stop, control.progress.sample()))


ValueT = TypeVar("ValueT")


def _one_by_one(items: Sequence[ValueT]) -> Callable[[], ValueT | None]:
    remaining = iter(items)
    return lambda: next(remaining, None)
