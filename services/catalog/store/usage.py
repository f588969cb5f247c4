"""Counters of what subscriptions use: each change is one conditional upsert.

Two writers never read a counter and then write it: the database adds, and refuses to add beyond
a limit, under the lock of the counter's row. A transaction writes its counters last and in the
order of their keys, so that nobody waits for anything while holding one, but for a later one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.domain.names import subscription_of
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.usage import (
    ALL_CROSSED,
    Counted,
    Metric,
    UsageLimits,
    crossed_counter,
    crossed_counters,
    month_of,
    usage_name,
)
from services.catalog.domain.version import Version
from services.catalog.ports.usage import UsagePage, UsageQuery
from services.catalog.store.tables import usage_counters
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.errors import QuotaViolation, ResourceExhausted

_u = usage_counters.c
_PRIMARY: Final = ("subscription_key", "location", "counter")
_VALUE: Final = select(_u.value).where(
    _u.subscription_key == bindparam("s"),
    _u.location == bindparam("l"),
    _u.counter == bindparam("c"),
)
_LIMITED: Final = {
    one.value: one for one in (Metric.GALLERIES, Metric.IMAGE_DEFINITIONS, Metric.IMAGE_VERSIONS)
}
# How many counters one page of places looks at.
_LOOKED_AT: Final = 5_000

_Key = tuple[str, str, str]


class UsageCounters:
    """What one transaction adds to counters; nothing is written before `settle`."""

    def __init__(self, tx: Connection, limits: UsageLimits) -> None:
        self._tx: Final = tx
        self._limits: Final = limits
        self._deltas: Final[dict[_Key, int]] = {}

    def add(self, subscription_key: str, location: str, counter: str, delta: int) -> None:
        """Count more, or less, of something."""
        found = (subscription_key, location, counter)
        self._deltas[found] = self._deltas.get(found, 0) + delta

    def crossed(self, version: Version, location: str, count: int, time: datetime) -> None:
        """Count bytes of a version that came into a region from its home at a time."""
        counter = crossed_counter(month_of(time), version.location)
        self.add(subscription_of(version.key), location, counter, count)

    def admit_replicas(
        self, version: Version, before: Sequence[RegionStatus], after: Sequence[RegionStatus]
    ) -> None:
        """Check the replicas that a version is to have in regions where it had fewer.

        Raises:
            ResourceExhausted: QUOTA_EXCEEDED.
        """
        had = {one.location: one.wanted for one in before}
        limit = self._limits.replicas_per_version
        beyond = [
            one for one in after if one.wanted > limit and one.wanted > had.get(one.location, 0)
        ]
        if beyond:
            raise _exhausted(
                [
                    (subscription_of(version.name), one.location, Metric.REPLICAS_PER_VERSION)
                    for one in beyond
                ],
                limit,
                wanted=max(one.wanted for one in beyond),
            )

    def settle(self) -> None:
        """Write what was counted, as the last thing that the transaction does.

        Raises:
            ResourceExhausted: QUOTA_EXCEEDED, a counter would pass its limit.
        """
        for found, delta in sorted(self._deltas.items()):
            if delta:
                self._write(found, delta)
        self._deltas.clear()

    def _write(self, found: _Key, delta: int) -> None:
        metric = _LIMITED.get(found[2])
        limit = self._limits.of(metric) if metric is not None and delta > 0 else None
        if limit is not None and metric is not None and delta > limit:
            raise _exhausted([(found[0], found[1], metric)], limit, used=self._value(found))
        maker = sqlite.insert if self._tx.dialect.name == "sqlite" else postgresql.insert
        added = maker(usage_counters).values(dict(zip(_PRIMARY, found, strict=True), value=delta))
        fits = None if limit is None else _u.value + delta <= limit
        written = added.on_conflict_do_update(
            index_elements=_PRIMARY, set_={"value": _u.value + delta}, where=fits
        ).returning(_u.value)
        if self._tx.execute(written).first() is None and limit is not None and metric is not None:
            raise _exhausted([(found[0], found[1], metric)], limit, used=self._value(found))

    def _value(self, found: _Key) -> int:
        parameters = dict(zip("slc", found, strict=True))
        return self._tx.execute(_VALUE, parameters).scalar_one_or_none() or 0


def _exhausted(
    subjects: Sequence[tuple[str, str, Metric]],
    limit: int,
    *,
    used: int | None = None,
    wanted: int | None = None,
) -> ResourceExhausted:
    """Build the error for limits that are reached; a subject is the name of a usage."""
    subject, location, metric = subjects[0]
    numbers = {"limit": limit, "used": used, "wanted": wanted}
    described = [
        QuotaViolation(usage_name(*one), f"{one[0]} has at most {limit} {one[2].value} in {one[1]}")
        for one in subjects
    ]
    return ResourceExhausted(
        "; ".join(one.description for one in described),
        metadata={
            "usage": usage_name(subject, location, metric),
            "subscription": subject,
            "location": location,
            "metric": metric.value,
        }
        | {name: str(value) for name, value in numbers.items() if value is not None},
        quota=described,
    )


def purge_crossed(tx: Connection, clock: Clock) -> int:
    """Forget what crossed in months that are past; answer how many counters."""
    past = delete(usage_counters).where(
        _u.counter.startswith(ALL_CROSSED, autoescape=True),
        _u.counter < crossed_counters(month_of(clock.now())),
    )
    return len(tx.execute(past.returning(_u.counter)).all())


class StoredUsage:
    """Fulfils the port `UsageReader`."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db

    def of(self, subscription_key: str, location: str, month: datetime) -> Counted:
        """Answer what is counted in one place, by one statement."""
        query = UsageQuery(subscription_key, location, month)
        found = self.page(query).places
        return found[0] if found else Counted(subscription_key, location, {}, month)

    def page(self, query: UsageQuery) -> UsagePage:
        """Answer places where something is counted, by one statement."""
        columns = (_u.subscription_key, _u.location, _u.counter)
        ordered = [one.desc() if query.descending else one for one in columns]
        statement = (
            select(*columns, _u.value)
            .where(*_conditions(query))
            .order_by(*ordered)
            .limit(_LOOKED_AT)
        )
        rows = self._db.read(lambda c: c.execute(statement).all())
        counted: dict[tuple[str, str], dict[str, int]] = {}
        for subscription, location, counter, value in rows:
            counted.setdefault((subscription, location), {})[counter] = value
        full = len(rows) == _LOOKED_AT
        if full and len(counted) > 1:
            # The last place may go on beyond what was read.
            counted.popitem()
        places = [Counted(*place, counters, query.month) for place, counters in counted.items()]
        return UsagePage(places, next(reversed(counted)) if full else None)


def _conditions(query: UsageQuery) -> list[ColumnElement[bool]]:
    current = crossed_counters(query.month)
    found: list[ColumnElement[bool]] = [
        _u.value != 0,
        or_(
            not_(_u.counter.startswith(ALL_CROSSED, autoescape=True)),
            _u.counter.startswith(current, autoescape=True),
        ),
    ]
    if query.subscription is not None:
        found.append(_u.subscription_key == query.subscription)
    if query.location is not None:
        found.append(_u.location == query.location)
    if query.allowed is not None:
        found.append(_u.subscription_key.in_(query.allowed))
    if query.start is not None:
        place = tuple_(_u.subscription_key, _u.location)
        first: Any = tuple_(*(literal(one) for one in query.start))
        found.append(place <= first if query.descending else place >= first)
    return found
