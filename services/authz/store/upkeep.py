"""Forgetting in SQL."""

from datetime import timedelta
from typing import Final

from services.authz.store.decisions import forget
from services.authz.store.tables import REQUEST_LOG
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.request_log import RequestLog
from services.kernel.feed.log import FeedLog


class Upkeep:
    """Drops old entries of the log, old decisions and replies past their time.

    The audit log stays for ever.
    """

    def __init__(self, db: Database, log: FeedLog, clock: Clock) -> None:
        self._db: Final = db
        self._log: Final = log
        self._clock: Final = clock
        self._requests: Final = RequestLog(REQUEST_LOG, clock)

    def forget(self, retention: timedelta) -> None:
        """Drop what is older than `retention`, and replies past their time."""
        before = self._clock.now() - retention
        self._db.transact(lambda tx: forget(tx, before))
        self._db.transact(lambda tx: self._log.compact(tx, older_than=before))
        self._db.transact(self._requests.purge)
