"""Copies between real directories, by an engine in this process."""

from services.replication.domain.states import CopyState, RegionState, ReplicationState
from tests.integration.replication.world import MIB, VERSION, World, some_bytes

UID = "a" * 32


def test_a_version_of_two_disks_reaches_every_slot_of_every_region(world: World):
    for location, slots in (("home", 1), ("east", 2), ("west", 1)):
        world.add_region(location, slots)
    os_disk, data = some_bytes(9 * MIB), some_bytes(3 * MIB, 2) + bytes(5 * MIB)
    disks = {"os": world.upload("os", os_disk), "7": world.upload("data", data)}
    record = world.ensure(world.desired(disks, {"home": 1, "east": 2, "west": 1}))
    with world.working():
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert [one.region.state for one in view.regions] == [RegionState.COMPLETED] * 3
    for location, slot in (("home", "s1"), ("east", "s1"), ("east", "s2"), ("west", "s1")):
        assert world.content(UID, location, "os", slot) == os_disk
        assert world.content(UID, location, "7", slot) == data
    assert view.record.progress.percent == 100
    east = view.regions[1].region.progress.counters
    assert east.total == 2 * (len(os_disk) + len(data))
    assert east.copied + east.deduplicated == 2 * (9 + 3) * MIB == east.verified
    assert east.zero == 2 * 5 * MIB


def test_events_are_dense_and_end_once(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(5 * MIB))}
    record = world.ensure(world.desired(disks, {"home": 1}))
    with world.working():
        world.wait_end(record.id)
    events = world.events(record.id)
    assert [one.sequence for one in events] == list(range(1, len(events) + 1))
    assert [one.body.end is not None for one in events] == [False] * (len(events) - 1) + [True]
    of_replica = [
        one.body.transition.copy_state
        for one in events
        if one.body.transition and one.body.transition.slot and not one.body.transition.disk
    ]
    assert of_replica == [
        CopyState.PENDING,
        CopyState.PLANNING,
        CopyState.COPYING,
        CopyState.VERIFYING,
        CopyState.COMMITTING,
        CopyState.COMPLETED,
    ]
    assert world.rows.read(lambda tx: tx.versions.named(VERSION.lower())) is not None
