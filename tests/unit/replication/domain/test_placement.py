"""Which slots are chosen."""

from dataclasses import replace
from datetime import UTC, datetime

from services.replication.domain.desired import ReplicaSet
from services.replication.domain.placement import place
from services.replication.domain.records import Replica
from services.replication.domain.region import (
    Region,
    Slot,
    SlotHealth,
    SlotProbe,
    SlotTier,
    StoreAddress,
)
from services.replication.domain.states import CopyState, Health, Intent, StorageType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LRS, ZRS = StorageType.STANDARD_LRS, StorageType.STANDARD_ZRS


def slot(name: str, **more) -> Slot:
    return Slot(name, StoreAddress(f"file:///{name}"), **more)


def region(*slots: Slot, zones: tuple[str, ...] = ()) -> Region:
    return Region("r", "u", "R", zones, slots, (), None, None, NOW, NOW)


def replica(name: str, state: CopyState, health: Health = Health.UNSPECIFIED) -> Replica:
    return Replica(
        version="v",
        location="r",
        slot=name,
        name_key="n",
        storage_type=LRS,
        state=state,
        intent=Intent.COPY,
        generation=1,
        replication="x",
        due_time=NOW,
        deadline_time=NOW,
        lease_time=NOW,
        create_time=NOW,
        update_time=NOW,
        health=health,
    )


def chosen(found, *sets: ReplicaSet, held=()):
    return list(place(found, sets, held).chosen)


def test_slots_are_taken_in_their_order():
    assert chosen(region(slot("a"), slot("b"), slot("c")), ReplicaSet(LRS, 2)) == ["a", "b"]


def test_what_is_committed_stays_before_what_is_being_copied_before_what_is_new():
    held = [
        replica("c", CopyState.COMPLETED, Health.GOOD),
        replica("b", CopyState.COPYING),
        replica("a", CopyState.FAILED),
    ]
    found = region(slot("a"), slot("b"), slot("c"), slot("d"))
    assert chosen(found, ReplicaSet(LRS, 3), held=held) == ["c", "b", "d"]


def test_failure_domains_are_spread_over():
    found = region(
        slot("a", failure_domain="x"), slot("b", failure_domain="x"), slot("c", failure_domain="y")
    )
    assert chosen(found, ReplicaSet(LRS, 2)) == ["a", "c"]
    assert chosen(found, ReplicaSet(LRS, 3)) == ["a", "c", "b"]


def test_zone_redundant_replicas_take_slots_of_distinct_zones():
    found = region(
        slot("a"), slot("b", zone="1"), slot("c", zone="1"), slot("d", zone="2"), zones=("1", "2")
    )
    assert chosen(found, ReplicaSet(ZRS, 2)) == ["b", "d"]
    assert chosen(found, ReplicaSet(ZRS, 1, ("2",))) == ["d"]


def test_a_tier_takes_its_own_storage_types_alone():
    found = region(slot("a"), slot("b", tier=SlotTier.PREMIUM))
    assert chosen(found, ReplicaSet(StorageType.PREMIUM_LRS, 1)) == ["b"]
    mixed = chosen(found, ReplicaSet(LRS, 1), ReplicaSet(StorageType.PREMIUM_LRS, 1))
    assert mixed == ["a", "b"]


def test_a_store_that_is_away_comes_last():
    away = replace(slot("a"), probe=SlotProbe(SlotHealth.UNREACHABLE))
    assert chosen(region(away, slot("b")), ReplicaSet(LRS, 1)) == ["b"]
    assert chosen(region(away, slot("b")), ReplicaSet(LRS, 2)) == ["b", "a"]


def test_too_few_slots_are_a_shortage_that_says_how_many_fit():
    found = place(region(slot("a"), slot("b")), (ReplicaSet(LRS, 3),), ())
    assert found.shortage is not None
    assert (found.shortage.wanted, found.shortage.maximum) == (3, 2)
    zonal = place(region(slot("a")), (ReplicaSet(ZRS, 1),), ())
    assert zonal.shortage is not None
    assert zonal.shortage.maximum == 0
