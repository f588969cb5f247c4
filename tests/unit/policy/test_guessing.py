"""Views that are not the caller's to see: so many of them may be named, and then none."""

import pytest

from services.kernel.errors import NotFound, PermissionDenied, ResourceExhausted
from services.kernel.rpc.access import Caller, Kind
from services.kernel.rpc.guesses import PER_MINUTE
from tests.unit.policy.feeds import System
from tests.unit.policy.worlds import (
    BOB,
    CONSUMER,
    GALLERY,
    READ,
    SHARED_READ,
    VERSION,
    assign,
    grant,
    role,
)

VIEWS = f"{CONSUMER}/locations/eastus/sharedGalleries"
THERE = f"{VIEWS}/opaque-1"
WORLD = (
    role("*/read"),
    assign("r1", CONSUMER),
    assign("r1", CONSUMER, BOB),
    assign("r1", GALLERY),
    grant(subscriptions={CONSUMER}),
)


@pytest.fixture(params=[0.0, 5.0], ids=["here", "by authz"])
def system(request) -> System:
    made = System(*WORLD)
    made.clock.advance(request.param)
    return made


def guess(system: System, scope: str, caller: Caller | None = None) -> type[Exception] | None:
    access = system.begin(Kind.READ, caller)
    try:
        access.require(SHARED_READ, scope)
    except (NotFound, PermissionDenied, ResourceExhausted) as error:
        return type(error)
    return None


def guess_linked(system: System, scope: str) -> type[Exception] | None:
    access = system.begin(Kind.READ)
    try:
        access.require_all([(READ, VERSION, "parent"), (SHARED_READ, scope, "source")])
    except (PermissionDenied, ResourceExhausted) as error:
        return type(error)
    return None


def test_t7_ten_thousand_guesses_are_refused_after_the_first_few(system):
    answers = [guess(system, f"{VIEWS}/opaque-x{number}") for number in range(10_000)]
    assert answers[:PER_MINUTE] == [NotFound] * PER_MINUTE
    assert set(answers[PER_MINUTE:]) == {ResourceExhausted}
    # What is there is refused as well, or the guesses would go on.
    assert guess(system, THERE) is ResourceExhausted
    assert guess(system, THERE, Caller("bob", "t1")) is None
    # What needs no guessing is not concerned.
    system.begin(Kind.READ).require(READ, VERSION)


def test_t7_a_view_that_is_named_as_a_source_is_guessed_no_faster(system):
    assert guess_linked(system, THERE) is None
    answers = [guess_linked(system, f"{VIEWS}/opaque-x{number}") for number in range(100)]
    assert answers == [PermissionDenied] * PER_MINUTE + [ResourceExhausted] * (100 - PER_MINUTE)
    assert guess_linked(system, THERE) is ResourceExhausted


def test_who_may_read_no_views_there_learns_nothing_and_is_not_counted(system):
    stranger = Caller("carol", "t1")
    answers = {guess(system, f"{VIEWS}/opaque-{number}", stranger) for number in range(200)}
    assert answers == {PermissionDenied}
