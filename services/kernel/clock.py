"""Time as a dependency, so that tests decide what time it is."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What code asks the time of."""

    def now(self) -> datetime:
        """Answer the wall-clock time as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Answer seconds that never go back; only differences have a meaning."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Answer the wall-clock time as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Answer seconds since a start that means nothing."""
        return time.monotonic()


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock starts at an aware datetime")
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Answer the start plus what was advanced."""
        return self._now

    def monotonic(self) -> float:
        """Answer the seconds that were advanced."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both times forward by `seconds`."""
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
