"""What is counted and limited in each subscription and region, and what it costs."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.catalog.domain.region import Prices

GIB: Final = 1 << 30

_COLLECTION: Final = "usages"
_CROSSED: Final = "crossedBytes/"


class Unit(enum.Enum):
    """What numbers are."""

    COUNT = "COUNT"
    BYTES = "BYTES"


class Metric(enum.Enum):
    """What is counted or limited, by the ids and in the order of the contract."""

    GALLERIES = "galleries"
    IMAGE_DEFINITIONS = "imageDefinitions"
    IMAGE_VERSIONS = "imageVersions"
    REPLICAS = "replicas"
    STORED_BYTES = "storedBytes"
    CROSSED_BYTES = "crossedBytes"
    REPLICAS_PER_VERSION = "replicasPerVersion"
    FULL_DISK_BYTES = "fullDiskBytes"
    SHALLOW_DISK_BYTES = "shallowDiskBytes"
    SHARED_SUBSCRIPTIONS = "sharedSubscriptions"
    SHARED_TENANTS = "sharedTenants"

    @property
    def unit(self) -> Unit:
        """What its numbers are."""
        return Unit.BYTES if self.value.endswith("Bytes") else Unit.COUNT

    @property
    def counted(self) -> bool:
        """Whether there is a current value; the others limit each resource by itself."""
        return self in _COUNTED


_COUNTED: Final = frozenset(
    {
        Metric.GALLERIES,
        Metric.IMAGE_DEFINITIONS,
        Metric.IMAGE_VERSIONS,
        Metric.REPLICAS,
        Metric.STORED_BYTES,
        Metric.CROSSED_BYTES,
    }
)


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """The limits of an installation (gallery-semantics 3.3).

    Those of sharing are kept by authz, which is where galleries are shared. What is made of one
    source at the same time is no metric, but slowed down.
    """

    galleries: int = 100
    image_definitions: int = 1_000
    image_versions: int = 10_000
    replicas_per_version: int = 100
    full_disk_bytes: int = 2_048 * GIB
    shallow_disk_bytes: int = 32_768 * GIB
    shared_subscriptions: int = 30
    shared_tenants: int = 5
    versions_per_source: int = 256

    def of(self, metric: Metric) -> int | None:
        """Answer the limit of a metric, None where there is none."""
        found: int | None = getattr(self, metric.name.lower(), None)
        return found


DEFAULT_LIMITS: Final = UsageLimits()


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole millionths of the unit of a currency."""

    currency: str
    micros: int


@dataclass(frozen=True, slots=True)
class Usage:
    """One metric of a subscription in a region; None is what there is not."""

    name: str
    location: str
    metric: Metric
    current: int | None
    limit: int | None
    cost: Money | None = None
    period_start: datetime | None = None


def usage_name(subscription: str, location: str, metric: Metric) -> str:
    """Answer the name of a metric in a region; `subscription` is a name or its key."""
    return f"{subscription}/locations/{location}/{_COLLECTION}/{metric.value}"


def month_of(time: datetime) -> datetime:
    """Answer the beginning of the calendar month in UTC."""
    found = time.astimezone(UTC)
    return datetime(found.year, found.month, 1, tzinfo=UTC)


def crossed_counter(month: datetime, home: str) -> str:
    """Answer the counter of the bytes that came from a region in a month.

    Each region that bytes leave has a price of its own, and each month begins with nothing.
    """
    return f"{crossed_counters(month)}{home}"


def crossed_counters(month: datetime) -> str:
    """Answer what the counters of crossed bytes of a month begin with."""
    return f"{_CROSSED}{month:%Y-%m}/"


ALL_CROSSED: Final = _CROSSED
"""What the counters of crossed bytes of all months begin with."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of a subscription in a region, and the month that is the current one."""

    subscription: str
    location: str
    counters: Mapping[str, int]
    month: datetime

    @property
    def key(self) -> str:
        """What the place is found by among the scopes of the policy."""
        return f"{self.subscription}/locations/{self.location}"

    @property
    def homes(self) -> Mapping[str, int]:
        """The bytes that came from each region in this month."""
        prefix = crossed_counters(self.month)
        return {
            counter.removeprefix(prefix): value
            for counter, value in self.counters.items()
            if value and counter.startswith(prefix)
        }

    def usages(self, limits: UsageLimits, prices: Mapping[str, Prices]) -> Iterator[Usage]:
        """Answer every metric, in the order of the contract; `prices` by region."""
        for metric in Metric:
            yield self.usage(metric, limits, prices)

    def usage(self, metric: Metric, limits: UsageLimits, prices: Mapping[str, Prices]) -> Usage:
        """Answer one metric."""
        crossed = metric is Metric.CROSSED_BYTES
        return Usage(
            name=usage_name(self.subscription, self.location, metric),
            location=self.location,
            metric=metric,
            current=self._current(metric),
            limit=limits.of(metric),
            cost=self._cost(metric, prices),
            period_start=self.month if crossed else None,
        )

    def _current(self, metric: Metric) -> int | None:
        if not metric.counted:
            return None
        if metric is Metric.CROSSED_BYTES:
            return sum(self.homes.values())
        return self.counters.get(metric.value, 0)

    def _cost(self, metric: Metric, prices: Mapping[str, Prices]) -> Money | None:
        own = prices.get(self.location)
        if metric is Metric.STORED_BYTES:
            kept = self.counters.get(metric.value, 0)
            return _together([(kept, own, own.stored_gib_month_micros if own else None)])
        if metric is Metric.CROSSED_BYTES:
            # A byte is paid for where it leaves (gallery-semantics 3.13).
            found = self.homes or {self.location: 0}
            return _together(
                [
                    (crossed, of, of.crossed_gib_micros if of else None)
                    for home, crossed in found.items()
                    for of in (prices.get(home),)
                ]
            )
        return None


def _together(parts: list[tuple[int, Prices | None, int | None]]) -> Money | None:
    """Answer what amounts of bytes cost in all, None where no one price says so."""
    currencies = {of.currency for _, of, price in parts if of is not None and price is not None}
    if len(currencies) != 1:
        return None
    total = 0
    for counted, _, price in parts:
        if price is None:
            return None
        total += counted * price
    return Money(currencies.pop(), (total + GIB // 2) // GIB)
