"""The compiled policy of this process, always as of the newest commit when it is asked for."""

import threading
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

from sqlalchemy import Connection

from services.authz.domain.changes import entities
from services.authz.store.feed import everything
from services.authz.store.policy_history import PolicyHistory
from services.kernel.db.engine import Database
from services.kernel.errors import PositionCompacted
from services.kernel.feed.log import FeedLog
from services.kernel.feed.probe import ChangeProbe
from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.index import PolicyIndex, empty_index, load_index
from services.policy.model import Change, Transaction

# What an entry of the log says, as changes of the compiled policy.
Decode = Callable[[bytes], Sequence[Change]]

_BATCH: Final = 512


class PolicyHead:
    """Follows the log of its own database without a feed between.

    Every question looks whether anything was committed (microseconds on SQLite, one SELECT on
    PostgreSQL), so that what authz decides is never older than the question.
    """

    def __init__(self, db: Database, log: FeedLog, decode: Decode) -> None:
        self._db: Final = db
        self._log: Final = log
        self._decode: Final = decode
        self._probe: Final = ChangeProbe(db, log)
        self._lock: Final = threading.Lock()
        self._index: PolicyIndex = empty_index()
        self._seen: object = None
        self._history: Final = PolicyHistory()

    @property
    def held(self) -> PolicyIndex:
        """The policy as it was last asked for; for what needs no decision."""
        return self._index

    def current(self) -> PolicyIndex:
        """Answer the policy as of the newest commit at the time of the call."""
        probe = self._probe.current()
        if probe == self._seen:
            return self._index
        with self._lock:
            # Taken before the log is read: a commit in between is only looked at once more.
            probe = self._probe.current()
            if probe != self._seen:
                roots = self._db.snapshot(self._roots_since)
                for root in roots:
                    self._history.add(root)
                if roots:
                    self._index = roots[-1]
                self._seen = probe
            return self._index

    def at(self, revision: int) -> PolicyIndex | None:
        """Answer the policy as of a revision of this epoch, None where it cannot be had.

        What this process has seen can, while the log holds it, and the last revisions always.
        """
        with self._lock:
            return self._history.at(revision, self._replayed)

    def is_recent(self, revision: int) -> bool:
        """Whether a revision is among the last ones, which are held whatever happens."""
        with self._lock:
            return self._history.is_recent(revision)

    def oldest(self) -> int:
        """Answer the oldest revision that can be had."""
        head = self._db.read(self._log.head)
        with self._lock:
            return self._history.oldest(head.horizon)

    def within(self, tx: Connection) -> PolicyIndex:
        """Answer the policy as a transaction sees it that has locked the head of the log.

        It is kept for that transaction alone: what it saw may still be rolled back.
        """
        roots = self._roots_since(tx)
        return roots[-1] if roots else self._index

    def _roots_since(self, connection: Connection) -> list[PolicyIndex]:
        """Answer the roots after the one held, each of them, up to the head of the log."""
        index = self._index
        head = self._log.head(connection)
        if index.epoch != head.epoch or index.revision > head.position:
            return [_loaded(connection, head.epoch, head.position)]
        try:
            return self._followed(connection, index, head.position)
        except PositionCompacted:
            return [_loaded(connection, head.epoch, head.position)]

    def _followed(
        self, connection: Connection, index: PolicyIndex, until: int
    ) -> list[PolicyIndex]:
        roots: list[PolicyIndex] = []
        while index.revision < until:
            for entry in self._log.read_after(connection, index.revision, _BATCH):
                if entry.position > until:
                    break
                changes = tuple(self._decode(entry.payload))
                index = index.apply(Transaction(entry.position, changes))
                roots.append(index)
        return roots

    def _replayed(self, base: PolicyIndex, revision: int) -> PolicyIndex | None:
        def replay(connection: Connection) -> PolicyIndex | None:
            head = self._log.head(connection)
            if head.epoch != base.epoch or head.position < revision:
                return None
            try:
                return self._followed(connection, base, revision)[-1]
            except PositionCompacted:
                return None

        return self._db.snapshot(replay)


def _loaded(connection: Connection, epoch: int, revision: int) -> PolicyIndex:
    # The revision at which a record was written matters to later tombstones alone, to which
    # everything that is there now is old.
    facts = (one for change in everything(connection) for one in entities(change, 0))
    return load_index(epoch, revision, chain(BUILT_IN_ROLES, facts))
