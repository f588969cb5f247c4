"""Forgets what need not be kept: old entries of the log, and replies to old requests."""

import logging
from datetime import timedelta
from typing import Final, Protocol

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

    def __init__(self, upkeep: Upkeep, *, retention: float) -> None:
        """`retention` is in seconds."""
        self._upkeep: Final = upkeep
        self._retention: Final = timedelta(seconds=retention)

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set."""
        while not stop.wait(EVERY):
            try:
                self._upkeep.forget(self._retention)
            except Unavailable as error:
                _LOG.warning("nothing was forgotten this time: %s", error.message)
