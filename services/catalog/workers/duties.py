"""What one workers process at a time does, each under a lease of its own."""

import threading
from collections.abc import Callable, Mapping
from typing import Final

from services.catalog.workers.feed import ReplicationFollower
from services.catalog.workers.housekeeping import Housekeeping
from services.kernel.db.leases import HeldLease, Leases, run_under_lease
from services.kernel.db.outbox import OutboxDrainer
from services.kernel.ids import new_uid
from services.kernel.stopping import Stop

Duty = Callable[[HeldLease], None]


def outbox_duty(drainer: OutboxDrainer) -> Duty:
    """Send what is in the outbox while the lease is held."""
    return lambda held: drainer.run(held.stop)


def feed_duty(make: Callable[[], ReplicationFollower]) -> Duty:
    """Follow the feed while the lease is held."""

    def work(held: HeldLease) -> None:
        follower = make()
        follower.start()
        held.stop.wait()
        follower.stop()

    return work


def housekeeping_duty(housekeeping: Housekeeping) -> Duty:
    """Forget what is old while the lease is held."""
    return lambda held: housekeeping.run(held.stop)


class Duties:
    """Runs every duty on a thread of its own until told to stop."""

    def __init__(self, leases: Leases, duties: Mapping[str, Duty], *, ttl: float) -> None:
        """`ttl` is for how many seconds a lease stays with a process that does not answer."""
        self._stop: Final = Stop()
        owner = new_uid()
        self._threads: Final = [
            threading.Thread(
                target=run_under_lease,
                args=(leases, name, duty),
                kwargs={"owner": owner, "stop": self._stop, "ttl": ttl},
                name=name,
                daemon=True,
            )
            for name, duty in duties.items()
        ]

    def start(self) -> None:
        """Begin all duties, each as soon as its lease can be had."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all duties, and give the leases back."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
