"""What readers find to be bad is recorded, so that it counts no more and is repaired."""

import logging
from dataclasses import replace
from typing import Final

from services.kernel.errors import Code, StoaError
from services.replication.domain.failures import make_cause
from services.replication.domain.states import CopyState, Health
from services.replication.ports.outside import OperationResults
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.ledger import Ledger

_LOG = logging.getLogger(__name__)


class Damage:
    """Marks replicas; the region, the feed and their followers hear of it at once."""

    def __init__(self, rows: UnitOfWork, results: OperationResults) -> None:
        self._rows: Final = rows
        self._results: Final = results

    def report(self, version: str, location: str, slot: str, *, disk: str, detail: str) -> None:
        """Mark a replica as damaged unless it is marked already. A reader never fails by it."""
        _LOG.error("disk %s of %s is damaged in %s/%s: %s", disk, version, location, slot, detail)

        def work(tx: Tx) -> None:
            locked = tx.versions.lock(version)
            replica = tx.replicas.get(version, location, slot)
            if locked is None or replica is None or replica.state is not CopyState.COMPLETED:
                return
            now = tx.now()
            cause = make_cause(
                "DIGEST_MISMATCH",
                Code.DATA_LOSS,
                detail,
                now,
                location=location,
                slot=slot,
                disk=disk,
            )
            disks = [
                replace(one, health=Health.DAMAGED, cause=cause)
                for one in tx.replicas.disks(version, location, slot)
                if one.disk == disk and one.health is Health.GOOD
            ]
            if not disks and replica.health is not Health.GOOD:
                return
            ledger = Ledger(tx, locked, self._results)
            damaged = replace(
                replica, health=Health.DAMAGED, cause=cause, due_time=now, update_time=now
            )
            ledger.put(damaged, *disks, event=False)
            ledger.finish()

        try:
            self._rows.transact(work)
        except StoaError as error:
            _LOG.warning("the damage is recorded when it is found again: %s", error)
