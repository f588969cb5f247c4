"""What is wanted changes while it is being copied: counts, zones and tiers, deletions."""

from collections.abc import Mapping

import pytest

from services.replication.content.refs import read_version
from services.replication.domain.states import CopyState, RegionState, ReplicationState
from tests.faults.workers import Point, halting, wait_rest, worker
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DATA = some_bytes(5 * MIB, 1)


def refs(world: World, location: str) -> list[str]:
    """The slots of a region that hold the version."""
    region = world.rows.read(lambda tx: tx.regions.get(location))
    assert region is not None
    return [
        slot.id
        for slot in region.slots
        if read_version(world.stores.open(location, slot), UID) is not None
    ]


@pytest.mark.parametrize("point", [Point.COPYING, Point.COMMITTING], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("before", "after"), [(1, 3), (3, 1), (2, 0)], ids=["raised", "lowered", "left"]
)
def test_a_count_that_changes_during_a_copy_ends_as_it_was_wanted_last(
    world: World, point: Point, before: int, after: int
) -> None:
    world.add_region("home")
    world.add_region("east", 3)
    disks = {"os": world.upload("os", DATA)}
    halt = halting(world, point)
    first = world.ensure(world.desired(disks, {"home": 1, "east": before}))
    wanted: Mapping[str, int] = {"home": 1, "east": after} if after else {"home": 1}
    with world.working():
        halt.wait_held()
        second = world.ensure(world.desired(disks, wanted, generation=2))
        (home,) = [
            one
            for one in world.rows.read(lambda tx: tx.versions.regions(UID))
            if one.location == "home"
        ]
        assert home.state is not RegionState.FAILED
        halt.go.set()
        old = world.wait_end(first.id)
        new = world.wait_end(second.id)
        wait_rest(world, UID)
    assert old.record.state is ReplicationState.SUPERSEDED
    assert old.record.successor == second.id
    assert new.record.state is ReplicationState.COMPLETED
    assert len(refs(world, "east")) == after
    assert refs(world, "home") == ["s1"]
    good = [
        one.slot
        for one in world.rows.read(lambda tx: tx.replicas.of_region(UID, "east"))
        if one.is_good
    ]
    assert good == refs(world, "east")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_removal_killed_after_the_ref_is_gone_is_finished_by_the_next(
    world: World, database_url: str
) -> None:
    world.add_region("home")
    world.add_region("east")
    disks = {"os": world.upload("os", DATA)}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 1, "east": 1})).id)
    world.ensure(world.desired(disks, {"home": 1}, generation=2))
    with worker(world, database_url, Point.REF_REMOVED) as process:
        process.wait_held()
        process.kill()
    assert refs(world, "east") == []
    assert world.replica("east").state is CopyState.REMOVING
    assert world.claims.take_over(process.place) == 1
    third = world.ensure(world.desired(disks, {"home": 1, "east": 1}, generation=3))
    with world.working():
        assert world.wait_end(third.id).record.state is ReplicationState.COMPLETED
    assert refs(world, "east") == ["s1"]
