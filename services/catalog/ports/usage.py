"""What is counted for subscriptions, in a transaction and for answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.usage import Counted
from services.catalog.domain.version import Version


class Counters(Protocol):
    """What a transaction does to the counters.

    Rows of galleries, definitions, versions and their regions are counted by their stores,
    so that a counter is what its rows are, whoever writes them.
    """

    def crossed(self, version: Version, location: str, count: int, time: datetime) -> None:
        """Count bytes of a version that came into a region from its home at a time."""

    def admit_replicas(
        self, version: Version, before: Sequence[RegionStatus], after: Sequence[RegionStatus]
    ) -> None:
        """Check the replicas that a version is to have in regions where it had fewer.

        Raises:
            ResourceExhausted: QUOTA_EXCEEDED.
        """


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Places in the order of their keys, subscription then region; None is all.

    `start` is the first place to answer, and `allowed` are the keys of the subscriptions that
    may be answered, None for any.
    """

    subscription: str | None
    location: str | None
    month: datetime
    descending: bool = False
    start: tuple[str, str] | None = None
    allowed: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class UsagePage:
    """The places of a page; `last` is the place after which more may follow, None for none."""

    places: Sequence[Counted]
    last: tuple[str, str] | None = None


class UsageReader(Protocol):
    """Counters for answers, by one statement each."""

    def of(self, subscription_key: str, location: str, month: datetime) -> Counted:
        """Answer what is counted in one place, which may be nothing."""

    def page(self, query: UsageQuery) -> UsagePage:
        """Answer places where something is counted."""
