"""Leases: which process does a duty that one process at a time may do.

Each claim raises the fence of the duty, so that whoever was stopped for so long that its
lease ran out can be told from its successor. Time is that of the database server on
PostgreSQL, where the processes may run on machines whose clocks differ; on SQLite it is
that of the machine, since every process of one file runs on it.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Table, Update, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.kernel.backoff import backoff
from services.kernel.clock import Clock, SystemClock
from services.kernel.db.engine import Database
from services.kernel.db.tables import from_microseconds
from services.kernel.errors import Aborted
from services.kernel.stopping import Stop

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lease:
    """A duty that `owner` holds under the number `fence`."""

    duty: str
    owner: str
    fence: int


class Leases:
    """The table of leases."""

    def __init__(self, db: Database, table: Table, clock: Clock | None = None) -> None:
        """With a `clock`, time is its time on both databases."""
        self._db: Final = db
        self._table: Final = table
        self._clock: Final = clock

    def acquire(self, duty: str, owner: str, ttl: float) -> Lease | None:
        """Claim a duty for `ttl` seconds; None while another owner holds it.

        An owner that claims again what it holds gets a higher fence. All claim a duty for about as
        long: one that ends later than four times `ttl` from now was claimed before the clock was
        set back, and is over.
        """

        def claim(tx: Connection) -> int | None:
            t = self._table.c
            now = self._now(tx)
            beyond = now + timedelta(seconds=4 * ttl)
            values = {"owner": owner, "expire_time": now + timedelta(seconds=ttl)}
            insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
            statement = (
                insert(self._table)
                .values(duty=duty, fence=1, **values)
                .on_conflict_do_update(
                    index_elements=["duty"],
                    set_={**values, "fence": t.fence + 1},
                    where=(t.expire_time <= now) | (t.expire_time > beyond) | (t.owner == owner),
                )
                .returning(t.fence)
            )
            return tx.execute(statement).scalar_one_or_none()

        fence = self._db.transact(claim)
        return None if fence is None else Lease(duty, owner, fence)

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Hold on for `ttl` seconds from now; False when another owner has claimed it.

        A lease that ran out is renewed as long as nobody else has claimed it.
        """

        def extend(tx: Connection) -> bool:
            expire_time = self._now(tx) + timedelta(seconds=ttl)
            statement = self._mine(lease).values(expire_time=expire_time)
            return tx.execute(statement).rowcount == 1

        return self._db.transact(extend)

    def release(self, lease: Lease) -> bool:
        """Let the next owner claim the duty at once; False as `renew`.

        The row stays, since the fence must go on growing.
        """
        statement = self._mine(lease).values(expire_time=from_microseconds(0), owner="")
        return self._db.transact(lambda tx: tx.execute(statement).rowcount == 1)

    def require(self, tx: Connection, lease: Lease) -> None:
        """Check, in the transaction of a duty's write, that the duty is still the owner's.

        Raises:
            Aborted: another owner has claimed it.
        """
        t = self._table.c
        fence = select(t.fence).where(t.duty == lease.duty).with_for_update()
        if tx.execute(fence).scalar_one_or_none() != lease.fence:
            raise Aborted(f"the duty {lease.duty} has passed to another process")

    def _mine(self, lease: Lease) -> Update:
        t = self._table.c
        return update(self._table).where(
            t.duty == lease.duty, t.owner == lease.owner, t.fence == lease.fence
        )

    def _now(self, tx: Connection) -> datetime:
        if self._clock is not None:
            return self._clock.now()
        if tx.dialect.name == "postgresql":
            now: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
            return now
        return SystemClock().now()


class HeldLease:
    """What a duty sees of its lease while it runs: `stop` is set when it must end."""

    def __init__(self, lease: Lease, stop: Stop) -> None:
        self.lease: Final = lease
        self.stop: Final = stop


def run_under_lease(
    leases: Leases,
    duty: str,
    work: Callable[[HeldLease], None],
    *,
    owner: str,
    stop: Stop,
    ttl: float = 10.0,
) -> None:
    """Do `work` whenever this process holds the duty, until `stop` is set.

    `work` runs until its lease's `stop` is set, and is begun again when it returns or
    raises before that. The lease is renewed every third of `ttl` seconds; it counts as
    lost when another owner has it, or when it could not be renewed until it ran out.
    """
    failures = 0
    while not stop.is_set():
        try:
            lease = leases.acquire(duty, owner, ttl)
            if lease is None:
                stop.wait(backoff(1, base=ttl / 3, cap=ttl))
                continue
            _work_while_held(leases, lease, work, stop=stop.child(), ttl=ttl)
            failures = 0
        except Exception:  # noqa: BLE001 - a duty that fails is begun again
            failures += 1
            _LOG.exception("the duty %s failed", duty)
            stop.wait(backoff(failures, base=0.1, cap=ttl))


def _work_while_held(
    leases: Leases,
    lease: Lease,
    work: Callable[[HeldLease], None],
    *,
    stop: Stop,
    ttl: float,
) -> None:
    renewer = threading.Thread(
        target=_renew, args=(leases, lease, stop, ttl), name=f"lease-{lease.duty}", daemon=True
    )
    renewer.start()
    try:
        work(HeldLease(lease, stop))
    finally:
        stop.set()
        renewer.join()
        leases.release(lease)


def _renew(leases: Leases, lease: Lease, stop: Stop, ttl: float) -> None:
    held_until = time.monotonic() + ttl
    while not stop.wait(ttl / 3):
        try:
            # Counted from before the renewal, so that it is never believed for too long.
            asked = time.monotonic()
            held = leases.renew(lease, ttl)
        except Exception:  # noqa: BLE001 - tried again until the lease has run out
            _LOG.exception("the lease of %s could not be renewed", lease.duty)
            held = time.monotonic() < held_until
        else:
            held_until = asked + ttl
        if not held:
            _LOG.warning("the duty %s has passed to another process", lease.duty)
            stop.set()
