"""How far the replicas of the policy are, as they report it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from services.authz.ports.replicas import Lagging
from services.authz.store.tables import REPLICAS
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.policy.consistency import LogPosition

# A replica that has not told for so long has ceased to decide by itself.
LIVE: Final = timedelta(seconds=5)


class Replicas:
    """The reports; see `ReplicaStore`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db: Final = db
        self._clock: Final = clock

    def report(
        self, replica_id: str, workload: str, position: LogPosition, *, leaving: bool
    ) -> None:
        c = REPLICAS.c
        this = (c.replica_id == replica_id, c.workload == workload)

        def run(tx: Connection) -> None:
            # One that left without saying so is forgotten in passing.
            long_gone = self._clock.now() - 2 * LIVE
            tx.execute(delete(REPLICAS).where(c.report_time < long_gone))
            if leaving:
                tx.execute(delete(REPLICAS).where(*this))
                return
            values = {
                "epoch": position.epoch,
                "revision": position.revision,
                "report_time": self._clock.now(),
            }
            if not tx.execute(update(REPLICAS).where(*this).values(values)).rowcount:
                identity = {"replica_id": replica_id, "workload": workload}
                tx.execute(insert(REPLICAS).values(identity | values))

        self._db.transact(run)

    def lagging(self, position: LogPosition) -> Sequence[Lagging]:
        c = REPLICAS.c
        # Before its first snapshot (epoch 0) a replica decides nothing.
        statement = (
            select(c.replica_id, c.workload, c.epoch, c.revision)
            .where(c.report_time > self._clock.now() - LIVE, c.epoch > 0)
            .order_by(c.workload, c.replica_id)
        )
        rows = self._db.read(lambda connection: connection.execute(statement).all())
        return [
            Lagging(row.replica_id, row.workload, row.revision)
            for row in rows
            if (row.epoch, row.revision) < (position.epoch, position.revision)
        ]
