"""How many bytes go into a region, counted over all processes by the table of leases.

The flow into a region is a lease that expires when what was let pass so far has passed. Its fence
is the time at which it was asked for last: where that is later than now, the clock was set back,
and the lease expires as much earlier.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.tables import from_microseconds, to_microseconds
from services.replication.store import tables

_T: Final = tables.leases.c
# What was not used for longer than this, in seconds, is not made up for.
_CREDIT: Final = timedelta(seconds=1)
_NOTHING: Final = timedelta()


class Flows:
    """Fulfils `clients.throttle.Flow`; expiry is on the database's clock where it has one."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db: Final = db
        self._clock: Final = clock

    def take(self, location: str, seconds: float) -> float:
        """Let so much pass as a region takes in `seconds`; answer how many to wait for it."""

        def change(tx: Connection) -> float:
            duty = f"flow/{location}"
            insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
            now = self._now(tx)
            known = {"fence": to_microseconds(now), "expire_time": now}
            first = insert(tables.leases).values(duty=duty, owner="", **known)
            tx.execute(first.on_conflict_do_nothing())
            mine = select(_T.expire_time, _T.fence).where(_T.duty == duty).with_for_update()
            passed, asked = tx.execute(mine).one()
            # After the lock, so that nobody has asked later than this.
            now = self._now(tx)
            passed -= max(from_microseconds(asked) - now, _NOTHING)
            passed = max(passed, now - _CREDIT) + timedelta(seconds=seconds)
            values = {"fence": to_microseconds(now), "expire_time": passed}
            tx.execute(update(tables.leases).where(_T.duty == duty).values(values))
            wait: timedelta = passed - now
            return wait.total_seconds()

        return self._db.transact(change)

    def _now(self, tx: Connection) -> datetime:
        if tx.dialect.name == "postgresql":
            now: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
            return now
        return self._clock.now()
