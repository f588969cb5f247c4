from datetime import timedelta

from services.policy.decision import Reason
from services.policy.memberships import inwards
from services.policy.model import (
    EVERYONE,
    Activation,
    Plane,
    Principal,
    PrincipalKind,
    SharingMode,
)
from services.policy.scopes import Scope
from services.policy.subjects import Access, Sharing, Subjects
from tests.unit.policy import worlds
from tests.unit.policy.test_against_naive import DATA, PEOPLE, REGISTRY, SCOPES, World
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    GALLERY,
    GROUP,
    NOW,
    READ,
    SUBSCRIPTION,
    TENANT,
    ask,
    assign,
    deny,
    eligible,
    grant,
    group,
    member,
    role,
    world,
)

ROLE = role("*/read")
G0, G1, G2 = group("g0"), group("g1"), group("g2")
PRINCIPALS = [one.key for one in worlds.PRINCIPALS if isinstance(one, Principal)]


def subjects(index, scope=GALLERY, action=READ, **more):
    return Subjects(index, action.lower(), Scope.parse(scope), now=NOW, **more)


def listed(*changes, **more):
    return list(subjects(world(ROLE, *changes), **more).entries())


def test_whoever_is_listed_may_and_whoever_may_is_listed():
    sizes = set()
    for seed in range(150):
        made = World(seed)
        if seed % 2:
            made.changes += [role("*", data=("*",), id="all"), assign("all", TENANT, G0)]
        index = world(*made.changes)
        for action, plane in ((READ, Plane.CONTROL), (DATA, Plane.DATA)):
            for scope in SCOPES[:-1]:
                found = list(subjects(index, scope, action, plane=plane, expand=True).entries())
                assert found == sorted(found, key=lambda one: one.place)
                sizes.add(len(found))
                named = {one.principal for one in found}
                for who in [*PEOPLE, *PRINCIPALS]:
                    if "/groups/" in who:
                        assert who not in named
                        continue
                    asked = ask(index, action, scope, who, plane=plane, registry=REGISTRY)
                    assert (who in named) is asked.allowed, (seed, scope, who)
    assert len(sizes) > 5


def test_each_grant_of_a_subject_is_listed_with_the_way_to_it():
    chain = (member(G0, G1), member(G1, ALICE), member(G0, BOB), member(G2, BOB))
    own, through = assign("r1", GALLERY), assign("r1", SUBSCRIPTION, G0)
    assert listed(*chain, own, through, expand=True) == [
        Access(ALICE, own.name),
        Access(ALICE, through.name, (G0, G1)),
        Access(BOB, through.name, (G0,)),
    ]
    assert listed(*chain, own, through) == [Access(G0, through.name), Access(ALICE, own.name)]


def test_what_does_not_hold_lets_nobody_in():
    hour = timedelta(hours=1)
    assert not listed(
        assign("r1", GALLERY, end=NOW, id="a"),
        assign("r1", GALLERY, start=NOW + hour, id="b"),
        assign("r1", GALLERY, condition="what?", id="c"),
        assign("unknown", GALLERY, id="d"),
        assign("r1", GALLERY, worlds.user("unknown"), id="e"),
        assign("r1", CONSUMER),
        eligible("r1", GALLERY, activations=(Activation(ALICE, NOW - hour, NOW),)),
    )


def test_an_activation_lets_in_whoever_activated_it():
    hour = timedelta(hours=1)
    active = (Activation(ALICE, NOW, NOW + hour), Activation(BOB, NOW, NOW + hour))
    held = eligible("r1", GROUP, G0, activations=active)
    expected = [Access(ALICE, held.name, (G0,), is_eligible=True)]
    assert listed(member(G0, ALICE), held) == expected
    assert listed(member(G0, ALICE), held, expand=True) == expected
    own = eligible("r1", GROUP, BOB, activations=active)
    assert listed(own) == [Access(BOB, own.name, is_eligible=True)]


def test_whom_a_deny_stops_is_not_listed():
    held = (assign("r1", SUBSCRIPTION, G0), assign("r1", GALLERY, BOB), member(G0, ALICE))
    assert [one.principal for one in listed(*held, deny(GROUP, ALICE), expand=True)] == [BOB]
    assert [one.principal for one in listed(*held, deny(GROUP, G0))] == [BOB]
    everyone = deny(GALLERY, EVERYONE, exclude_principals=frozenset({ALICE}))
    assert [one.principal for one in listed(*held, everyone, expand=True)] == [ALICE]


def test_a_page_goes_on_after_the_entry_before():
    index = world(
        ROLE,
        member(G0, ALICE),
        assign("r1", GALLERY, G0),
        *(assign("r1", scope, who) for scope in (GALLERY, GROUP, TENANT) for who in (ALICE, BOB)),
    )
    whole = list(subjects(index, expand=True).entries())
    assert len(whole) == 7
    for position, one in enumerate(whole):
        assert list(subjects(index, expand=True).entries(one.place)) == whole[position + 1 :]


def test_a_view_lets_in_whoever_holds_the_action_in_the_subscription():
    view = f"{CONSUMER}/locations/l/sharedgalleries/opaque-1"
    index = world(ROLE, grant(subscriptions=[CONSUMER]), assign("r1", CONSUMER))
    found = subjects(index, view, worlds.SHARED_READ)
    assert list(found.entries()) == []
    assert found.sharing() == Sharing(CONSUMER, Reason.SHARED_SUBSCRIPTION)
    assert subjects(index, view, READ).sharing() is None
    assert subjects(index, GALLERY, worlds.SHARED_READ).sharing() is None
    closed = world(grant(SharingMode.GROUPS, subscriptions=[CONSUMER], blocked=[CONSUMER]))
    assert subjects(closed, view, worlds.SHARED_READ).sharing() is None


def test_groups_in_a_circle_have_everybody_once():
    directory = world(
        member(G0, G1), member(G1, G2), member(G2, G0), member(G2, ALICE), member(G0, ALICE)
    ).directory
    assert inwards(directory, G1) == {
        G2: (G1,),
        G0: (G1, G2),
        ALICE: (G1, G2),
    }


def test_a_disabled_group_passes_nothing_on():
    disabled = Principal(G1, PrincipalKind.GROUP, enabled=False)
    directory = world(member(G0, G1), member(G1, ALICE), disabled).directory
    assert inwards(directory, G0) == {}
