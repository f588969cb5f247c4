"""A cheap look whether a database has changed, to keep caches and tails honest."""

from typing import Final

from services.kernel.db.engine import Database
from services.kernel.feed.log import FeedLog


class ChangeProbe:
    """Answers a number that differs once something was committed.

    On SQLite the data version (4 us), which any commit changes; on PostgreSQL the head of
    a feed, which the commits that append to it change.
    """

    def __init__(self, db: Database, log: FeedLog) -> None:
        self._db: Final = db
        self._log: Final = log

    def current(self) -> tuple[int, int]:
        """Answer what to compare with the answer before."""
        version = self._db.data_version()
        if version is not None:
            return 0, version
        head = self._db.read(self._log.head)
        return head.epoch, head.position
