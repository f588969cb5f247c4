"""What a change of a version would move, take and cost."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.catalog.domain.desired import Desired


class PlannedAction(enum.Enum):
    """What is done in a region."""

    ADD = "add"
    RAISE = "raise"
    LOWER = "lower"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount, in millionths of the currency unit."""

    currency_code: str
    micros: int


@dataclass(frozen=True, slots=True)
class PlannedBytes:
    """Bytes of a plan, as the contract tells them apart."""

    size: int = 0
    zero: int = 0
    deduplicated: int = 0
    crossing: int = 0
    written: int = 0
    freed: int = 0

    def __add__(self, other: "PlannedBytes") -> "PlannedBytes":
        return PlannedBytes(
            self.size + other.size,
            self.zero + other.zero,
            self.deduplicated + other.deduplicated,
            self.crossing + other.crossing,
            self.written + other.written,
            self.freed + other.freed,
        )


@dataclass(frozen=True, slots=True)
class PlannedCost:
    """What a plan costs: once for what crosses, and each month; None: not known."""

    crossing: Money | None
    monthly: Money | None


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """What replication says of one region.

    `seconds` is None where no rate was measured. `obstacle` is a serialized status, empty for none.
    """

    location: str
    source_location: str = ""
    exact: bool = True
    counted: PlannedBytes = PlannedBytes()
    seconds: int | None = 0
    cost: PlannedCost = PlannedCost(None, None)
    obstacle: bytes = b""


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """A plan to be made: what would be wanted, and the replicas that each region has now.

    `fills` tells that bytes come where references were: a shallow version that becomes full.
    """

    operation: str
    desired: Desired
    counts: tuple[tuple[str, int], ...]
    fills: bool = False

    @property
    def examined_bytes(self) -> int:
        """The bytes of all sources."""
        return sum(one.size_bytes for one in self.desired.disks)


@dataclass(frozen=True, slots=True)
class PlannedRegion:
    """What a change does in one region, with the replicas wanted before and after."""

    plan: RegionPlan
    action: PlannedAction
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """The plan of a change: its regions, those that would be removed last."""

    version: str
    regions: tuple[PlannedRegion, ...]

    @property
    def total(self) -> PlannedBytes:
        """The bytes of all regions together."""
        return sum((one.plan.counted for one in self.regions), PlannedBytes())

    @property
    def exact(self) -> bool:
        """Whether the bytes of every region are exact."""
        return all(one.plan.exact for one in self.regions)

    @property
    def seconds(self) -> int | None:
        """When the last region is done; None where a region has no measured rate.

        A region that is copied from another one of the plan waits for it.
        """
        taken = {one.plan.location: one.plan.seconds for one in self.regions}
        if any(seconds is None for seconds in taken.values()):
            return None
        return max(
            (
                (one.plan.seconds or 0) + (taken.get(one.plan.source_location) or 0)
                for one in self.regions
            ),
            default=0,
        )

    @property
    def cost(self) -> PlannedCost | None:
        """The cost of all regions together.

        None where a region that changes has no price, or prices are in different currencies.
        """
        found = [one.plan.cost for one in self.regions if one.action is not PlannedAction.KEEP]
        amounts = [(one.crossing, one.monthly) for one in found]
        crossing = _sum([one for one, _ in amounts])
        monthly = _sum([one for _, one in amounts])
        if crossing is None or monthly is None:
            return None
        if crossing.currency_code != monthly.currency_code:
            return None
        return PlannedCost(crossing, monthly)


def plan_of(order: PlanOrder, found: Sequence[RegionPlan]) -> VersionPlan:
    """Put together what replication says of the regions and what the change does there."""
    plans: Mapping[str, RegionPlan] = {one.location: one for one in found}
    before = dict(order.counts)
    after = {one.location: one.count for one in order.desired.regions}
    regions: list[PlannedRegion] = []
    for location in dict.fromkeys((*after, *before)):
        counts = before.get(location, 0), after.get(location, 0)
        action = _action(*counts, fills=order.fills)
        plan = plans.get(location, RegionPlan(location))
        regions.append(PlannedRegion(plan, action, *counts))
    return VersionPlan(order.desired.name, tuple(regions))


def _action(before: int, after: int, *, fills: bool) -> PlannedAction:
    if before == 0:
        return PlannedAction.ADD
    if after == 0:
        return PlannedAction.REMOVE
    if after > before or (fills and after == before):
        return PlannedAction.RAISE
    return PlannedAction.LOWER if after < before else PlannedAction.KEEP


def _sum(amounts: Sequence[Money | None]) -> Money | None:
    known = [one for one in amounts if one is not None]
    currencies = {one.currency_code for one in known}
    if len(known) < len(amounts) or len(currencies) != 1:
        return None
    return Money(currencies.pop(), sum(one.micros for one in known))
