"""Reading replicas back, and repairing what differs from a good copy (replication.md 2.5).

Whoever finds damage, a reader, a scrub or a verification, it is mended here and nowhere else.
What is known of a replica is recorded before anything of it is set aside, so that a crash leaves
it marked and the next look goes on.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from services.replication.content.errors import (
    DataError,
    InvalidEncoding,
    ObjectCorrupt,
    ObjectMissing,
)
from services.replication.content.inspection import (
    Inspection,
    Place,
    inspect_presence,
    inspect_sample,
    inspect_whole,
)
from services.replication.content.keys import manifest_key, version_ref_key
from services.replication.content.progress import Control
from services.replication.content.refs import (
    VersionRef,
    commit_version,
    read_version,
    remove_version,
)
from services.replication.content.repair import GoodCopies, Repair, repair_disk
from services.replication.content.store import Store
from services.replication.content.verify import unpaced
from services.replication.domain.failures import cause_of
from services.replication.domain.states import Health, Intent
from services.replication.domain.verification import Depth, Finding, Target
from services.replication.ports.outside import OperationResults, Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.health import DiskState, is_committed, later, record
from services.replication.usecases.whereabouts import Whereabouts, find_disk, is_store_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """How a disk is looked at: `pace` hears of the bytes of each piece before it is read."""

    depth: Depth = Depth.FULL
    repair: bool = True
    pace: Callable[[int], None] = unpaced


class Healing:
    """Looks at one disk of one replica, and mends it; may block for as long as the disk is long."""

    def __init__(self, rows: UnitOfWork, stores: Stores, results: OperationResults) -> None:
        self._rows: Final = rows
        self._stores: Final = stores
        self._results: Final = results
        # Two threads that mend the same object would set aside what the other one wrote.
        self._mending: Final = threading.Lock()
        self._looking: Final[set[tuple[str, Target]]] = set()

    def look(
        self, version: str, target: Target, how: Look, stop: threading.Event
    ) -> Finding | None:
        """Read a disk back, repair it if asked, record it; None where it is not committed.

        A store that cannot be read is a finding, and changes nothing of what is known.

        Raises:
            Cancelled: `stop` was set, or what `how.pace` raises.
        """
        self._looking.add((version, target))
        try:
            return self._look(version, target, how, stop)
        finally:
            self._looking.discard((version, target))

    def _look(
        self, version: str, target: Target, how: Look, stop: threading.Event
    ) -> Finding | None:
        found = self._rows.read(partial(find_disk, version, target))
        if found is None:
            return None
        control = Control(cancelled=stop)
        control.fence = control.check
        try:
            place = self._place(found, target)
            inspection = _inspect(place, how, control)
            ref_fault = _ref_fault(place.store, found)
        except DataError as error:
            return self._unreadable(found, target, error)
        if not inspection.faults and ref_fault is None:
            return self._good(found, target, how, inspection)
        detail = inspection.faults[0].detail if inspection.faults else str(ref_fault)
        damaged = max(inspection.damaged_bytes, 1)
        _LOG.error("disk %s of %s is damaged in %s: %s", target.disk, version, _in(target), detail)
        state = DiskState(Health.REPAIRING if how.repair else Health.DAMAGED, damaged, detail)
        if not self._record(found, target, state):
            return None
        if not how.repair:
            return self._finding(target, state, inspection.read_bytes, damaged=damaged)
        with self._mending:
            repair, problem = self._mend(found, place, inspection, ref_fault, control=control)
        return self._mended(found, target, how, inspection, repair=repair, problem=problem)

    def due(self, limit: int) -> Sequence[tuple[str, Target]]:
        """Answer (version, disk) of what is known to be damaged and may be tried now.

        What another thread looks at is in good hands.
        """

        def find(tx: Tx) -> list[tuple[str, Target]]:
            found: list[tuple[str, Target]] = []
            for replica in tx.replicas.damaged(tx.now(), limit):
                disks = tx.replicas.disks(replica.version, replica.location, replica.slot)
                bad = [one for one in disks if one.health is not Health.GOOD]
                found += [
                    (replica.version, Target(replica.location, replica.slot, one.disk))
                    for one in bad or disks
                ]
            return [one for one in found if one not in self._looking]

        return self._rows.read(find)

    def postpone(self, version: str, target: Target) -> None:
        """Try a replica again later whose store cannot be read now."""

        def work(tx: Tx) -> None:
            tx.versions.lock(version)
            replica = tx.replicas.get(version, target.location, target.slot)
            if replica is not None and is_committed(replica):
                tx.replicas.put(later(replica, tx.now()))

        self._rows.transact(work)

    def _place(self, found: Whereabouts, target: Target) -> Place:
        store = self._stores.open(target.location, found.slot)
        limited = self._stores.limited(store, target.location, found.rate)
        uid = found.version.uid
        root = found.roots[target.disk]
        return Place(limited, found.version.tenant, root, f"{uid}.{target.disk}.heal")

    def _mend(
        self,
        found: Whereabouts,
        place: Place,
        inspection: Inspection,
        ref_fault: DataError | None,
        *,
        control: Control,
    ) -> tuple[Repair, DataError | None]:
        stores = [partial(self._stores.open, location, slot) for location, slot in found.others]
        repair = Repair(0, inspection.faults)
        try:
            if inspection.faults:
                copies = GoodCopies(place.tenant, place.root, stores)
                repair = repair_disk(place, inspection, copies, control)
            if ref_fault is not None:
                self._mend_ref(place.store, found)
        except DataError as error:
            return repair, error
        return repair, None

    def _mend_ref(self, store: Store, found: Whereabouts) -> None:
        """Write the ref of a replica anew, from what the rows say that it must name."""
        replica, key = found.replica, version_ref_key(found.version.uid)
        for disk, root in found.roots.items():
            manifest = manifest_key(found.version.tenant, root)
            if store.length(manifest) is None:
                # Its disk is repaired first, and with it the ref.
                there = Target(replica.location, replica.slot, disk)
                self._record(found, there, DiskState(Health.DAMAGED, 1, f"no object {manifest}"))
        store.quarantine(key)
        ref = VersionRef(
            version=replica.version,
            tenant=found.version.tenant,
            generation=replica.generation,
            replication=replica.replication,
            fence=replica.fence,
            disks=found.roots,
        )
        commit_version(store, ref)
        now = self._rows.read(
            lambda tx: tx.replicas.get(replica.version, replica.location, replica.slot)
        )
        if now is None or now.intent is not Intent.COPY:
            # It is being removed: whoever removes it may have looked before the ref was back.
            remove_version(store, replica.version, up_to_generation=replica.generation)

    def _mended(
        self,
        found: Whereabouts,
        target: Target,
        how: Look,
        inspection: Inspection,
        *,
        repair: Repair,
        problem: DataError | None,
    ) -> Finding:
        damaged = max(inspection.damaged_bytes, 1)
        repaired = repair.repaired_bytes
        if not repair.left and problem is None:
            _LOG.warning(
                "REPAIRED disk %s of %s in %s: %d bytes",
                *(target.disk, found.version.uid, _in(target), repaired),
            )
            state = DiskState(Health.GOOD, 0, "", repaired, is_whole=how.depth is Depth.FULL)
        else:
            left = replace(inspection, faults=repair.left).damaged_bytes
            detail = str(problem) if problem is not None else repair.left[0].detail
            _LOG.error("%s stays damaged in %s: %s", found.version.uid, _in(target), detail)
            state = DiskState(
                Health.DAMAGED, max(left, 1), detail, repaired, problem=problem, is_whole=False
            )
        self._record(found, target, state)
        return self._finding(target, state, inspection.read_bytes, damaged=damaged)

    def _good(
        self, found: Whereabouts, target: Target, how: Look, inspection: Inspection
    ) -> Finding | None:
        state = DiskState(Health.GOOD, 0, "", is_whole=how.depth is Depth.FULL)
        # What a sample does not show stays as it is known to be.
        known_good = {Health.GOOD, Health.UNREACHABLE}
        if not state.is_whole and found.replica.health not in known_good:
            state = DiskState(found.replica.health, 0, "damage was found before")
        elif not self._record(found, target, state):
            return None
        return self._finding(target, state, inspection.read_bytes, damaged=0)

    def _unreadable(self, found: Whereabouts, target: Target, error: DataError) -> Finding:
        now = self._rows.read(lambda tx: tx.now())
        _LOG.warning("%s cannot be read in %s: %s", found.version.uid, _in(target), error)
        cause = cause_of(error, now, location=target.location, slot=target.slot, disk=target.disk)
        return Finding(target, Health.UNREACHABLE, now, checked=False, cause=cause)

    def _finding(self, target: Target, state: DiskState, read: int, *, damaged: int) -> Finding:
        now = self._rows.read(lambda tx: tx.now())
        return Finding(
            target,
            state.health,
            now,
            verified_bytes=read,
            damaged_bytes=damaged,
            repaired_bytes=min(state.repaired, damaged),
            cause=state.cause(target, now),
        )

    def _record(self, found: Whereabouts, target: Target, state: DiskState) -> bool:
        uid = found.version.uid

        def work(tx: Tx) -> bool:
            # Locked before the region is, as everywhere.
            tx.versions.lock(uid)
            if not is_store_of(tx, target.location, target.slot, found.slot.replica_id):
                return False  # The slot was given another store meanwhile.
            return record(tx, self._results, uid, target=target, state=state)

        return self._rows.transact(work)


def _inspect(place: Place, how: Look, control: Control) -> Inspection:
    match how.depth:
        case Depth.FULL:
            return inspect_whole(place, control, pace=how.pace)
        case Depth.SAMPLE:
            return inspect_sample(place, control)
        case Depth.STORE_CHECKSUM:
            return inspect_presence(place, control)


def _ref_fault(store: Store, found: Whereabouts) -> DataError | None:
    """Answer what is wrong with the ref of a replica, None for nothing."""
    key = version_ref_key(found.version.uid)
    try:
        ref = read_version(store, found.version.uid)
    except (InvalidEncoding, ObjectCorrupt) as error:
        return error
    if ref is None:
        return ObjectMissing(key)
    expected = found.version.uid, found.version.tenant, dict(found.roots)
    if (ref.version, ref.tenant, dict(ref.disks)) != expected:
        return ObjectCorrupt(key, "the ref names other disks than were committed")
    return None


def _in(target: Target) -> str:
    return f"{target.location}/{target.slot}"
