"""The figures that are shown."""

from hypothesis import given
from hypothesis import strategies as st

from services.replication.content import progress as content
from services.replication.domain.progress import Counters, Progress, together
from services.replication.usecases.metering import Carried, Meter

SIZES = st.integers(0, 1000)


def test_a_hundred_percent_is_given_by_a_commit_alone():
    assert Counters(total=10, copied=10, verified=10).percent() == 99
    assert Counters(total=10, zero=10).percent() == 99
    assert Counters().percent() == 0
    assert Counters(total=10, copied=10).percent() == 50


def test_together_is_a_hundred_only_where_all_are():
    done, half = Progress(Counters(total=9), 100, 1), Progress(Counters(total=9), 50, 2)
    assert together([done, done]).percent == 100
    assert together([done, half]).percent == 75
    assert together([done, half]).rate == 3
    assert together([]).percent == 0


def test_the_rest_takes_what_is_left_at_the_rate():
    counters = Counters(total=100, copied=30, zero=20)
    assert Progress(counters, 30, 20).remaining_seconds == 3
    assert Progress(counters, 30).remaining_seconds is None


@given(st.tuples(SIZES, SIZES, SIZES), st.tuples(SIZES, SIZES, SIZES))
def test_no_counter_goes_down_over_attempts_and_what_is_copied_again_raises_the_total(
    before: tuple[int, int, int], resumed: tuple[int, int, int]
):
    size = 3000
    shown = Counters(size, *before[:2], before[2], before[0])
    carried = Carried(shown)
    now = content.Counters(
        total=size - resumed[2],
        copied=resumed[0],
        deduplicated=resumed[1],
        zero=resumed[2],
        verified=resumed[0],
    )
    assert carried.shown(now) == shown
    carried.resumed(now)
    found = carried.shown(now)
    for name in ("copied", "deduplicated", "zero", "verified"):
        assert getattr(found, name) == max(getattr(shown, name), getattr(now, name))
    again = sum(
        max(getattr(shown, name) - getattr(now, name), 0)
        for name in ("copied", "deduplicated", "zero")
    )
    assert found.total == size + again


def test_the_rate_is_that_of_the_last_half_minute():
    now = [0.0]
    meter = Meter(lambda: now[0])
    progress = content.Progress()
    progress.start(total=10_000, zero=0)
    carried = Carried(Counters())
    carried.resumed(progress.sample())
    meter.begin("os", carried, progress)
    assert meter.sample()[1] == 0
    progress.add(copied=1000)
    now[0] = 10.0
    assert meter.sample()[1] == 100
    now[0] = 35.0
    meter.sample()
    now[0] = 45.0
    assert meter.sample()[1] == 0
