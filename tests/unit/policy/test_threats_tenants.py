"""Threat T28: tenants that name everything alike never affect each other."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.policy.accessible import accessible
from services.policy.decision import Question, Reason
from services.policy.evaluation import evaluate
from services.policy.index import IndexEditor, PolicyIndex, empty_index
from services.policy.model import (
    Change,
    DenyAssignment,
    ManagementGroup,
    Membership,
    Permissions,
    Plane,
    Principal,
    PrincipalKind,
    RoleAssignment,
    RoleDefinition,
    SharingGrant,
    SharingMode,
    Subscription,
    Tenant,
)
from tests.unit.policy.worlds import NOW, READ, SHARED_READ, WRITE

USERS = ("ann", "bob")
GROUPS = ("g1", "g2")
PLACES = ("", "/resourcegroups/rg", "/resourcegroups/rg/galleries/golden")
VERSION = "/resourcegroups/rg/galleries/golden/images/i/versions/1.0.0"


@dataclass(frozen=True)
class Home:
    """A tenant with one subscription: everything in it has the same name in every tenant."""

    tenant: str
    subscription: str

    def who(self, name: str) -> str:
        return f"{self.tenant}/{'groups' if name in GROUPS else 'users'}/{name}"

    def at(self, place: str) -> str:
        if place.startswith("@"):
            return {"@tenant": self.tenant, "@root": self.root}[place]
        return self.subscription + place

    @property
    def root(self) -> str:
        return f"{self.tenant}/managementgroups/{self.tenant.rpartition('/')[2]}"

    @property
    def views(self) -> str:
        return f"{self.subscription}/locations/eastus/sharedgalleries/same"


A, B = Home("tenants/t", "subscriptions/s"), Home("tenants/t2", "subscriptions/s2")
# A tenant whose name begins like another one's, in case a prefix is taken for a path.
assert B.tenant.startswith(A.tenant)

# What a tenant may write, without saying which: a kind and its parts.
names = st.sampled_from((*USERS, *GROUPS))
places = st.sampled_from((*PLACES, "@tenant", "@root"))
actions = st.sampled_from(("*", "*/read", READ, WRITE, "Microsoft.Compute/*"))
written = st.one_of(
    st.tuples(st.just("member"), st.sampled_from(GROUPS), names),
    st.tuples(st.just("assign"), names, places, actions),
    st.tuples(st.just("deny"), names, places, actions),
    st.tuples(st.just("share"), st.sampled_from(["tenant", "subscription", "nobody"])),
)
policies = st.lists(written, max_size=12)


def changes(home: Home, policy: list[Any]) -> list[Change]:
    found: list[Change] = [
        Tenant(home.tenant),
        ManagementGroup(home.root, home.tenant, None),
        Subscription(home.subscription, home.tenant, home.root),
        *(Principal(home.who(one), PrincipalKind.USER) for one in USERS),
        *(Principal(home.who(one), PrincipalKind.GROUP) for one in GROUPS),
    ]
    for number, one in enumerate(policy):
        # Ids too are the same in both.
        match one:
            case ("member", group, who):
                found.append(Membership(home.who(group), home.who(who)))
            case ("assign", who, place, action):
                scope, role = home.at(place), f"{home.tenant}-r{number}"
                found.append(RoleDefinition(role, "role", (Permissions((action,)),)))
                name = f"{scope}/roleassignments/{number}"
                found.append(RoleAssignment(name, scope, home.who(who), role))
            case ("deny", who, place, action):
                scope, permissions = home.at(place), (Permissions((action,)),)
                name = f"{scope}/denyassignments/{number}"
                who_ = frozenset({home.who(who)})
                found.append(DenyAssignment(name, scope, who_, permissions))
            case ("share", whom):
                gallery = home.at(PLACES[-1])
                found.append(
                    SharingGrant(
                        gallery,
                        "uid",
                        SharingMode.GROUPS,
                        shared_id=f"same-{home.tenant.rpartition('/')[2]}",
                        subscriptions=frozenset({home.subscription} & {_shared(home, whom)}),
                        tenants=frozenset({home.tenant} & {_shared(home, whom)}),
                        blocked=frozenset(),
                    )
                )
            case _:
                raise AssertionError(one)
    return found


def _shared(home: Home, whom: str) -> str:
    return {"tenant": home.tenant, "subscription": home.subscription}.get(whom, "")


def built(*parts: list[Change]) -> PolicyIndex:
    editor = IndexEditor(empty_index())
    for revision, part in enumerate(parts, 1):
        editor.apply(part, revision=revision)
    return editor.freeze(len(parts))


def answers(index: PolicyIndex, home: Home) -> dict[tuple[str, str, str], tuple[bool, Reason]]:
    """All that can be asked about a tenant by its own people, once and again from memory."""
    found = {}
    view = f"{home.views}-{home.tenant.rpartition('/')[2]}"
    scopes = [*map(home.at, (*PLACES, "@tenant", "@root")), home.at(VERSION), view]
    for who, scope, action in product(USERS, scopes, (READ, WRITE, SHARED_READ)):
        asked = Question(action, scope, Plane.CONTROL)
        for _ in range(2):
            decision = evaluate(index, home.who(who), asked, now=NOW)
        found[who, scope, action] = (decision.allowed, decision.reason)
    return found


def test_what_a_tenant_writes_counts_in_it() -> None:
    policy = [("assign", "ann", "@root", "*"), ("share", "tenant")]
    found = answers(built(changes(A, policy)), A)
    assert found["ann", A.at(VERSION), WRITE] == (True, Reason.ROLE_ASSIGNMENT)
    view = f"{A.views}-t"
    assert found["ann", view, SHARED_READ] == (True, Reason.SHARED_TENANT)
    assert found["bob", view, SHARED_READ] == (False, Reason.NO_MATCHING_GRANT)


@settings(max_examples=100)
@given(policies, policies)
def test_t28_what_one_tenant_writes_changes_no_answer_of_the_other(
    mine: list[Any], theirs: list[Any]
) -> None:
    one, two = changes(A, mine), changes(B, theirs)
    for home, alone in ((A, built(one)), (B, built(two))):
        for together in (built(one, two), built(two, one)):
            assert answers(together, home) == answers(alone, home)
            for who, action in product(USERS, (READ, WRITE)):
                listed = [
                    accessible(index, home.who(who), action, now=NOW) for index in (alone, together)
                ]
                assert listed[0] == listed[1]


@settings(max_examples=100)
@given(policies, policies)
def test_t28_nobody_holds_anything_in_a_tenant_by_a_namesake_there(
    mine: list[Any], theirs: list[Any]
) -> None:
    together = built(changes(A, mine), changes(B, theirs))
    for home, other in ((A, B), (B, A)):
        for who, place in product(USERS, (*PLACES, VERSION, "@tenant", "@root")):
            for action in (READ, WRITE):
                # Asked of the namesake first, so that a memory that mixes them up would show.
                evaluate(together, home.who(who), Question(action, home.at(place)), now=NOW)
                stranger = Question(action, home.at(place))
                assert not evaluate(together, other.who(who), stranger, now=NOW).allowed
        for who in USERS:
            found = accessible(together, home.who(who), READ, now=NOW)
            assert all(
                one.startswith(f"{home.subscription}/") or one == home.subscription
                for one in found.allowed
            )
