"""What is known of the bytes of committed replicas, brought into their rows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.kernel.errors import Code
from services.replication.content.errors import DataError
from services.replication.domain.failures import cause_of, make_cause
from services.replication.domain.progress import Cause
from services.replication.domain.records import Replica, ReplicaDisk
from services.replication.domain.states import CopyState, Health, Intent
from services.replication.domain.verification import Target
from services.replication.ports.outside import OperationResults
from services.replication.ports.rows import Tx
from services.replication.usecases.ledger import Ledger

_AGAIN_AFTER: Final = timedelta(minutes=1)
_AGAIN_CAP: Final = timedelta(hours=1)
_WORST: Final = (Health.LOST, Health.DAMAGED, Health.REPAIRING, Health.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class DiskState:
    """What is known of a disk after a look."""

    health: Health
    damaged: int
    detail: str
    repaired: int = 0
    problem: DataError | None = None
    is_whole: bool = False

    def applied(self, disk: ReplicaDisk, cause: Cause | None, now: datetime) -> ReplicaDisk:
        """Answer the row of the disk with it."""
        changed = replace(
            disk,
            health=self.health,
            cause=cause,
            damaged_bytes=self.damaged,
            verify_time=now if self.is_whole else disk.verify_time,
        )
        if self.repaired == 0:
            return changed
        return replace(
            changed,
            healed_bytes=disk.healed_bytes + self.repaired,
            heal_count=disk.heal_count + 1,
            heal_time=now,
        )

    def cause(self, target: Target, now: datetime) -> Cause | None:
        """Answer why the disk is not good; None where it is."""
        if self.health is Health.GOOD:
            return None
        where = {"location": target.location, "slot": target.slot, "disk": target.disk}
        if self.problem is not None:
            return cause_of(self.problem, now, **where)
        return make_cause("DIGEST_MISMATCH", Code.DATA_LOSS, self.detail, now, **where)


def record(
    tx: Tx, results: OperationResults, version: str, *, target: Target, state: DiskState
) -> bool:
    """Record what is known of a disk now; False where its replica is not committed any more.

    The region, the feed and its followers hear of it in the same transaction.
    """
    locked = tx.versions.lock(version)
    replica = tx.replicas.get(version, target.location, target.slot)
    if locked is None or replica is None or not is_committed(replica):
        return False
    now = tx.now()
    rows = tx.replicas.disks(version, target.location, target.slot)
    disks = {one.disk: one for one in rows}
    before = disks[target.disk]
    after = disks[target.disk] = state.applied(before, state.cause(target, now), now)
    health = worst(disks.values())
    if health is replica.health and after.health is before.health is Health.GOOD:
        tx.replicas.put_disk(after)
        return True
    causes = [one.cause for one in disks.values() if one.cause is not None]
    changed = replace(
        replica,
        health=health,
        cause=causes[0] if causes else None,
        update_time=now if health is not replica.health else replica.update_time,
    )
    if health is Health.GOOD:
        changed = replace(changed, failures=0)
    elif state.health is Health.DAMAGED:
        changed = later(changed, now)
    ledger = Ledger(tx, locked, results)
    ledger.put(changed, after, event=False)
    ledger.finish()
    return True


def is_committed(replica: Replica) -> bool:
    """Whether a replica is there to be read, and to stay; a shallow one lies in no store."""
    kept = replica.state is CopyState.COMPLETED and replica.intent is Intent.COPY
    return kept and not replica.is_shallow


def worst(disks: Iterable[ReplicaDisk]) -> Health:
    """Answer the health of a replica with these disks."""
    found = {one.health for one in disks}
    return next((health for health in _WORST if health in found), Health.GOOD)


def later(replica: Replica, now: datetime) -> Replica:
    """Answer a damaged replica with the time of its next repair, twice as far off each time."""
    pause = min(_AGAIN_AFTER * 2 ** min(replica.failures, 10), _AGAIN_CAP)
    return replace(replica, failures=replica.failures + 1, due_time=now + pause)
