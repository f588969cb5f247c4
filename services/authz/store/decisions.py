"""Decisions in SQL: those made here, and those that services told the audit log of."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from services.authz.domain.audit import Outcome
from services.authz.domain.decisions import MadeDecision
from services.authz.store.tables import AUDIT_RECORDS, DECISIONS
from services.kernel.db.engine import Database
from services.kernel.feed.log import FeedLog
from services.kernel.names import key
from services.policy.model import Plane

_LOG = logging.getLogger(__name__)
# As many wait to be written; what comes then is not kept.
_MOST_PENDING: Final = 10_000
_FIELDS: Final = tuple(MadeDecision.__dataclass_fields__)


class Decisions:
    """Keeps decisions; see `DecisionStore`.

    They are written beside the answers, many at once: no question waits for a write, which is
    what it was not asked to do.
    """

    def __init__(self, db: Database, log: FeedLog) -> None:
        self._db: Final = db
        self._log: Final = log
        self._writer: Final = ThreadPoolExecutor(1, thread_name_prefix="decisions")
        self._lock: Final = threading.Lock()
        self._pending: dict[str, MadeDecision] = {}

    def record(self, made: Sequence[MadeDecision]) -> None:
        with self._lock:
            is_idle = not self._pending
            if len(self._pending) < _MOST_PENDING:
                self._pending.update({one.id: one for one in made})
        if is_idle:
            self._writer.submit(self._write)

    def find(self, id: str) -> MadeDecision | None:
        with self._lock:
            pending = self._pending.get(id)
        return pending or self._db.read(lambda connection: self._find(connection, id))

    def close(self) -> None:
        """Write what is pending, and end the thread that does."""
        self._writer.shutdown()

    def _write(self) -> None:
        while True:
            with self._lock:
                taken = list(self._pending.values())
            if not taken:
                return
            try:
                self._insert(taken)
            except Exception as error:  # noqa: BLE001 - the next ones are written all the same
                # What was decided holds; it cannot be explained by its id.
                _LOG.warning("%d decisions were not kept: %s", len(taken), error)
            with self._lock:
                for one in taken:
                    del self._pending[one.id]

    def _insert(self, made: Sequence[MadeDecision]) -> None:
        rows = [{name: getattr(one, name) for name in _FIELDS} for one in made]
        self._db.transact(lambda tx: tx.execute(insert(DECISIONS), rows))

    def _find(self, connection: Connection, id: str) -> MadeDecision | None:
        c = DECISIONS.c
        columns = [c[name] for name in _FIELDS]
        row = connection.execute(select(*columns).where(c.id == id)).first()
        if row is not None:
            return MadeDecision(**dict(zip(_FIELDS, row, strict=True)))
        return self._audited(connection, id)

    def _audited(self, connection: Connection, id: str) -> MadeDecision | None:
        """Answer a decision that a service made by its own replica, and told of."""
        c = AUDIT_RECORDS.c
        told = select(AUDIT_RECORDS).where(
            c.decision_id == id, c.decision_id != "", c.caller != "", c.action != ""
        )
        row: Any = connection.execute(told.limit(1)).first()
        if row is None:
            return None
        return MadeDecision(
            id=id,
            subject=key(row.caller),
            action=row.action,
            resource=row.resource,
            plane=Plane.CONTROL,
            context={},
            allowed=row.outcome is not Outcome.DENIED,
            reason=row.reason,
            epoch=self._log.head(connection).epoch,
            revision=row.revision,
            time=row.event_time,
        )


def forget(tx: Connection, before: datetime) -> None:
    """Drop what was decided before a time."""
    tx.execute(delete(DECISIONS).where(DECISIONS.c.time < before))
