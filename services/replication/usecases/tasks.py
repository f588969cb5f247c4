"""What a worker writes of the replica that it has claimed.

Whatever a worker writes is written only if the fence is
still its own and the replica is still meant to be what the worker makes of it, in the transaction
that locks the version: a worker that was replaced, or told otherwise, learns it at its next word.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from services.replication.content.errors import Cancelled, FenceLost, StoreUnavailable
from services.replication.domain.aggregate import replica_state
from services.replication.domain.progress import Counters, together
from services.replication.domain.records import (
    Replica,
    VersionDisk,
)
from services.replication.domain.states import CopyState, Intent
from services.replication.ports.outside import OperationResults
from services.replication.ports.room import Holder
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases import endings
from services.replication.usecases.claims import Task
from services.replication.usecases.damage import Damage
from services.replication.usecases.endings import disks_of
from services.replication.usecases.figures import advanced, raise_progress
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.room import promise
from services.replication.usecases.settings import EngineSettings
from services.replication.usecases.whereabouts import is_store_of

T = TypeVar("T")


class Tasks:
    """Records what becomes of claimed replicas."""

    def __init__(
        self, rows: UnitOfWork, results: OperationResults, settings: EngineSettings
    ) -> None:
        self._rows: Final = rows
        self._results: Final = results
        self.settings: Final = settings

    def enter(self, task: Task, disk: str, state: CopyState) -> None:
        """Record that a disk enters a state, and the replica with the last of its disks.

        Raises:
            FenceLost, Cancelled: the worker must stop.
        """

        def change(ledger: Ledger, replica: Replica) -> None:
            disks = {one.disk: one for one in disks_of(ledger, replica)}
            if disks[disk].state is not state:
                disks[disk] = replace(disks[disk], state=state, cause=None)
                ledger.put_disk(replica, disks[disk])
            whole = replica_state(tuple(disks.values()))
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

    def promise(self, task: Task, disk: str, length: int) -> None:
        """Have room in the region for all that the copy of a disk brings into the slot, in bytes.

        Raises:
            NoRoom: the limit of the region does not leave so much.
            FenceLost, Cancelled: the worker must stop.
        """

        def change(ledger: Ledger, replica: Replica) -> None:
            holder = Holder(replica.location, replica.slot, replica.version, disk)
            promise(ledger.tx, holder, length, length)

        self._change(task, change)

    def checkpoint(self, task: Task, disk: str, segment: int, counters: Counters) -> None:
        """Record that the segments below `segment` are durable in the slot."""

        def change(ledger: Ledger, replica: Replica) -> None:
            for one in disks_of(ledger, replica):
                if one.disk == disk:
                    progress = advanced(one.progress, counters, one.progress.rate)
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
                replace(one, progress=advanced(one.progress, counters[one.disk], 0))
                if one.disk in counters
                else one
                for one in tx.replicas.disks(*task.key)
            ]
            for one in disks:
                tx.replicas.put_disk(one)
            whole = together(one.progress for one in disks)
            shown = replace(whole, rate=rate).not_below(replica.progress.percent)
            tx.replicas.put(replace(replica, progress=shown))
            raise_progress(tx, version, replica.location)

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

    def complete(
        self, task: Task, stored: dict[str, int], *, verified: bool, replica_id: str = ""
    ) -> None:
        """Record that the ref is written: the replica is good.

        `stored` are the bytes that each disk takes beyond what the slot had before, `replica_id`
        is the store that they were written into, if any.

        Raises:
            FenceLost, Cancelled: as `enter`.
            StoreUnavailable: the slot has been given another store meanwhile.
        """

        def change(ledger: Ledger, replica: Replica) -> None:
            slot = replica.location, replica.slot
            if replica_id and not is_store_of(ledger.tx, *slot, replica_id):
                raise StoreUnavailable(f"{'/'.join(slot)} has another store now")
            endings.complete(ledger, replica, stored, verified=verified)

        self._change(task, change, allowed=frozenset({Intent.COPY, Intent.CANCEL}))

    def failed(self, task: Task, error: Exception) -> None:
        """Record what an attempt met: the next one, or the end of the replica."""
        self._change(
            task, lambda ledger, replica: endings.fail(ledger, replica, error, self.settings)
        )

    def require(self, task: Task, intent: Intent) -> None:
        """Check that a replica is meant to become this, by this worker; FenceLost, Cancelled."""
        replica = self._rows.read(lambda tx: tx.replicas.get(*task.key))
        if replica is None or replica.fence != task.fence:
            raise FenceLost
        if replica.intent is not intent:
            raise Cancelled

    def cancelled(self, task: Task) -> None:
        """Record that a replica was stopped; nothing of it was committed."""
        self._change(task, endings.cancel, allowed=frozenset({Intent.CANCEL}))

    def removed(self, task: Task) -> None:
        """Record that the ref is gone from the slot."""
        self._change(task, endings.remove, allowed=frozenset({Intent.REMOVE}))

    def postponed(self, task: Task, error: Exception) -> None:
        """Record that a removal could not be done yet; it is never given up."""
        self._change(
            task,
            lambda ledger, replica: endings.postpone(ledger, replica, error),
            allowed=frozenset({Intent.REMOVE, Intent.CANCEL}),
        )

    def content(self, task: Task) -> Sequence[VersionDisk]:
        """Answer what is known of the content of the version's disks."""
        return self._rows.read(lambda tx: tx.versions.disks(task.replica.version))

    def suspect(self, version: str, place: tuple[str, str], disk: str, error: Exception) -> None:
        """Let a replica be looked at that a copy could not be made from; it may be the target."""
        location, slot = place
        damage = Damage(self._rows, self._results)
        damage.report(version, location, slot, disk=disk, detail=str(error))

    def still_wanted(self, task: Task) -> bool:
        """Whether the slot is still to hold the version, whoever works on it now."""
        replica = self._rows.read(lambda tx: tx.replicas.get(*task.key))
        return replica is not None and replica.intent is Intent.COPY

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
