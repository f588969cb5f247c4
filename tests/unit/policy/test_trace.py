from datetime import timedelta

import pytest

from services.policy.conditions import ROLE_ID, Attributes
from services.policy.decision import Question, Reason
from services.policy.evaluation import evaluate
from services.policy.model import EVERYONE, Permissions, RoleDefinition, SharingMode
from services.policy.trace import DenyState, trace
from tests.unit.policy import worlds
from tests.unit.policy.test_against_naive import ACTIONS, PEOPLE, SCOPES, VIEWS, World
from tests.unit.policy.worlds import (
    ALICE,
    CONSUMER,
    GALLERY,
    GROUP,
    NOW,
    PLATFORM,
    READ,
    ROOT_GROUP,
    SUBSCRIPTION,
    TENANT,
    assign,
    deny,
    eligible,
    grant,
    member,
    role,
    world,
)

ROLE = role("*/read")
WRITE_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments/write"


def traced(*changes, action=READ, scope=GALLERY, caller=ALICE, attributes=None):
    index = world(ROLE, *changes)
    return trace(index, caller, Question(action, scope, attributes=attributes), now=NOW)


def test_a_trace_and_its_decision_say_the_same():
    seen = set()
    for seed in range(80):
        made = World(seed)
        index = world(*made.changes)
        for caller in PEOPLE:
            for scope in [*SCOPES, *VIEWS]:
                question = Question(made.one(ACTIONS), scope)
                decision = evaluate(index, caller, question, now=NOW)
                found = trace(index, caller, question, now=NOW)
                assert found.decision == decision
                seen.add(decision.reason)
                denied = [one for one in found.denies if one.state is DenyState.DENIED]
                assert bool(denied) is (decision.reason is Reason.DENY_ASSIGNMENT)
                considered = [*found.assignments, *found.eligible]
                granted = [one for one in considered if one.reason is Reason.ROLE_ASSIGNMENT]
                if decision.reason is Reason.ROLE_ASSIGNMENT:
                    assert granted
                    assert found.sharing is None
                elif decision.reason in {
                    Reason.NO_MATCHING_GRANT,
                    Reason.ACTION_NOT_IN_ROLE,
                    Reason.EXPIRED,
                    Reason.ELIGIBLE_NOT_ACTIVE,
                }:
                    assert not granted
                    assert decision.reason in {Reason.NO_MATCHING_GRANT} | {
                        one.reason for one in considered
                    }
                if found.sharing is not None and found.sharing.consumer_allowed:
                    assert decision.reason in {found.sharing.reason, Reason.PROXY_READ_ONLY}
    assert len(seen) > 8


def test_the_scopes_are_walked_from_the_nearest_to_the_installation():
    scopes = traced().scopes
    assert scopes == (
        GALLERY,
        GROUP,
        SUBSCRIPTION,
        worlds.IMAGES,
        PLATFORM,
        ROOT_GROUP,
        TENANT,
        "/",
    )
    assert traced(scope=PLATFORM).scopes == (PLATFORM, ROOT_GROUP, TENANT, "/")
    assert traced(scope="/").scopes == ("/",)


def test_grants_come_nearest_first_with_the_patterns_that_decide():
    limited = role("*", minus=("*/versions/read",), id="r2")
    found = traced(
        limited, assign("r2", GALLERY), assign("r1", TENANT), assign("unknown", SUBSCRIPTION)
    )
    assert [(one.held.scope, one.reason) for one in found.assignments] == [
        (GALLERY, Reason.ACTION_NOT_IN_ROLE),
        (SUBSCRIPTION, Reason.ACTION_NOT_IN_ROLE),
        (TENANT, Reason.ROLE_ASSIGNMENT),
    ]
    assert [(one.matched_action, one.matched_not_action) for one in found.assignments] == [
        ("*", "*/versions/read"),
        ("", ""),
        ("*/read", ""),
    ]


def test_a_group_is_told_of_with_the_shortest_way_to_it():
    one, two, three, idle = (worlds.group(f"g{number}") for number in range(4))
    chain = (member(one, ALICE), member(two, one), member(three, two), member(idle, ALICE))
    found = traced(*chain, assign("r1", GALLERY, three), deny(SUBSCRIPTION, two, actions=("x",)))
    assert found.groups == {three: (one, two), two: (one,)}
    shorter = traced(*chain, member(two, ALICE), assign("r1", GALLERY, three))
    assert shorter.groups == {three: (two,)}
    cyclic = traced(*chain, member(one, three), assign("r1", GALLERY, one))
    assert cyclic.groups == {one: ()}


def test_each_deny_has_its_state():
    found = traced(
        assign("r1", "/"),
        deny(GALLERY, ALICE, actions=("*/write",), id="a"),
        deny(GROUP, EVERYONE, exclude_principals=frozenset({ALICE}), id="b"),
        deny(SUBSCRIPTION, ALICE, do_not_apply_to_child_scopes=True, id="c"),
        deny(PLATFORM, worlds.BOB, id="d"),
        deny(TENANT, ALICE, worlds.BOB, actions=("*/versions/*",), id="e"),
    )
    assert [(one.deny.scope, one.state, one.matched_action) for one in found.denies] == [
        (GALLERY, DenyState.ACTION_NOT_MATCHED, ""),
        (GROUP, DenyState.EXCLUDED, "*"),
        (SUBSCRIPTION, DenyState.NOT_AT_THIS_DEPTH, "*"),
        (TENANT, DenyState.DENIED, "*/versions/*"),
    ]
    assert found.decision.reason is Reason.DENY_ASSIGNMENT
    assert not found.suggested_roles


def test_a_deny_of_many_is_told_of_once():
    one, two = worlds.group("g1"), worlds.group("g2")
    denies = [deny(GALLERY, one, two, id=f"d{number:02}") for number in range(20)]
    found = traced(member(one, ALICE), member(two, ALICE), *denies)
    assert len(found.denies) == 20


def test_eligible_assignments_and_times_are_told_of():
    found = traced(
        eligible("r1", GALLERY),
        assign("r1", GROUP, end=NOW),
        assign("r1", SUBSCRIPTION, start=NOW + timedelta(seconds=1)),
    )
    assert [one.reason for one in found.eligible] == [Reason.ELIGIBLE_NOT_ACTIVE]
    assert [one.reason for one in found.assignments] == [Reason.EXPIRED, Reason.NOT_YET_ACTIVE]
    assert found.decision.reason is Reason.ELIGIBLE_NOT_ACTIVE


def test_a_condition_that_needs_more_is_unknown_and_one_that_fails_is_not():
    wanted = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    condition = f"@Request[{ROLE_ID}] GuidEquals {wanted}"
    delegate = role(WRITE_ASSIGNMENTS, id="delegate")
    held = assign("delegate", SUBSCRIPTION, condition=condition)
    about = {"action": WRITE_ASSIGNMENTS, "scope": SUBSCRIPTION}
    (one,) = traced(delegate, held, **about).assignments
    assert (one.reason, one.is_unknown) == (Reason.CONDITION_FALSE, True)
    other = Attributes.of(WRITE_ASSIGNMENTS, {ROLE_ID: ("b24988ac-6180-42a0-ab88-20f7382dd24c",)})
    (one,) = traced(delegate, held, **about, attributes=other).assignments
    assert (one.reason, one.is_unknown) == (Reason.CONDITION_FALSE, False)
    right = Attributes.of(WRITE_ASSIGNMENTS, {ROLE_ID: (wanted,)})
    found = traced(delegate, held, **about, attributes=right)
    assert found.decision.allowed


def test_both_sides_of_a_view_are_told_of():
    view = f"{CONSUMER}/locations/l/sharedgalleries/opaque-1"
    about = {"action": worlds.SHARED_READ, "scope": view}
    shared = grant(tenants=[TENANT])
    sharing = traced(shared, assign("r1", CONSUMER), **about).sharing
    assert sharing is not None
    assert (sharing.consumer_allowed, sharing.reason) == (True, Reason.SHARED_TENANT)
    sharing = traced(shared, **about).sharing
    assert sharing is not None
    assert (sharing.consumer_allowed, sharing.reason) == (False, Reason.SHARED_TENANT)
    blocked = grant(SharingMode.GROUPS, tenants=[TENANT], blocked=[CONSUMER])
    found = traced(blocked, assign("r1", CONSUMER), **about)
    assert found.sharing is not None
    assert found.sharing.reason is found.decision.reason is Reason.NOT_SHARED
    assert not found.suggested_roles


def test_the_roles_with_the_fewest_other_actions_are_suggested():
    names = [one.display_name for one in traced().suggested_roles]
    assert names[0] == "Compute Gallery Image Reader"
    assert len(names) <= 5
    assert not traced(assign("r1", GALLERY)).suggested_roles


def test_a_question_without_an_answer_has_no_trace():
    with pytest.raises(ValueError, match="no answer"):
        traced(action="Microsoft.Compute/*")


def test_permissions_that_grant_are_told_of_before_those_that_do_not():
    both = (Permissions(("*",), ("*/read",)), Permissions(("*/versions/read",)))
    united = RoleDefinition("r3", "r3", both)
    (one,) = traced(united, assign("r3", GALLERY)).assignments
    assert (one.matched_action, one.matched_not_action) == ("*/versions/read", "")
