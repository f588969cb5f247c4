"""Deliveries that come twice, out of order, at once, or with another body than before."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from services.kernel.errors import FailedPrecondition
from services.replication.content.refs import read_version
from services.replication.domain.states import CopyState, RegionState, ReplicationState
from tests.faults.invariants import assert_invariants
from tests.faults.workers import Point, halting, on_sqlite, wait_rest
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DATA = some_bytes(MIB, 1)
# What each generation wants of the regions.
GENERATIONS = (
    {"home": 1},
    {"home": 1, "east": 1},
    {"home": 2, "east": 1},
    {"home": 2},
    {"home": 1, "east": 2},
    {"home": 1, "west": 1},
)


def make_regions(world: World) -> None:
    for location in ("home", "east", "west"):
        world.add_region(location, 2)


def refs(world: World) -> dict[str, int]:
    """In how many slots of each region the version is."""
    found = {}
    for region in world.rows.read(lambda tx: tx.regions.all()):
        slots = [world.stores.open(region.id, slot) for slot in region.slots]
        found[region.id] = sum(read_version(store, UID) is not None for store in slots)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_generations_that_come_twice_and_out_of_order_end_as_the_newest(
    world: World, seed: int
) -> None:
    make_regions(world)
    disks = {"os": world.upload("os", DATA)}
    wanted = [
        world.desired(disks, regions, generation=number)
        for number, regions in enumerate(GENERATIONS, 1)
    ]
    deliveries = [*wanted, *wanted]
    random.Random(seed).shuffle(deliveries)
    answers: dict[int, set[str]] = {}
    newest = 0
    refusals: list[str] = []
    too_late: list[bool] = []
    with world.working():
        for one in deliveries:
            try:
                answer = world.ensure(one)
            except FailedPrecondition as refused:
                refusals.append(refused.reason)
                # Never admitted, and now too late.
                is_late = one.generation < newest and one.generation not in answers
                too_late.append(is_late)
            else:
                answers.setdefault(one.generation, set()).add(answer.id)
                newest = max(newest, one.generation)
        assert set(refusals) <= {"GENERATION_STALE"}
        assert all(too_late)
        assert all(len(ids) == 1 for ids in answers.values())
        (last,) = answers[len(GENERATIONS)]
        assert world.wait_end(last).record.state is ReplicationState.COMPLETED
        wait_rest(world, UID)
    assert refs(world) == {"home": 1, "east": 0, "west": 1}
    # Each of the others ended in favour of the next one that was admitted.
    for before, after in pairwise(sorted(answers)):
        (old,), (new,) = answers[before], answers[after]
        ended = world.wait_end(old).record
        assert ended.state in {ReplicationState.SUPERSEDED, ReplicationState.COMPLETED}
        assert ended.successor in {"", new}
    assert_invariants(world, {UID: {"os": DATA}})


def test_two_bodies_under_one_generation_at_once_are_one_of_them(world: World) -> None:
    make_regions(world)
    disks = {"os": world.upload("os", DATA)}
    bodies = [world.desired(disks, {"home": 1, place: 1}) for place in ("east", "west")]
    start = threading.Barrier(8)

    def deliver(number: int) -> tuple[int, str]:
        start.wait()
        try:
            # One grant for all: that of the generation and its sources, which they share.
            return number % 2, world.ensure(bodies[number % 2]).id
        except FailedPrecondition as refused:
            return -1, refused.reason

    with world.working():
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(deliver, range(8)))
        assert answers.count((-1, "GENERATION_CONFLICT")) == 4
        ((body, name),) = {one for one in answers if one[0] >= 0}
        assert world.wait_end(name).record.state is ReplicationState.COMPLETED
    place = ("east", "west")[body]
    assert {location for location, count in refs(world).items() if count} == {"home", place}
    assert_invariants(world, {UID: {"os": DATA}})


@on_sqlite
def test_a_repeat_while_the_copy_stands_still_changes_nothing(world: World) -> None:
    make_regions(world)
    disks = {"os": world.upload("os", DATA)}
    wanted = world.desired(disks, {"home": 1, "east": 1})
    halt = halting(world, Point.COMMITTING)
    first = world.ensure(wanted)
    with world.working():
        halt.wait_held()
        before = world.replica("east")
        assert world.ensure(wanted).id == first.id
        # Its progress is told beside.
        now = world.replica("east")
        assert replace(now, progress=before.progress) == before
        halt.go.set()
        view = world.wait_end(first.id)
    assert [one.region.state for one in view.regions] == [RegionState.COMPLETED] * 2
    assert world.ensure(wanted).id == first.id
    assert world.replica("east").state is CopyState.COMPLETED
    assert_invariants(world, {UID: {"os": DATA}})
