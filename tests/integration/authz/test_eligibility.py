"""Taking roles for a while, on both databases, with a clock that moves when it is told to."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.authz.access import HeadAccessControl
from services.authz.bootstrap.stores import stores_of
from services.authz.convert import changes, entries
from services.authz.ports.policy import Command
from services.authz.store.opening import Stores, open_stores
from services.authz.store.schema import MIGRATIONS
from services.authz.usecases import activations, eligible_assignments, principals
from services.authz.usecases.activations import Asked
from services.authz.usecases.bootstrap import Seed, seed
from services.authz.usecases.eligible_assignments import NewEligibleAssignment, Person
from services.authz.usecases.limits import Limits
from services.authz.usecases.principals import NewPrincipal
from services.authz.usecases.roles import Reader
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.errors import FailedPrecondition
from services.kernel.rpc.access import Caller
from services.kernel.violations import Violations
from services.policy.builtin_roles import READER
from services.policy.callers import Callers
from services.policy.decision import Question
from services.policy.evaluation import evaluate
from services.policy.model import PrincipalKind

BOB = "tenants/t/users/bob"
ASKED = Question("Microsoft.Compute/galleries/read", "subscriptions/s/resourceGroups/rg")
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


class Desk:
    """Does what the servicers do, for one eligible assignment of bob's."""

    def __init__(self, stores: Stores, clock: FakeClock, **fields) -> None:
        self.stores = stores
        self.clock = clock
        self._control = HeadAccessControl(
            stores.head, Callers(""), stores.policy.installation(), clock=clock
        )
        seed(stores.policy, Seed("t", "s", "ann"))
        bob = NewPrincipal(BOB, PrincipalKind.USER, "Bob", user_principal_name="bob@t")
        self.write(lambda unit: principals.create(unit, bob, frozenset()))
        new = NewEligibleAssignment(
            "subscriptions/s", BOB, f"roleDefinitions/{READER.id}", id="e", **fields
        )

        def create(unit):
            ann = self._control.at(Caller("ann", "t"), unit.index)
            return eligible_assignments.create(
                unit, new, Limits(), Violations(), reader=Reader(ann)
            )

        self.write(create)
        self.name = "subscriptions/s/eligibleAssignments/e"

    def write(self, work) -> None:
        self.stores.policy.write(Command("test", "/", caller_id="x"), work, lambda _: b"")

    def activate(self, duration=None) -> None:
        asked = Asked(self.name, duration, "why")
        self.write(
            lambda unit: activations.activate(
                unit, asked, Person(unit.index, (BOB,)), self._access(unit), limits=Limits()
            )
        )

    def deactivate(self) -> None:
        self.write(
            lambda unit: activations.deactivate(
                unit, self.name, Person(unit.index, (BOB,)), self._access(unit)
            )
        )

    def decides(self) -> str:
        """What this process decides, and so does one that has just started."""
        now = self.clock.now()
        fresh = stores_of(self.stores.db).head.current()
        found = {
            evaluate(index, BOB, ASKED, now=now).reason.value
            for index in (self.stores.head.current(), fresh)
        }
        (reason,) = found
        return reason

    def record(self):
        found = self.stores.policy.read(lambda facts: facts.eligible_assignment(self.name.lower()))
        assert found is not None
        return found

    def _access(self, unit):
        return self._control.at(Caller("bob", "t"), unit.index)


@pytest.fixture
def desk(database_url: str, open_database: Callable[..., Database]) -> Callable[..., Desk]:
    migrate(database_url, MIGRATIONS)
    clock = FakeClock()
    stores = open_stores(open_database(database_url), changes.entry, entries.decode, clock)
    return lambda **fields: Desk(stores, clock, **fields)


def test_an_activation_ends_by_itself_and_can_be_followed_by_another(desk):
    one = desk()
    assert one.decides() == "ELIGIBLE_NOT_ACTIVE"
    one.activate(HOUR)
    assert one.decides() == "ROLE_ASSIGNMENT"
    revision = one.stores.policy.position().revision
    one.clock.advance((HOUR - TICK).total_seconds())
    assert one.decides() == "ROLE_ASSIGNMENT"
    with pytest.raises(FailedPrecondition, match="activated"):
        one.activate()
    one.clock.advance(TICK.total_seconds())
    assert one.decides() == "ELIGIBLE_NOT_ACTIVE"
    assert one.record().in_force(one.clock.now()) == ()
    # Nothing was written when it ended; the next write leaves it out.
    assert one.stores.policy.position().revision == revision
    one.activate(HOUR)
    (held,) = one.record().activations
    assert held.start_time == one.clock.now()
    assert one.decides() == "ROLE_ASSIGNMENT"


def test_a_deactivation_counts_at_once_and_can_be_followed_by_another(desk):
    one = desk()
    one.activate()
    one.deactivate()
    assert one.decides() == "ELIGIBLE_NOT_ACTIVE"
    with pytest.raises(FailedPrecondition):
        one.deactivate()
    one.activate()
    assert one.decides() == "ROLE_ASSIGNMENT"


def test_the_window_is_half_open_and_ends_what_is_activated(desk):
    begin = FakeClock().now() + HOUR
    one = desk(start_time=begin, end_time=begin + HOUR)
    one.clock.advance((HOUR - TICK).total_seconds())
    assert one.decides() == "NOT_YET_ACTIVE"
    with pytest.raises(FailedPrecondition, match="not begun"):
        one.activate()
    one.clock.advance(TICK.total_seconds())
    one.activate()
    assert one.record().activations[0].end_time == begin + HOUR
    one.clock.advance((HOUR - TICK).total_seconds())
    assert one.decides() == "ROLE_ASSIGNMENT"
    one.clock.advance(TICK.total_seconds())
    assert one.decides() == "EXPIRED"
    with pytest.raises(FailedPrecondition, match="ended"):
        one.activate()


def test_what_was_written_is_read_again_to_the_microsecond(desk):
    begin = FakeClock().now() - timedelta(microseconds=123_457)
    one = desk(
        start_time=begin,
        max_activation=timedelta(seconds=301, microseconds=7),
        justification_required=False,
        condition="ActionMatches{'*'}",
        description="on call",
    )
    one.activate()
    found = one.record()
    assert found.start_time == begin
    assert found.max_activation == timedelta(seconds=301, microseconds=7)
    assert found.justification_required is False
    assert (found.condition, found.condition_version) == ("ActionMatches{'*'}", "2.0")
    (held,) = found.activations
    assert held.principal == BOB
    assert held.end_time - held.start_time == found.max_activation
    assert held.justification == "why"
    assert found.version == 2
