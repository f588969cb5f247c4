from datetime import timedelta

import pytest

from services.kernel.errors import InvalidName
from services.policy.accessible import Accessible, accessible
from services.policy.model import EVERYONE, Plane, RoleAssignment, RoleDefinition, Transaction
from tests.unit.policy import worlds
from tests.unit.policy.test_against_naive import DATA, PEOPLE, REGISTRY, World
from tests.unit.policy.worlds import (
    ALICE,
    CONSUMER,
    DEFINITION,
    GALLERY,
    GROUP,
    NOW,
    PLATFORM,
    READ,
    SUBSCRIPTION,
    VERSION,
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
