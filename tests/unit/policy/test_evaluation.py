import itertools
from datetime import timedelta

import pytest

from services.policy.actions import ActionRegistry
from services.policy.decision import Question, Reason
from services.policy.evaluation import evaluate_all
from services.policy.model import (
    EVERYONE,
    Activation,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Permissions,
    Plane,
    Principal,
    PrincipalKind,
    Removed,
    Subscription,
)
from services.policy.scopes import Scope
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    DEFINITION,
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
    VERSION,
    WRITE,
    ask,
    assign,
    deny,
    eligible,
    group,
    member,
    role,
    user,
    world,
)

HOUR = timedelta(hours=1)
ALL = role("*")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("*", Reason.WILDCARD_ACTION),
        ("Microsoft.Compute/*/read", Reason.WILDCARD_ACTION),
        ("", Reason.MALFORMED_ACTION),
        ("Microsoft.Compute/galleries/fly", Reason.MALFORMED_ACTION),
        ("Microsoft.Compute/galleries/read ", Reason.MALFORMED_ACTION),
    ],
)
def test_unknown_and_wildcard_actions_are_malformed_though_a_role_holds_everything(action, reason):
    decision = ask(world(ALL, assign("r1", "/")), action, GALLERY)
    assert (decision.allowed, decision.reason, decision.invalid) == (False, reason, True)


@pytest.mark.parametrize("scope", ["", "subscriptions", "subscriptions/s1/", "subscriptions/-"])
def test_malformed_resources_are_not_decided(scope):
    decision = ask(world(ALL, assign("r1", "/")), READ, scope)
    assert (decision.allowed, decision.reason, decision.invalid) == (
        False,
        Reason.MALFORMED_RESOURCE,
        True,
    )


@pytest.mark.parametrize(
    "scope",
    ["/", TENANT, ROOT_GROUP, PLATFORM, IMAGES, SUBSCRIPTION, GROUP, GALLERY, DEFINITION, VERSION],
)
def test_an_assignment_holds_at_its_scope_and_everywhere_below(scope):
    decision = ask(world(role(READ), assign("r1", scope)), READ, VERSION)
    assert (decision.allowed, decision.reason) == (True, Reason.ROLE_ASSIGNMENT)
    assert decision.assignment.endswith("roleassignments/r1-alice")
    assert decision.revision == 1


@pytest.mark.parametrize(
    "scope",
    [
        f"{VERSION}0",
        f"{DEFINITION}/versions/1.2.4",
        f"{GALLERY}2",
        "subscriptions/s",
        "subscriptions/s11",
        CONSUMER,
        OTHER_TENANT,
        f"{TENANT}/managementgroups/sibling",
    ],
)
def test_an_assignment_beside_the_chain_holds_nothing(scope):
    decision = ask(world(role(READ), assign("r1", scope)), READ, VERSION)
    assert (decision.allowed, decision.reason) == (False, Reason.NO_MATCHING_GRANT)


def test_a_scope_is_asked_about_in_any_spelling():
    index = world(role(READ), assign("r1", VERSION))
    spelled = "subscriptions/S1/resourceGroups/RG/galleries/Golden/images/Ubuntu/versions/01.02.03"
    assert ask(index, READ.upper(), spelled).allowed


def test_a_grant_on_a_definition_does_not_open_the_gallery():
    index = world(role("*/read"), assign("r1", DEFINITION))
    assert ask(index, READ, VERSION).allowed
    assert not ask(index, GALLERY_READ, GALLERY).allowed


def test_the_chain_above_tenants_and_management_groups_and_regions():
    index = world(role("*"), assign("r1", PLATFORM), assign("r1", "/", BOB))
    read = "Stoa.Directory/managementGroups/read"
    assert ask(index, read, IMAGES).allowed
    assert ask(index, read, PLATFORM).allowed
    assert not ask(index, read, ROOT_GROUP).allowed
    assert not ask(index, "Stoa.Directory/users/read", f"{TENANT}/users/x").allowed
    assert ask(index, "Stoa.Replication/regions/write", "regions/eastus", BOB).allowed
    assert not ask(index, "Stoa.Replication/regions/write", "regions/eastus").allowed


def test_not_actions_subtract_inside_one_role_only():
    minus = role("*", minus=(SHARE,), id="contributor")
    only = role(SHARE, id="sharing")
    assert ask(world(minus, assign("contributor", GALLERY)), SHARE, GALLERY).reason is (
        Reason.ACTION_NOT_IN_ROLE
    )
    both = world(minus, only, assign("contributor", GALLERY), assign("sharing", SUBSCRIPTION))
    assert ask(both, SHARE, GALLERY).allowed


def test_a_subtraction_binds_its_own_permissions_of_a_role():
    two = role("*", minus=(SHARE,))
    two = type(two)("r1", "r1", (*two.permissions, Permissions((SHARE,))))
    assert ask(world(two, assign("r1", GALLERY)), SHARE, GALLERY).allowed


def test_a_deny_wins_over_every_grant_and_names_itself():
    index = world(ALL, assign("r1", VERSION), assign("r1", "/"), deny(PLATFORM, ALICE))
    decision = ask(index, READ, VERSION)
    assert (decision.allowed, decision.reason) == (False, Reason.DENY_ASSIGNMENT)
    assert decision.assignment == f"{PLATFORM}/denyassignments/d1"


def test_a_deny_subtracts_its_own_not_actions():
    permissions = (Permissions(("*",), (READ,)),)
    index = world(ALL, assign("r1", "/"), deny(SUBSCRIPTION, ALICE, permissions=permissions))
    assert ask(index, READ, VERSION).allowed
    assert not ask(index, WRITE, VERSION).allowed


def test_a_deny_for_everyone_spares_whom_it_excludes_also_through_groups():
    index = world(
        ALL,
        assign("r1", "/"),
        assign("r1", "/", BOB),
        member(group("g1"), ALICE),
        deny(SUBSCRIPTION, EVERYONE, exclude_principals=frozenset({group("g1")})),
    )
    assert ask(index, READ, VERSION).allowed
    assert ask(index, READ, VERSION, BOB).reason is Reason.DENY_ASSIGNMENT


def test_a_deny_of_a_group_reaches_its_members_through_other_groups():
    index = world(
        ALL,
        assign("r1", "/"),
        member(group("g1"), ALICE),
        member(group("g2"), group("g1")),
        deny(SUBSCRIPTION, group("g2")),
    )
    assert ask(index, READ, VERSION).reason is Reason.DENY_ASSIGNMENT


def test_a_deny_may_spare_what_is_below_its_scope():
    index = world(ALL, assign("r1", "/"), deny(GALLERY, ALICE, do_not_apply_to_child_scopes=True))
    assert ask(index, GALLERY_READ, GALLERY).reason is Reason.DENY_ASSIGNMENT
    assert ask(index, READ, VERSION).allowed


def test_a_deny_of_another_action_does_not_deny():
    index = world(ALL, assign("r1", "/"), deny(GALLERY, ALICE, actions=(WRITE,)))
    assert ask(index, READ, VERSION).allowed


def test_groups_are_transitive_and_cycles_are_tolerated():
    index = world(
        role(READ),
        assign("r1", GALLERY, group("g3")),
        member(group("g1"), ALICE),
        member(group("g2"), group("g1")),
        member(group("g3"), group("g2")),
        member(group("g1"), group("g3")),
    )
    assert ask(index, READ, VERSION).allowed
    assert not ask(index, READ, VERSION, BOB).allowed


def test_forty_groups_deep_and_five_thousand_wide():
    deep = [group(f"deep{level}") for level in range(40)]
    wide = [group(f"wide{number}") for number in range(5_000)]
    index = world(
        role(READ),
        *(Principal(one, PrincipalKind.GROUP) for one in (*deep, *wide)),
        member(deep[0], ALICE),
        *(member(above, below) for below, above in itertools.pairwise(deep)),
        *(member(one, ALICE) for one in wide),
        assign("r1", GALLERY, deep[-1]),
    )
    assert ask(index, READ, VERSION).allowed
    assert len(index.directory.identities(ALICE)) == 5_041


class Counted(str):
    """A key that counts how often it is looked up."""

    __slots__ = ()
    lookups = 0

    def __hash__(self) -> int:
        Counted.lookups += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def test_t26_the_work_at_a_crowded_scope_is_bounded_by_who_asks():
    crowd = [user(f"u{number}") for number in range(5_000)]
    index = world(
        role(READ),
        *(assign("r1", GALLERY, one) for one in crowd),
        *(deny(GALLERY, one, id=f"d{number}") for number, one in enumerate(crowd)),
        assign("r1", GALLERY),
    )
    node = index.chain(Scope.parse(GALLERY))[0]
    for identities, held in ((frozenset({ALICE}), 1), (frozenset(crowd), 5_000)):
        Counted.lookups = 0
        counted = frozenset(map(Counted, identities))
        asked = Counted.lookups
        assert len(node.held_by(counted)) == held
        assert len(node.denies_for(counted)) == (0 if held == 1 else 5_000)
        assert Counted.lookups - asked <= 4 * len(identities) + 4
    assert ask(index, READ, VERSION).allowed
    assert ask(index, READ, VERSION, crowd[7]).reason is Reason.NO_MATCHING_GRANT


def test_denies_for_everyone_are_found_in_a_crowd():
    index = world(
        ALL,
        assign("r1", "/"),
        *(deny(GALLERY, user(f"u{number}"), id=f"d{number}") for number in range(50)),
        deny(GALLERY, EVERYONE, actions=(READ,), id="all"),
    )
    assert ask(index, READ, VERSION).reason is Reason.DENY_ASSIGNMENT
    assert ask(index, WRITE, VERSION).allowed


def test_leaving_a_group_takes_effect_at_that_revision():
    held = world(role(READ), assign("r1", GALLERY, group("g1")), member(group("g1"), ALICE))
    left = world(MemberRemoved(group("g1"), ALICE), base=held, revision=2)
    assert ask(held, READ, VERSION).allowed
    assert not ask(left, READ, VERSION).allowed


def test_whom_the_directory_does_not_know_holds_nothing():
    stranger = user("stranger")
    index = world(role(READ), assign("r1", GALLERY, stranger))
    assert not ask(index, READ, VERSION, stranger).allowed
    known = world(Principal(stranger, PrincipalKind.USER), base=index, revision=2)
    assert ask(known, READ, VERSION, stranger).allowed
    gone = world(Removed(Kind.PRINCIPAL, stranger), base=known, revision=3)
    assert not ask(gone, READ, VERSION, stranger).allowed
    off = world(Principal(stranger, PrincipalKind.USER, enabled=False), base=known, revision=3)
    assert not ask(off, READ, VERSION, stranger).allowed


def test_a_removed_group_passes_nothing_on():
    held = world(role(READ), assign("r1", GALLERY, group("g1")), member(group("g1"), ALICE))
    gone = world(Removed(Kind.PRINCIPAL, group("g1")), base=held, revision=2)
    assert not ask(gone, READ, VERSION).allowed


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (NOW, None, Reason.ROLE_ASSIGNMENT),
        (NOW + HOUR, None, Reason.NOT_YET_ACTIVE),
        (None, NOW, Reason.EXPIRED),
        (None, NOW + HOUR, Reason.ROLE_ASSIGNMENT),
        (NOW - HOUR, NOW + HOUR, Reason.ROLE_ASSIGNMENT),
        (NOW, NOW, Reason.EXPIRED),
    ],
)
def test_windows_are_half_open_on_the_clock_of_the_evaluator(start, end, reason):
    index = world(role(READ), assign("r1", GALLERY, start=start, end=end))
    assert ask(index, READ, VERSION).reason is reason


def test_a_condition_that_is_not_understood_voids_its_assignment_only():
    bound = assign("r1", GALLERY, condition="@Resource[x] StringEquals 'y'")
    assert ask(world(role(READ), bound), READ, VERSION).reason is Reason.CONDITION_UNSUPPORTED
    both = world(role(READ), bound, assign("r1", SUBSCRIPTION, id="free"))
    assert ask(both, READ, VERSION).allowed


def test_an_eligible_assignment_is_inert_until_its_holder_activates_it():
    activation = Activation(ALICE, NOW, NOW + HOUR)
    inert = world(role(READ), eligible("r1", GALLERY))
    assert ask(inert, READ, VERSION).reason is Reason.ELIGIBLE_NOT_ACTIVE
    active = world(eligible("r1", GALLERY, activations=(activation,)), base=inert, revision=2)
    assert ask(active, READ, VERSION).allowed
    assert ask(active, READ, VERSION, now=NOW + HOUR).reason is Reason.ELIGIBLE_NOT_ACTIVE
    early = world(eligible("r1", GALLERY), base=active, revision=3)
    assert not ask(early, READ, VERSION).allowed


def test_a_member_activates_the_eligibility_of_a_group_for_themselves_alone():
    index = world(
        role(READ),
        member(group("g1"), ALICE),
        member(group("g1"), BOB),
        eligible("r1", GALLERY, group("g1"), activations=(Activation(BOB, NOW, NOW + HOUR),)),
    )
    assert ask(index, READ, VERSION, BOB).allowed
    assert ask(index, READ, VERSION).reason is Reason.ELIGIBLE_NOT_ACTIVE


def test_an_activation_does_not_outlive_the_eligibility():
    held = eligible("r1", GALLERY, end=NOW, activations=(Activation(ALICE, NOW, NOW + HOUR),))
    assert ask(world(role(READ), held), READ, VERSION).reason is Reason.EXPIRED


def test_the_reason_nearest_to_a_grant_is_told():
    index = world(
        role(READ),
        role(WRITE, id="r2"),
        assign("r2", VERSION),
        assign("r1", GALLERY, end=NOW),
        assign("r1", GROUP, start=NOW + HOUR),
    )
    decision = ask(index, READ, VERSION)
    assert decision.reason is Reason.NOT_YET_ACTIVE
    assert decision.assignment == f"{GROUP}/roleassignments/r1-alice"


def test_planes_never_satisfy_each_other():
    registry = ActionRegistry(control=("Stoa/x/read",), data=("Stoa/x/data/read",))
    control = world(role("*"), assign("r1", GALLERY))
    data = world(role(data=("*",)), assign("r1", GALLERY))

    def reason(index, action, plane):
        return ask(index, action, GALLERY, plane=plane, registry=registry).reason

    assert reason(control, "Stoa/x/read", Plane.CONTROL) is Reason.ROLE_ASSIGNMENT
    assert reason(control, "Stoa/x/data/read", Plane.DATA) is Reason.ACTION_NOT_IN_ROLE
    assert reason(data, "Stoa/x/data/read", Plane.DATA) is Reason.ROLE_ASSIGNMENT
    assert reason(data, "Stoa/x/read", Plane.CONTROL) is Reason.ACTION_NOT_IN_ROLE
    assert reason(control, "Stoa/x/data/read", Plane.CONTROL) is Reason.MALFORMED_ACTION


def test_a_data_deny_leaves_the_control_plane_alone():
    index = world(
        ALL,
        assign("r1", "/"),
        deny(GALLERY, ALICE, permissions=(Permissions(data_actions=("*",)),)),
    )
    assert ask(index, READ, VERSION).allowed


def test_assignable_scopes_do_not_matter_to_a_decision():
    narrow = type(ALL)("r1", "r1", ALL.permissions, assignable_scopes=(CONSUMER,))
    assert ask(world(narrow, assign("r1", GALLERY)), READ, VERSION).allowed


def test_an_assignment_of_a_role_that_is_gone_grants_nothing():
    index = world(role(READ), assign("r1", GALLERY))
    gone = world(Removed(Kind.ROLE_DEFINITION, "r1"), base=index, revision=2)
    assert ask(gone, READ, VERSION).reason is Reason.ACTION_NOT_IN_ROLE


def test_a_moved_subscription_is_decided_by_its_new_chain_at_that_revision():
    index = world(role(READ), assign("r1", IMAGES), assign("r1", PLATFORM, BOB))
    moved = world(Subscription(SUBSCRIPTION, TENANT, PLATFORM), base=index, revision=2)
    assert [ask(one, READ, VERSION).allowed for one in (index, moved)] == [True, False]
    assert ask(moved, READ, VERSION, BOB).allowed
    back = world(Subscription(SUBSCRIPTION, TENANT, IMAGES), base=moved, revision=3)
    assert ask(back, READ, VERSION).allowed


def test_a_moved_management_group_takes_its_subscriptions_along():
    index = world(role(READ), assign("r1", PLATFORM))
    moved = world(ManagementGroup(IMAGES, TENANT, ROOT_GROUP), base=index, revision=2)
    assert ask(index, READ, VERSION).allowed
    assert not ask(moved, READ, VERSION).allowed


def test_a_cycle_of_management_groups_ends():
    index = world(role(READ), assign("r1", PLATFORM), ManagementGroup(ROOT_GROUP, TENANT, IMAGES))
    assert ask(index, READ, VERSION).allowed


def test_a_principal_of_another_tenant_may_hold_an_assignment():
    carol = user("carol", OTHER_TENANT)
    assert ask(world(role(READ), assign("r1", GALLERY, carol)), READ, VERSION, carol).allowed


def test_t28_tenants_with_the_same_names_do_not_affect_each_other():
    twin = user("alice", OTHER_TENANT)
    index = world(
        role(READ),
        Principal(twin, PrincipalKind.USER),
        Principal(group("g1", OTHER_TENANT), PrincipalKind.GROUP),
        member(group("g1"), ALICE),
        assign("r1", GALLERY, group("g1", OTHER_TENANT)),
        assign("r1", GALLERY, twin),
    )
    assert not ask(index, READ, VERSION).allowed


SOURCE = f"{GROUP}/disks/d"
DISK_WRITE = "Microsoft.Compute/disks/write"
TARGET = (ALICE, Question(WRITE, VERSION))


def both(index, *sources):
    return evaluate_all(index, (TARGET, *sources), now=NOW)


def test_a_conjunction_needs_target_and_source():
    source = (ALICE, Question(DISK_WRITE, SOURCE))
    writer = role(WRITE)
    reader = role(DISK_WRITE, id="r2")
    only_target = world(writer, assign("r1", GALLERY))
    decision = both(only_target, source)
    assert (decision.reason, decision.item) == (Reason.LINKED_SOURCE_DENIED, 1)
    only_source = world(reader, assign("r2", SOURCE))
    decision = both(only_source, source)
    assert (decision.reason, decision.item) == (Reason.NO_MATCHING_GRANT, 0)
    whole = world(writer, reader, assign("r1", GALLERY), assign("r2", SOURCE))
    decision = both(whole, source)
    assert (decision.allowed, decision.reason) == (True, Reason.TARGET_AND_SOURCE)
    denied = world(deny(SOURCE, ALICE), base=whole, revision=2)
    decision = both(denied, source)
    assert decision.reason is Reason.LINKED_SOURCE_DENY_ASSIGNMENT
    assert decision.assignment == f"{SOURCE}/denyassignments/d1"


@pytest.mark.parametrize("held", [("listKeys/action",), ("write",), ("listKeys/action", "write")])
def test_a_vhd_needs_both_rights_on_its_account(held):
    account = f"{GROUP}/storageaccounts/a"
    storage = "Microsoft.Storage/storageAccounts"
    index = world(role(WRITE, *(f"{storage}/{verb}" for verb in held)), assign("r1", SUBSCRIPTION))
    demanded = [(ALICE, Question(f"{storage}/{verb}", account)) for verb in
                ("write", "listKeys/action")]  # fmt: skip
    assert both(index, *demanded).allowed is (len(held) == 2)


def test_a_source_may_be_asked_about_as_another_principal():
    carol = user("carol", OTHER_TENANT)
    disk = f"{FOREIGN}/resourcegroups/rg/disks/d"
    index = world(role("*"), assign("r1", GALLERY), assign("r1", FOREIGN, carol))
    assert both(index, (carol, Question(DISK_WRITE, disk))).allowed
    assert not both(index, (ALICE, Question(DISK_WRITE, disk))).allowed


def test_a_conjunction_of_one_is_that_one():
    index = world(ALL, assign("r1", GALLERY))
    assert both(index).reason is Reason.ROLE_ASSIGNMENT


def test_a_conjunction_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        evaluate_all(world(), (), now=NOW)


def test_a_decision_at_a_root_is_made_once():
    index = world(role(READ), assign("r1", SUBSCRIPTION))
    assert ask(index, READ, VERSION) is ask(index, READ, VERSION.upper())


def test_a_decision_is_remembered_for_its_caller_action_and_scope_alone():
    index = world(role(READ), assign("r1", GALLERY))
    for _ in range(2):
        assert ask(index, READ, VERSION).allowed
        assert not ask(index, READ, VERSION, BOB).allowed
        assert not ask(index, WRITE, VERSION).allowed
        assert not ask(index, READ, SUBSCRIPTION).allowed


def test_a_decision_that_depends_on_the_time_is_made_again():
    ending = world(role(READ), assign("r1", GALLERY, end=NOW + HOUR))
    beginning = world(role(READ), assign("r1", GALLERY, start=NOW + HOUR))
    for _ in range(2):
        assert ask(ending, READ, VERSION).allowed
        assert not ask(ending, READ, VERSION, now=NOW + HOUR).allowed
        assert not ask(beginning, READ, VERSION).allowed
        assert ask(beginning, READ, VERSION, now=NOW + HOUR).allowed


def test_a_decision_does_not_outlive_its_revision():
    granted = world(role(READ), assign("r1", GALLERY))
    assert ask(granted, READ, VERSION).allowed
    name = ask(granted, READ, VERSION).assignment
    revoked = world(Removed(Kind.ROLE_ASSIGNMENT, name), base=granted, revision=2)
    assert not ask(revoked, READ, VERSION).allowed
    assert ask(granted, READ, VERSION).allowed
