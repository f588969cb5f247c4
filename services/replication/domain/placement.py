"""Which slots of a region hold the replicas of a version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.replication.domain.desired import ReplicaSet
from services.replication.domain.records import Replica
from services.replication.domain.region import TIER_OF, Region, Slot
from services.replication.domain.states import COPYABLE, CopyState, StorageType


@dataclass(frozen=True, slots=True)
class Shortage:
    """More replicas of a storage type are wanted than slots fit."""

    storage_type: StorageType
    wanted: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Slots by id with the storage type wanted there; a shortage where they do not suffice."""

    chosen: Mapping[str, StorageType]
    shortage: Shortage | None = None


def place(region: Region, sets: Sequence[ReplicaSet], held: Sequence[Replica]) -> Placement:
    """Choose the slots.

    What is committed or under way stays where it is, so that lowering a count removes what is
    worth least. Then distinct zones for zone-redundant replicas, distinct failure domains, and
    the order of the slots decide (replication.md 2.1).
    """
    by_slot = {replica.slot: replica for replica in held}
    chosen: dict[str, StorageType] = {}
    for wanted in sets:
        fitting = [
            slot for slot in region.slots if slot.id not in chosen and _fits(slot, wanted, region)
        ]
        if len(fitting) < wanted.count:
            return Placement(chosen, Shortage(wanted.storage_type, wanted.count, len(fitting)))
        spread = wanted.storage_type is StorageType.STANDARD_ZRS
        taken: list[Slot] = []
        for _ in range(wanted.count):
            best = min(fitting, key=lambda slot: _cost(slot, by_slot, taken, spread=spread))
            fitting.remove(best)
            taken.append(best)
            chosen[best.id] = wanted.storage_type
    return Placement(chosen)


def _fits(slot: Slot, wanted: ReplicaSet, region: Region) -> bool:
    if slot.tier is not TIER_OF[wanted.storage_type]:
        return False
    if wanted.storage_type is StorageType.STANDARD_ZRS:
        return slot.zone in (wanted.zones or region.zones)
    return True


def _cost(
    slot: Slot, held: Mapping[str, Replica], taken: Sequence[Slot], *, spread: bool
) -> tuple[int, int, int]:
    shares_zone = sum(spread and one.zone == slot.zone for one in taken)
    shares_domain = sum(
        slot.failure_domain != "" and one.failure_domain == slot.failure_domain for one in taken
    )
    return _rank(held.get(slot.id), slot), shares_zone, shares_domain


def _rank(replica: Replica | None, slot: Slot) -> int:
    if replica is not None and replica.is_good:
        return 0
    if replica is not None and replica.state is CopyState.COMPLETED:
        return 1
    if replica is not None and replica.state in COPYABLE:
        return 2
    failed = replica is not None and replica.state is CopyState.FAILED
    return 4 if failed or not slot.usable else 3
