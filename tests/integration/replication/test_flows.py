"""What goes into a region is counted over all processes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.kernel.clock import SystemClock
from services.replication.clients.throttle import RegionBucket
from services.replication.store.flows import Flows
from tests.integration.replication.world import MIB, World


class Counted:
    """A flow that nobody waits for, and what was taken of it."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def take(self, location: str, seconds: float) -> float:
        self.taken.append(seconds)
        return 0.0


def test_processes_that_write_at_once_have_one_limit_together(world: World) -> None:
    processes = [Flows(world.db, SystemClock()) for _ in range(8)]
    barrier = threading.Barrier(len(processes))

    def take(flow: Flows) -> list[float]:
        barrier.wait()
        return [flow.take("east", 1000.0) for _ in range(5)]

    with ThreadPoolExecutor(len(processes)) as pool:
        waits = sorted(wait for found in pool.map(take, processes) for wait in found)
    # Each begins to wait where another one ends: 40 times 1,000 s, but for the test's own time.
    assert [round(wait / 1000) for wait in waits] == list(range(1, 41))


def test_regions_have_limits_of_their_own(world: World) -> None:
    flow = Flows(world.db, SystemClock())
    assert flow.take("east", 1000.0) > 900
    assert flow.take("west", 1.0) <= 1.0


def test_small_pieces_ask_the_database_four_times_a_second_at_most() -> None:
    flow = Counted()
    bucket = RegionBucket(flow, "east", 4 * MIB)
    for _ in range(64):
        bucket.take(MIB // 16)
    assert flow.taken == [0.25] * 4
    bucket.set_rate(MIB)
    bucket.take(2 * MIB)
    assert flow.taken[4:] == [pytest.approx(2.0)]
