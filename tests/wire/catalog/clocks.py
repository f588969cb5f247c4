"""A clock that tests put forward, for what takes days."""

from datetime import UTC, datetime, timedelta
from typing import Final

from services.kernel.clock import SystemClock


class ShiftedClock:
    """The clock of the machine, ahead by what it was put forward."""

    def __init__(self) -> None:
        self._real: Final = SystemClock()
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        return self._real.monotonic()

    def advance(self, by: timedelta) -> None:
        self._ahead += by
