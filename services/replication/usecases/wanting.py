"""What is wanted of a region, brought down to the rows of its replicas."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from services.kernel.errors import Code
from services.replication.domain.desired import DesiredRegion
from services.replication.domain.failures import make_cause
from services.replication.domain.placement import Placement, place
from services.replication.domain.progress import NO_PROGRESS, Cause
from services.replication.domain.records import (
    SOURCE_SLOT,
    Replica,
    ReplicaDisk,
    VersionRegion,
)
from services.replication.domain.region import Region
from services.replication.domain.states import (
    COPYABLE,
    CopyState,
    Health,
    Intent,
    RegionState,
    ReplicationMode,
    StorageType,
)
from services.replication.usecases.ledger import Ledger

LEAVING: Final = frozenset({CopyState.REMOVING, CopyState.REMOVED})


def want_region(ledger: Ledger, wanted: DesiredRegion, ordinal: int, budget: timedelta) -> None:
    """Make the replicas of a region what is wanted, as far as rows go."""
    tx, version = ledger.tx, ledger.version
    held = [
        one
        for one in tx.replicas.of_region(version.uid, wanted.location)
        if one.state not in LEAVING
    ]
    # Locked against the deletion of the region, or of a slot, at the same moment.
    region = tx.regions.lock(wanted.location)
    copies = [one for one in held if not one.is_shallow]
    if version.desired.mode is ReplicationMode.SHALLOW and region is not None:
        # What stays at its source takes no slot, and needs no room.
        placement, cause = Placement({SOURCE_SLOT: wanted.sets[0].storage_type}), None
    else:
        placement, cause = placed(region, wanted, copies, ledger.now)
    before = ledger.region(wanted.location)
    record = ledger.record
    ledger.put_region(
        VersionRegion(
            version=version.uid,
            location=wanted.location,
            ordinal=ordinal,
            generation=version.generation,
            replication=record.id if record is not None else "",
            state=RegionState.PENDING,
            wanted=wanted.count,
            was_completed=before is not None
            and before.was_completed
            and before.state is not RegionState.REMOVED,
            cause=cause,
            source_location=before.source_location if before else "",
            crossed_bytes=before.crossed_bytes if before else 0,
            feed_position=before.feed_position if before else 0,
        )
    )
    for replica in held:
        if replica.slot in placement.chosen:
            continue
        if replica.is_shallow and replica.state is CopyState.COMPLETED:
            # It is read until the first copy is committed, whose worker then lets go of it.
            keep(ledger, replica)
        elif cause is None:
            remove(ledger, replica)
    for slot, storage_type in placement.chosen.items():
        _want_replica(ledger, (wanted.location, slot), storage_type, budget)


def _want_replica(
    ledger: Ledger, replica_slot: tuple[str, str], storage_type: StorageType, budget: timedelta
) -> None:
    tx, version, now = ledger.tx, ledger.version, ledger.now
    location, slot = replica_slot
    record = ledger.record
    replication = record.id if record is not None else ""
    found = tx.replicas.get(version.uid, location, slot)
    if found is not None and found.state not in LEAVING:
        if found.state is CopyState.COMPLETED:
            keep(ledger, replace(found, storage_type=storage_type))
            return
        kept = replace(
            found,
            generation=version.generation,
            replication=replication,
            storage_type=storage_type,
        )
        if found.state in COPYABLE:
            ledger.put(replace(kept, intent=Intent.COPY))
        else:
            start_again(ledger, kept, budget)
        return
    fresh = Replica(
        version=version.uid,
        location=location,
        slot=slot,
        name_key=version.name_key,
        storage_type=storage_type,
        state=CopyState.PENDING,
        intent=Intent.COPY,
        generation=version.generation,
        replication=replication,
        due_time=now,
        deadline_time=now + budget,
        lease_time=found.lease_time if found else now,
        create_time=found.create_time if found else now,
        update_time=now,
        # Whoever may still be removing the old one keeps its lease, and loses its fence.
        owner=found.owner if found else "",
        fence=found.fence if found else 0,
    )
    disks = [
        ReplicaDisk(version.uid, location, slot, one.disk, CopyState.PENDING)
        for one in version.desired.disks
    ]
    ledger.put(fresh, *disks)


def keep(ledger: Ledger, replica: Replica) -> None:
    """Bring a committed replica to the generation, to which it is as good as to its own."""
    record = ledger.record
    replication = record.id if record is not None else ""
    kept = replace(replica, generation=ledger.version.generation, replication=replication)
    ledger.put(kept, event=False)


def leave_region(ledger: Ledger, location: str, ordinal: int) -> None:
    """Take a region away: no read begins after the commit, the refs go later."""
    region = ledger.region(location)
    if region is None:
        return
    record = ledger.record
    for replica in ledger.tx.replicas.of_region(ledger.version.uid, location):
        if replica.state not in LEAVING:
            remove(ledger, replica)
    ledger.put_region(
        replace(
            region,
            ordinal=ordinal,
            generation=ledger.version.generation,
            replication=record.id if record is not None else "",
            wanted=0,
            was_completed=False,
            cause=None,
            progress=NO_PROGRESS,
            end_time=None,
        )
    )


def start_again(ledger: Ledger, replica: Replica, budget: timedelta) -> None:
    """Make a replica that failed or was cancelled a task again; what was copied is kept."""
    record = ledger.record
    fresh = replace(
        replica,
        state=CopyState.PENDING,
        intent=Intent.COPY,
        replication=record.id if record is not None else replica.replication,
        attempt=0,
        failures=0,
        cause=None,
        progress=NO_PROGRESS,
        due_time=ledger.now,
        deadline_time=ledger.now + budget,
        update_time=ledger.now,
    )
    disks = [
        replace(one, state=CopyState.PENDING, cause=None, progress=NO_PROGRESS)
        for one in ledger.tx.replicas.disks(replica.version, replica.location, replica.slot)
    ]
    ledger.put(fresh, *disks)


def remove(ledger: Ledger, replica: Replica) -> None:
    """Make a replica one to be removed; a worker takes its ref out of the slot."""
    gone = replace(
        replica,
        state=CopyState.REMOVING,
        intent=Intent.REMOVE,
        health=Health.UNSPECIFIED,
        generation=ledger.version.generation,
        cause=None,
        due_time=ledger.now,
        update_time=ledger.now,
    )
    ledger.put(gone)


def placed(
    region: Region | None, wanted: DesiredRegion, held: Sequence[Replica], now: datetime
) -> tuple[Placement, Cause | None]:
    """Choose slots; where they do not suffice, keep what is held and say why."""
    kept = {one.slot: one.storage_type for one in held if one.state is CopyState.COMPLETED}
    if region is None:
        return Placement(kept), make_cause(
            "REGION_UNSUITABLE",
            Code.FAILED_PRECONDITION,
            f"the region {wanted.location} does not exist",
            now,
            location=wanted.location,
        )
    placement = place(region, wanted.sets, held)
    shortage = placement.shortage
    if shortage is None:
        return placement, None
    return Placement(kept), make_cause(
        "REPLICA_CAPACITY",
        Code.FAILED_PRECONDITION,
        f"{wanted.location} has room for {shortage.maximum} replicas of "
        f"{shortage.storage_type.value}, and {shortage.wanted} are wanted",
        now,
        location=wanted.location,
        storage_account_type=shortage.storage_type.value,
        wanted=str(shortage.wanted),
        maximum=str(shortage.maximum),
    )
