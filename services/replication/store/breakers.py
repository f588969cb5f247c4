"""Which slots do not answer, known to all processes by the table of leases.

A breaker is a lease that is acquired at every failure: its fence counts them, and it is open
until it expires.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.replication.store import tables

_T: Final = tables.leases.c
_PREFIX: Final = "breaker/"


class BreakerTable:
    """Fulfils `ports.rows.BreakerRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def all(self) -> Mapping[tuple[str, str], tuple[int, datetime]]:
        """Answer, by region and slot, the failures since the last success, and the pause's end."""
        statement = select(_T.duty, _T.fence, _T.expire_time).where(
            # "0" is the character after "/".
            _T.duty > _PREFIX,
            _T.duty < f"{_PREFIX[:-1]}0",
        )
        found = {}
        for duty, fence, expire_time in self._connection.execute(statement):
            _, location, slot = duty.split("/")
            found[location, slot] = (int(fence), expire_time)
        return found

    def fail(self, location: str, slot: str, until: datetime) -> int:
        """Count a failure, after which nothing is tried until then; answer the count."""
        insert = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        statement = (
            insert(tables.leases)
            .values(duty=_duty(location, slot), fence=1, owner="", expire_time=until)
            .on_conflict_do_update(
                index_elements=["duty"], set_={"fence": _T.fence + 1, "expire_time": until}
            )
            .returning(_T.fence)
        )
        return int(self._connection.execute(statement).scalar_one())

    def reset(self, location: str, slot: str) -> None:
        """Forget the failures of a slot that answers."""
        statement = delete(tables.leases).where(_T.duty == _duty(location, slot))
        self._connection.execute(statement)


def _duty(location: str, slot: str) -> str:
    return f"{_PREFIX}{location}/{slot}"
