"""Bounds how often a caller may name what is not there for them: guessing is slow.

Where a name alone opens something, what is not there and what is not shown are one answer; a
caller who tries names without end would still learn which are there. Whoever missed too often
is refused for what is there as well, until they have waited: else the refusal would tell it.
"""

import threading
from collections import OrderedDict
from typing import Final

from services.kernel.clock import Clock, SystemClock
from services.kernel.errors import ResourceExhausted

PER_MINUTE: Final = 60
#: How many callers are remembered; of more, those who missed longest ago are forgotten.
REMEMBERED: Final = 10_000
_WINDOW: Final = 60.0


class GuessLimit:
    """A bucket for each caller in this process: `per_minute` misses at once, and refilled as fast.

    Kept as one number, the time at which the bucket is full again: a full one needs no memory.
    """

    def __init__(
        self,
        per_minute: int = PER_MINUTE,
        *,
        clock: Clock | None = None,
        remembered: int = REMEMBERED,
    ) -> None:
        self._interval: Final = _WINDOW / per_minute
        self._clock: Final = clock or SystemClock()
        self._remembered: Final = remembered
        self._full_at: Final[OrderedDict[str, float]] = OrderedDict()
        self._lock: Final = threading.Lock()

    def check(self, caller: str) -> None:
        """Let a caller on who found something, if they have not missed too often.

        Raises:
            ResourceExhausted: TOO_MANY_REQUESTS, with the time to wait.
        """
        if caller in self._full_at:
            self._refuse_early(caller, self._clock.monotonic())

    def missed(self, caller: str) -> None:
        """Count a miss.

        Raises:
            ResourceExhausted: TOO_MANY_REQUESTS, with the time to wait; it is not counted, so
                that whoever goes on without waiting is let on as soon as whoever waits.
        """
        with self._lock:
            now = self._clock.monotonic()
            self._refuse_early(caller, now)
            self._full_at[caller] = max(now, self._full_at.get(caller, now)) + self._interval
            self._full_at.move_to_end(caller)
            while self._full_at:
                longest_ago = next(iter(self._full_at))
                if self._full_at[longest_ago] > now and len(self._full_at) <= self._remembered:
                    break
                del self._full_at[longest_ago]

    def _refuse_early(self, caller: str, now: float) -> None:
        wait = self._full_at.get(caller, now) + self._interval - now - _WINDOW
        # Sums of intervals are not exact, and the last miss of the bucket is still one.
        if wait > self._interval / 1000:
            raise ResourceExhausted(
                "too many names were tried that are not there; wait before the next one",
                reason="TOO_MANY_REQUESTS",
                metadata={"kind": "guess"},
                retry_after=wait,
            )
