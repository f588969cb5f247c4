"""Writing the policy: one path for every write, serialized by the head of the log."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, delete, insert, select

from services.authz.domain import records as d
from services.authz.domain.audit import Event, Outcome
from services.authz.domain.changes import Buried, Change, Gone, Joined, Left, Put, entities
from services.authz.domain.records import Principal, Record, Tombstone
from services.authz.ports.policy import Command, Facts, Unit, Written
from services.authz.store import facts as f
from services.authz.store import tables as t
from services.authz.store.audit import AuditLog
from services.authz.store.facts import SqlFacts
from services.authz.store.policy_head import PolicyHead
from services.authz.store.records import BY_CLASS
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.request_log import RequestKey, RequestLog
from services.kernel.feed.log import FeedLog
from services.kernel.ids import new_uid
from services.kernel.names import key
from services.policy import model
from services.policy.consistency import ConsistencyToken, LogPosition
from services.policy.index import PolicyIndex
from services.policy.model import Transaction

T = TypeVar("T")

# The form in which changes lie in the log, given the revision and the time of their commit.
Encode = Callable[[Sequence[Change], int, datetime], bytes]


class SqlUnit:
    """One transaction of the log in the making; see `Unit`."""

    def __init__(self, tx: Connection, index: PolicyIndex, revision: int, now: datetime) -> None:
        self.facts: Final[Facts] = SqlFacts(tx)
        self.index = index
        self.revision: Final = revision
        self.now: Final = now
        self.changes: Final[list[Change]] = []
        self._tx: Final = tx
        self._advanced = 0

    def put(self, record: Record) -> None:
        f.SqlFacts(self._tx).rows(BY_CLASS[type(record)]).put(record)
        if isinstance(record, d.DenyAssignment):
            f.write_deny_principals(self._tx, record)
        self.changes.append(Put(record))

    def remove(self, record: Record) -> None:
        f.SqlFacts(self._tx).rows(BY_CLASS[type(record)]).remove(record.key)
        if isinstance(record, d.DenyAssignment):
            f.forget_deny_principals(self._tx, record.key)
        if isinstance(record, Principal):
            c = t.MEMBERSHIPS.c
            for column in (c.group_key, c.member_key):
                self._tx.execute(delete(t.MEMBERSHIPS).where(column == record.key))
        self.changes.append(Gone(record))

    def join(self, group: str, members: Sequence[Principal]) -> None:
        if not members:
            return
        rows = [
            {
                "group_key": key(group),
                "member_key": one.key,
                "group": group,
                "member": one.name,
                "create_time": self.now,
            }
            for one in members
        ]
        self._tx.execute(insert(t.MEMBERSHIPS), rows)
        self.changes.append(Joined(group, tuple(one.name for one in members)))

    def leave(self, group: str, members: Sequence[str]) -> None:
        if not members:
            return
        c = t.MEMBERSHIPS.c
        keys = [key(one) for one in members]
        self._tx.execute(
            delete(t.MEMBERSHIPS).where(c.group_key == key(group), c.member_key.in_(keys))
        )
        self.changes.append(Left(group, tuple(members)))

    def use_up(self, identity: str) -> None:
        self._tx.execute(insert(t.USED_IDS).values(identity=identity))

    def bury(self, tombstone: Tombstone) -> None:
        self._tx.execute(
            insert(t.TOMBSTONES).values(
                uid=tombstone.uid,
                scope_key=key(tombstone.scope),
                scope=tombstone.scope,
                revision=tombstone.revision,
                removed_count=tombstone.removed_count,
                create_time=tombstone.create_time,
            )
        )
        self.changes.append(Buried(tombstone.scope, tombstone.uid))

    def advance(self) -> Sequence[model.Change]:
        written = self.changes[self._advanced :]
        self._advanced = len(self.changes)
        meant = tuple(one for change in written for one in entities(change, self.revision))
        if meant:
            self.index = self.index.apply(Transaction(self.index.revision + 1, meant))
        return meant


class SqlPolicyStore:
    """The policy in a database; see `PolicyStore`."""

    def __init__(
        self,
        db: Database,
        log: FeedLog,
        head: PolicyHead,
        audit: AuditLog,
        *,
        encode: Encode,
        clock: Clock,
    ) -> None:
        self._db: Final = db
        self._log: Final = log
        self._head: Final = head
        self._audit: Final = audit
        self._encode: Final = encode
        self._clock: Final = clock
        self._requests: Final = RequestLog(t.REQUEST_LOG, clock)
        self._installation = ""

    def read(self, work: Callable[[Facts], T]) -> T:
        return self._db.read(lambda connection: work(SqlFacts(connection)))

    def snapshot(self, work: Callable[[Facts], T]) -> T:
        return self._db.snapshot(lambda connection: work(SqlFacts(connection)))

    def write(
        self,
        command: Command,
        work: Callable[[Unit], T],
        reply: Callable[[T], bytes],
        *,
        validate_only: bool = False,
    ) -> Written:
        def run(tx: Connection) -> Written:
            written = self._write(tx, command, work, reply)
            if validate_only:
                raise _NothingKept(written)
            return written

        # So that little is left to be compiled while the head is locked.
        self._head.current()
        try:
            return self._db.transact(run)
        except _NothingKept as kept:
            return kept.written

    def _write(
        self,
        tx: Connection,
        command: Command,
        work: Callable[[Unit], T],
        reply: Callable[[T], bytes],
    ) -> Written:
        request = RequestKey(command.caller_id, command.method, command.request_id)
        if command.request_id:
            recorded = self._requests.lookup(tx, request, command.digest)
            if recorded is not None:
                head = self._log.head(tx)
                return Written(recorded, LogPosition(head.epoch, head.position))
        head = self._log.lock_head(tx)
        now = self._clock.now()
        unit = SqlUnit(tx, self._head.within(tx), head.position + 1, now)
        answer = reply(work(unit))
        position = LogPosition(head.epoch, head.position)
        if unit.changes:
            event = _event(command, unit.revision, now)
            self._audit.add(tx, [event], tenant=_tenant_of_role(command, unit.changes))
            revision = self._log.append(tx, self._encode(unit.changes, unit.revision, now))
            position = LogPosition(head.epoch, revision)
        if command.request_id:
            self._requests.record(tx, request, command.digest, answer)
        return Written(answer, position)

    def position(self) -> LogPosition:
        head = self._db.read(self._log.head)
        return LogPosition(head.epoch, head.position)

    def token(self, position: LogPosition) -> str:
        return ConsistencyToken(self.installation(), position).encode()

    def installation(self) -> str:
        """Answer the id of the installation, given once for its life."""
        if not self._installation:
            self._installation = self._db.read(_installation) or self._db.transact(self._install)
        return self._installation

    def _install(self, tx: Connection) -> str:
        # Two processes that find none agree by the lock.
        self._log.lock_head(tx)
        found = _installation(tx)
        if found is None:
            found = new_uid()
            row = {"id": 1, "uid": found, "create_time": self._clock.now()}
            tx.execute(insert(t.INSTALLATION).values(row))
        return found


class _NothingKept(Exception):
    """Rolls back what was only to be validated, and carries the answer out."""

    def __init__(self, written: Written) -> None:
        super().__init__("validated only")
        self.written: Final = written


def _installation(connection: Connection) -> str | None:
    return connection.execute(select(t.INSTALLATION.c.uid)).scalar_one_or_none()


def _tenant_of_role(command: Command, changes: Sequence[Change]) -> str:
    """Answer the tenant of the custom role that a call wrote: the name of a role has none."""
    for change in changes:
        record = change.record if isinstance(change, Put | Gone) else None
        if isinstance(record, d.RoleDefinition) and record.key == key(command.resource):
            return record.tenant
    return ""


def _event(command: Command, revision: int, now: datetime) -> Event:
    return Event(
        event_time=now,
        workload=command.workload,
        method=command.method,
        resource=command.resource,
        outcome=Outcome.DONE,
        caller=command.principal,
        action=command.action,
        revision=revision,
        request_id=command.request_id,
        trace_parent=command.trace_parent,
        details=command.details,
    )
