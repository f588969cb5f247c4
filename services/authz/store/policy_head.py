"""The compiled policy of this process, always as of the newest commit when it is asked for."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

from sqlalchemy import Connection

from services.authz.domain.changes import entities
from services.authz.store.feed import everything
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
_KEPT: Final = 64


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
        # Roots share nearly everything, so that keeping the last ones costs little.
        self._roots: Final[deque[PolicyIndex]] = deque(maxlen=_KEPT)

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
                found = self._db.snapshot(self._caught_up)
                if self._roots and found.epoch != self._index.epoch:
                    self._roots.clear()
                if not self._roots or found is not self._index:
                    self._roots.append(found)
                self._index = found
                self._seen = probe
            return self._index

    def at(self, revision: int) -> PolicyIndex | None:
        """Answer the policy as of one of the last revisions, None where it is not held."""
        with self._lock:
            return next((one for one in self._roots if one.revision == revision), None)

    @property
    def oldest(self) -> int:
        """The oldest revision that is still held."""
        with self._lock:
            return self._roots[0].revision if self._roots else self._index.revision

    def within(self, tx: Connection) -> PolicyIndex:
        """Answer the policy as a transaction sees it that has locked the head of the log.

        It is kept for that transaction alone: what it saw may still be rolled back.
        """
        return self._caught_up(tx)

    def _caught_up(self, connection: Connection) -> PolicyIndex:
        index = self._index
        head = self._log.head(connection)
        if index.epoch != head.epoch or index.revision > head.position:
            return _loaded(connection, head.epoch, head.position)
        try:
            while index.revision < head.position:
                for entry in self._log.read_after(connection, index.revision, _BATCH):
                    changes = tuple(self._decode(entry.payload))
                    index = index.apply(Transaction(entry.position, changes))
        except PositionCompacted:
            return _loaded(connection, head.epoch, head.position)
        return index


def _loaded(connection: Connection, epoch: int, revision: int) -> PolicyIndex:
    # The revision at which a record was written matters to later tombstones alone, to which
    # everything that is there now is old.
    facts = (one for change in everything(connection) for one in entities(change, 0))
    return load_index(epoch, revision, chain(BUILT_IN_ROLES, facts))
