"""Grants for a time, where the clocks of those who decide are minutes apart.

Nothing is sent when a window opens or closes: each replica compares it with its own clock, half
open. A clock that is off moves both ends by as much as it is off, and nothing else.
"""

from datetime import timedelta

import pytest

from services.kernel.clock import FakeClock
from services.kernel.rpc.access import Caller, Kind
from services.policy.access import LocalAccess
from services.policy.access_control import PolicyAccessControl
from services.policy.model import Activation
from tests.unit.policy.feeds import System
from tests.unit.policy.worlds import ALICE, GALLERY, READ, SUBSCRIPTION, VERSION, assign, role
from tests.unit.policy.worlds import eligible as eligible_for

CALLER = Caller(subject="alice", tenant="t1")
SKEWS = [timedelta(minutes=-5), timedelta(0), timedelta(minutes=5)]
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


class Replica:
    """Decides about one policy by a clock that is off by so much."""

    def __init__(self, system: System, skew: timedelta) -> None:
        self._system = system
        self._skew = skew

    def decides(self, when, action=READ, scope=VERSION):
        clock = FakeClock(when + self._skew)
        control = PolicyAccessControl(self._system.replica, self._system.authz, clock=clock)
        access = control.begin(CALLER, Kind.READ, 10.0, "")
        assert isinstance(access, LocalAccess)
        found = access.decide(action, scope)
        assert access.allowed(action, scope) is found.allowed
        assert access.accessible(action).covers(scope) is found.allowed
        control.close()
        return found.allowed, found.reason.value


@pytest.mark.parametrize("skew", SKEWS)
def test_a_window_opens_and_closes_by_the_clock_of_whoever_decides(skew):
    system = System(role(READ))
    start = system.clock.now() + HOUR
    system.authz.write(assign("r1", GALLERY, start=start, end=start + HOUR))
    system.feed.deliver()
    replica = Replica(system, skew)
    opens, closes = start - skew, start + HOUR - skew
    assert replica.decides(opens - TICK) == (False, "NOT_YET_ACTIVE")
    assert replica.decides(opens) == (True, "ROLE_ASSIGNMENT")
    assert replica.decides(closes - TICK) == (True, "ROLE_ASSIGNMENT")
    assert replica.decides(closes) == (False, "EXPIRED")


@pytest.mark.parametrize("skew", SKEWS)
def test_an_activation_ends_by_the_clock_of_whoever_decides(skew):
    system = System(role(READ))
    begin = system.clock.now()
    held = eligible_for("r1", GALLERY, activations=(Activation(ALICE, begin, begin + HOUR),))
    system.authz.write(held)
    system.feed.deliver()
    replica = Replica(system, skew)
    assert replica.decides(begin - skew - TICK) == (False, "ELIGIBLE_NOT_ACTIVE")
    assert replica.decides(begin - skew) == (True, "ROLE_ASSIGNMENT")
    assert replica.decides(begin + HOUR - skew - TICK) == (True, "ROLE_ASSIGNMENT")
    assert replica.decides(begin + HOUR - skew) == (False, "ELIGIBLE_NOT_ACTIVE")


@pytest.mark.parametrize("skew", SKEWS)
def test_eligibility_ends_with_its_own_window_whatever_the_activation_says(skew):
    system = System(role(READ))
    begin = system.clock.now()
    system.authz.write(
        eligible_for(
            "r1",
            GALLERY,
            start=begin,
            end=begin + HOUR,
            activations=(Activation(ALICE, begin, begin + 2 * HOUR),),
        )
    )
    system.feed.deliver()
    replica = Replica(system, skew)
    assert replica.decides(begin - skew - TICK) == (False, "NOT_YET_ACTIVE")
    assert replica.decides(begin + HOUR - skew - TICK) == (True, "ROLE_ASSIGNMENT")
    assert replica.decides(begin + HOUR - skew) == (False, "EXPIRED")


@pytest.mark.parametrize("skew", SKEWS)
def test_one_window_that_is_closed_does_not_close_another(skew):
    system = System(role(READ))
    begin = system.clock.now()
    system.authz.write(
        assign("r1", GALLERY, end=begin, id="over"),
        assign("r1", SUBSCRIPTION, start=begin, id="now"),
    )
    system.feed.deliver()
    replica = Replica(system, skew)
    assert replica.decides(begin - skew - TICK) == (True, "ROLE_ASSIGNMENT")
    assert replica.decides(begin - skew) == (True, "ROLE_ASSIGNMENT")


def test_a_deactivation_holds_whatever_the_clock_says():
    system = System(role(READ))
    begin = system.clock.now()
    system.authz.write(
        eligible_for("r1", GALLERY, activations=(Activation(ALICE, begin, begin + HOUR),))
    )
    system.feed.deliver()
    replicas = [Replica(system, skew) for skew in SKEWS]
    during = begin + timedelta(minutes=30)
    assert [one.decides(during)[0] for one in replicas] == [True] * 3
    system.authz.write(eligible_for("r1", GALLERY))
    system.feed.deliver()
    assert [one.decides(during)[1] for one in replicas] == ["ELIGIBLE_NOT_ACTIVE"] * 3
