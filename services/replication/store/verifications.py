"""Verifications that were asked for, in the database."""

from typing import Final

from sqlalchemy import Connection, delete, func, select

from services.replication.domain.verification import Verification
from services.replication.store import tables
from services.replication.store.records import Records

_VERIFICATIONS: Final = Records(tables.verifications, Verification)
_T: Final = tables.verifications.c


class VerificationTable:
    """Fulfils `ports.rows.VerificationRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def put(self, verification: Verification) -> None:
        """Add or replace a verification."""
        _VERIFICATIONS.put(self._connection, verification)

    def get(self, operation: str) -> Verification | None:
        """Answer the verification that an operation waits for."""
        return _VERIFICATIONS.get(self._connection, operation)

    def next(self) -> Verification | None:
        """Answer the one to go on with: that which has got least, so that all get on."""
        statement = _VERIFICATIONS.select.order_by(_T.position, _T.create_time).limit(1)
        return _VERIFICATIONS.one(self._connection, statement)

    def count(self) -> int:
        """Answer how many there are."""
        statement = select(func.count()).select_from(tables.verifications)
        return int(self._connection.execute(statement).scalar_one())

    def finish(self, operation: str) -> None:
        """Forget one that is done, or given up."""
        self._connection.execute(delete(tables.verifications).where(_T.operation == operation))
