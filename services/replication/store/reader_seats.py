"""Who reads a shallow version, counted over all processes by the table of leases."""

import random
from typing import Final

from services.kernel.db.engine import Database
from services.kernel.db.leases import Lease, Leases
from services.kernel.ids import new_uid
from services.replication.store import tables
from services.replication.store.versions import SEATS

SEAT_SECONDS: Final = 30.0


class LeasedSeats:
    """Fulfils `ports.outside.ReaderSeats`: a version has as many leases as it takes readers."""

    def __init__(self, db: Database, *, seats: int) -> None:
        self._leases: Final = Leases(db, tables.leases)
        self.count: Final = seats

    def take(self, version: str) -> "LeasedSeat | None":
        """Answer a seat, None where all are taken."""
        owner = new_uid()
        numbers = list(range(self.count))
        # Readers that come together look at different seats first.
        random.shuffle(numbers)
        for number in numbers:
            lease = self._leases.acquire(f"{SEATS}{version}/{number}", owner, SEAT_SECONDS)
            if lease is not None:
                return LeasedSeat(self._leases, lease)
        return None


class LeasedSeat:
    """Fulfils `ports.outside.ReaderSeat`."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases: Final = leases
        self._lease: Final = lease

    @property
    def seconds(self) -> float:
        """How long it is kept without a word."""
        return SEAT_SECONDS

    def keep(self) -> bool:
        """Keep it for as long again; False where another reader has it."""
        return self._leases.renew(self._lease, SEAT_SECONDS)

    def leave(self) -> None:
        """Give it to the next reader."""
        self._leases.release(self._lease)
