"""The figures of a running copy, as they are shown."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from services.replication.content import progress as content
from services.replication.domain.progress import Counters

_RATE_SECONDS: Final = 30.0


class Carried:
    """The counters of a disk over its attempts: what must be copied again raises the total.

    A new attempt counts what is durable, which is less than what the one before had counted. The
    difference is added to the total and to what is done, so that no counter goes down.
    """

    def __init__(self, shown: Counters) -> None:
        self._shown: Final = shown
        self._lost: Counters | None = None

    def resumed(self, now: content.Counters) -> None:
        """Take the figures with which the attempt goes on, once they are known."""
        self._lost = Counters(
            copied=max(self._shown.copied - now.copied, 0),
            deduplicated=max(self._shown.deduplicated - now.deduplicated, 0),
            zero=max(self._shown.zero - now.zero, 0),
            verified=max(self._shown.verified - now.verified, 0),
            repaired=max(self._shown.repaired - now.repaired, 0),
        )

    def shown(self, now: content.Counters) -> Counters:
        """Answer what is shown of the figures of this attempt."""
        lost = self._lost
        if lost is None:
            return self._shown
        again = lost.copied + lost.deduplicated + lost.zero
        return Counters(
            total=now.total + now.zero + again,
            copied=now.copied + lost.copied,
            deduplicated=now.deduplicated + lost.deduplicated,
            zero=now.zero + lost.zero,
            verified=now.verified + lost.verified,
            repaired=now.repaired + lost.repaired,
        )


class Meter:
    """The counters of a running task by disk, and its rate over the last 30 s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._disks: Final[dict[str, tuple[Carried, content.Progress]]] = {}
        self._moved: Final[deque[tuple[float, int]]] = deque()

    def begin(self, disk: str, carried: Carried, progress: content.Progress) -> None:
        """Begin to count a disk."""
        self._disks[disk] = (carried, progress)

    def sample(self) -> tuple[dict[str, Counters], int]:
        """Answer what is shown of each disk, and bytes per second."""
        found = {
            disk: carried.shown(progress.sample())
            for disk, (carried, progress) in list(self._disks.items())
        }
        moved = sum(one.copied for one in found.values())
        now = self._clock()
        self._moved.append((now, moved))
        while now - self._moved[0][0] > _RATE_SECONDS:
            self._moved.popleft()
        then, before = self._moved[0]
        return found, int((moved - before) / (now - then)) if now > then else 0
