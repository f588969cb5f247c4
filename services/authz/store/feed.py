"""Reading the policy log for the feed, and the whole policy for a snapshot."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeVar

from sqlalchemy import Connection, select

from services.authz.domain import records as d
from services.authz.domain.changes import Change, Joined, Put
from services.authz.domain.eligibility import EligibleAssignment
from services.authz.store.facts import SqlFacts
from services.authz.store.records import BY_CLASS
from services.authz.store.tables import MEMBERSHIPS
from services.kernel.db.engine import Database
from services.kernel.feed.log import FeedEntry, FeedHead, FeedLog
from services.kernel.feed.probe import ChangeProbe

T = TypeVar("T")

# Members in one change of a snapshot.
_MEMBERS: Final = 1000
# What members and assignments refer to, and what refers to it.
_BEFORE: Final[tuple[type, ...]] = (d.Tenant, d.ManagementGroup, d.Subscription, d.Principal)
_AFTER: Final[tuple[type, ...]] = (
    d.RoleDefinition,
    d.RoleAssignment,
    d.DenyAssignment,
    EligibleAssignment,
    d.SharingGrant,
)


class PolicyFeed:
    """The log as `services.kernel.feed.stream.Log`, and snapshots of what it led to."""

    def __init__(self, db: Database, log: FeedLog) -> None:
        self._db: Final = db
        self._log: Final = log
        self._probe: Final = ChangeProbe(db, log)

    def probe(self) -> object:
        """Answer something that differs once anything was committed."""
        return self._probe.current()

    def head(self) -> FeedHead:
        """Answer the newest position."""
        return self._db.read(self._log.head)

    def read_after(self, position: int, limit: int, epoch: int | None) -> Sequence[FeedEntry]:
        """Answer what follows a position; see `FeedLog.read_after`."""
        return self._db.read(
            lambda connection: self._log.read_after(connection, position, limit, epoch=epoch)
        )

    def snapshot(self, take: Callable[[Change], T]) -> tuple[FeedHead, list[T]]:
        """Hand every fact to `take`, all as of one revision; answer that and what it made.

        What others refer to comes first. Built-in roles are not among the facts.
        """

        def read(connection: Connection) -> tuple[FeedHead, list[T]]:
            taken = [take(change) for change in everything(connection)]
            return self._log.head(connection), taken

        return self._db.snapshot(read)


def everything(connection: Connection) -> Iterator[Change]:
    """Answer all facts as puts, what others refer to first."""
    facts = SqlFacts(connection)
    for of in _BEFORE:
        yield from _puts(facts, of)
    yield from _memberships(connection)
    for of in _AFTER:
        yield from _puts(facts, of)


def _puts(facts: SqlFacts, of: type) -> Iterator[Change]:
    for record in facts.rows(BY_CLASS[of]).each():
        yield Put(record)


def _memberships(connection: Connection) -> Iterator[Change]:
    c = MEMBERSHIPS.c
    statement = select(c.group, c.member).order_by(c.group_key, c.member_key)
    for group, rows in groupby(connection.execute(statement), key=lambda row: row.group):
        members = [row.member for row in rows]
        for begin in range(0, len(members), _MEMBERS):
            yield Joined(group, tuple(members[begin : begin + _MEMBERS]))
