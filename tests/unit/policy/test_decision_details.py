"""What a decision says besides yes or no, and what it may not be confused with."""

from datetime import timedelta

import pytest

from services.policy.actions import ActionRegistry
from services.policy.conditions import ASSIGN, ROLE_ID, Attributes
from services.policy.decision import Question, Reason
from services.policy.evaluation import evaluate, evaluate_all, is_view_read
from services.policy.model import Activation, Plane
from services.policy.scopes import View, ViewKind
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    GALLERY,
    GROUP,
    NOW,
    READ,
    SHARE,
    SHARED_READ,
    SUBSCRIPTION,
    VERSION,
    WRITE,
    ask,
    assign,
    deny,
    eligible,
    grant,
    role,
    world,
)

HOUR = timedelta(hours=1)
READER_ID = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
ONLY_READER = f"@Request[{ROLE_ID}] ForAnyOfAnyValues:GuidEquals {{{READER_ID}}}"


def test_an_action_of_both_planes_is_remembered_for_each():
    registry = ActionRegistry(control=("Stoa/x/read",), data=("Stoa/x/read",))
    index = world(role("*"), assign("r1", GALLERY))
    for plane in (Plane.CONTROL, Plane.DATA, Plane.CONTROL):
        decision = ask(index, "Stoa/x/read", GALLERY, plane=plane, registry=registry)
        assert decision.allowed is (plane is Plane.CONTROL)


@pytest.mark.parametrize("first", [True, False])
def test_what_was_decided_with_attributes_says_nothing_without_them(first):
    index = world(role(ASSIGN), assign("r1", GALLERY, condition=ONLY_READER))
    told = Attributes.of(ASSIGN, {ROLE_ID: (READER_ID,)})
    for attributes in (told, None, told) if first else (None, told, None):
        question = Question(ASSIGN, GALLERY, attributes=attributes)
        assert evaluate(index, ALICE, question, now=NOW).allowed is (attributes is told)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("microsoft.compute/locations/sharedgalleries/read", True),
        ("microsoft.compute/locations/sharedgalleries/images/versions/read", True),
        ("microsoft.compute/locations/sharedgalleries/images/write", False),
        ("microsoft.compute/locations/sharedgalleries/spread", False),
        ("microsoft.compute/locations/sharedgalleriesx/read", False),
        ("microsoft.compute/locations/communitygalleries/read", False),
        ("microsoft.computex/locations/sharedgalleries/read", False),
        ("x/microsoft.compute/locations/sharedgalleries/read", False),
        ("microsoft.compute/galleries/read", False),
    ],
)
def test_only_the_reads_of_its_own_kind_are_asked_of_a_view(action, expected):
    assert is_view_read(View(ViewKind.SHARED, "id", SUBSCRIPTION), action) is expected


def test_a_conjunction_that_holds_tells_of_its_last_item():
    index = world(role("*"), assign("r1", SUBSCRIPTION))
    asked = [(ALICE, Question(action, GALLERY)) for action in (SHARE, READ, WRITE)]
    decision = evaluate_all(index, asked, now=NOW)
    assert (decision.allowed, decision.item, decision.revision) == (True, 2, 1)


def test_a_conjunction_tells_of_the_first_item_that_fails():
    index = world(role(READ), assign("r1", SUBSCRIPTION))
    asked = [(ALICE, Question(action, VERSION)) for action in (READ, WRITE, SHARE)]
    decision = evaluate_all(index, asked, now=NOW)
    assert (decision.reason, decision.item) == (Reason.LINKED_SOURCE_DENIED, 1)


def test_a_target_that_is_denied_is_told_of_as_itself():
    index = world(role("*"), assign("r1", SUBSCRIPTION), deny(GALLERY, ALICE))
    asked = [(ALICE, Question(action, VERSION)) for action in (READ, WRITE)]
    decision = evaluate_all(index, asked, now=NOW)
    assert (decision.reason, decision.item) == (Reason.DENY_ASSIGNMENT, 0)


def test_a_source_that_is_malformed_is_told_of_as_malformed():
    index = world(role("*"), assign("r1", SUBSCRIPTION))
    asked = [(ALICE, Question(READ, VERSION)), (ALICE, Question("*", VERSION))]
    decision = evaluate_all(index, asked, now=NOW)
    assert (decision.reason, decision.item, decision.invalid) == (Reason.WILDCARD_ACTION, 1, True)


def test_the_actions_that_a_conjunction_may_ask_about_are_the_given_ones():
    registry = ActionRegistry(control=("Stoa/x/read",))
    index = world(role("*"), assign("r1", SUBSCRIPTION))
    asked = [(ALICE, Question("Stoa/x/read", GALLERY))] * 2
    assert evaluate_all(index, asked, now=NOW, registry=registry).allowed
    assert evaluate_all(index, asked, now=NOW).reason is Reason.MALFORMED_ACTION


def test_of_two_reasons_alike_the_nearest_assignment_is_told():
    index = world(
        role(READ),
        assign("r1", GALLERY, end=NOW),
        assign("r1", GROUP, end=NOW),
    )
    decision = ask(index, READ, VERSION)
    assert decision.assignment == f"{GALLERY}/roleassignments/r1-alice"


def test_a_denial_for_nothing_names_nothing():
    decision = ask(world(role(READ)), READ, VERSION)
    assert (decision.reason, decision.assignment) == (Reason.NO_MATCHING_GRANT, "")
    assert (decision.grant, decision.item) == ("", 0)


def test_a_view_that_is_not_shared_names_what_the_consumer_holds():
    index = world(role("*/read"), assign("r1", CONSUMER))
    view = f"{CONSUMER}/locations/eastus/sharedGalleries/opaque-1"
    decision = ask(index, SHARED_READ, view)
    assert (decision.reason, decision.grant) == (Reason.NOT_SHARED, "")
    assert decision.assignment == f"{CONSUMER}/roleassignments/r1-alice"


def test_a_view_that_is_shared_names_what_the_consumer_holds_and_whose_gallery_it_is():
    index = world(role("*/read"), assign("r1", CONSUMER), grant(subscriptions={CONSUMER}))
    view = f"{CONSUMER}/locations/eastus/sharedGalleries/opaque-1"
    decision = ask(index, SHARED_READ, view)
    assert (decision.reason, decision.grant) == (Reason.SHARED_SUBSCRIPTION, GALLERY)
    assert decision.assignment == f"{CONSUMER}/roleassignments/r1-alice"


def test_one_activation_of_several_is_enough():
    running = Activation(ALICE, NOW - HOUR, NOW + HOUR)
    others = (Activation(ALICE, NOW - HOUR, NOW), Activation(BOB, NOW, NOW + HOUR))
    held = eligible("r1", GALLERY, activations=(others[0], running, others[1]))
    assert ask(world(role(READ), held), READ, VERSION).allowed
    ended = eligible("r1", GALLERY, activations=others)
    assert not ask(world(role(READ), ended), READ, VERSION).allowed
