"""What a look at the store of a slot means for the replicas in it.

- A store that does not answer, twice in a row, makes its good replicas UNREACHABLE: others are
  read first, and they do not count. They are what they were once it answers.
- One that holds another replica id, or none, has LOST them; so has one without a single ref.
- Where the store of a slot is there again, what was lost is DAMAGED and due: healing reads it
  back, and mends it from another replica as far as anything is missing.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from services.kernel.errors import Code
from services.replication.content.keys import VERSION_REFS
from services.replication.content.store import Store
from services.replication.domain.failures import make_cause
from services.replication.domain.progress import Cause
from services.replication.domain.records import Replica, ReplicaDisk
from services.replication.domain.region import Slot, SlotHealth, SlotProbe
from services.replication.domain.states import Health
from services.replication.ports.outside import OperationResults, Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.health import is_committed, worst
from services.replication.usecases.ledger import Ledger

_LOG = logging.getLogger(__name__)
_KNOWN: Final = frozenset(Health) - {Health.UNSPECIFIED}


class Reachability:
    """Brings the health of replicas up to that of their slots."""

    def __init__(self, rows: UnitOfWork, stores: Stores, results: OperationResults) -> None:
        self._rows: Final = rows
        self._stores: Final = stores
        self._results: Final = results

    def follow(self, location: str, slot: Slot, probe: SlotProbe) -> None:
        """Take what a look has shown; `slot` has what the look before it showed.

        What is left undone by a failure is done after the next look.

        Raises:
            DataError: the store went away meanwhile.
        """
        match probe.health:
            case SlotHealth.UNREACHABLE:
                if slot.probe.health is SlotHealth.UNREACHABLE:
                    self._turn(location, slot, {Health.GOOD}, Health.UNREACHABLE)
            case SlotHealth.WRONG_ROOT:
                self._turn(location, slot, _KNOWN - {Health.LOST}, Health.LOST)
            case SlotHealth.AVAILABLE | SlotHealth.FULL:
                self._there(location, slot)
            case SlotHealth.UNSPECIFIED:
                pass

    def _there(self, location: str, slot: Slot) -> None:
        self._turn(location, slot, {Health.LOST}, Health.DAMAGED)
        store = self._stores.open(location, slot)
        if _has_refs(store):
            self._turn(location, slot, {Health.UNREACHABLE}, Health.GOOD)
            return
        # A ref is written before its replica is committed: what is committed now has one.
        committed = self._in(location, slot, {Health.GOOD, Health.UNREACHABLE})
        if committed and not _has_refs(store):
            self._turn_all(location, slot, committed, Health.LOST)

    def _turn(self, location: str, slot: Slot, known: Collection[Health], health: Health) -> None:
        self._turn_all(location, slot, self._in(location, slot, known), health)

    def _turn_all(
        self, location: str, slot: Slot, replicas: Sequence[Replica], health: Health
    ) -> None:
        if not replicas:
            return
        _LOG.warning("%d replicas in %s/%s are %s", len(replicas), location, slot.id, health.value)
        for seen in replicas:
            self._rows.transact(partial(self._set, seen, health))

    def _in(self, location: str, slot: Slot, known: Collection[Health]) -> Sequence[Replica]:
        return self._rows.read(lambda tx: tx.replicas.of_health(location, slot.id, known))

    def _set(self, seen: Replica, health: Health, tx: Tx) -> None:
        version = tx.versions.lock(seen.version)
        now = tx.replicas.get(seen.version, seen.location, seen.slot)
        if version is None or now is None or not is_committed(now):
            return
        if now.health is not seen.health:
            return  # Healing has looked at it meanwhile.
        disks = tx.replicas.disks(seen.version, seen.location, seen.slot)
        ledger = Ledger(tx, version, self._results)
        changed, turned = _turned(now, disks, health, tx.now())
        ledger.put(changed, *turned, event=False)
        ledger.finish()


def _has_refs(store: Store) -> bool:
    return next(iter(store.list_objects(VERSION_REFS)), None) is not None


def _turned(
    replica: Replica, disks: Sequence[ReplicaDisk], health: Health, now: datetime
) -> tuple[Replica, Sequence[ReplicaDisk]]:
    """Answer the row of a replica with another health, and those of its disks that change."""
    changed = replace(replica, health=health, update_time=now)
    match health:
        case Health.UNREACHABLE:
            # The bytes may be good: the disks stay what they are known to be.
            cause = _cause(replica, Code.UNAVAILABLE, "the store does not answer", now)
            return replace(changed, cause=cause), ()
        case Health.LOST:
            cause = _cause(replica, Code.DATA_LOSS, "the store does not hold the replica", now)
            lost = [replace(one, health=health, cause=cause) for one in disks]
            return replace(changed, cause=cause), lost
        case Health.DAMAGED:
            damaged = [replace(one, health=health) for one in disks]
            return replace(changed, failures=0, due_time=now), damaged
        case _:
            causes = [one.cause for one in disks if one.cause is not None]
            known = replace(changed, health=worst(disks))
            return replace(known, cause=causes[0] if causes else None), ()


def _cause(replica: Replica, code: Code, message: str, now: datetime) -> Cause:
    reason = "STORE_UNAVAILABLE" if code is Code.UNAVAILABLE else "REPLICA_MISMATCH"
    place = {"location": replica.location, "slot": replica.slot}
    return make_cause(reason, code, message, now, **place)
