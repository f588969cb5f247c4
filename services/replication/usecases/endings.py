"""How the work on a replica ends, for now or for good.

Each of these is a change of one claimed replica through the ledger of its version: the lease is
given back with it, so that whoever comes next finds the replica free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from services.kernel.backoff import backoff
from services.kernel.errors import Code
from services.replication.content.errors import StoreUnavailable
from services.replication.domain.failures import Remedy, cause_of, make_cause, meaning_of
from services.replication.domain.names import disk_order
from services.replication.domain.progress import PERCENT, together
from services.replication.domain.records import Replica, ReplicaDisk
from services.replication.domain.states import CopyState, Health
from services.replication.usecases import wanting
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.settings import EngineSettings


def disks_of(ledger: Ledger, replica: Replica) -> list[ReplicaDisk]:
    """Answer the disks of a replica in their order."""
    found = ledger.tx.replicas.disks(replica.version, replica.location, replica.slot)
    return sorted(found, key=lambda one: disk_order(one.disk))


def complete(
    ledger: Ledger, replica: Replica, stored: Mapping[str, int], *, verified: bool
) -> None:
    """Record that the ref is written: the replica is good. `stored` are bytes, by disk."""
    now = ledger.now
    disks = [
        replace(
            one,
            state=CopyState.COMPLETED,
            health=Health.GOOD,
            progress=replace(one.progress, percent=PERCENT, rate=0),
            stored_bytes=stored.get(one.disk, 0),
            verify_time=now if verified else None,
        )
        for one in disks_of(ledger, replica)
    ]
    ledger.put(
        replace(
            replica,
            state=CopyState.COMPLETED,
            health=Health.GOOD,
            cause=None,
            progress=replace(together(one.progress for one in disks), percent=PERCENT),
            owner="",
            lease_time=now,
            update_time=now,
            commit_time=now,
        ),
        *disks,
    )
    ledger.tx.breakers.reset(replica.location, replica.slot)
    _count_crossed(ledger, replica, disks)
    _let_go_of_source(ledger, replica)


def fail(ledger: Ledger, replica: Replica, error: Exception, settings: EngineSettings) -> None:
    """Record what an attempt met: the next one, or the end of the replica."""
    now = ledger.now
    place = {"location": replica.location, "slot": replica.slot}
    cause = cause_of(error, now, **place)
    remedy = meaning_of(error).remedy
    failures = replica.failures + (remedy is Remedy.TRY_AGAIN)
    given_up = remedy is Remedy.GIVE_UP or failures >= settings.attempts
    if not given_up and now >= replica.deadline_time:
        given_up = True
        seconds = int(settings.time_budget.total_seconds())
        cause = make_cause(
            "TIME_BUDGET_EXCEEDED",
            Code.DEADLINE_EXCEEDED,
            f"not done within {seconds} s; last: {cause.message}",
            now,
            location=replica.location,
            budget_seconds=str(seconds),
        )
    pause = backoff(replica.attempt, base=settings.retry_base, cap=settings.retry_cap)
    changed = replace(
        replica,
        state=CopyState.FAILED if given_up else CopyState.PAUSED,
        failures=failures,
        cause=cause,
        due_time=now if given_up else now + timedelta(seconds=pause),
        owner="",
        lease_time=now,
        update_time=now,
        progress=replace(replica.progress, rate=0),
    )
    disks = [
        replace(one, state=changed.state, cause=cause)
        for one in disks_of(ledger, replica)
        if given_up
    ]
    ledger.put(changed, *disks)
    if isinstance(error, StoreUnavailable) and error.of_target:
        _break(ledger, replica, settings)


def cancel(ledger: Ledger, replica: Replica) -> None:
    """Record that the replica was stopped."""
    now = ledger.now
    disks = [replace(one, state=CopyState.CANCELLED) for one in disks_of(ledger, replica)]
    ledger.put(
        replace(
            replica,
            state=CopyState.CANCELLED,
            owner="",
            lease_time=now,
            update_time=now,
            progress=replace(replica.progress, rate=0),
        ),
        *disks,
    )


def remove(ledger: Ledger, replica: Replica) -> None:
    """Record that the ref is gone from the slot."""
    ledger.put(
        replace(
            replica,
            state=CopyState.REMOVED,
            owner="",
            lease_time=ledger.now,
            update_time=ledger.now,
        ),
        *(
            replace(one, state=CopyState.REMOVED, health=Health.UNSPECIFIED, stored_bytes=0)
            for one in disks_of(ledger, replica)
        ),
    )


def postpone(ledger: Ledger, replica: Replica, error: Exception) -> None:
    """Record that a removal could not be done yet: it is due again later."""
    now = ledger.now
    pause = backoff(replica.attempt, base=1.0, cap=300.0)
    ledger.put(
        replace(
            replica,
            cause=cause_of(error, now, location=replica.location, slot=replica.slot),
            due_time=now + timedelta(seconds=pause),
            owner="",
            lease_time=now,
            update_time=now,
        ),
        event=False,
    )


def _break(ledger: Ledger, replica: Replica, settings: EngineSettings) -> None:
    """Leave a slot alone that does not answer, the longer the more often it was tried."""
    breakers, now = ledger.tx.breakers, ledger.now
    failures, _ = breakers.all().get((replica.location, replica.slot), (0, now))
    beyond = failures + 2 - settings.breaker_failures
    base, cap = settings.retry_base, settings.retry_cap
    pause = backoff(beyond, base=base, cap=cap) if beyond > 0 else 0.0
    breakers.fail(replica.location, replica.slot, now + timedelta(seconds=pause))


def _count_crossed(ledger: Ledger, replica: Replica, disks: Sequence[ReplicaDisk]) -> None:
    """Count what came from another region, once however many replicas the region has.

    On one machine replicas of a region are copied from elsewhere at the same time, where
    over a network they would wait for the first one: what that brought is what counts.
    """
    region = ledger.region(replica.location)
    origin = replica.source_location
    if region is None or origin in {"", replica.location}:
        return
    others = ledger.tx.replicas.of_region(replica.version, replica.location)
    if any(one.is_good and one.slot != replica.slot for one in others):
        return
    moved = sum(one.progress.counters.copied for one in disks)
    ledger.put_region(replace(region, crossed_bytes=region.crossed_bytes + moved))


def _let_go_of_source(ledger: Ledger, committed: Replica) -> None:
    """Take a shallow replica away once there is a copy to read instead."""
    if committed.is_shallow:
        return
    for replica in ledger.tx.replicas.of_region(committed.version, committed.location):
        if replica.is_shallow and replica.state is CopyState.COMPLETED:
            wanting.remove(ledger, replica)
