"""Counters that a copy keeps, and the strings by which it is held: cancel, fence, checkpoint."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from services.replication.content.errors import Cancelled


class Phase(enum.Enum):
    """What a copy is doing; the states of the replication specification, section 2.5."""

    PLANNING = "planning"
    COPYING = "copying"
    VERIFYING = "verifying"
    COMMITTING = "committing"


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes at one moment.

    `total` and `zero` always add up to the logical size: zeros found inside data move from one to
    the other, so the share done never falls. At the end `total` is `copied` + `deduplicated`, the
    disk's occupied bytes, and `verified` equals it where everything was verified. `repaired` are
    bytes written again because the first writing, or what the slot held before, was bad.
    """

    total: int = 0
    copied: int = 0
    deduplicated: int = 0
    zero: int = 0
    verified: int = 0
    repaired: int = 0


class Progress:
    """The counters of one disk in one slot; written by workers, sampled by anyone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Counters()

    def start(self, *, total: int, zero: int) -> None:
        """Begin to count a disk whose bytes are `total` to be looked at and `zero` holes."""
        with self._lock:
            self._now = Counters(total=total, zero=zero)

    def add(
        self,
        *,
        copied: int = 0,
        deduplicated: int = 0,
        zero: int = 0,
        verified: int = 0,
        repaired: int = 0,
    ) -> None:
        """Count bytes; `zero` ones were counted in `total` until now."""
        with self._lock:
            now = self._now
            self._now = Counters(
                total=now.total - zero,
                copied=now.copied + copied,
                deduplicated=now.deduplicated + deduplicated,
                zero=now.zero + zero,
                verified=now.verified + verified,
                repaired=now.repaired + repaired,
            )

    def grow(self, *, total: int = 0, zero: int = 0) -> None:
        """Count bytes of a disk whose size was not known when the counting began."""
        with self._lock:
            now = self._now
            self._now = Counters(
                total=now.total + total,
                copied=now.copied,
                deduplicated=now.deduplicated,
                zero=now.zero + zero,
                verified=now.verified,
                repaired=now.repaired,
            )

    def sample(self) -> Counters:
        """Return the counters as they are now."""
        return self._now


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Told after segments up to `end_segment` became durable, verified and journalled."""

    task: str
    sequence: int
    end_segment: int
    counters: Counters


def _nothing() -> None:
    """Stand in for a fence where nobody else can take the work over."""


def _ignore(value: object) -> None:
    """Stand in for a listener."""


@dataclass(slots=True)
class Control:
    """How the caller steers a copy and hears of it.

    `fence` is called before each window and before each commit; it raises FenceLost (or anything)
    to stop this worker. `cancelled` is looked at before each segment. `checkpoint` and `phase`
    are called on the thread that called the copy, never on a worker's.
    """

    progress: Progress = field(default_factory=Progress)
    cancelled: threading.Event = field(default_factory=threading.Event)
    fence: Callable[[], None] = _nothing
    checkpoint: Callable[[Checkpoint], None] = _ignore
    phase: Callable[[Phase], None] = _ignore

    def check(self) -> None:
        """Raise Cancelled if the copy was cancelled."""
        if self.cancelled.is_set():
            raise Cancelled


class VerifyPolicy(enum.Enum):
    """How much of what was written is read back; what was there before always is."""

    FULL = "full"
    SAMPLE = "sample"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """Bounds of a copy.

    `window_bytes` and `window_seconds` bound what a crash may cost: what is not yet journalled. It
    is two half windows, one being filled while the other is made durable. Memory is `workers` + 2
    buffers of 4 MiB. With SAMPLE one of `sample_every` segments is read back. A segment that reads
    back badly is written again until `attempts` writings were bad.
    """

    workers: int = 4
    window_bytes: int = 256 << 20
    window_seconds: float = 2.0
    verify: VerifyPolicy = VerifyPolicy.FULL
    sample_every: int = 16
    attempts: int = 3


DEFAULT_OPTIONS: Final = CopyOptions()
