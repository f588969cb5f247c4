"""Forgets what need not be kept: old entries of the log, replies, assignments long ended."""

import logging
from datetime import timedelta
from typing import Final, Protocol

from services.authz.ports.policy import PolicyStore
from services.authz.usecases.expiry import purge_ended
from services.kernel.clock import Clock
from services.kernel.errors import Unavailable
from services.kernel.stopping import Stop

# How often there is something to forget, in seconds.
EVERY: Final = 60.0

_LOG = logging.getLogger(__name__)


class Upkeep(Protocol):
    """What forgets."""

    def forget(self, retention: timedelta) -> None:
        """Drop entries of the log older than `retention`, and replies past their time."""


class Housekeeping:
    """Does it again and again, whatever fails."""

    def __init__(
        self, upkeep: Upkeep, store: PolicyStore, clock: Clock, *, retention: float
    ) -> None:
        """`retention` is in seconds."""
        self._upkeep: Final = upkeep
        self._store: Final = store
        self._clock: Final = clock
        self._retention: Final = timedelta(seconds=retention)

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set."""
        while not stop.wait(EVERY):
            try:
                self.once()
            except Unavailable as error:
                _LOG.warning("nothing was forgotten this time: %s", error.message)

    def once(self) -> None:
        """Do all of it one time.

        Raises:
            Unavailable: the database does not answer.
        """
        self._upkeep.forget(self._retention)
        gone = purge_ended(self._store, self._clock.now())
        if gone:
            _LOG.info("%d role assignments that ended long ago are gone", gone)
