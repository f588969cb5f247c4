"""A worker is killed with -9 in each phase of a copy: all of the version is there, or nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.replication.content.refs import read_version
from services.replication.domain.records import SOURCE_SLOT
from services.replication.domain.states import CopyState, ReplicationMode, ReplicationState
from tests.faults.invariants import MEMORY_BOUND, assert_invariants
from tests.faults.workers import Point, on_sqlite, worker
from tests.integration.replication.sound import path_of
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
# Two segments, each a window of its own; and a disk that is copied after it.
DISKS = {"os": some_bytes(5 * MIB, 1), "0": some_bytes(MIB, 2)}
# What the rows say of the first disk at the moment of the death.
STATES = {
    Point.PLANNING: CopyState.PLANNING,
    Point.DURABLE: CopyState.COPYING,
    Point.COPYING: CopyState.COPYING,
    Point.VERIFYING: CopyState.VERIFYING,
    Point.BETWEEN_DISKS: CopyState.COMMITTING,
    Point.UNDECIDED: CopyState.COMMITTING,
    Point.COMMITTING: CopyState.COMMITTING,
    Point.REF_WRITTEN: CopyState.COMMITTING,
    Point.RECORDED: CopyState.COMPLETED,
}
COMMITTED = frozenset({Point.REF_WRITTEN, Point.RECORDED})
# What is decided by rows is looked at on both databases.
DEATHS = [
    *(("sqlite", point) for point in STATES),
    ("postgresql", Point.COMMITTING),
    ("postgresql", Point.REF_WRITTEN),
]
on_databases = pytest.mark.parametrize(
    ("database_url", "point"),
    DEATHS,
    indirect=["database_url"],
    ids=[f"{kind}-{point.name.lower()}" for kind, point in DEATHS],
)


def objects(world: World, location: str) -> dict[str, tuple[int, int]]:
    """Each object of a slot with what it cannot keep when it is written again."""
    root = path_of(world.slot_store(location), "objects")
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): identity(path) for path in files}


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@on_databases
def test_killed_in_a_phase_a_version_is_whole_or_absent_and_the_next_worker_ends_it(
    world: World, database_url: str, point: Point
) -> None:
    world.add_region("home")
    world.add_region("east")
    disks = {name: world.upload(name, data) for name, data in DISKS.items()}
    record = world.ensure(world.desired(disks, {"home": 1, "east": 1}))

    with worker(world, database_url, point) as process:
        process.wait_held()
        world.wait_state(CopyState.COMPLETED, "home")
        assert process.memory() < MEMORY_BOUND
        process.kill()

    rows = world.rows.read(lambda tx: tx.replicas.disks(UID, "east"))
    assert {one.disk: one.state for one in rows}["os"] is STATES[point]
    store = world.slot_store("east")
    assert (read_version(store, UID) is not None) is (point in COMMITTED)
    before = objects(world, "east")
    assert bool(before) is (point is not Point.PLANNING)

    assert world.claims.take_over(process.place) == (point is not Point.RECORDED)
    with world.working():
        view = world.wait_end(record.id)

    assert view.record.state is ReplicationState.COMPLETED
    # What was durable is not written a second time.
    after = objects(world, "east")
    assert {key: after.get(key) for key in before} == before
    assert_invariants(world, {UID: DISKS})


@on_sqlite
@pytest.mark.parametrize("point", [Point.COPYING, Point.REF_WRITTEN], ids=lambda one: one.name)
def test_a_promotion_that_is_killed_leaves_the_version_readable_at_its_source(
    world: World, database_url: str, point: Point
) -> None:
    world.add_region("home")
    sources = {"os": world.file("os.raw", DISKS["os"]), "0": world.file("0.raw", DISKS["0"])}
    shallow = replace(world.desired(sources, {"home": 1}), mode=ReplicationMode.SHALLOW)
    with world.working():
        world.wait_end(world.ensure(shallow).id)
    promotion = replace(shallow, mode=ReplicationMode.FULL, generation=2)
    record = world.ensure(promotion)

    with worker(world, database_url, point, "home") as process:
        process.wait_held()
        process.kill()

    (region,) = world.rows.read(lambda tx: tx.versions.regions(UID))
    assert region.usable
    assert world.replica("home", SOURCE_SLOT).state is CopyState.COMPLETED

    assert world.claims.take_over(process.place) == 1
    with world.working():
        view = world.wait_end(record.id)
        world.wait_state(CopyState.REMOVED, "home", SOURCE_SLOT)
    assert view.record.state is ReplicationState.COMPLETED
    assert_invariants(world, {UID: DISKS}, healthy=())
