from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.kernel.clock import Clock, FakeClock, SystemClock


def test_the_system_clock_is_aware_and_monotonic():
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_fake_clock_moves_only_when_told():
    clock: Clock = FakeClock(datetime(2026, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    before = clock.now(), clock.monotonic()
    assert before[0] == datetime(2026, 5, 1, tzinfo=UTC)
    assert (clock.now(), clock.monotonic()) == before
    assert isinstance(clock, FakeClock)
    clock.advance(1.5)
    assert clock.now() - before[0] == timedelta(seconds=1.5)
    assert clock.monotonic() - before[1] == 1.5


def test_a_fake_clock_is_aware_and_does_not_go_back():
    with pytest.raises(ValueError, match="aware"):
        FakeClock(datetime(2026, 1, 1))  # noqa: DTZ001 - it is what is refused
    with pytest.raises(ValueError, match="back"):
        FakeClock().advance(-1)
