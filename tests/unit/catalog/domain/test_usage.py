"""What use costs, and in which month bytes crossed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.catalog.domain.region import Prices
from services.catalog.domain.usage import (
    DEFAULT_LIMITS,
    GIB,
    Counted,
    Metric,
    Money,
    crossed_counter,
    month_of,
)

MONTH = datetime(2026, 11, 1, tzinfo=UTC)
EUR = Prices("EUR", stored_gib_month_micros=20, crossed_gib_micros=100)


def cost(metric: Metric, counters: Mapping[str, int], **prices: Prices) -> Money | None:
    place = Counted("subscriptions/s", "here", counters, MONTH)
    return place.usage(metric, DEFAULT_LIMITS, prices).cost


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (EUR, Money("EUR", 60)),
        (Prices("EUR", stored_gib_month_micros=0), Money("EUR", 0)),
        (Prices("EUR", crossed_gib_micros=1), None),
        (None, None),
    ],
)
def test_what_is_kept_costs_what_the_region_says(
    prices: Prices | None, expected: Money | None
) -> None:
    found = {"here": prices} if prices else {}
    assert cost(Metric.STORED_BYTES, {"storedBytes": 3 * GIB}, **found) == expected


def test_amounts_are_whole_millionths_rounded_to_the_nearest() -> None:
    half = {"storedBytes": GIB // 40}
    assert cost(Metric.STORED_BYTES, half, here=EUR) == Money("EUR", 0)
    more = {"storedBytes": GIB // 40 + 1}
    assert cost(Metric.STORED_BYTES, more, here=EUR) == Money("EUR", 1)


def test_each_byte_that_crossed_costs_what_the_region_says_that_it_left() -> None:
    """gallery-semantics 3.13: egress is paid for at the home region of the version."""
    counters = {
        crossed_counter(MONTH, "a"): GIB,
        crossed_counter(MONTH, "b"): 2 * GIB,
        crossed_counter(MONTH - timedelta(days=1), "a"): 7 * GIB,
    }
    a, b = Prices("EUR", crossed_gib_micros=5), Prices("EUR", crossed_gib_micros=30)
    assert cost(Metric.CROSSED_BYTES, counters, a=a, b=b, here=EUR) == Money("EUR", 65)
    # A sum of which a part is not known is not known.
    assert cost(Metric.CROSSED_BYTES, counters, a=a, here=EUR) is None
    other = Prices("USD", crossed_gib_micros=30)
    assert cost(Metric.CROSSED_BYTES, counters, a=a, b=other) is None
    assert cost(Metric.CROSSED_BYTES, counters, a=a, b=Prices("EUR")) is None


def test_nothing_that_crossed_costs_nothing_where_crossing_has_a_price() -> None:
    assert cost(Metric.CROSSED_BYTES, {}, here=EUR) == Money("EUR", 0)
    assert cost(Metric.CROSSED_BYTES, {}, here=Prices("EUR")) is None
    assert cost(Metric.REPLICAS, {"replicas": 5}, here=EUR) is None


def test_a_month_is_that_of_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert month_of(datetime(2026, 12, 1, 1, 30, tzinfo=east)) == MONTH
    assert month_of(datetime(2026, 12, 1, 2, 0, tzinfo=east)) == datetime(2026, 12, 1, tzinfo=UTC)
