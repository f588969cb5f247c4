"""Ends the retention of soft-deleted versions, and purges them in time."""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.catalog.domain.version import Version
from services.catalog.ports.transaction import Transact
from services.catalog.usecases import version_expiry
from services.kernel.clock import Clock
from services.kernel.errors import StoaError

_LOG = logging.getLogger(__name__)
_BATCH: Final = 100


class Expiry:
    """Does what is due, by one process at a time (a lease); each version in a transaction."""

    def __init__(self, transact: Transact, clock: Clock) -> None:
        self._transact: Final = transact
        self._clock: Final = clock

    def run(self, stop: threading.Event, *, poll: float = 1.0) -> None:
        """Go on until `stop` is set, looking every `poll` seconds."""
        while not stop.is_set():
            self.run_once()
            stop.wait(poll)

    def run_once(self) -> int:
        """Do everything that is due; answer to how many versions something was done."""
        now = self._clock.now()
        done = 0
        after: tuple[datetime, str] | None = None
        while True:
            due = self._due(now, after)
            for version in due:
                done += self._expire(version.uid, version.name, now)
                if version.expiry_time is not None:
                    after = (version.expiry_time, version.key)
            if len(due) < _BATCH:
                return done

    def _due(self, now: datetime, after: tuple[datetime, str] | None) -> Sequence[Version]:
        return self._transact(lambda tx: tx.versions.expiring(now, after, _BATCH))

    def _expire(self, uid: str, name: str, now: datetime) -> bool:
        try:
            return self._transact(lambda tx: version_expiry.expire(tx, uid, now))
        except StoaError:
            _LOG.warning("%s is not expired yet", name, exc_info=True)
            return False
