"""Trying again where a replication failed or was cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from services.kernel.errors import FailedPrecondition, PreconditionViolation
from services.kernel.ids import new_uid
from services.replication.domain.names import replication_name
from services.replication.domain.progress import NO_PROGRESS
from services.replication.domain.records import ReplicationRecord, VersionRegion
from services.replication.domain.states import (
    AggregatedState,
    CopyState,
    RegionState,
    ReplicationState,
)
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.wanting import start_again, want_region

_AGAIN = frozenset({RegionState.FAILED, RegionState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Retry:
    """Which regions, none for all that failed or were cancelled; `delivery` tells it from others.

    `operation` is the name of the long-running operation that ends with it.
    """

    delivery: str
    locations: tuple[str, ...] = ()
    operation: str = ""


def reopen(ledger: Ledger, retry: Retry, budget: timedelta) -> ReplicationRecord:
    """Open a replication of the same generation for what failed and was cancelled.

    Raises:
        FailedPrecondition: REPLICATION_OPEN, NOTHING_TO_RETRY, REGION_NOT_TARGETED.
    """
    before = ledger.record
    if before is None or before.is_open:
        name = replication_name(before.id) if before else ""
        raise _refused("REPLICATION_OPEN", name, "the replication has not ended")
    regions = _regions_again(ledger, retry.locations, before)
    now = ledger.now
    ledger.open(
        replace(
            before,
            id=new_uid(),
            state=ReplicationState.OPEN,
            locations=tuple(region.location for region in regions),
            create_time=now,
            update_time=now,
            sequence=0,
            horizon=0,
            aggregated=AggregatedState.IN_PROGRESS,
            progress_revision=0,
            progress=NO_PROGRESS,
            predecessor=before.id,
            successor="",
            retry=True,
            delivery=retry.delivery,
            operation=retry.operation,
            end_time=None,
        )
    )
    for region in regions:
        _again(ledger, region, budget)
    ledger.finish()
    if ledger.record is None:
        raise RuntimeError("a replication was opened")
    return ledger.record


def _regions_again(
    ledger: Ledger, locations: Sequence[str], before: ReplicationRecord
) -> list[VersionRegion]:
    name = replication_name(before.id)
    for location in locations:
        if ledger.region(location) is None:
            raise _refused(
                "REGION_NOT_TARGETED",
                name,
                f"the version is not replicated into {location}",
                location=location,
            )
    found = [
        region
        for region in ledger.regions
        if region.state in _AGAIN and (not locations or region.location in locations)
    ]
    if not found:
        raise _refused("NOTHING_TO_RETRY", name, "no region has failed or was cancelled")
    return found


def _again(ledger: Ledger, region: VersionRegion, budget: timedelta) -> None:
    record = ledger.record
    desired = {one.location: one for one in ledger.version.desired.regions}
    if region.location in desired:
        # Slots are looked for anew: what stood in the way may be gone, or another one be there.
        want_region(ledger, desired[region.location], region.ordinal, budget)
        return
    for replica in ledger.tx.replicas.of_region(region.version, region.location):
        if replica.state in {CopyState.FAILED, CopyState.CANCELLED}:
            start_again(ledger, replica, budget)
    ledger.put_region(replace(region, replication=record.id if record else ""))


def _refused(reason: str, replication: str, message: str, **metadata: str) -> FailedPrecondition:
    return FailedPrecondition(
        message,
        reason=reason,
        metadata={"replication": replication, **metadata},
        precondition=(PreconditionViolation(reason, replication, message),),
    )
