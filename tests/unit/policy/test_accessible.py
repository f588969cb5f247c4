from datetime import timedelta

import pytest

from services.kernel.errors import InvalidName
from services.policy import accessible as module
from services.policy.accessible import NOTHING, Accessible, accessible, united
from services.policy.accessible_scopes import Effect, Entry
from services.policy.actions import ActionRegistry
from services.policy.model import EVERYONE, Plane, RoleAssignment, RoleDefinition, Transaction
from tests.unit.policy import worlds
from tests.unit.policy.test_against_naive import DATA, PEOPLE, REGISTRY, World
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    DEFINITION,
    GALLERY,
    GROUP,
    NOW,
    PLATFORM,
    READ,
    SUBSCRIPTION,
    VERSION,
    WRITE,
    ask,
    assign,
    deny,
    role,
    world,
)

ROLE = role("*/read")


def found(*changes, under="/", action=READ) -> Accessible:
    return accessible(world(ROLE, *changes), ALICE, action, under=under, now=NOW)


def test_who_holds_nothing_sees_nothing():
    assert found() == Accessible()


def test_a_grant_comes_out_as_its_scope():
    assert found(assign("r1", GALLERY)) == Accessible((GALLERY,))


def test_a_grant_below_another_is_left_out():
    assert found(assign("r1", GROUP), assign("r1", VERSION)) == Accessible((GROUP,))


def test_a_grant_above_subscriptions_comes_out_as_the_subscriptions_below_it():
    assert found(assign("r1", PLATFORM)) == Accessible((SUBSCRIPTION, CONSUMER))
    assert found(assign("r1", "/")).allowed == (SUBSCRIPTION, CONSUMER, worlds.FOREIGN)


@pytest.mark.parametrize("elsewhere", ["regions/eastus", f"{worlds.TENANT}/users/bob"])
def test_what_lies_in_no_subscription_is_not_listed(elsewhere):
    assert found(assign("r1", elsewhere)) == Accessible()
    assert found(assign("r1", elsewhere), assign("r1", GALLERY)) == Accessible((GALLERY,))


def test_a_deny_below_a_grant_is_taken_out_and_one_above_leaves_nothing():
    assert found(assign("r1", GROUP), deny(DEFINITION, ALICE)) == Accessible(
        (GROUP,), (DEFINITION,)
    )
    assert found(assign("r1", GROUP), deny(PLATFORM, EVERYONE)) == Accessible()
    assert found(assign("r1", GROUP), deny(GROUP, ALICE)) == Accessible()


def test_a_deny_of_its_scope_alone_takes_out_that_scope():
    here = deny(GALLERY, ALICE, do_not_apply_to_child_scopes=True)
    answer = found(assign("r1", GROUP), here)
    assert answer == Accessible((GROUP,), (), (GALLERY,))
    assert (answer.covers(GALLERY), answer.covers(DEFINITION)) == (False, True)


def test_what_is_asked_under_a_scope_lies_there():
    held = (assign("r1", PLATFORM), deny(DEFINITION, ALICE))
    assert found(*held, under=GALLERY.upper().replace("SUBSCRIPTIONS", "subscriptions")) == (
        Accessible((GALLERY,), (DEFINITION,))
    )
    assert found(*held, under=VERSION) == Accessible()
    assert found(assign("r1", VERSION), under=GALLERY) == Accessible((VERSION,))
    assert found(assign("r1", CONSUMER), under=GALLERY) == Accessible()


def test_a_deny_that_has_nothing_to_take_is_left_out():
    assert found(assign("r1", GALLERY), deny(CONSUMER, ALICE)) == Accessible((GALLERY,))


@pytest.mark.parametrize("under", ["regions/eastus", "tenants/t1"])
def test_lists_lie_in_subscriptions(under):
    with pytest.raises(ValueError, match="in no subscription"):
        found(under=under)


def test_malformed_questions_are_refused():
    with pytest.raises(InvalidName):
        found(under="subscriptions/-")
    with pytest.raises(ValueError, match="known actions"):
        found(action="*")


UNIVERSE = [
    SUBSCRIPTION,
    CONSUMER,
    worlds.FOREIGN,
    GROUP,
    f"{SUBSCRIPTION}/resourcegroups/other",
    GALLERY,
    DEFINITION,
    VERSION,
    f"{DEFINITION}/versions/9.9.9",
    f"{CONSUMER}/resourcegroups/rg/galleries/x",
]


def test_lists_hold_exactly_what_a_question_about_each_allows():
    sizes = set()
    for seed in range(150):
        made = World(seed)
        if seed % 2:
            # Grants of everything make room for denies.
            made.changes += [role("*", id="all"), assign("all", made.one(worlds_scopes()))]
        index = world(*made.changes)
        for caller in PEOPLE:
            for action, plane in ((READ, Plane.CONTROL), (DATA, Plane.DATA)):
                for under in ("/", SUBSCRIPTION, GALLERY):
                    answer = accessible(
                        index, caller, action, under=under, now=NOW, plane=plane, registry=REGISTRY
                    )
                    sizes.add((len(answer.allowed), len(answer.denied), len(answer.denied_here)))
                    for scope in UNIVERSE:
                        if under not in {"/", scope} and not scope.startswith(f"{under}/"):
                            assert not answer.covers(scope)
                            continue
                        decision = ask(index, action, scope, caller, plane=plane, registry=REGISTRY)
                        assert answer.covers(scope) is decision.allowed, (seed, scope, decision)
    assert len(sizes) > 8


def worlds_scopes():
    return [PLATFORM, SUBSCRIPTION, GROUP]


def test_a_caller_sees_what_any_kind_of_entity_grants():
    held: list[RoleDefinition | RoleAssignment] = [assign("r1", GALLERY, worlds.group("g1"))]
    assert found(*held, worlds.member(worlds.group("g1"), ALICE)) == Accessible((GALLERY,))


def test_a_list_is_remembered_at_its_root_and_not_beyond():
    first = world(ROLE, assign("r1", GALLERY))
    answer = accessible(first, ALICE, READ, now=NOW)
    assert accessible(first, ALICE, READ.upper(), now=NOW) is answer
    assert accessible(first, ALICE, READ, under=SUBSCRIPTION, now=NOW) == answer
    second = first.apply(Transaction(2, (assign("r1", CONSUMER),)))
    assert accessible(second, ALICE, READ, now=NOW) == Accessible((GALLERY, CONSUMER))


def test_a_list_that_depends_on_the_moment_is_not_remembered():
    index = world(ROLE, assign("r1", GALLERY, end=NOW + timedelta(hours=1)))
    assert accessible(index, ALICE, READ, now=NOW) == Accessible((GALLERY,))
    assert accessible(index, ALICE, READ, now=NOW + timedelta(hours=1)) == Accessible()


def test_lists_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    index = world(ROLE, assign("r1", GROUP))

    def asked(under):
        return accessible(index, ALICE, READ, under=under, now=NOW)

    first, second = asked("/"), asked(GROUP)
    assert (asked("/"), asked(GROUP)) == (first, second)
    assert asked("/") is first
    assert asked(GROUP) is second
    asked(GALLERY)
    # As many as there may be: all are forgotten.
    assert len(index.lists) == 1
    again = asked("/")
    assert again is not first
    assert again == first


@pytest.mark.parametrize(("longest", "remembered"), [(2, False), (3, True), (4, True)])
def test_a_list_that_is_too_long_is_not_remembered(monkeypatch, longest, remembered):
    monkeypatch.setattr(module, "_REMEMBERED_LENGTH", longest)
    here = deny(GALLERY, ALICE, do_not_apply_to_child_scopes=True)
    index = world(ROLE, assign("r1", GROUP), here, deny(DEFINITION, ALICE))
    answer = accessible(index, ALICE, READ, now=NOW)
    assert answer == Accessible((GROUP,), (DEFINITION,), (GALLERY,))
    assert (accessible(index, ALICE, READ, now=NOW) is answer) is remembered


def test_lists_of_others_and_of_other_actions_are_not_confused():
    index = world(
        ROLE,
        role("*", id="all"),
        assign("r1", GROUP),
        assign("all", CONSUMER),
        assign("all", GALLERY, BOB),
    )
    for _ in range(2):
        assert accessible(index, ALICE, READ, now=NOW).allowed == (GROUP, CONSUMER)
        assert accessible(index, ALICE, WRITE, now=NOW).allowed == (CONSUMER,)
        assert accessible(index, BOB, READ, now=NOW).allowed == (GALLERY,)


def test_lists_of_two_planes_are_not_confused():
    registry = ActionRegistry(("d/read",), ("d/read",))
    index = world(
        role("d/read", id="control"),
        role(data=("d/read",), id="data"),
        assign("control", GROUP),
        assign("data", CONSUMER),
    )
    for plane, scope in 2 * ((Plane.CONTROL, GROUP), (Plane.DATA, CONSUMER)):
        answer = accessible(index, ALICE, "d/read", now=NOW, plane=plane, registry=registry)
        assert answer.allowed == (scope,)


A, B = Accessible(("a", "a-2"), ("a/x",), ("a/y",)), Accessible(("b",), ("b/x",), ("b/y",))


def test_what_is_accessible_is_entries_and_entries_are_what_is_accessible():
    entries = [
        Entry("a", Effect.ALLOWED),
        Entry("a-2", Effect.ALLOWED),
        Entry("a/x", Effect.DENIED),
        Entry("a/y", Effect.DENIED_HERE),
    ]
    assert list(A.entries()) == entries
    assert Accessible.of(reversed(entries)) == A
    assert list(NOTHING.entries()) == []


def test_what_is_accessible_apart_is_put_together_and_taken_apart():
    both = united((B, NOTHING, A))
    assert both == Accessible(("a", "a-2", "b"), ("a/x", "b/x"), ("a/y", "b/y"))
    assert both.where(lambda scope: scope.startswith("a")) == A
    assert both.where(lambda scope: scope.startswith("b")) == B
    assert united(()) == NOTHING


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ("subscriptions/s1", True),
        ("subscriptions/s1/x/y", True),
        ("subscriptions/s1/here/h", False),
        ("subscriptions/s1/here/h/x/y", True),
        ("subscriptions/s1/denied/d", False),
        ("subscriptions/s1/denied/d/x/y", False),
        ("subscriptions/s2", False),
        ("subscriptions/s2/denied/d", False),
    ],
)
def test_what_is_covered_is_allowed_and_not_denied(scope, covered):
    top = "subscriptions/s1"
    assert Accessible((top,), (f"{top}/denied/d",), (f"{top}/here/h",)).covers(scope) is covered
