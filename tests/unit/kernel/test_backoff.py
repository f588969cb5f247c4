from hypothesis import given
from hypothesis import strategies as st

from services.kernel.backoff import backoff


@given(st.integers(1, 10_000))
def test_a_wait_lies_between_half_and_all_of_its_ceiling(attempt):
    ceiling = min(60.0, 0.5 * 2.0 ** min(attempt - 1, 60))
    assert ceiling / 2 <= backoff(attempt, base=0.5, cap=60.0) <= ceiling


def test_waits_are_spread():
    assert len({backoff(3, base=1, cap=60) for _ in range(20)}) > 1
