"""A history of policy and content, and everything that is asked of a catalog after each step.

The catalog here follows the policy, decides, and serves rows by the code of the services; other
processes of it write rows as well. A step writes one thing; then everybody asks for everything, by
calls that begin now and by calls that began before the step.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from services.catalog.domain import names
from services.catalog.ports.reading import ListQuery, Stored
from services.catalog.servicers import reading
from services.kernel.clock import FakeClock
from services.kernel.errors import NotFound, PermissionDenied, Unavailable
from services.kernel.names import prefixes
from services.kernel.paging import PageTokens
from services.kernel.rpc.access import Caller, Kind
from services.kernel.rpc.guesses import GuessLimit
from services.kernel.violations import Violations
from services.policy.access_control import FRESH, LEASE, PolicyAccessControl
from services.policy.decision import Question
from services.policy.evaluation import evaluate
from services.policy.feed import PolicyFeed
from services.policy.model import Kind as Entity
from services.policy.model import MemberRemoved, Removed, Subscription
from services.policy.replica import PolicyReplica
from services.policy.reporter import Reporter
from tests.unit.policy.faulty_feed import Fault, FaultyFeed, Log
from tests.unit.policy.worlds import (
    BOB,
    DEFINITION,
    FOREIGN,
    GALLERY,
    GROUP,
    IMAGES,
    OTHER_TENANT,
    PLATFORM,
    READ,
    SHARED_VERSION_READ,
    SUBSCRIPTION,
    TENANT,
    WRITE,
    assign,
    deny,
    grant,
    group,
    member,
    role,
    user,
)

#: Seconds between two steps: the lease runs over several of them.
STEP: Final = 0.5
#: Steps that a fault which passes by itself lasts: longer than the lease.
LASTING: Final = 12
#: How many of the newest rows are asked for, one by one and in a list.
_ASKED: Final = 4
ALICE, BOBBY, CAROL = Caller("alice", "t1"), Caller("bob", "t1"), Caller("carol", "t2")
VIEW: Final = f"{FOREIGN}/locations/eastus/sharedGalleries/opaque-1/images/ubuntu"
READING: Final = "reader"
DENIED: Final = deny(DEFINITION, BOB, actions=("*/read",))
AT_GROUP: Final = assign(READING, GROUP, BOB)
AT_IMAGES: Final = assign(READING, IMAGES, BOB)
AT_DEFINITION: Final = assign(READING, DEFINITION, BOB)
#: A row is written by another process of the catalog.
CONTENT: Final = "content"
#: What takes nothing away comes after what does: who lost that would not miss it otherwise.
UNRELATED: Final = (member(group("g2"), group("g3")),)
# Every way in which somebody gets and loses what they could read, each with content after it.
HISTORY: Final[tuple[Any, ...]] = (
    (role("*"), assign("r1", SUBSCRIPTION), role("*/read", id=READING)),
    CONTENT,
    (AT_DEFINITION,),
    CONTENT,
    # A role taken back.
    (Removed(Entity.ROLE_ASSIGNMENT, AT_DEFINITION.name),),
    UNRELATED,
    CONTENT,
    # A membership.
    (assign(READING, GALLERY, group("g0")), member(group("g0"), group("g1"))),
    (member(group("g1"), BOB),),
    CONTENT,
    (MemberRemoved(group("g1"), BOB),),
    UNRELATED,
    CONTENT,
    # A denial, and two changes in one transaction of which neither may be seen alone.
    (AT_GROUP,),
    (DENIED,),
    UNRELATED,
    CONTENT,
    (
        Removed(Entity.DENY_ASSIGNMENT, DENIED.name),
        Removed(Entity.ROLE_ASSIGNMENT, AT_GROUP.name),
    ),
    CONTENT,
    # A role that changes.
    (AT_GROUP,),
    CONTENT,
    (role("Microsoft.Compute/disks/read", id=READING),),
    CONTENT,
    (role("*/read", id=READING), Removed(Entity.ROLE_ASSIGNMENT, AT_GROUP.name)),
    # A share.
    (assign(READING, FOREIGN, user("carol", OTHER_TENANT)), grant(subscriptions={FOREIGN})),
    CONTENT,
    (grant(),),
    UNRELATED,
    CONTENT,
    # A subscription that moves.
    (AT_IMAGES,),
    CONTENT,
    (Subscription(SUBSCRIPTION, TENANT, PLATFORM),),
    UNRELATED,
    CONTENT,
)


class Rows:
    """The versions of one definition, in the order in which they were written."""

    def __init__(self) -> None:
        self.written: dict[str, Stored] = {}

    def write(self, revision: int) -> None:
        number = f"1.0.{len(self.written)}"
        key = f"{DEFINITION}/versions/{number}"
        self.written[key] = Stored(key, number.encode(), revision, (len(self.written),))

    def get(self, key: str, view: str = "") -> Stored | None:
        return self.written.get(key)

    def exists(self, key: str) -> bool:
        return key in self.written

    def page(self, query: ListQuery) -> list[Stored]:
        rows = list(self.written.values())
        if query.visible is not None:
            allowed, denied = set(query.visible.allowed), set(query.visible.denied)
            above = {row.key: set(prefixes(row.key)) for row in rows}
            rows = [one for one in rows if above[one.key] & allowed and not above[one.key] & denied]
        return rows[: query.limit]


class _Head:
    """Asks for the newest revision, on the thread that needs it."""

    def __init__(self, log: Log) -> None:
        self.get: Final = log.head


class Catalog:
    """One process: what follows and reports, and what decides."""

    def __init__(self, feed: FaultyFeed, clock: FakeClock) -> None:
        self.replica: Final = PolicyReplica(clock)
        self.control: Final = PolicyAccessControl(
            self.replica, feed.log, clock=clock, patience=0.0, guesses=GuessLimit(10**9)
        )
        self._feed: Final = feed
        self._reporter: Final = Reporter(self.replica, feed.log, clock=clock)
        self._follower: Final[Any] = PolicyFeed(feed, self.replica).follower()  # type: ignore[arg-type]
        # Silence is measured by the clock of the machine, and here the machine may be slow.
        object.__setattr__(self._follower, "_silence", 3600.0)
        # Nobody else asks meanwhile, so there is nobody to share a head with on another thread.
        object.__setattr__(self.control, "_head", _Head(feed.log))
        self._follower.start()

    def report(self) -> None:
        self._reporter.report_once()

    def close(self) -> None:
        self._feed.close()
        self._follower.stop()


@dataclass(frozen=True)
class Begun:
    """A call for which access was pinned at a moment, by the policy at `oldest` or later."""

    call: Any
    oldest: int
    #: How many seconds ago the policy here was last known to be the newest.
    age: float


class Interleaving:
    """One run through the history, with one fault at one message."""

    def __init__(self, fault: Fault = Fault.NONE, at: int = 0) -> None:
        self.clock: Final = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
        self.log: Final = Log(self.clock)
        self.feed: Final = FaultyFeed(self.log, fault, at)
        self.rows: Final = Rows()
        self.seen: Final[Counter[str]] = Counter()
        #: How many questions were answered while authz answered nothing.
        self.answered_alone = 0
        self._catalog = Catalog(self.feed, self.clock)
        self._lasted = 0
        self._dependencies: Any = None
        self._listing: Final = reading.Listing(
            {}, (), lambda rows, token: [one.key for one in rows], lambda name: True, ""
        )

    def run(self) -> None:
        """Go through the history; then let everything heal, and look whether it has."""
        try:
            self._settle()
            for step in HISTORY:
                begun = list(self._begin())
                if step is CONTENT:
                    self.rows.write(self.log.position.revision)
                else:
                    self.log.write(*step)
                self._pass(begun)
                while self.feed.fault is Fault.DOWN and 0 < self._lasted < LASTING:
                    self._pass(list(self._begin()))
            self._healed()
        finally:
            self._catalog.close()

    def _pass(self, begun: list[Begun]) -> None:
        """Let time go by and the feed go on; ask by calls that had begun, and by others."""
        self.clock.advance(STEP)
        self._settle()
        if self.feed.struck:
            self._lasted += 1
            if self._lasted == LASTING and self.feed.fault is not Fault.PAUSED:
                self.feed.recover()
                self._settle()
        for one in begun:
            self._ask(one)
        for one in self._begin():
            self._ask(one)
        self._change()

    def _settle(self) -> None:
        self.feed.settle()
        if self.feed.crashed:
            self._catalog.close()
            self.feed.crashed = False
            self._catalog = Catalog(self.feed, self.clock)
            self.feed.settle()
        self._catalog.report()
        self._dependencies = SimpleNamespace(
            page_tokens=PageTokens(b"x" * 16), control=self._catalog.control
        )

    def _healed(self) -> None:
        self.feed.recover()
        # What was lost is noticed by the second heartbeat that tells of it.
        for _ in range(3):
            self.clock.advance(STEP)
            self._settle()
        head = self.log.position.revision
        assert self._catalog.replica.age() < FRESH
        for one in self._begin():
            self._ask(Begun(one.call, head, 0.0))
        self._change()

    def _begin(self) -> Iterator[Begun]:
        """Begin calls; those for which no policy is fresh enough have ended already."""
        patient = FRESH if self.log.reachable else LEASE
        for caller, action in ((BOBBY, READ), (CAROL, SHARED_VERSION_READ)):
            try:
                access = self._catalog.control.begin(caller, Kind.READ, 1e9, "")
            except Unavailable:
                self._unanswered("begin")
                continue
            policy = SimpleNamespace(action=action, path="/versions/List")
            call = SimpleNamespace(
                access=access, caller=caller, policy=policy, deadline=1e9, scope=None
            )
            # What is known to be the newest at some moment is so for as long as reads may use it.
            age = self._catalog.replica.age()
            yield Begun(call, self.log.head_before(patient), age)

    def _ask(self, begun: Begun) -> None:
        is_view = begun.call.caller is CAROL
        for row in tuple(self.rows.written.values())[-_ASKED:]:
            number = row.key.rpartition("/")[2]
            scope = f"{VIEW}/versions/{number}" if is_view else row.key
            try:
                begun.call.access.require(begun.call.policy.action, scope)
                if is_view:
                    reading.judge_anew(self._dependencies, begun.call, row.policy_revision, scope)
                else:
                    self._get(begun, row.key)
            except Unavailable:
                self._unanswered("get")
            except (PermissionDenied, NotFound):
                self._check(begun, row, scope, is_allowed=False)
            else:
                self._check(begun, row, scope, is_allowed=True)
        if not is_view:
            self._list(begun)

    def _get(self, begun: Begun, key: str) -> None:
        begun.call.scope, begun.call.violations = names.VERSIONS.parse(key), Violations()
        body: Any = reading.get(self._dependencies, begun.call, self.rows, names.VERSION_TYPE)
        assert body == key.rpartition("/")[2].encode()

    def _list(self, begun: Begun) -> None:
        parent = names.VERSIONS.parse(
            "subscriptions/-/resourceGroups/-/galleries/-/images/-/versions/-", wildcards=True
        ).parent()
        begun.call.scope, begun.call.violations = parent, Violations()
        request = SimpleNamespace(filter="", order_by="", page_size=1000, page_token="")
        try:
            found = reading.page(
                self._dependencies, begun.call, self.rows, request, listing=self._listing
            )
        except Unavailable:
            self._unanswered("list")
            return
        for row in tuple(self.rows.written.values())[-_ASKED:]:
            self._check(begun, row, row.key, is_allowed=row.key in found)

    def _check(self, begun: Begun, row: Stored, scope: str, *, is_allowed: bool) -> None:
        """Compare an answer with what was right, at some revision that it may be decided by.

        None that is too old for a read; and nothing is shown by one from before it was written.
        """
        assert self.log.reachable or begun.age < LEASE
        self.answered_alone += not self.log.reachable
        self.seen[f"{begun.call.caller.subject} {is_allowed}"] += 1
        oldest = max(begun.oldest, row.policy_revision) if is_allowed else begun.oldest
        for revision in range(self.log.position.revision, oldest - 1, -1):
            if (
                self._right(begun.call.caller, begun.call.policy.action, scope, revision)
                is is_allowed
            ):
                return
        raise AssertionError(
            (scope, is_allowed, oldest, self.log.position, self._catalog.replica.position)
        )

    def _change(self) -> None:
        """Ask for what changes something: by the newest policy, or not at all."""
        for caller in (ALICE, BOBBY):
            try:
                access = self._catalog.control.begin(caller, Kind.MUTATION, 1e9, "")
                is_allowed = access.allowed(WRITE, DEFINITION)
            except Unavailable:
                self._unanswered("change")
                continue
            head = self.log.position.revision
            assert self.log.reachable
            assert access.revision == head
            assert is_allowed is self._right(caller, WRITE, DEFINITION, head)
            self.seen[f"change {is_allowed}"] += 1

    def _right(self, caller: Caller, action: str, scope: str, revision: int) -> bool:
        key = f"tenants/{caller.tenant}/users/{caller.subject}"
        question = Question(action, scope)
        return evaluate(self.log.at(revision), key, question, now=self.clock.now()).allowed

    def _unanswered(self, what: str) -> None:
        """Count a refusal to decide, which nothing explains but silence; and for lists, age."""
        self.seen[f"{what} unavailable"] += 1
        replica = self._catalog.replica
        assert not self.log.reachable or replica.index is None or what == "list"
