"""What changes between generations, on both databases."""

import threading
from dataclasses import replace

import pytest

from services.kernel.errors import FailedPrecondition
from services.replication.content.refs import read_version
from services.replication.domain.states import (
    CopyState,
    Health,
    RegionState,
    ReplicationState,
)
from services.replication.usecases.retry import Retry
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32


def test_deliveries_of_many_at_once_open_one_replication(world: World):
    world.add_region("home")
    desired = world.desired({"os": world.upload("os", b"x" * 70_000)}, {"home": 1})
    found: list[str] = []

    def deliver() -> None:
        found.append(world.ensure(desired).id)

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_successor_takes_over_what_is_under_way(world: World):
    world.add_region("home")
    world.add_region("east", bandwidth=8 * MIB)
    disks = {"os": world.upload("os", some_bytes(24 * MIB))}
    first = world.ensure(world.desired(disks, {"home": 1, "east": 1}))
    with world.working():
        world.wait_state(CopyState.COPYING, "east")
        attempt = world.replica("east").attempt
        second = world.ensure(world.desired(disks, {"home": 1, "east": 1}, generation=2))
        old = world.wait_end(first.id)
        new = world.wait_end(second.id)
    assert old.record.state is ReplicationState.SUPERSEDED
    assert old.record.successor == second.id
    assert new.record.state is ReplicationState.COMPLETED
    replica = world.replica("east")
    assert (replica.attempt, replica.generation, replica.replication) == (attempt, 2, second.id)
    events = world.events(first.id)
    assert [one.sequence for one in events] == list(range(1, len(events) + 1))
    assert sum(one.body.end is not None for one in events) == 1


def test_a_lower_count_removes_what_is_worth_least(world: World):
    world.add_region("home", 3)
    disks = {"os": world.upload("os", some_bytes(MIB))}
    first = world.ensure(world.desired(disks, {"home": 2}))
    with world.working():
        world.wait_end(first.id)
        second = world.ensure(world.desired(disks, {"home": 1}, generation=2))
        view = world.wait_end(second.id)
        world.wait_state(CopyState.REMOVED, "home", "s2")
    assert view.regions[0].region.state is RegionState.COMPLETED
    assert world.content(UID, "home", "os", "s1") is not None
    assert read_version(world.slot_store("home", "s2"), UID) is None


def refs_of(world: World, location: str, slots: int) -> list[str]:
    """The slots that hold the version."""
    names = [f"s{number}" for number in range(1, slots + 1)]
    return [slot for slot in names if read_version(world.slot_store(location, slot), UID)]


def test_counts_that_go_down_to_one_everywhere_come_back(world: World):
    """What a soft delete and its undoing ask for."""
    world.add_region("home", 3)
    world.add_region("east", 2)
    data = some_bytes(MIB)
    disks = {"os": world.upload("os", data)}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 3, "east": 2})).id)
        few = world.ensure(world.desired(disks, {"home": 1, "east": 1}, generation=2))
        assert world.wait_end(few.id).record.state is ReplicationState.COMPLETED
        for location, slot in (("home", "s2"), ("home", "s3"), ("east", "s2")):
            world.wait_state(CopyState.REMOVED, location, slot)
        assert (refs_of(world, "home", 3), refs_of(world, "east", 2)) == (["s1"], ["s1"])
        regions = world.rows.read(lambda tx: tx.versions.regions(UID))
        assert [(one.usable, one.wanted, one.good) for one in regions] == [(True, 1, 1)] * 2
        many = world.ensure(world.desired(disks, {"home": 3, "east": 2}, generation=3))
        view = world.wait_end(many.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert [(one.region.wanted, one.region.good) for one in view.regions] == [(3, 3), (2, 2)]
    for location, slots in (("home", 3), ("east", 2)):
        for slot in refs_of(world, location, slots):
            assert world.content(UID, location, "os", slot) == data
        assert len(refs_of(world, location, slots)) == slots


def test_a_count_that_is_raised_before_the_replica_was_removed_keeps_it(world: World):
    world.add_region("home", 2)
    disks = {"os": world.upload("os", some_bytes(MIB))}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 2})).id)
    world.ensure(world.desired(disks, {"home": 1}, generation=2))
    assert world.replica("home", "s2").state is CopyState.REMOVING
    third = world.ensure(world.desired(disks, {"home": 2}, generation=3))
    with world.working():
        view = world.wait_end(third.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert refs_of(world, "home", 2) == ["s1", "s2"]
    assert view.regions[0].region.progress.counters.copied == 0


def test_what_is_kept_of_a_region_is_a_good_replica(world: World):
    world.add_region("home", 2)
    disks = {"os": world.upload("os", some_bytes(MIB))}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 2})).id)
        damaged = replace(world.replica("home", "s1"), health=Health.DAMAGED)
        world.rows.transact(lambda tx: tx.replicas.put(damaged))
        world.wait_end(world.ensure(world.desired(disks, {"home": 1}, generation=2)).id)
        world.wait_state(CopyState.REMOVED, "home", "s1")
    assert refs_of(world, "home", 2) == ["s2"]


def test_a_region_that_is_left_out_is_not_usable_from_the_answer_on(world: World):
    world.add_region("home")
    world.add_region("east")
    disks = {"os": world.upload("os", some_bytes(MIB))}
    first = world.ensure(world.desired(disks, {"home": 1, "east": 1}))
    with world.working():
        world.wait_end(first.id)
    world.ensure(world.desired(disks, {"home": 1}, generation=2))
    regions = {one.location: one for one in world.rows.read(lambda tx: tx.versions.regions(UID))}
    assert regions["home"].usable
    assert (regions["east"].state, regions["east"].usable) == (RegionState.REMOVED, False)
    assert read_version(world.slot_store("east"), UID) is not None
    with world.working():
        world.wait_state(CopyState.REMOVED, "east")
    assert read_version(world.slot_store("east"), UID) is None


def test_a_region_comes_back_after_it_was_left_out(world: World):
    world.add_region("home")
    world.add_region("east")
    disks = {"os": world.upload("os", some_bytes(MIB))}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 1, "east": 1})).id)
        world.ensure(world.desired(disks, {"home": 1}, generation=2))
        third = world.ensure(world.desired(disks, {"home": 1, "east": 1}, generation=3))
        view = world.wait_end(third.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "east", "os") is not None
    assert world.replica("east").state is CopyState.COMPLETED


def test_a_withdrawn_version_leaves_no_ref_though_it_was_being_copied(world: World):
    world.add_region("home")
    world.add_region("east", bandwidth=8 * MIB)
    disks = {"os": world.upload("os", some_bytes(32 * MIB))}
    first = world.ensure(world.desired(disks, {"home": 1, "east": 1}))
    with world.working():
        world.wait_state(CopyState.COPYING, "east")
        none = world.ensure(world.desired({}, {}, generation=2))
        assert none.state is ReplicationState.COMPLETED
        assert world.wait_end(first.id).record.state is ReplicationState.SUPERSEDED
        for location in ("home", "east"):
            world.wait_state(CopyState.REMOVED, location)
    for location in ("home", "east"):
        assert read_version(world.slot_store(location), UID) is None


def test_a_retry_is_idempotent_by_its_delivery(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(MIB))}
    desired = world.desired(disks, {"home": 1, "east": 1})
    with world.working():
        first = world.ensure(desired)
        assert world.wait_end(first.id).record.state is ReplicationState.FAILED
        with pytest.raises(FailedPrecondition) as refused:
            world.ensure(desired, retry=Retry("r0", ("nowhere",)))
        assert refused.value.reason == "REGION_NOT_TARGETED"
        world.add_region("east")
        again = world.ensure(desired, retry=Retry("r1"))
        assert world.ensure(desired, retry=Retry("r1")).id == again.id
        view = world.wait_end(again.id)
        with pytest.raises(FailedPrecondition) as refused:
            world.ensure(desired, retry=Retry("r2"))
    assert refused.value.reason == "NOTHING_TO_RETRY"
    assert again.predecessor == first.id
    assert [one.region.location for one in view.regions] == ["east"]
    assert view.record.state is ReplicationState.COMPLETED
    assert world.ensure(desired).id == first.id
