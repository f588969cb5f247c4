"""Finishes the changes of sharing that a call left pending."""

import logging
import threading
from datetime import timedelta
from typing import Final

from services.catalog.ports.policy import SharingAuthority
from services.catalog.ports.transaction import Transact
from services.catalog.usecases import pending_sharing
from services.kernel.clock import Clock
from services.kernel.errors import StoaError

_LOG = logging.getLogger(__name__)
_BATCH: Final = 100


class ShareFinisher:
    """Repeats the steps whose calls did not end, by one process at a time (a lease)."""

    def __init__(
        self,
        transact: Transact,
        authority: SharingAuthority,
        clock: Clock,
        *,
        patience: timedelta = timedelta(seconds=15),
    ) -> None:
        """`patience` is how long a change is left to the call that made it."""
        self._transact: Final = transact
        self._authority: Final = authority
        self._clock: Final = clock
        self._patience: Final = patience

    def run_once(self) -> int:
        """Try to finish each change that is pending for too long; answer how many were."""
        before = self._clock.now() - self._patience
        left = self._transact(lambda tx: tx.galleries.pending_shares(before, _BATCH))
        finished = 0
        for gallery in left:
            try:
                pending_sharing.finish(gallery, self._transact, self._authority, self._clock)
            except StoaError:
                _LOG.warning("the sharing of %s is still pending", gallery.name, exc_info=True)
            else:
                finished += 1
        return finished

    def run(self, stop: threading.Event, *, poll: float = 5.0) -> None:
        """Go on until `stop` is set, looking every `poll` seconds."""
        while not stop.is_set():
            self.run_once()
            stop.wait(poll)
