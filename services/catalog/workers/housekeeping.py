"""Forgets what was kept for a time: ended operations, replies, sent messages."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from services.kernel.db.engine import Database
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.db.request_log import RequestLog
from services.kernel.stopping import Stop

SENT_KEPT: Final = timedelta(days=7)
_EVERY: Final = 60.0


class Housekeeping:
    """Deletes in small parts, so that calls of users find their turn between them."""

    def __init__(
        self,
        db: Database,
        *,
        operations: OperationStore,
        request_log: RequestLog,
        outbox: Outbox,
        usage: Callable[..., int],
    ) -> None:
        """`usage` forgets counters of what is past."""
        self._db: Final = db
        self._purges: Final[Sequence[Callable[..., int]]] = (
            operations.purge,
            request_log.purge,
            lambda tx: outbox.purge(tx, older_than=SENT_KEPT),
            usage,
        )

    def run(self, stop: Stop) -> None:
        """Look again and again until `stop` is set."""
        while not stop.is_set():
            self.run_once()
            stop.wait(_EVERY)

    def run_once(self) -> int:
        """Delete what is due; answer how much."""
        deleted = 0
        for purge in self._purges:
            while count := self._db.transact(purge):
                deleted += count
        return deleted
