"""The duty of keeping replicas good: repairs what was found, verifies what is asked, scrubs."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from services.kernel.errors import StoaError
from services.kernel.stopping import Stop
from services.replication.content.errors import Cancelled, DataError
from services.replication.domain.verification import Target
from services.replication.ports.rows import UnitOfWork
from services.replication.usecases.healing import Healing, Look
from services.replication.usecases.verifying import VerificationWork

DUTY: Final = "healing"
REPAIRS_AT_ONCE: Final = 16
EVERY: Final = 1.0
"""Seconds between looks for damage, and for what is to be scrubbed."""
ASKED_EVERY: Final = 0.25
"""Seconds between looks for verifications: somebody waits for them."""
LEFT_ALONE_FOR: Final = 300.0
"""Seconds for which a slot is not scrubbed that could not be read."""

_LOG = logging.getLogger(__name__)


class Scrub:
    """Reads back what was long not read, at a low rate."""

    def __init__(
        self,
        rows: UnitOfWork,
        healing: Healing,
        *,
        interval: timedelta,
        pace: Callable[[int], None],
    ) -> None:
        """Every disk of every replica is read once in `interval`; `pace` slows the reading down."""
        self._rows: Final = rows
        self._healing: Final = healing
        self._interval: Final = interval
        self._pace: Final = pace
        self._away: Final[dict[tuple[str, str], float]] = {}

    def step(self, stop: threading.Event) -> bool:
        """Scrub the disk that was longest not read; False where none is due.

        Raises:
            Cancelled: `stop` was set.
        """
        now = time.monotonic()
        for slot in [slot for slot, until in self._away.items() if until <= now]:
            del self._away[slot]
        due = self._rows.read(
            lambda tx: tx.replicas.unverified(tx.now() - self._interval, 1, self._away)
        )
        for disk in due:
            target = Target(disk.location, disk.slot, disk.disk)
            finding = self._healing.look(disk.version, target, Look(pace=self._pace), stop)
            if finding is None or not finding.checked:
                self._away[disk.location, disk.slot] = now + LEFT_ALONE_FOR
        return bool(due)


class Healer:
    """Does all three, each on a thread of its own, while this process holds the duty.

    A repair waits neither for a verification nor for a scrub, which take as long as a disk.
    """

    def __init__(
        self, healing: Healing, verifications: VerificationWork, scrub: Scrub | None
    ) -> None:
        """Without a `scrub` nothing is read that nobody asked for."""
        self._healing: Final = healing
        self._verifications: Final = verifications
        self._scrub: Final = scrub

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set."""
        duties = [("repairs", self.repair, EVERY), ("verifications", self.verify, ASKED_EVERY)]
        if self._scrub is not None:
            duties.append(("scrub", self._scrub.step, EVERY))
        threads = [
            threading.Thread(target=_again_and_again, args=(step, every, stop), name=name)
            for name, step, every in duties
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def verify(self, stop: threading.Event) -> bool:
        """Verify the next disk that somebody asked for; False where there is none."""
        return self._verifications.step(stop)

    def repair(self, stop: threading.Event) -> bool:
        """Repair what is known to be damaged and due; False where nothing is."""
        due = self._healing.due(REPAIRS_AT_ONCE)
        for version, target in due:
            finding = self._healing.look(version, target, Look(), stop)
            if finding is None or not finding.checked:
                self._healing.postpone(version, target)
        return bool(due)


def _again_and_again(
    step: Callable[[threading.Event], bool], every: float, stop: threading.Event
) -> None:
    while not stop.is_set():
        more = False
        try:
            more = step(stop)
        except Cancelled:
            continue
        except (StoaError, DataError) as error:
            _LOG.warning("replicas are looked at later: %s", error)
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            _LOG.exception("looking at replicas failed")
        if not more:
            stop.wait(every)
