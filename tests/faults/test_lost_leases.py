"""A worker that was believed dead comes back while another one does its work."""

import os
import threading

import pytest

from services.kernel.db.tables import from_microseconds
from services.replication.content.refs import commit_version, read_version
from services.replication.content.store import Store
from services.replication.domain.states import CopyState, ReplicationState
from tests.faults.invariants import GRACE, assert_invariants, collection
from tests.faults.workers import Point, Worker, on_sqlite, wait_rest, worker
from tests.integration.replication.sound import path_of
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DATA = some_bytes(5 * MIB, 1)

pytestmark = on_sqlite


def grow_old(store: Store) -> None:
    """Let twice the grace of collection pass for the refs of a slot."""
    for path in path_of(store, "refs").iterdir():
        time = path.stat().st_mtime - 2 * GRACE.total_seconds()
        os.utime(path, (time, time))


def begin(world: World) -> str:
    world.add_region("home")
    world.add_region("east")
    disks = {"os": world.upload("os", DATA)}
    return world.ensure(world.desired(disks, {"home": 1, "east": 1})).id


def silence(world: World, process: Worker) -> None:
    """Let its leases run out, as if it had not been heard of for long."""
    owner = f"{process.place}/only"
    world.rows.transact(lambda tx: tx.replicas.extend(owner, from_microseconds(0)))


@pytest.mark.parametrize(
    "point", [Point.COPYING, Point.COMMITTING, Point.REF_WRITTEN], ids=lambda one: one.name
)
def test_who_comes_back_after_another_has_copied_changes_nothing(
    world: World, database_url: str, point: Point
) -> None:
    name = begin(world)
    with worker(world, database_url, point) as old:
        old.wait_held()
        world.wait_state(CopyState.COMPLETED, "home")
        with world.working():
            silence(world, old)
            view = world.wait_end(name)
        assert view.record.state is ReplicationState.COMPLETED
        replica = world.replica("east")
        ref = read_version(world.slot_store("east"), UID)
        assert ref is not None
        assert ref.fence == replica.fence == 2
        events = world.events(name)

        old.let_go()

    assert world.replica("east") == replica
    assert read_version(world.slot_store("east"), UID) == ref
    assert world.events(name) == events
    assert_invariants(world, {UID: {"os": DATA}})


def test_a_ref_that_comes_after_the_version_was_deleted_is_taken_back(
    world: World, database_url: str
) -> None:
    begin(world)
    with worker(world, database_url, Point.COMMITTING) as old:
        old.wait_held()
        world.wait_state(CopyState.COMPLETED, "home")
        world.ensure(world.desired({}, {}, generation=2))
        with world.working():
            silence(world, old)
            wait_rest(world, UID)
        assert world.replica("east").state is CopyState.REMOVED

        # What it wrote next was the ref.
        old.let_go()

    assert read_version(world.slot_store("east"), UID) is None
    assert world.replica("east").state is CopyState.REMOVED
    assert_invariants(world, {UID: {"os": DATA}})


def test_a_ref_that_comes_late_from_a_worker_that_then_dies_is_collected(world: World) -> None:
    name = begin(world)
    with world.working():
        world.wait_end(name)
        store = world.slot_store("east")
        late = read_version(store, UID)
        assert late is not None
        world.ensure(world.desired({}, {}, generation=2))
        wait_rest(world, UID)
    # Whoever writes this does not live to take it back.
    commit_version(store, late)
    slots = world.rows.read(lambda tx: tx.regions.get("east"))
    assert slots is not None
    collection(world).collect("east", slots.slots[0], threading.Event())
    assert read_version(store, UID) == late, "it may be under way"
    grow_old(store)
    collection(world).collect("east", slots.slots[0], threading.Event())
    assert read_version(store, UID) is None
    assert_invariants(world, {UID: {"os": DATA}})
