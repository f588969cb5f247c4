import pytest

from services.replication.content.errors import Cancelled
from services.replication.content.progress import Control, Counters, Progress


def test_zeros_found_move_out_of_the_total() -> None:
    progress = Progress()
    progress.start(total=100, zero=50)
    progress.add(copied=30, zero=20)
    progress.add(deduplicated=40)
    assert progress.sample() == Counters(total=80, copied=30, deduplicated=40, zero=70)


def test_a_disk_of_unknown_size_grows() -> None:
    progress = Progress()
    progress.grow(total=10, zero=5)
    progress.add(copied=10)
    progress.grow(zero=5)
    assert progress.sample() == Counters(total=10, copied=10, zero=10)


def test_a_cancelled_control_stops_its_copy() -> None:
    control = Control()
    control.check()
    control.cancelled.set()
    with pytest.raises(Cancelled):
        control.check()
