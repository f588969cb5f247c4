"""A cancellation and a commit meet: the version is there and COMPLETED, or CANCELLED and no ref."""

import threading
from collections.abc import Sequence

import pytest

from services.replication.content.refs import read_version
from services.replication.domain.states import CopyState, RegionState, ReplicationState
from services.replication.ports.rows import Tx
from services.replication.usecases.cancelling import cancel_regions
from services.replication.usecases.ledger import Ledger
from tests.faults.invariants import assert_invariants
from tests.faults.workers import Halt, Point, halted_by, halting, on_sqlite, worker
from tests.integration.replication.world import VERSION, World, some_bytes

UID = "a" * 32
DATA = some_bytes(70_000, 1)
RACES = 8


def begin(world: World, uid: str = UID) -> str:
    """Want a version in two regions."""
    disks = {"os": world.upload(f"os-{uid}", DATA)}
    number = int(uid, 16)
    wanted = world.desired(disks, {"home": 1, "east": 1}, uid=uid, version=f"{VERSION}{number}")
    return world.ensure(wanted).id


def cancel(world: World, uid: str = UID, locations: Sequence[str] = ()) -> None:
    def change(tx: Tx) -> None:
        version = tx.versions.lock(uid)
        assert version is not None
        ledger = Ledger(tx, version, world.results)
        cancel_regions(ledger, locations)
        ledger.finish()

    world.rows.transact(change)


def is_there(world: World, uid: str = UID) -> bool:
    return read_version(world.slot_store("east"), uid) is not None


@pytest.fixture
def regions(world: World) -> World:
    world.add_region("home")
    world.add_region("east")
    return world


@on_sqlite
def test_a_cancellation_before_the_commit_wins_and_leaves_no_ref(regions: World) -> None:
    world = regions
    halt = halting(world, Point.UNDECIDED)
    name = begin(world)
    with world.working():
        halt.wait_held()
        world.wait_state(CopyState.COMPLETED, "home")
        cancel(world)
        assert world.replica("east").state is CopyState.CANCELLING
        halt.go.set()
        view = world.wait_end(name)
    assert view.record.state is ReplicationState.CANCELLED
    found = {one.region.location: one.region.state for one in view.regions}
    assert found == {"home": RegionState.COMPLETED, "east": RegionState.CANCELLED}
    assert not is_there(world)
    assert_invariants(world, {UID: {"os": DATA}})


@pytest.mark.parametrize("point", [Point.COMMITTING, Point.REF_WRITTEN], ids=lambda one: one.name)
def test_a_cancellation_after_the_commit_has_lost(regions: World, point: Point) -> None:
    world = regions
    halt = halting(world, point)
    name = begin(world)
    with world.working():
        halt.wait_held()
        cancel(world)
        assert world.replica("east").state is CopyState.COMMITTING
        halt.go.set()
        view = world.wait_end(name)
    found = {one.region.location: one.region.state for one in view.regions}
    assert found["east"] is RegionState.COMPLETED
    assert is_there(world)
    assert_invariants(world, {UID: {"os": DATA}}, healthy=["east"])


@on_sqlite
@pytest.mark.parametrize("point", [Point.UNDECIDED, Point.CANCELLING], ids=lambda one: one.name)
def test_a_cancellation_whose_worker_is_killed_is_finished_by_the_next(
    regions: World, database_url: str, point: Point
) -> None:
    world = regions
    name = begin(world)
    with worker(world, database_url, Point.UNDECIDED) as first:
        first.wait_held()
        world.wait_state(CopyState.COMPLETED, "home")
        cancel(world)
        first.kill()
    assert world.replica("east").state is CopyState.CANCELLING
    assert world.claims.take_over(first.place) == 1
    if point is Point.CANCELLING:
        with worker(world, database_url, point, place="second") as second:
            second.wait_held()
            second.kill()
        assert world.claims.take_over(second.place) == 1
    with world.working():
        view = world.wait_end(name)
    assert view.record.state is ReplicationState.CANCELLED
    assert not is_there(world)
    assert_invariants(world, {UID: {"os": DATA}})


class Race(Halt):
    """Cancels each copy at the moment at which it would commit."""

    def __init__(self, world: World) -> None:
        super().__init__(Point.UNDECIDED, "east")
        self._world = world
        self.racers: list[threading.Thread] = []

    def at(self, point: Point, location: str, version: str) -> None:
        if (point, location) == (Point.UNDECIDED, "east"):
            start = threading.Barrier(2)
            racer = threading.Thread(target=self._cancel, args=(version, start))
            self.racers.append(racer)
            racer.start()
            start.wait()

    def _cancel(self, version: str, start: threading.Barrier) -> None:
        start.wait()
        cancel(self._world, version, ["east"])


def test_raced_many_times_one_of_the_two_has_won(regions: World) -> None:
    world = regions
    race = halted_by(world, Race(world))
    names = {uid: begin(world, uid) for uid in (f"{number:032x}" for number in range(1, RACES + 1))}
    with world.working():
        views = {uid: world.wait_end(name) for uid, name in names.items()}
    for racer in race.racers:
        racer.join()
    assert len(race.racers) == RACES
    for uid, view in views.items():
        (east,) = [one.region for one in view.regions if one.region.location == "east"]
        completed = east.state is RegionState.COMPLETED
        assert completed or east.state is RegionState.CANCELLED
        assert is_there(world, uid) is completed
        assert world.replica("east", uid=uid).state.value == east.state.value
        whole = ReplicationState.COMPLETED if completed else ReplicationState.CANCELLED
        assert view.record.state is whole
    assert_invariants(world, {uid: {"os": DATA} for uid in names})
