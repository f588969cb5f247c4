"""Who works on which replica.

A claim raises the fence of the replica: what its worker writes from then on is refused to all
who held it before (replication.md 5).
"""

import functools
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.replication.domain.moments import Moment
from services.replication.domain.names import disk_order
from services.replication.domain.records import Replica, ReplicaDisk, Version
from services.replication.domain.region import Region
from services.replication.domain.states import UNFINISHED, CopyState, Intent
from services.replication.ports.outside import OperationResults
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.origins import Origins, Wait
from services.replication.usecases.settings import EngineSettings

_LOG = logging.getLogger(__name__)
# Of each tenant in each region: some may have to wait for others behind them.
_SHARE: Final = 32


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed replica: what the worker knows when it begins."""

    replica: Replica
    version: Version
    disks: tuple[ReplicaDisk, ...]
    trace_context: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Version, location and slot."""
        return self.replica.version, self.replica.location, self.replica.slot

    @property
    def fence(self) -> int:
        """The fence of the claim."""
        return self.replica.fence


class Claims:
    """Takes due tasks for a process, and keeps its leases."""

    def __init__(
        self,
        rows: UnitOfWork,
        origins: Origins,
        results: OperationResults,
        settings: EngineSettings,
        *,
        locations: Collection[str] = (),
    ) -> None:
        """`locations` are the regions whose tasks are claimed; none: those of every region."""
        self._locations: Final = frozenset(locations)
        self._rows: Final = rows
        self._origins: Final = origins
        self._results: Final = results
        self.settings: Final = settings

    def claim(self, owner: str, limit: int) -> list[Task]:
        """Take at most `limit` due tasks for a process.

        The next one is always of the tenant of whom the fewest are worked on, by all processes;
        of a tenant's those that wait longest, the home region's first. Nothing is written where
        nothing can be taken.
        """
        tasks: list[Task] = []
        for replica in self._rows.read(functools.partial(self._candidates, limit)):
            if len(tasks) == limit:
                break
            task = self._rows.transact(functools.partial(self._claim, owner=owner, seen=replica))
            if task is not None:
                tasks.append(task)
        return tasks

    def release(self, task: Task) -> None:
        """Let others claim a task at once, where it is still this worker's."""

        def give_back(tx: Tx) -> None:
            tx.versions.lock(task.replica.version)
            replica = tx.replicas.get(*task.key)
            if replica is not None and _is_of(replica, task):
                tx.replicas.put(replace(replica, owner="", lease_time=tx.now()))

        # What was brought to an end has been given back with its last word.
        held = self._rows.read(lambda tx: tx.replicas.get(*task.key))
        if held is not None and _is_of(held, task):
            self._rows.transact(give_back)

    def take_over(self, place: str) -> int:
        """Give back what processes that were here before held, and answer how much it was.

        Their leases would run out by themselves; that they are gone is known sooner to whoever
        started this one in their stead.
        """
        held = self._rows.transact(lambda tx: tx.replicas.disown(place, tx.now()))
        if held:
            _LOG.info("%d tasks are claimed again, whose process is gone", held)
        return held

    def renew(self, owner: str) -> None:
        """Extend all leases of a process."""
        lease = self.settings.lease
        self._rows.transact(lambda tx: tx.replicas.extend(owner, tx.now() + lease))

    def owned(self, owner: str) -> Sequence[Replica]:
        """Answer what a process holds, with what is meant to become of it."""
        return self._rows.read(lambda tx: tx.replicas.owned(owner))

    def _queues(self, tx: Tx) -> dict[str, list[Replica]]:
        """Answer due tasks by tenant, the first of each at the end of its list."""
        queues: dict[str, list[Replica]] = {}
        homes: dict[str, tuple[str, str]] = {}
        for replica in tx.replicas.claimable(self._moment(tx), _SHARE, self._locations):
            if replica.version not in homes:
                version = tx.versions.get(replica.version)
                homes[replica.version] = (
                    (version.tenant, version.desired.home) if version else ("", "")
                )
            queues.setdefault(homes[replica.version][0], []).append(replica)
        for queue in queues.values():
            # Home regions first: every other one may be waiting for theirs.
            queue.sort(
                key=lambda one: (one.due_time, one.location != homes[one.version][1]), reverse=True
            )
        return queues

    def _candidates(self, limit: int, tx: Tx) -> list[Replica]:
        queues = self._queues(tx)
        if not queues:
            return []
        regions, tenants = Counter[str](), Counter[str]()
        moment = self._moment(tx)
        for location, tenant, count in tx.replicas.running(moment):
            regions[location] += count
            tenants[tenant] += count
        breakers = tx.breakers.all()
        limits: dict[str, int] = {}
        chosen: list[Replica] = []
        # As many again for those that other processes take meanwhile.
        while queues and len(chosen) < 2 * limit:
            tenant = min(queues, key=lambda one: (tenants[one], queues[one][-1].due_time))
            replica = queues[tenant].pop()
            if not queues[tenant]:
                del queues[tenant]
            location = replica.location
            if replica.intent is Intent.COPY:
                if location not in limits:
                    limits[location] = self._limit(tx.regions.get(location))
                full = regions[location] >= limits[location]
                failures, until = breakers.get((location, replica.slot), (0, moment.time))
                is_broken = failures >= self.settings.breaker_failures
                broken = is_broken and moment.precedes(until)
                if full or broken or isinstance(self._origins.choose(tx, replica), Wait):
                    continue
                regions[location] += 1
                tenants[tenant] += 1
            chosen.append(replica)
        return chosen

    def _limit(self, region: Region | None) -> int:
        own = region.limits.concurrent_copies if region and region.limits else None
        return own or self.settings.region_copies

    def _has_room(self, tx: Tx, replica: Replica) -> bool:
        """Count again what is copied into a region, while no other process can begin a copy.

        A slot that did not answer several times is tried by one copy at a time, until one ends
        well.
        """
        location, slot, moment = replica.location, replica.slot, self._moment(tx)
        limit = self._limit(tx.regions.lock(location))
        if sum(count for _, _, count in tx.replicas.running(moment, location)) >= limit:
            return False
        failures, until = tx.breakers.all().get((location, slot), (0, moment.time))
        if failures < self.settings.breaker_failures:
            return True
        is_tried = tx.replicas.copies_into(location, slot, moment) > 0
        return not (moment.precedes(until) or is_tried)

    def _moment(self, tx: Tx) -> Moment:
        return Moment(tx.now(), self.settings.reach)

    def _claim(self, tx: Tx, *, owner: str, seen: Replica) -> Task | None:
        key = seen.version, seen.location, seen.slot
        version = tx.versions.lock(key[0])
        replica = tx.replicas.get(*key)
        moment = self._moment(tx)
        if version is None or replica is None or not _is_free(replica, moment):
            return None
        now = moment.time
        copying = replica.intent is Intent.COPY
        if copying and not self._has_room(tx, replica):
            return None
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
        disks.sort(key=lambda one: disk_order(one.disk))
        record = ledger.record
        return Task(replica, version, tuple(disks), record.trace_context if record else "")


def _is_of(replica: Replica, task: Task) -> bool:
    return (replica.owner, replica.fence) == (task.replica.owner, task.fence)


def _is_free(replica: Replica, moment: Moment) -> bool:
    held = replica.owner != "" and moment.precedes(replica.lease_time)
    return replica.state in UNFINISHED and not held and not moment.precedes(replica.due_time)
