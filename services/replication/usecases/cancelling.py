"""Cancelling what a replication has not done yet (replication.md 2.8)."""

from collections.abc import Sequence
from dataclasses import replace

from services.kernel.errors import FailedPrecondition, PreconditionViolation
from services.replication.domain.names import replication_name
from services.replication.domain.records import Replica
from services.replication.domain.states import REGION_DONE, CopyState, Intent, ReplicationState
from services.replication.usecases.ledger import Ledger

# Whoever commits has won: the ref may be there already.
_STOPPABLE = frozenset(
    {
        CopyState.PENDING,
        CopyState.PLANNING,
        CopyState.COPYING,
        CopyState.VERIFYING,
        CopyState.PAUSED,
    }
)


def cancel_regions(ledger: Ledger, locations: Sequence[str]) -> None:
    """Cancel regions of the open replication that are not done, all of them where none is named.

    What no worker holds is cancelled at once, the rest by the worker that holds it. Without an
    open replication nothing happens. The caller finishes the ledger.

    Raises:
        FailedPrecondition: REGION_NOT_TARGETED.
    """
    record = ledger.record
    if record is None:
        return
    unknown = [location for location in locations if location not in record.locations]
    if unknown:
        message = f"the replication has no region {unknown[0]}"
        name = replication_name(record.id)
        raise FailedPrecondition(
            message,
            reason="REGION_NOT_TARGETED",
            metadata={"location": ",".join(unknown), "replication": name},
            precondition=(PreconditionViolation("REGION_NOT_TARGETED", name, message),),
        )
    if not ledger.is_open:
        return
    chosen = set(locations or record.locations)
    left = [
        region
        for region in ledger.regions
        if region.location in record.locations and region.state not in REGION_DONE
    ]
    still_open = record.state is ReplicationState.OPEN
    if still_open and left and all(region.location in chosen for region in left):
        ledger.cancelling()
    for region in left:
        if region.location in chosen:
            for replica in ledger.tx.replicas.of_region(region.version, region.location):
                _cancel(ledger, replica)


def _cancel(ledger: Ledger, replica: Replica) -> None:
    if replica.state not in _STOPPABLE:
        return
    held = replica.owner != "" and replica.lease_time > ledger.now
    state = CopyState.CANCELLING if held else CopyState.CANCELLED
    changed = replace(
        replica, state=state, intent=Intent.CANCEL, cause=None, update_time=ledger.now
    )
    disks = [
        replace(disk, state=state, cause=None)
        for disk in ledger.tx.replicas.disks(replica.version, replica.location, replica.slot)
        if not held
    ]
    ledger.put(changed, *disks)
