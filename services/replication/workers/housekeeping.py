"""Forgets what need not be kept, and looks whether stores are still there."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from services.kernel.errors import StoaError
from services.kernel.stopping import Stop
from services.replication.content.errors import DataError
from services.replication.domain.region import SlotProbe
from services.replication.ports.outside import Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.reachability import Reachability

# How often there is something to forget, and how often stores are looked at, in seconds.
EVERY: Final = 60.0

_LOG = logging.getLogger(__name__)


class Housekeeping:
    """Does it again and again, whatever fails, while this process holds the duty."""

    def __init__(
        self,
        rows: UnitOfWork,
        stores: Stores,
        reachability: Reachability,
        forget: Callable[[], object],
        *,
        retention: timedelta,
    ) -> None:
        """`forget` drops what the kernel keeps for a time: replies and ended operations."""
        self._rows: Final = rows
        self._stores: Final = stores
        self._reachability: Final = reachability
        self._forget: Final = forget
        self._retention: Final = retention

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set."""
        while not stop.is_set():
            try:
                self.once()
            except (StoaError, DataError) as error:
                _LOG.warning("housekeeping is done later: %s", error)
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                _LOG.exception("housekeeping failed")
            stop.wait(EVERY)

    def once(self) -> None:
        """Look at every store, and tell of the replicas in it; then forget."""
        for region in self._rows.read(lambda tx: tx.regions.all()):
            for slot in region.slots:
                probe = self._stores.probe(slot.address, replica_id=slot.replica_id)
                if probe.health is not slot.probe.health:
                    _LOG.warning("slot %s of %s is %s", slot.id, region.id, probe.health.value)
                try:
                    self._reachability.follow(region.id, slot, probe)
                except DataError as error:
                    _LOG.warning("slot %s of %s went away: %s", slot.id, region.id, error)
                self._rows.transact(partial(_record, region.id, slot.id, probe))
        self._forget()
        self._rows.transact(self._compact)

    def _compact(self, tx: Tx) -> None:
        older_than = tx.now() - self._retention
        tx.versions.forget(older_than, 100)
        tx.replications.forget_events(older_than, 100)
        tx.feed.compact(older_than)


def _record(location: str, slot: str, probe: SlotProbe, tx: Tx) -> None:
    tx.regions.set_probe(location, slot, probe)
