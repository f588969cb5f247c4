"""Collecting the objects of slots, once the store and the rows are found to agree.

What a store holds is marked from its refs. Where refs are missing that the rows know, or are
there that the rows do not know, one of the two was restored from an older backup or swapped:
then nothing is collected, since what is garbage to one may be all that the other has.
"""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.replication.content.collection import Collected, Rules, SweepRefused, collect
from services.replication.content.errors import (
    DataError,
    InvalidEncoding,
    ObjectCorrupt,
    ObjectMissing,
)
from services.replication.content.journal import forget_ended
from services.replication.content.keys import (
    BLOB_REFS,
    VERSION_REFS,
    blob_ref_key,
    version_ref_key,
)
from services.replication.content.refs import decode_version_ref, remove_version
from services.replication.content.store import Store
from services.replication.content.tombstones import store_now
from services.replication.domain.region import Slot
from services.replication.domain.states import COPYABLE, CopyState
from services.replication.ports.outside import Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.damage import Damage

_ENDED: Final = frozenset({CopyState.COMPLETED, CopyState.CANCELLED, CopyState.REMOVED})
_GONE: Final = frozenset({CopyState.CANCELLED, CopyState.REMOVED})

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """The grace of both phases, and the most of a store that may go at once."""

    grace: timedelta
    most_percent: int


@dataclass(frozen=True, slots=True)
class _Work:
    """What the rows say of a slot; `tasks` are those whose journals and scratch files stay."""

    committed: dict[str, frozenset[str]]
    blobs: frozenset[str]
    tasks: frozenset[str]
    oldest_job: datetime | None


class ObjectCollection:
    """Collects slot by slot; may block for as long as a store takes to be listed."""

    def __init__(
        self, rows: UnitOfWork, stores: Stores, damage: Damage, settings: CollectionSettings
    ) -> None:
        self._rows: Final = rows
        self._stores: Final = stores
        self._damage: Final = damage
        self._settings: Final = settings

    def collect_all(self, stop: threading.Event) -> None:
        """Do a round in every slot; one that cannot be collected holds up no other.

        Raises:
            Cancelled: `stop` was set.
        """
        for region in self._rows.read(lambda tx: tx.regions.all()):
            for slot in region.slots:
                try:
                    done = self.collect(region.id, slot, stop)
                except SweepRefused as error:
                    _LOG.error("NOT COLLECTED: %s (collect_most_percent)", error)
                except DataError as error:
                    _LOG.warning("NOT COLLECTED: %s/%s: %s", region.id, slot.id, error)
                else:
                    _LOG.info("%s/%s: %s", region.id, slot.id, done)

    def collect(self, location: str, slot: Slot, stop: threading.Event) -> Collected | None:
        """Do a round in one slot; None where store and rows disagree.

        Raises:
            SweepRefused: more would go than may.
            DataError: the store cannot be read or written now, or something that a ref leads to
                is damaged; it is reported for repair.
            Cancelled: `stop` was set.
        """
        work = self._rows.read(lambda tx: _work(tx, location, slot.id))
        # A pool of the process has stores open for long: what is there now is told by its id.
        store = self._stores.open(location, slot)
        if not self._agrees(store, location, slot.id, work):
            return None
        grace = self._settings.grace
        before = store_now(store) - grace
        self._take_back(store, location, slot.id, before=before)
        rules = Rules(grace, self._settings.most_percent, self._now, work.oldest_job)
        try:
            done = collect(store, rules, stop)
        except (ObjectMissing, ObjectCorrupt, InvalidEncoding) as error:
            self._report(location, slot.id, work, error)
            raise
        tasks = _Tasks(work.tasks)
        store.sweep_temporary(older_than=grace.total_seconds(), live_tasks=tasks)
        forget_ended(store, tasks, before=before)
        return done

    def _take_back(self, store: Store, location: str, slot: str, *, before: datetime) -> None:
        """Remove refs that came after their versions had left the slot.

        A worker that was replaced does so itself, unless it dies before.
        """
        replicas = self._rows.read(lambda tx: tx.replicas.in_slot(location, slot))
        gone = {one.version: one.generation for one in replicas if one.state in _GONE}
        for item in store.list_objects(VERSION_REFS):
            uid = item.key.rsplit("/", 1)[1]
            if uid in gone and item.modified_time <= before:
                _LOG.warning("%s/%s: the ref of %s came late", location, slot, uid)
                remove_version(store, uid, up_to_generation=gone[uid])

    def _now(self) -> datetime:
        return self._rows.read(lambda tx: tx.now())

    def _agrees(self, store: Store, location: str, slot: str, work: _Work) -> bool:
        """Whether the refs of a store are those that the rows know."""
        refs = {item.key for item in store.list_objects(VERSION_REFS)}
        blobs = {item.key for item in store.list_objects(BLOB_REFS)}
        problems: list[str] = []
        for uid in work.committed:
            if version_ref_key(uid) not in refs and self._is_committed(uid, location, slot):
                self._mend(uid, location, slot, "its ref is missing")
                problems.append(f"the ref of version {uid} is missing")
        problems += [
            f"the ref of blob {uid} is missing"
            for uid in work.blobs
            if blob_ref_key(uid) not in blobs and self._has_blob(uid)
        ]
        for key in sorted(refs):
            problem = self._stranger(store, key, location, slot)
            if problem:
                problems.append(problem)
        for key in sorted(blobs):
            if not self._knows_blob(key.rsplit("/", 1)[1]) and store.get_ref(key) is not None:
                problems.append(f"nothing is known of {key}")
        for problem in problems[:10]:
            _LOG.error("NOT COLLECTED: %s/%s: %s", *(location, slot), problem)
        return not problems

    def _stranger(self, store: Store, key: str, location: str, slot: str) -> str:
        """Say why a ref is not one that the rows know; empty where it is."""
        uid = key.rsplit("/", 1)[1]
        stored = store.get_ref(key)
        if stored is None:
            return ""
        try:
            ref = decode_version_ref(stored.data)
        except InvalidEncoding as error:
            self._mend(uid, location, slot, str(error))
            return f"{key}: {error}"
        version = self._rows.read(lambda tx: tx.versions.get(uid))
        if version is None or ref.generation > version.generation:
            return f"{key} is newer than the database"
        roots = {one.disk: one.root for one in self._rows.read(lambda tx: tx.versions.disks(uid))}
        if {disk: root.hex() for disk, root in ref.disks.items()} != roots:
            self._mend(uid, location, slot, "its ref names other disks")
            return f"{key} names other disks than the database"
        return ""

    def _is_committed(self, uid: str, location: str, slot: str) -> bool:
        """Look again: the replica may have been removed since."""
        replica = self._rows.read(lambda tx: tx.replicas.get(uid, location, slot))
        return replica is not None and replica.state is CopyState.COMPLETED

    def _knows_blob(self, uid: str) -> bool:
        def find(tx: Tx) -> bool:
            return tx.blobs.get(uid) is not None or bool(tx.blobs.removals([uid]))

        return self._rows.read(find)

    def _has_blob(self, uid: str) -> bool:
        blob = self._rows.read(lambda tx: tx.blobs.get(uid))
        return blob is not None and blob.is_committed

    def _report(self, location: str, slot: str, work: _Work, error: DataError) -> None:
        """Let what is bad be repaired: every version whose disk the bad object may be of."""
        detail = str(error)
        for uid, roots in work.committed.items():
            if any(root in detail for root in roots):
                self._mend(uid, location, slot, detail)

    def _mend(self, uid: str, location: str, slot: str, detail: str) -> None:
        for disk in self._rows.read(lambda tx: tx.versions.disks(uid)):
            self._damage.report(uid, location, slot, disk=disk.disk, detail=detail)


class _Tasks:
    """The tasks of versions and uploads, whatever they are called after the uid."""

    def __init__(self, owners: frozenset[str]) -> None:
        self._owners: Final = owners

    def __contains__(self, task: object) -> bool:
        return str(task).partition(".")[0] in self._owners


def _work(tx: Tx, location: str, slot: str) -> _Work:
    replicas = tx.replicas.in_slot(location, slot)
    blobs = tx.blobs.in_slot(location, slot)
    committed = [one.version for one in replicas if one.state is CopyState.COMPLETED]
    roots: dict[str, frozenset[str]] = {}
    for uid in committed:
        roots[uid] = frozenset(one.root for one in tx.versions.disks(uid))
    uploads = [one for one in blobs if not one.is_committed]
    begun = [one.create_time for one in replicas if one.state in COPYABLE]
    begun += [one.create_time for one in uploads]
    tasks = {one.version for one in replicas if one.state not in _ENDED}
    tasks.update(one.task for one in uploads)
    return _Work(
        committed=roots,
        blobs=frozenset(one.uid for one in blobs if one.is_committed),
        tasks=frozenset(tasks),
        oldest_job=min(begun, default=None),
    )
