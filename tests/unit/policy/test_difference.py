from datetime import timedelta
from itertools import accumulate

import pytest

from services.policy.difference import differences
from services.policy.findings import Finding, Whom
from services.policy.model import (
    EVERYONE,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Removed,
    SharingMode,
    Subscription,
    Transaction,
)
from tests.unit.policy import worlds
from tests.unit.policy.test_against_naive import PEOPLE, SCOPES, World
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    FOREIGN,
    GALLERY,
    GALLERY_READ,
    GROUP,
    IMAGES,
    NOW,
    OTHER_TENANT,
    PLATFORM,
    READ,
    ROOT_GROUP,
    SHARE,
    SUBSCRIPTION,
    TENANT,
    WRITE,
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

READS = role(READ, id="r1")
WRITES = role(READ, WRITE, id="r2")
G0, G1 = group("g0"), group("g1")


def found(base, *steps):
    """What steps, each of some changes, would change of a world."""
    lists = [one if isinstance(one, tuple) else (one,) for one in steps]
    roots = accumulate(
        lists,
        lambda root, changes: root.apply(Transaction(root.revision + 1, changes)),
        initial=world(READS, WRITES, *base),
    )
    return differences(list(roots), lists, now=NOW)


def told(*args):
    """Findings about principals in short: gained or lost, who, where, which actions, by what."""
    return [
        ("+" if one.gained else "-", one.who, one.scope, one.permissions.actions, one.step)
        for one in found(*args)
    ]


def gone(kind, name):
    return Removed(kind, name)


def test_an_assignment_gives_what_was_not_held():
    assert told((), assign("r2", GALLERY)) == [("+", ALICE, GALLERY, (READ, WRITE), 0)]
    assert told([assign("r1", SUBSCRIPTION)], assign("r2", GALLERY)) == [
        ("+", ALICE, GALLERY, (WRITE,), 0)
    ]
    assert told([assign("r2", TENANT)], assign("r2", GALLERY, id="again")) == []
    assert told([deny(GROUP, ALICE)], assign("r2", GALLERY)) == []


def test_an_assignment_that_goes_takes_what_is_not_held_otherwise():
    held = assign("r2", GALLERY)
    assert told([held], gone(Kind.ROLE_ASSIGNMENT, held.name)) == [
        ("-", ALICE, GALLERY, (READ, WRITE), 0)
    ]
    rest = assign("r1", SUBSCRIPTION, G0)
    assert told([held, rest, member(G0, ALICE)], gone(Kind.ROLE_ASSIGNMENT, held.name)) == [
        ("-", ALICE, GALLERY, (WRITE,), 0)
    ]


def test_what_is_given_and_taken_again_is_no_difference():
    held = assign("r2", GALLERY)
    assert told((), held, gone(Kind.ROLE_ASSIGNMENT, held.name)) == []
    assert told((), assign("r1", GALLERY), assign("r2", GALLERY)) == [
        ("+", ALICE, GALLERY, (READ,), 0),
        ("+", ALICE, GALLERY, (WRITE,), 1),
    ]


def test_an_eligible_assignment_and_a_later_one_count_as_if_they_were_active():
    hour = timedelta(hours=1)
    expected = [("+", ALICE, GALLERY, (READ,), 0)]
    held = eligible("r1", GALLERY)
    assert told((), held) == expected
    assert told((), assign("r1", GALLERY, start=NOW + hour)) == expected
    assert told((), assign("r1", GALLERY, end=NOW)) == []
    assert told([held], gone(Kind.ELIGIBLE_ASSIGNMENT, held.name)) == [
        ("-", ALICE, GALLERY, (READ,), 0)
    ]
    # Who may activate a role and is given it outright gains it.
    assert told([held], assign("r1", GALLERY)) == expected
    through = eligible("r1", GALLERY, G0)
    assert told([through], member(G0, ALICE)) == expected


def test_a_condition_that_may_hold_counts_as_if_it_held():
    asking = "Microsoft.Authorization/roleAssignments/write"
    delegate = role(asking, id="delegate")
    name = "Microsoft.Authorization/roleAssignments:RoleDefinitionId"
    condition = f"@Request[{name}] GuidEquals 8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    held = assign("delegate", GALLERY, condition=condition)
    assert told([delegate], held) == [("+", ALICE, GALLERY, (asking,), 0)]
    unsupported = assign("delegate", GALLERY, condition="@Resource[x] StringEquals 'y'")
    assert told([delegate], unsupported) == []


def test_a_changed_role_changes_all_who_hold_it():
    base = [assign("r1", GALLERY), assign("r1", CONSUMER, G0), assign("r2", GROUP, BOB)]
    assert sorted(told(base, role(WRITE, id="r1"))) == sorted(
        [
            ("+", ALICE, GALLERY, (WRITE,), 0),
            ("+", G0, CONSUMER, (WRITE,), 0),
            ("-", ALICE, GALLERY, (READ,), 0),
            ("-", G0, CONSUMER, (READ,), 0),
        ]
    )


def test_a_member_gains_what_the_group_and_those_above_it_hold():
    base = [member(G1, G0), assign("r1", GALLERY, G1), assign("r2", CONSUMER, G0)]
    expected = {(ALICE, GALLERY, (READ,)), (ALICE, CONSUMER, (READ, WRITE))}
    gained = told(base, member(G0, ALICE))
    assert {one[1:4] for one in gained} == expected
    assert {one[0] for one in gained} == {"+"}
    lost = told([*base, member(G0, ALICE)], MemberRemoved(G0, ALICE))
    assert {one[1:4] for one in lost} == expected
    assert {one[0] for one in lost} == {"-"}
    # A deny of the group takes something from the member.
    stopped = [assign("r1", GALLERY), deny(GALLERY, G0)]
    assert told(stopped, member(G0, ALICE)) == [("-", ALICE, GALLERY, (READ,), 0)]


def test_a_deny_takes_what_was_held_and_gives_it_back():
    held, denial = assign("r2", SUBSCRIPTION), deny(GALLERY, ALICE, BOB)
    assert told([held], denial) == [("-", ALICE, GALLERY, (READ, WRITE), 0)]
    assert told([held, denial], gone(Kind.DENY_ASSIGNMENT, denial.name)) == [
        ("+", ALICE, GALLERY, (READ, WRITE), 0)
    ]


def test_a_deny_for_everyone_is_told_of_as_it_is_written():
    denial = deny(GALLERY, EVERYONE, actions=("*/read",), exclude_principals=frozenset({BOB}))
    (one,) = found([assign("r2", TENANT)], denial)
    assert (one.whom, one.gained, one.scope) == (Whom.EVERYONE, False, GALLERY)
    assert one.permissions.actions == ("*/read",)
    (one,) = found([denial], gone(Kind.DENY_ASSIGNMENT, denial.name))
    assert (one.whom, one.gained) == (Whom.EVERYONE, True)


def test_a_move_takes_what_was_above_and_gives_what_is():
    base = [assign("r1", IMAGES), assign("r2", PLATFORM, BOB), assign("r1", ROOT_GROUP, G0)]
    moved = Subscription(SUBSCRIPTION, TENANT, ROOT_GROUP)
    assert told(base, moved) == [
        ("-", ALICE, SUBSCRIPTION, (READ,), 0),
        ("-", BOB, SUBSCRIPTION, (READ, WRITE), 0),
    ]
    entered = Subscription(CONSUMER, TENANT, IMAGES)
    assert told(base, entered) == [("+", ALICE, CONSUMER, (READ,), 0)]
    above = ManagementGroup(IMAGES, TENANT, ROOT_GROUP)
    assert told(base, above) == [("-", BOB, IMAGES, (READ, WRITE), 0)]


def test_no_question_comes_out_otherwise_where_nothing_is_told_of():
    changed = 0
    for seed in range(120):
        made = World(seed)
        base = world(*made.changes)
        other = World(seed + 1000)
        change = made.one([other.held(), other.denied(9), member(G0, made.one(PEOPLE[:2]))])
        after = base.apply(Transaction(2, (change,)))
        told_of = differences([base, after], [(change,)], now=NOW)
        everyone = any(one.whom is Whom.EVERYONE for one in told_of)
        for caller in PEOPLE[:2]:
            for scope in SCOPES[:-1]:
                for action in (READ, SHARE):
                    now = ask(after, action, scope, caller).allowed
                    if ask(base, action, scope, caller).allowed is now:
                        continue
                    changed += 1
                    identities = after.directory.identities(caller)
                    assert everyone or any(
                        one.gained is now
                        and one.who in identities
                        and action in one.permissions.actions
                        for one in told_of
                    ), (seed, caller, scope, change)
    assert changed > 20


# Sharing.


def shared(before, after):
    base = world() if before is None else world(before)
    roots = [base, base.apply(Transaction(2, (after,)))]
    return [
        ("+" if one.gained else "-", one.whom, one.who, one.permissions.actions[0])
        for one in differences(roots, [(after,)], now=NOW)
    ]


DIRECT = "Microsoft.Compute/locations/sharedGalleries/read"
PUBLIC = "Microsoft.Compute/locations/communityGalleries/read"


def community(*, enabled=True, **more):
    return grant(SharingMode.COMMUNITY, public_name="pub", community_enabled=enabled, **more)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, grant(), []),
        (
            grant(),
            grant(subscriptions=[CONSUMER], tenants=[OTHER_TENANT]),
            [
                ("+", Whom.SUBSCRIPTION, CONSUMER, DIRECT),
                ("+", Whom.TENANT, OTHER_TENANT, DIRECT),
            ],
        ),
        # Its tenant has it already.
        (grant(tenants=[TENANT]), grant(tenants=[TENANT], subscriptions=[CONSUMER]), []),
        (
            grant(tenants=[TENANT], subscriptions=[FOREIGN]),
            grant(subscriptions=[FOREIGN]),
            [("-", Whom.TENANT, TENANT, DIRECT)],
        ),
        (grant(subscriptions=[CONSUMER]), grant(), [("-", Whom.SUBSCRIPTION, CONSUMER, DIRECT)]),
        (community(enabled=False), community(), [("+", Whom.COMMUNITY, "", PUBLIC)]),
        (community(), community(enabled=False), [("-", Whom.COMMUNITY, "", PUBLIC)]),
        (
            community(),
            community(blocked=[CONSUMER]),
            [("-", Whom.SUBSCRIPTION, CONSUMER, PUBLIC)],
        ),
        (
            community(blocked=[TENANT]),
            community(),
            [("+", Whom.TENANT, TENANT, PUBLIC)],
        ),
        (community(enabled=False), community(enabled=False, blocked=[CONSUMER]), []),
        (
            community(blocked=[CONSUMER]),
            grant(SharingMode.PRIVATE),
            [("-", Whom.COMMUNITY, "", PUBLIC)],
        ),
        (
            grant(subscriptions=[CONSUMER]),
            grant(SharingMode.PRIVATE),
            [("-", Whom.SUBSCRIPTION, CONSUMER, DIRECT)],
        ),
    ],
)
def test_sharing_is_compared_by_whom_it_lets_in(before, after, expected):
    assert shared(before, after) == expected


def test_sharing_that_ends_as_it_began_is_no_difference():
    base = world(grant())
    steps = [(grant(subscriptions=[CONSUMER]),), (grant(),)]
    roots = [base]
    for changes in steps:
        roots.append(roots[-1].apply(Transaction(roots[-1].revision + 1, changes)))
    assert differences(roots, steps, now=NOW) == []


def test_what_becomes_public_is_told_first():
    base = world(READS, community(enabled=False))
    steps = [(assign("r1", "/"),), (community(),)]
    roots = [base]
    for changes in steps:
        roots.append(roots[-1].apply(Transaction(roots[-1].revision + 1, changes)))
    first, second = differences(roots, steps, now=NOW)
    assert first.is_public
    assert (first.scope, first.step) == (GALLERY, 1)
    assert second.permissions.actions == (READ,)
    assert not Finding(True, Whom.TENANT, TENANT, GALLERY, first.permissions, 0).is_public


def test_actions_of_views_come_with_reading_all():
    everything = role("*/read", id="all")
    (one,) = found([everything], assign("all", SUBSCRIPTION))
    assert GALLERY_READ in one.permissions.actions
    assert PUBLIC in one.permissions.actions
    assert worlds.WRITE not in one.permissions.actions
