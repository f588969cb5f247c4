"""Tells authz how far this process's replica is (PolicyFeedService.Report)."""

import logging
import threading
from typing import Final

from services.kernel.clock import Clock, SystemClock
from services.kernel.errors import StoaError
from services.policy.authority import PolicyAuthority
from services.policy.consistency import LogPosition
from services.policy.replica import PolicyReplica

#: A report goes out at least this often, in seconds.
EVERY: Final = 1.0
TIMEOUT: Final = 1.0
#: What waits between two reports, in seconds: transactions that come together count as one.
_GATHER: Final = 0.005

_LOG = logging.getLogger(__name__)


class Reporter:
    """Reports after each change of the replica and every second, on a thread of its own."""

    def __init__(
        self, replica: PolicyReplica, authority: PolicyAuthority, *, clock: Clock | None = None
    ) -> None:
        self._replica: Final = replica
        self._authority: Final = authority
        self._clock: Final = clock or SystemClock()
        self._stop: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="policy-report", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self) -> None:
        """Report that the process leaves, so that no write waits for it, and end."""
        self._stop.set()
        self._replica.wake()
        self._thread.join()
        self.report_once(leaving=True)

    def report_once(self, *, leaving: bool = False) -> LogPosition | None:
        """Report now; answer what was reported. A report that fails only makes the replica old."""
        began = self._clock.monotonic()
        position = self._replica.position
        try:
            self._authority.report(position, leaving=leaving, timeout=TIMEOUT)
        except StoaError as error:
            _LOG.info("the policy replica could not report: %s", error)
        else:
            self._replica.reported(began)
        return position

    def _run(self) -> None:
        while not self._stop.is_set():
            told = self.report_once()
            self._stop.wait(_GATHER)
            self._replica.wait_for_change(told, EVERY, unless=self._stop)
