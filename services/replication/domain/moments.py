"""A moment, and what is still to come of what tasks wait for.

Times of tasks are written as the database's clock told them. One that is set back leaves them
further ahead than anything is ever put: what lies beyond that reach has passed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and how far ahead of it pauses and leases may end."""

    time: datetime
    reach: timedelta

    @property
    def horizon(self) -> datetime:
        """The last time that is still to come."""
        return self.time + self.reach

    def precedes(self, other: datetime) -> bool:
        """Whether a time is still to come."""
        return self.time < other <= self.horizon
