"""Tasks in the database: who works on a replica, and what the worker writes of it.

A claim raises the fence of the replica. Whatever a worker writes is written only if the fence is
still its own and the replica is still meant to be what the worker makes of it, in the transaction
that locks the version: a worker that was replaced, or told otherwise, learns it at its next word.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from services.kernel.backoff import backoff
from services.kernel.errors import Code
from services.replication.content.errors import Cancelled, FenceLost
from services.replication.domain.failures import Remedy, cause_of, make_cause, meaning_of
from services.replication.domain.names import disk_order
from services.replication.domain.progress import PERCENT, Counters, Progress, together
from services.replication.domain.records import (
    Replica,
    ReplicaDisk,
    Version,
    VersionDisk,
)
from services.replication.domain.states import COPYABLE, CopyState, Health, Intent
from services.replication.ports.outside import OperationResults
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.origins import Origins, Wait
from services.replication.usecases.settings import EngineSettings

_CANDIDATES: Final = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed replica: what the worker knows when it begins."""

    replica: Replica
    version: Version
    disks: tuple[ReplicaDisk, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """Version, location and slot."""
        return self.replica.version, self.replica.location, self.replica.slot

    @property
    def fence(self) -> int:
        """The fence of the claim."""
        return self.replica.fence


class Tasks:
    """Claims replicas and records what becomes of them."""

    def __init__(
        self,
        rows: UnitOfWork,
        origins: Origins,
        results: OperationResults,
        settings: EngineSettings,
    ) -> None:
        self._rows: Final = rows
        self._origins: Final = origins
        self._results: Final = results
        self.settings: Final = settings

    def claim(self, owner: str, limit: int) -> list[Task]:
        """Take at most `limit` due tasks for a process; the home region's come first.

        Nothing is written where nothing can be taken.
        """
        tasks: list[Task] = []
        for replica in self._rows.read(self._candidates):
            if len(tasks) == limit:
                break
            task = self._rows.transact(functools.partial(self._claim, owner=owner, seen=replica))
            if task is not None:
                tasks.append(task)
        return tasks

    def release(self, task: Task) -> None:
        """Let others claim a task at once, where it is still this worker's."""

        def give_back(tx: Tx) -> None:
            replica = tx.replicas.get(*task.key)
            if replica is not None and replica.fence == task.fence:
                tx.replicas.put(replace(replica, owner="", lease_time=tx.now()))

        self._locked(task, give_back)

    def renew(self, owner: str) -> None:
        """Extend all leases of a process."""
        lease = self.settings.lease
        self._rows.transact(lambda tx: tx.replicas.extend(owner, tx.now() + lease))

    def owned(self, owner: str) -> Sequence[Replica]:
        """Answer what a process holds, with what is meant to become of it."""
        return self._rows.read(lambda tx: tx.replicas.owned(owner))

    def enter(self, task: Task, disk: str, state: CopyState) -> None:
        """Record that a disk enters a state, and the replica with the last of its disks.

        Raises:
            FenceLost, Cancelled: the worker must stop.
        """

        def change(ledger: Ledger, replica: Replica) -> None:
            disks = {one.disk: one for one in _disks(ledger, replica)}
            if disks[disk].state is not state:
                disks[disk] = replace(disks[disk], state=state, cause=None)
                ledger.put_disk(replica, disks[disk])
            whole = _replica_state(tuple(disks.values()))
            if whole is not replica.state:
                ledger.put(replace(replica, state=whole, cause=None, update_time=ledger.now))

        self._change(task, change)

    def came_from(self, task: Task, location: str) -> None:
        """Record the region that a replica is copied from, empty for the source itself."""

        def change(ledger: Ledger, replica: Replica) -> None:
            if replica.source_location != location:
                ledger.put(replace(replica, source_location=location), event=False)

        self._change(task, change)

    def learn(self, task: Task, content: VersionDisk) -> None:
        """Record what a disk of the version holds, once it is known."""
        self._rows.transact(lambda tx: tx.versions.put_disk(content))

    def checkpoint(self, task: Task, disk: str, segment: int, counters: Counters) -> None:
        """Record that the segments below `segment` are durable in the slot."""

        def change(ledger: Ledger, replica: Replica) -> None:
            for one in _disks(ledger, replica):
                if one.disk == disk:
                    progress = _advanced(one.progress, counters, one.progress.rate)
                    ledger.tx.replicas.put_disk(replace(one, checkpoint=segment, progress=progress))

        self._change(task, change)

    def progress(self, task: Task, counters: dict[str, Counters], rate: int) -> None:
        """Record how far the disks are; `rate` in bytes per second. Not an event."""

        def change(tx: Tx) -> None:
            replica = tx.replicas.get(*task.key)
            version = tx.versions.get(task.replica.version)
            if replica is None or version is None or replica.fence != task.fence:
                return
            disks = [
                replace(one, progress=_advanced(one.progress, counters[one.disk], 0))
                if one.disk in counters
                else one
                for one in tx.replicas.disks(*task.key)
            ]
            for one in disks:
                tx.replicas.put_disk(one)
            whole = together(one.progress for one in disks)
            shown = replace(whole, rate=rate).not_below(replica.progress.percent)
            tx.replicas.put(replace(replica, progress=shown))
            _raise_progress(tx, version, replica.location)

        self._locked(task, change)

    def commit(self, task: Task) -> Replica:
        """Enter COMMITTING: from here on no cancellation wins. Answers the row to commit by.

        Raises:
            FenceLost, Cancelled: as `enter`.
        """

        def change(ledger: Ledger, replica: Replica) -> Replica:
            if replica.state is not CopyState.COMMITTING:
                replica = replace(replica, state=CopyState.COMMITTING, update_time=ledger.now)
                ledger.put(replica)
            return replica

        return self._change(task, change)

    def complete(self, task: Task, stored: dict[str, int], *, verified: bool) -> None:
        """Record that the ref is written: the replica is good.

        `stored` are the bytes that each disk takes beyond what the slot had before.
        """

        def change(ledger: Ledger, replica: Replica) -> None:
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
                for one in _disks(ledger, replica)
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
            self._count_crossed(ledger, replica, disks)

        self._change(task, change, allowed=frozenset({Intent.COPY, Intent.CANCEL}))

    def failed(self, task: Task, error: Exception) -> None:
        """Record what an attempt met: the next one, or the end of the replica."""

        def change(ledger: Ledger, replica: Replica) -> None:
            now = ledger.now
            place = {"location": replica.location, "slot": replica.slot}
            cause = cause_of(error, now, **place)
            remedy = meaning_of(error).remedy
            failures = replica.failures + (remedy is Remedy.TRY_AGAIN)
            given_up = remedy is Remedy.GIVE_UP or failures >= self.settings.attempts
            if not given_up and now >= replica.deadline_time:
                given_up = True
                seconds = int(self.settings.time_budget.total_seconds())
                cause = make_cause(
                    "TIME_BUDGET_EXCEEDED",
                    Code.DEADLINE_EXCEEDED,
                    f"not done within {seconds} s; last: {cause.message}",
                    now,
                    location=replica.location,
                    budget_seconds=str(seconds),
                )
            pause = backoff(
                replica.attempt, base=self.settings.retry_base, cap=self.settings.retry_cap
            )
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
                for one in _disks(ledger, replica)
                if given_up
            ]
            ledger.put(changed, *disks)

        self._change(task, change)

    def require(self, task: Task, intent: Intent) -> None:
        """Check that a replica is meant to become this, by this worker; FenceLost, Cancelled."""
        replica = self._rows.read(lambda tx: tx.replicas.get(*task.key))
        if replica is None or replica.fence != task.fence:
            raise FenceLost
        if replica.intent is not intent:
            raise Cancelled

    def cancelled(self, task: Task) -> None:
        """Record that a replica was stopped; nothing of it was committed."""

        def change(ledger: Ledger, replica: Replica) -> None:
            now = ledger.now
            disks = [replace(one, state=CopyState.CANCELLED) for one in _disks(ledger, replica)]
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

        self._change(task, change, allowed=frozenset({Intent.CANCEL}))

    def removed(self, task: Task) -> None:
        """Record that the ref is gone from the slot."""

        def change(ledger: Ledger, replica: Replica) -> None:
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
                    for one in _disks(ledger, replica)
                ),
            )

        self._change(task, change, allowed=frozenset({Intent.REMOVE}))

    def postponed(self, task: Task, error: Exception) -> None:
        """Record that a removal could not be done yet; it is never given up."""

        def change(ledger: Ledger, replica: Replica) -> None:
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

        self._change(task, change, allowed=frozenset({Intent.REMOVE, Intent.CANCEL}))

    def content(self, task: Task) -> Sequence[VersionDisk]:
        """Answer what is known of the content of the version's disks."""
        return self._rows.read(lambda tx: tx.versions.disks(task.replica.version))

    def still_wanted(self, task: Task) -> bool:
        """Whether the slot is still to hold the version, whoever works on it now."""
        replica = self._rows.read(lambda tx: tx.replicas.get(*task.key))
        return replica is not None and replica.intent is Intent.COPY

    def _candidates(self, tx: Tx) -> list[Replica]:
        now = tx.now()
        found = tx.replicas.claimable(now, _CANDIDATES)
        running = dict(tx.replicas.running(now))
        limits: dict[str, int] = {}
        homes: dict[str, str] = {}
        chosen: list[Replica] = []
        for replica in found:
            location = replica.location
            if replica.version not in homes:
                version = tx.versions.get(replica.version)
                homes[replica.version] = version.desired.home if version else ""
            if location not in limits:
                region = tx.regions.get(location)
                own = region.limits.concurrent_copies if region and region.limits else None
                limits[location] = own or self.settings.region_copies
            if replica.intent is Intent.COPY:
                if running.get(location, 0) >= limits[location]:
                    continue
                if isinstance(self._origins.choose(tx, replica), Wait):
                    continue
                running[location] = running.get(location, 0) + 1
            chosen.append(replica)
        # Home regions first: every other one may be waiting for theirs.
        return sorted(chosen, key=lambda one: (one.due_time, one.location != homes[one.version]))

    def _claim(self, tx: Tx, *, owner: str, seen: Replica) -> Task | None:
        key = seen.version, seen.location, seen.slot
        version = tx.versions.lock(key[0])
        replica = tx.replicas.get(*key)
        now = tx.now()
        if version is None or replica is None or not _is_free(replica, now):
            return None
        copying = replica.intent is Intent.COPY
        replica = replace(
            replica,
            owner=owner,
            fence=replica.fence + 1,
            lease_time=now + self.settings.lease,
            attempt=replica.attempt + 1,
            state=CopyState.PLANNING if copying else replica.state,
            update_time=now if copying else replica.update_time,
        )
        ledger = Ledger(tx, version, self._results)
        disks = [
            replace(one, state=CopyState.PENDING) if copying else one
            for one in tx.replicas.disks(*key)
        ]
        for one in disks:
            tx.replicas.put_disk(one)
        ledger.put(replica, event=copying)
        ledger.finish()
        return Task(replica, version, tuple(sorted(disks, key=lambda one: disk_order(one.disk))))

    def _change(
        self,
        task: Task,
        change: Callable[[Ledger, Replica], T],
        *,
        allowed: frozenset[Intent] = frozenset({Intent.COPY}),
    ) -> T:
        """Make a change of this worker's, if it is still the worker and its work still wanted."""

        def run(tx: Tx) -> T:
            version = tx.versions.lock(task.replica.version)
            replica = tx.replicas.get(*task.key)
            if version is None or replica is None or replica.fence != task.fence:
                raise FenceLost
            if replica.intent not in allowed:
                raise Cancelled
            ledger = Ledger(tx, version, self._results)
            answer = change(ledger, replica)
            ledger.finish()
            return answer

        return self._rows.transact(run)

    def _locked(self, task: Task, change: Callable[[Tx], None]) -> None:
        def run(tx: Tx) -> None:
            tx.versions.lock(task.replica.version)
            change(tx)

        self._rows.transact(run)

    def _count_crossed(
        self, ledger: Ledger, replica: Replica, disks: Sequence[ReplicaDisk]
    ) -> None:
        region = ledger.region(replica.location)
        origin = replica.source_location
        if region is None or origin in {"", replica.location}:
            return
        moved = sum(one.progress.counters.copied for one in disks)
        ledger.put_region(replace(region, crossed_bytes=region.crossed_bytes + moved))


def _is_free(replica: Replica, now: datetime) -> bool:
    unfinished = replica.state in COPYABLE or replica.state in {
        CopyState.CANCELLING,
        CopyState.REMOVING,
    }
    held = replica.owner != "" and replica.lease_time > now
    return unfinished and not held and replica.due_time <= now


def _disks(ledger: Ledger, replica: Replica) -> list[ReplicaDisk]:
    found = ledger.tx.replicas.disks(replica.version, replica.location, replica.slot)
    return sorted(found, key=lambda one: disk_order(one.disk))


def _replica_state(disks: Sequence[ReplicaDisk]) -> CopyState:
    """Answer what a replica does whose disks are copied one after the other.

    It copies until the last disk is verified, and commits only when all wait for it.
    """
    states = [one.state for one in disks]
    if all(state is CopyState.COMMITTING for state in states):
        return CopyState.VERIFYING
    last = states[-1]
    if last is CopyState.VERIFYING:
        return CopyState.VERIFYING
    if all(state in {CopyState.PENDING, CopyState.PLANNING} for state in states):
        return CopyState.PLANNING
    return CopyState.COPYING


def _advanced(before: Progress, counters: Counters, rate: int) -> Progress:
    shown = Progress(counters, min(counters.percent(), PERCENT - 1), rate)
    return shown.not_below(before.percent)


def _raise_progress(tx: Tx, version: Version, location: str) -> None:
    """Bring the figures of region and replication up to those of the replicas."""
    regions = list(tx.versions.regions(version.uid))
    for number, region in enumerate(regions):
        if region.location == location:
            replicas = tx.replicas.of_region(version.uid, location)
            wanted = [one.progress for one in replicas if one.intent is not Intent.REMOVE]
            progress = together(wanted).not_below(region.progress.percent)
            regions[number] = replace(region, progress=progress)
            tx.versions.put_region(regions[number])
    record = tx.replications.get(version.replication)
    if record is None or not record.is_open:
        return
    mine = [one.progress for one in regions if one.location in record.locations]
    tx.replications.update(
        replace(
            record,
            progress=together(mine).not_below(record.progress.percent),
            progress_revision=record.progress_revision + 1,
            update_time=tx.now(),
        )
    )
