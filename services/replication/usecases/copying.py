"""Copying one replica: all disks into one slot, then one ref that makes them visible."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from services.kernel.errors import Code
from services.replication.content import progress as content
from services.replication.content.errors import FenceLost, ObjectCorrupt, ObjectMissing
from services.replication.content.ingest import ingest_disk
from services.replication.content.journal import forget_task
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Checkpoint, Control, Phase
from services.replication.content.refs import VersionRef, commit_version, remove_version
from services.replication.content.replicate import Origin, replicate_disk
from services.replication.content.segment_io import read_manifest
from services.replication.content.slots import Slot
from services.replication.content.store import Store
from services.replication.domain.desired import DesiredDisk
from services.replication.domain.failures import CopyFailed, Remedy
from services.replication.domain.records import ReplicaDisk, VersionDisk
from services.replication.domain.states import CopyState, Intent, ReplicationMode
from services.replication.ports.outside import Rights, SourceFiles, Stores
from services.replication.usecases.bases import Wanted
from services.replication.usecases.claims import Task
from services.replication.usecases.metering import Carried, Meter
from services.replication.usecases.origins import FromReplica, Lost, Origins, Wait
from services.replication.usecases.room import PromisedStore
from services.replication.usecases.shallow import ShallowReplicas, require_size
from services.replication.usecases.source_opening import SourceOpening
from services.replication.usecases.target_store import TargetStore, of_target
from services.replication.usecases.tasks import Tasks

_STATES: Final = {
    Phase.PLANNING: CopyState.PLANNING,
    Phase.COPYING: CopyState.COPYING,
    Phase.VERIFYING: CopyState.VERIFYING,
    Phase.COMMITTING: CopyState.COMMITTING,
}


@dataclass(slots=True)
class Lease:
    """What a worker knows of its claim: whether it is held, and until when it may believe so."""

    held_until: float
    lost: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """Stop the worker at its next step, wherever it is."""
        self.lost.set()
        self.cancelled.set()

    def check(self) -> None:
        """Stop a worker that may have been replaced; FenceLost."""
        if self.lost.is_set() or time.monotonic() >= self.held_until:
            raise FenceLost


class CopyReplica:
    """Runs one claimed task to whatever end it comes to. Everything may block."""

    def __init__(
        self,
        tasks: Tasks,
        origins: Origins,
        stores: Stores,
        rights: Rights,
        *,
        files: SourceFiles,
    ) -> None:
        self._tasks: Final = tasks
        self._origins: Final = origins
        self._stores: Final = stores
        self._rights: Final = rights
        self._sources: Final = SourceOpening(origins, stores, files)
        self._shallow: Final = ShallowReplicas(tasks, self._sources)

    def copy(self, task: Task, lease: Lease, meter: Meter) -> None:
        """Copy, verify and commit all disks of a replica.

        Raises:
            CopyFailed, DataError: the attempt failed.
            Cancelled, FenceLost: the worker must stop.
        """
        self._check_rights(task)
        if task.replica.is_shallow:
            self._shallow.refer(task)
            return
        replica, desired = task.replica, task.version.desired
        origin = self._origins.of(replica)
        if isinstance(origin, Wait):
            raise CopyFailed(
                "NO_COPY_SOURCE",
                Code.UNAVAILABLE,
                "another replica comes first",
                remedy=Remedy.WAIT,
            )
        if isinstance(origin, Lost):
            raise CopyFailed(
                "NO_COPY_SOURCE",
                Code.DATA_LOSS,
                "no replica of the version can be copied from",
                metadata={"location": replica.location},
            )
        store = self._target(task)
        roots: dict[str, bytes] = {}
        stored: dict[str, int] = {}
        for disk in desired.disks:
            state = next(one for one in task.disks if one.disk == disk.disk)
            manifest, copied = self._copy_disk(
                _DiskTask(self, task, disk, state, store, lease, meter), origin
            )
            roots[disk.disk] = manifest.root
            stored[disk.disk] = copied
        self._commit(task, store, lease, roots)
        verified = self._tasks.settings.options.verify is content.VerifyPolicy.FULL
        try:
            self._tasks.complete(task, stored, verified=verified)
        except FenceLost:
            self._take_back(task, store)
            raise
        for disk in desired.disks:
            _forget_disk(store, task, disk.disk)

    def cancel(self, task: Task) -> None:
        """Finish a cancellation: what was journalled is forgotten, the bytes are collected."""
        self._tasks.require(task, Intent.CANCEL)
        self._forget(task)
        self._tasks.cancelled(task)

    def remove(self, task: Task) -> None:
        """Take the version out of the slot.

        Raises:
            CopyFailed, DataError: it could not be done now.
        """
        if not task.replica.is_shallow:
            store = self._target(task)
            remove_version(store, task.replica.version, up_to_generation=task.replica.generation)
            self._forget(task)
        self._tasks.removed(task)

    def _forget(self, task: Task) -> None:
        if task.replica.is_shallow:
            return
        store = self._target(task)
        for disk in task.version.desired.disks:
            _forget_disk(store, task, disk.disk)

    def _target(self, task: Task) -> Store:
        replica = task.replica
        slot = self._origins.slot(replica.location, replica.slot)
        region = self._origins.region(replica.location)
        limits = region.limits if region is not None else None
        with of_target():
            store = self._stores.open(replica.location, slot)
        target: Any = TargetStore(
            self._stores.limited(
                store, replica.location, limits.bandwidth_bytes_per_second if limits else None
            )
        )
        marked: Store = target
        return marked

    def _check_rights(self, task: Task) -> None:
        """Ask again whether the subject may what is being done for them (DESIGN 4)."""
        grant = task.version.grant
        lost = self._rights.lost(grant)
        if lost is not None:
            raise CopyFailed(
                "AUTHORIZATION_REVOKED",
                Code.PERMISSION_DENIED,
                f"{grant.subject} no longer holds {lost.action} at {lost.scope}",
                metadata={
                    "subject": grant.subject,
                    "permission": lost.action,
                    "resource": lost.scope,
                },
            )

    def _copy_disk(self, work: "_DiskTask", origin: FromReplica | object) -> tuple[Manifest, int]:
        """Answer the durable manifest of a disk, and the bytes that it added to the slot."""
        task, disk = work.task, work.disk
        control = work.control()
        promised: Any = PromisedStore(work.store, partial(self._promise, task, disk.disk, control))
        slot = Slot(promised, task.version.tenant, copy_task(task, disk.disk))
        options = self._tasks.settings.options
        if isinstance(origin, FromReplica):
            source = self._origins.slot(origin.location, origin.slot)
            root = self._content(task, disk.disk)
            store = self._stores.open(origin.location, source)
            self._tasks.came_from(task, origin.location)
            place = origin.location, origin.slot
            with self._suspecting(task.version.uid, place, disk.disk):
                manifest = read_manifest(store, task.version.tenant, root)
                found = replicate_disk(
                    Origin(store, task.version.tenant, manifest),
                    slot,
                    control,
                    options=options,
                    base=self._base(work),
                )
        else:
            home, failures = task.version.desired.home, task.replica.failures
            with self._sources.opened(disk, home, failures=failures) as source_of:
                require_size(
                    disk, source_of.size, ReplicationMode.FULL, settings=self._tasks.settings
                )
                away = source_of.location != task.replica.location
                self._tasks.came_from(task, source_of.location if away else "")
                if isinstance(source_of.content, Origin):
                    found = replicate_disk(
                        source_of.content, slot, control, options=options, base=self._base(work)
                    )
                else:
                    slot = replace(slot, task=ingest_task(task, disk.disk))
                    found = ingest_disk(
                        source_of.content, slot, control, options=options, base=self._base(work)
                    )
        header = found.header
        self._tasks.learn(
            task,
            VersionDisk(
                task.version.uid,
                disk.disk,
                found.root.hex(),
                header.logical_size,
                found.occupied_bytes,
            ),
        )
        work.enter(Phase.COMMITTING)
        return found, control.progress.sample().copied

    def _promise(self, task: Task, disk: str, control: Control, length: int) -> None:
        """Ask for the room that a disk takes: what is durable already, and what is to come."""
        self._tasks.promise(task, disk, control.progress.sample().copied + length)

    def _base(self, work: "_DiskTask") -> Manifest | None:
        replica, version = work.task.replica, work.task.version
        wanted = Wanted(version.uid, version.name, version.tenant, work.disk.disk)
        return self._origins.base(work.store, (replica.location, replica.slot), wanted)

    @contextlib.contextmanager
    def _suspecting(self, version: str, place: tuple[str, str], disk: str) -> Iterator[None]:
        """Have the origin repaired where it turns out to be bad: the next attempt needs it."""
        try:
            yield
        except (ObjectCorrupt, ObjectMissing) as error:
            self._tasks.suspect(version, place, disk, error)
            raise

    def _content(self, task: Task, disk: str) -> bytes:
        for known in self._tasks.content(task):
            if known.disk == disk:
                return bytes.fromhex(known.root)
        raise ObjectMissing(f"manifest of disk {disk}")

    def _commit(self, task: Task, store: Store, lease: Lease, roots: dict[str, bytes]) -> None:
        """Write the ref: the moment at which the slot holds the version, whole or not at all."""
        lease.check()
        replica = self._tasks.commit(task)
        lease.check()
        commit_version(
            store,
            VersionRef(
                version=replica.version,
                tenant=task.version.tenant,
                generation=replica.generation,
                replication=replica.replication,
                fence=task.fence,
                disks=roots,
            ),
        )

    def _take_back(self, task: Task, store: Store) -> None:
        """Remove a ref that was written although the version had meanwhile left the slot."""
        if not self._tasks.still_wanted(task):
            generation = task.replica.generation
            remove_version(store, task.replica.version, up_to_generation=generation)


@dataclass(slots=True)
class _DiskTask:
    """One disk of a running task."""

    owner: CopyReplica
    task: Task
    disk: DesiredDisk
    state: ReplicaDisk
    store: Store
    lease: Lease
    meter: Meter
    _carried: Carried = field(init=False)
    _control: Control = field(init=False)

    def control(self) -> Control:
        """Answer what steers the copy of this disk."""
        self._carried = Carried(self.state.progress.counters)
        self._control = Control(
            cancelled=self.lease.cancelled,
            fence=self.lease.check,
            checkpoint=self._checkpoint,
            phase=self.enter,
        )
        self.meter.begin(self.disk.disk, self._carried, self._control.progress)
        return self._control

    def enter(self, phase: Phase) -> None:
        """Record a phase of the copy."""
        if phase is Phase.COPYING:
            # The journals are read: what the attempt goes on with is known.
            self._carried.resumed(self._control.progress.sample())
        self.owner._tasks.enter(self.task, self.disk.disk, _STATES[phase])  # noqa: SLF001

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        counters = self._carried.shown(checkpoint.counters)
        self.owner._tasks.checkpoint(  # noqa: SLF001
            self.task, self.disk.disk, checkpoint.end_segment, counters
        )


def copy_task(task: Task, disk: str) -> str:
    """Answer the name under which the copy of a disk is journalled in its slot."""
    return f"{task.replica.version}.{disk}"


def ingest_task(task: Task, disk: str) -> str:
    """Answer the name under which the first reading of a disk is journalled.

    Another one than that of copies: a slot that began with the source may go on with a replica.
    """
    return f"{task.replica.version}.{disk}.source"


def _forget_disk(store: Store, task: Task, disk: str) -> None:
    forget_task(store, copy_task(task, disk))
    forget_task(store, ingest_task(task, disk))
