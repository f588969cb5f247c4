"""What a desired state would move, take and cost in a region."""

from dataclasses import dataclass

from services.replication.domain.progress import Cause
from services.replication.domain.region import Prices, Region

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Amount:
    """Money, in millionths of the currency unit."""

    currency_code: str
    micros: int


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """What a desired state means in one region, in bytes.

    `size` and `zero` are those of all disks, once; `crossing` counts once for the region, `written`
    for each replica. `exact` is False where the figures are bounds. `seconds` is None where no rate
    was measured, an amount where no price is known.
    """

    location: str
    source_location: str = ""
    exact: bool = True
    size: int = 0
    zero: int = 0
    deduplicated: int = 0
    crossing: int = 0
    written: int = 0
    freed: int = 0
    seconds: int | None = None
    crossing_cost: Amount | None = None
    monthly_cost: Amount | None = None
    obstacle: Cause | None = None


def crossing_cost(plan: RegionPlan, origin: Region | None) -> Amount | None:
    """Answer what it costs that bytes leave the region that they come from.

    Where nothing crosses, `origin` is the region itself, whose currency is named.
    """
    prices = origin.prices if origin is not None else None
    if prices is None or (plan.crossing and prices.crossed_gib_micros is None):
        return None
    return _amount(prices, plan.crossing, prices.crossed_gib_micros or 0)


def monthly_cost(plan: RegionPlan, region: Region | None) -> Amount | None:
    """Answer what keeping the new bytes costs for a month of 30 days."""
    prices = region.prices if region is not None else None
    if prices is None or (plan.written and prices.stored_gib_month_micros is None):
        return None
    return _amount(prices, plan.written, prices.stored_gib_month_micros or 0)


def _amount(prices: Prices, count: int, micros: int) -> Amount:
    """Answer the price of bytes; a part of a millionth counts as one."""
    return Amount(prices.currency_code, -(-count * micros // GIB))
