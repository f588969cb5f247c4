"""Histograms of call durations, kept in the process whether or not anybody exports them."""

import threading
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

# Seconds: the boundaries that the RPC conventions of OpenTelemetry name.
BOUNDS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Durations:
    """What was recorded for one method and code; `counts` has one bucket more than `BOUNDS`."""

    method: str
    code: str
    counts: tuple[int, ...]
    total: float
    smallest: float
    largest: float

    @property
    def count(self) -> int:
        """The number of calls."""
        return sum(self.counts)


class _Histogram:
    __slots__ = ("counts", "largest", "lock", "smallest", "total")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.smallest = float("inf")
        self.largest = 0.0

    def record(self, seconds: float) -> None:
        bucket = bisect_left(BOUNDS, seconds)
        with self.lock:
            self.counts[bucket] += 1
            self.total += seconds
            self.smallest = min(self.smallest, seconds)
            self.largest = max(self.largest, seconds)


class CallDurations:
    """The durations of calls, by method and final code."""

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, str], _Histogram] = {}

    def record(self, method: str, code: str, seconds: float) -> None:
        """Count one call that took `seconds`."""
        histogram = self._histograms.get((method, code))
        if histogram is None:
            histogram = self._histograms.setdefault((method, code), _Histogram())
        histogram.record(seconds)

    def snapshot(self) -> list[Durations]:
        """Answer what was recorded since the start."""
        found = []
        for (method, code), histogram in list(self._histograms.items()):
            with histogram.lock:
                found.append(
                    Durations(
                        method,
                        code,
                        tuple(histogram.counts),
                        histogram.total,
                        histogram.smallest,
                        histogram.largest,
                    )
                )
        return found
