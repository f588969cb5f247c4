"""What is wanted changes while it is being copied: counts, zones and tiers, deletions."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from services.replication.content.refs import read_version
from services.replication.domain.desired import DesiredReplicas, ReplicaSet
from services.replication.domain.region import SlotTier
from services.replication.domain.states import (
    CopyState,
    RegionState,
    ReplicationState,
    StorageType,
)
from tests.faults.invariants import assert_invariants
from tests.faults.workers import Point, halting, on_sqlite, wait_rest, worker
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


@pytest.mark.parametrize(
    ("database_url", "point"),
    [
        ("sqlite", Point.COPYING),
        ("sqlite", Point.COMMITTING),
        ("postgresql", Point.COMMITTING),
    ],
    indirect=["database_url"],
)
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
    assert_invariants(world, {UID: {"os": DATA}})


@on_sqlite
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
    assert_invariants(world, {UID: {"os": DATA}})


@on_sqlite
def test_a_count_that_is_raised_leaves_other_tiers_and_zones_alone(world: World) -> None:
    world.add_region("home")
    region = world.add_region("east", 4)
    standard, premium = SlotTier.STANDARD, SlotTier.PREMIUM
    slots = tuple(
        replace(slot, zone=zone, tier=tier)
        for slot, zone, tier in zip(
            region.slots,
            ("1", "2", "", ""),
            (standard, standard, standard, premium),
            strict=True,
        )
    )
    placed = replace(region, zones=("1", "2"), slots=slots)
    world.rows.transact(lambda tx: tx.regions.update(placed))
    zonal = ReplicaSet(StorageType.STANDARD_ZRS, 2, ("1", "2"))
    fast = ReplicaSet(StorageType.PREMIUM_LRS, 1)
    plain = ReplicaSet(StorageType.STANDARD_LRS, 1)
    disks = {"os": world.upload("os", DATA)}

    def wanted(generation: int, *sets: ReplicaSet) -> DesiredReplicas:
        made = world.desired(disks, {"home": 1, "east": 1}, generation=generation)
        home, east = made.regions
        return replace(made, regions=(home, replace(east, sets=sets)))

    halt = halting(world, Point.COPYING)
    first = world.ensure(wanted(1, zonal, fast))
    with world.working():
        halt.wait_held()
        second = world.ensure(wanted(2, zonal, fast, plain))
        halt.go.set()
        assert world.wait_end(first.id).record.state is ReplicationState.SUPERSEDED
        assert world.wait_end(second.id).record.state is ReplicationState.COMPLETED
        wait_rest(world, UID)
    replicas = world.rows.read(lambda tx: tx.replicas.of_region(UID, "east"))
    assert {one.slot: one.storage_type for one in replicas} == {
        "s1": StorageType.STANDARD_ZRS,
        "s2": StorageType.STANDARD_ZRS,
        "s3": StorageType.STANDARD_LRS,
        "s4": StorageType.PREMIUM_LRS,
    }
    # None of them was begun a second time for it.
    assert {one.attempt for one in replicas} == {1}
    assert refs(world, "east") == ["s1", "s2", "s3", "s4"]
    assert_invariants(world, {UID: {"os": DATA}})
