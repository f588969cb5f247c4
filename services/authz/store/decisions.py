"""Decisions in SQL: those made here, and those that services told the audit log of."""

from collections.abc import Sequence
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

_FIELDS: Final = tuple(MadeDecision.__dataclass_fields__)


class Decisions:
    """Keeps decisions; see `DecisionStore`."""

    def __init__(self, db: Database, log: FeedLog) -> None:
        self._db: Final = db
        self._log: Final = log

    def record(self, made: Sequence[MadeDecision]) -> None:
        rows = [{name: getattr(one, name) for name in _FIELDS} for one in made]
        self._db.transact(lambda tx: tx.execute(insert(DECISIONS), rows))

    def find(self, id: str) -> MadeDecision | None:
        return self._db.read(lambda connection: self._find(connection, id))

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
