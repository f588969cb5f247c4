"""An authz in the process: the log, its head, its own decisions, and a feed under control.

Everything is the real thing but the network: the feed gives a replica what the log holds,
when the test says so.
"""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from services.kernel.clock import FakeClock
from services.kernel.rpc.access import Caller
from services.policy.access import unobserved
from services.policy.access_control import PATIENCE, PolicyAccessControl
from services.policy.authority import Head, RemoteDecision
from services.policy.consistency import ConsistencyToken, LogPosition
from services.policy.evaluation import evaluate_all
from services.policy.fresh_head import no_answer
from services.policy.index import IndexEditor, empty_index
from services.policy.model import Transaction
from services.policy.replica import PolicyReplica
from tests.unit.policy import worlds

INSTALLATION = "here"


class Authz:
    """Fulfils `PolicyAuthority` from a log in memory."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.epoch = 1
        self.start = (*worlds.HIERARCHY, *worlds.PRINCIPALS)
        self.log: list[Transaction] = []
        self.reachable = True
        self.silent_for = 0.0
        self.heads = 0
        self.checks: list[tuple[Any, str]] = []
        self.reports: list[tuple[LogPosition | None, bool]] = []
        self.before_head = threading.Event()
        self.before_head.set()

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.epoch, 1 + len(self.log))

    def write(self, *changes) -> LogPosition:
        self.log.append(Transaction(2 + len(self.log), changes))
        return self.position

    def token(self, position: LogPosition | None = None) -> str:
        return ConsistencyToken(INSTALLATION, position or self.position).encode()

    def head(self, timeout: float) -> Head:
        if not self.reachable:
            self.clock.advance(self.silent_for)
            raise no_answer()
        position = self.position
        self.heads += 1
        self.before_head.wait(10)
        return Head(position, self.token(position))

    def check_all(self, questions, at_least, timeout) -> RemoteDecision:
        if not self.reachable:
            raise no_answer()
        self.checks.append((tuple(questions), at_least))
        editor = IndexEditor(empty_index(self.epoch))
        editor.apply(self.everything(), revision=self.position.revision)
        index = editor.freeze(self.position.revision)
        items = []
        for subject, question in questions:
            found = index.directory.principal(subject.tenant.partition("/")[2], subject.id)
            items.append((found.key if found else "", question))
        decision = evaluate_all(index, items, now=self.clock.now())
        return RemoteDecision(decision.allowed, decision.reason, self.position, decision.item)

    def report(self, position, *, leaving, timeout) -> None:
        if not self.reachable:
            raise no_answer()
        self.reports.append((position, leaving))

    def everything(self):
        return [*self.start, *(change for one in self.log for change in one.changes)]


class Feed:
    """Brings a replica what the log holds, as far as the test lets it."""

    def __init__(self, authz: Authz, replica: PolicyReplica) -> None:
        self.authz = authz
        self.replica = replica

    def snapshot(self) -> None:
        self.replica.connected()
        self.replica.load(self.authz.position, self.authz.everything(), installation=INSTALLATION)

    def deliver(self, upto: int | None = None) -> None:
        for transaction in self.authz.log:
            if upto is None or transaction.revision <= upto:
                self.replica.apply(transaction)

    def beat(self, late: float = 0.0, revision: int | None = None) -> None:
        """A heartbeat that was sent `late` seconds ago, when the log was at `revision`."""
        sent = self.authz.clock.now() - timedelta(seconds=late)
        self.replica.heartbeat(revision or self.authz.position.revision, sent)


class System:
    """An authz, a replica with its feed, and the access control over both."""

    def __init__(self, *changes, observe=unobserved, patience=PATIENCE) -> None:
        self.clock = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
        self.authz = Authz(self.clock)
        if changes:
            self.authz.write(*changes)
        self.replica = PolicyReplica(self.clock, must_report=False)
        self.feed = Feed(self.authz, self.replica)
        self.control = PolicyAccessControl(
            self.replica, self.authz, clock=self.clock, observe=observe, patience=patience
        )
        self.feed.snapshot()
        self.feed.beat()

    def begin(self, kind, caller: Caller | None = None, token: str = "", within: float = 30.0):
        caller = caller or Caller("alice", "t1")
        return self.control.begin(caller, kind, self.clock.monotonic() + within, token)
