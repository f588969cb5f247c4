"""Who names too much that is not there for them is refused for a while."""

from datetime import UTC, datetime

import pytest

from services.kernel.clock import FakeClock
from services.kernel.errors import ResourceExhausted
from services.kernel.rpc.guesses import GuessLimit


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 6, 1, tzinfo=UTC))


@pytest.fixture
def limit(clock: FakeClock) -> GuessLimit:
    return GuessLimit(6, clock=clock, remembered=3)


def misses(limit: GuessLimit, caller: str, tries: int) -> int:
    """How many misses of so many tries were let through."""
    let = 0
    for _ in range(tries):
        try:
            limit.missed(caller)
        except ResourceExhausted:
            continue
        let += 1
    return let


def test_t7_of_ten_thousand_guesses_the_bucket_lets_through_what_it_holds(
    limit: GuessLimit, clock: FakeClock
) -> None:
    assert misses(limit, "mallory", 10_000) == 6
    clock.advance(30)
    assert misses(limit, "mallory", 10_000) == 3
    clock.advance(3600)
    assert misses(limit, "mallory", 10_000) == 6


def test_t7_what_is_there_is_refused_too_once_too_much_was_missed(
    limit: GuessLimit, clock: FakeClock
) -> None:
    misses(limit, "mallory", 5)
    limit.check("mallory")
    misses(limit, "mallory", 1)
    with pytest.raises(ResourceExhausted) as found:
        limit.check("mallory")
    with pytest.raises(ResourceExhausted) as missed:
        limit.missed("mallory")
    for one in (found.value, missed.value):
        assert one.reason == "TOO_MANY_REQUESTS"
        assert one.retry_after == pytest.approx(10.0)
    assert found.value.message == missed.value.message
    clock.advance(10)
    limit.check("mallory")


def test_callers_have_buckets_of_their_own(limit: GuessLimit) -> None:
    misses(limit, "mallory", 7)
    limit.check("alice")
    assert misses(limit, "alice", 7) == 6


def test_no_more_callers_are_remembered_than_may_be(limit: GuessLimit, clock: FakeClock) -> None:
    for number in range(1000):
        misses(limit, f"caller {number}", 1)
    assert len(limit._full_at) == 3
    # Those whose buckets are full again need no memory.
    clock.advance(60)
    misses(limit, "another", 1)
    assert list(limit._full_at) == ["another"]
