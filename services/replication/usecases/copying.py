"""Copying one replica: all disks into one slot, then one ref that makes them visible."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from services.kernel.errors import Code
from services.replication.content import progress as content
from services.replication.content.errors import FenceLost, ObjectCorrupt, ObjectMissing
from services.replication.content.ingest import ingest_disk
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Control, Phase
from services.replication.content.refs import VersionRef, commit_version, remove_version
from services.replication.content.replicate import Origin, replicate_disk
from services.replication.content.segment_io import read_manifest
from services.replication.content.shared_reads import SharedReads
from services.replication.content.slots import Slot
from services.replication.content.store import ObjectReader, Store
from services.replication.domain.failures import CopyFailed, Remedy
from services.replication.domain.records import VersionDisk
from services.replication.domain.region import Slot as RegionSlot
from services.replication.domain.states import Intent, ReplicationMode
from services.replication.ports.outside import Rights, SourceFiles, Stores
from services.replication.usecases.bases import Wanted
from services.replication.usecases.claims import Task
from services.replication.usecases.disk_copy import (
    DiskCopy,
    Lease,
    copy_task,
    forget_disk,
    ingest_task,
)
from services.replication.usecases.metering import Meter
from services.replication.usecases.origins import FromReplica, Lost, Origins, Wait
from services.replication.usecases.room import PromisedStore
from services.replication.usecases.shallow import ShallowReplicas, require_size
from services.replication.usecases.source_opening import SourceOpening
from services.replication.usecases.target_store import TargetStore, of_target
from services.replication.usecases.tasks import Tasks


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
        self._reads: Final = SharedReads()
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
                DiskCopy(self._tasks, task, disk, state, store, lease, meter), origin
            )
            roots[disk.disk] = manifest.root
            stored[disk.disk] = copied
        self._commit(task, store, lease, roots)
        verified = self._tasks.settings.options.verify is content.VerifyPolicy.FULL
        try:
            self._tasks.complete(task, stored, verified=verified, replica_id=store.replica_id)
        except FenceLost:
            self._take_back(task, store)
            raise
        for disk in desired.disks:
            forget_disk(store, task, disk.disk)

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
            forget_disk(store, task, disk.disk)

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

    def _copy_disk(self, work: DiskCopy, origin: FromReplica | object) -> tuple[Manifest, int]:
        """Answer the durable manifest of a disk, and the bytes that it added to the slot."""
        task, disk = work.task, work.disk
        control = work.control()
        promised: Any = PromisedStore(work.store, partial(self._promise, task, disk.disk, control))
        slot = Slot(promised, task.version.tenant, copy_task(task, disk.disk))
        options = self._tasks.settings.options
        if isinstance(origin, FromReplica):
            source = self._origins.slot(origin.location, origin.slot)
            root = self._content(task, disk.disk)
            self._tasks.came_from(task, origin.location)
            place = origin.location, origin.slot
            with (
                self._suspecting(task.version.uid, place, disk.disk),
                self._reading(origin.location, source) as store,
            ):
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

    def _base(self, work: DiskCopy) -> Manifest | None:
        replica, version = work.task.replica, work.task.version
        wanted = Wanted(version.uid, version.name, version.tenant, work.disk.disk)
        return self._origins.base(work.store, (replica.location, replica.slot), wanted)

    @contextlib.contextmanager
    def _reading(self, location: str, slot: RegionSlot) -> Iterator[ObjectReader]:
        """Open an origin; one behind a network is read once for all who copy from it at a time."""
        store = self._stores.open(location, slot)
        if slot.is_local:
            yield store
        else:
            with self._reads.of(store, slot.replica_id) as shared:
                yield shared

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
