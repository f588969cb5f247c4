"""The copy of the policy that a process decides by, and how far it can be trusted.

Fed by one thread, read by all others without a lock: a reader takes one reference.
"""

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.kernel.clock import Clock, SystemClock
from services.policy.consistency import LogPosition
from services.policy.index import PolicyIndex, load_index
from services.policy.model import Change, Transaction

NEVER: Final = float("-inf")


class RevisionGap(Exception):
    """What was received does not follow what is held: take a snapshot."""


class PolicyReplica:
    """An index, the time at which it was last known to be the newest, and who waits for more."""

    def __init__(self, clock: Clock | None = None, *, must_report: bool = True) -> None:
        """`must_report` ties freshness to reports too.

        Authz stops waiting for a replica that has not told for 5 seconds how far it is, so
        such a replica must have stopped to decide by itself (PolicyFeedService.Report).
        """
        self._clock: Final = clock or SystemClock()
        self._changed: Final = threading.Condition()
        self._index: PolicyIndex | None = None
        #: Whose log this follows, as its tokens say; empty where nobody said so.
        self.installation = ""
        self._newest_at = NEVER
        self._reported_at = NEVER if must_report else float("inf")
        self._pending: tuple[int, float] | None = None
        self._offset: float | None = None

    @property
    def index(self) -> PolicyIndex | None:
        """The policy as of now, None before the first snapshot."""
        return self._index

    @property
    def position(self) -> LogPosition | None:
        """How far the log is applied, None before the first snapshot."""
        index = self._index
        return None if index is None else LogPosition(index.epoch, index.revision)

    def age(self) -> float:
        """Answer the seconds since this was known to be the newest policy; infinite if never.

        A heartbeat counts only once everything up to its revision is applied.
        """
        return self._clock.monotonic() - min(self._newest_at, self._reported_at)

    def connected(self) -> None:
        """Begin to listen to a feed: how late its heartbeats come is measured anew."""
        self._offset = None
        self._pending = None

    def load(
        self, position: LogPosition, changes: Iterable[Change], *, installation: str = ""
    ) -> None:
        """Replace everything by a whole snapshot of the log of `installation`.

        Raises:
            RevisionGap: the snapshot is older than what is held.
        """
        held = self.position
        if held is not None and position < held:
            raise RevisionGap(f"a snapshot of {position} cannot replace {held}")
        self.installation = installation
        self._publish(load_index(position.epoch, position.revision, changes))

    def apply(self, transaction: Transaction) -> None:
        """Apply the next transaction; one that was applied before is passed over.

        Raises:
            RevisionGap: transactions in between are missing, or there is no snapshot yet.
        """
        index = self._index
        if index is None or transaction.revision > index.revision + 1:
            held = None if index is None else index.revision
            raise RevisionGap(f"revision {transaction.revision} does not follow {held}")
        if transaction.revision <= index.revision:
            return
        self._publish(index.apply(transaction))

    def heartbeat(self, head_revision: int, server_time: datetime) -> None:
        """Take note that the log ended at `head_revision` when the feed was alive.

        `server_time` is compared with earlier heartbeats of the connection alone, so that
        clocks may differ, but a heartbeat that was held up on its way counts as old.
        """
        sent = server_time.timestamp()
        offset = self._clock.monotonic() - sent
        self._offset = offset if self._offset is None else min(self._offset, offset)
        self._pending = (head_revision, sent + self._offset)
        index = self._index
        if index is not None:
            self._settle(index.revision)

    def reported(self, began: float) -> None:
        """Take note that authz knows how far this is, by a report begun at `began`.

        `began` is in seconds of the clock's monotonic time.
        """
        self._reported_at = max(self._reported_at, began)

    def wait_until(self, position: LogPosition, timeout: float) -> PolicyIndex | None:
        """Answer the policy at or after `position`, None if it does not come in `timeout` seconds.

        A policy of another epoch never is: revisions of two epochs cannot be compared.
        """
        index = self._index
        if index is not None and _reaches(index, position):
            return index
        with self._changed:
            self._changed.wait_for(lambda: _reaches(self._index, position), max(0.0, timeout))
            index = self._index
        return index if _reaches(index, position) else None

    def wait_for_change(
        self, known: LogPosition | None, timeout: float, *, unless: threading.Event
    ) -> None:
        """Wait until the position is another than `known`, `unless` is set and `wake` called."""
        with self._changed:
            self._changed.wait_for(lambda: self.position != known or unless.is_set(), timeout)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def _publish(self, index: PolicyIndex) -> None:
        with self._changed:
            self._index = index
            self._changed.notify_all()
        self._settle(index.revision)

    def _settle(self, revision: int) -> None:
        if self._pending is not None and revision >= self._pending[0]:
            self._newest_at = max(self._newest_at, self._pending[1])
            self._pending = None


def _reaches(index: PolicyIndex | None, position: LogPosition) -> bool:
    return (
        index is not None and index.epoch == position.epoch and index.revision >= position.revision
    )
