"""How copies are run."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.replication.content.progress import DEFAULT_OPTIONS, CopyOptions

# Longer than whatever is tried again waits.
_LONGEST_PAUSE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`Config` in the terms of the engine; `progress_every` and the retries are in seconds.

    A lease that is not renewed for `lease` passes to another process. `retry_base` and
    `retry_cap` bound the pause before an attempt, which grows with full jitter. A disk of a
    version may have `full_disk_bytes`, one of a shallow version `shallow_disk_bytes`. After
    `breaker_failures` in a row a slot that does not answer is tried by one copy at a time.
    """

    lease: timedelta = timedelta(seconds=30)
    time_budget: timedelta = timedelta(hours=24)
    attempts: int = 8
    region_copies: int = 4
    breaker_failures: int = 3
    progress_every: float = 0.5
    retry_base: float = 0.5
    retry_cap: float = 60.0
    options: CopyOptions = DEFAULT_OPTIONS
    full_disk_bytes: int = 2 << 40
    shallow_disk_bytes: int = 32 << 40

    @property
    def reach(self) -> timedelta:
        """How far ahead a pause or a lease ends, of processes with longer leases too."""
        return max(_LONGEST_PAUSE, 4 * self.lease, 2 * timedelta(seconds=self.retry_cap))
