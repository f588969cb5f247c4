"""How scopes, groups, roles and denials make a decision (gallery-semantics 5.3), on the wire."""

from typing import Any, Final

import pytest
from stoa.authz.v1 import (
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    group_pb2,
    management_group_pb2,
    subscription_pb2,
)

from tests.wire.authz.installation import World
from tests.wire.authz.roles import GALLERY_READ, GALLERY_WRITE, allowed, create, permission, role

SHARE: Final = "Microsoft.Compute/galleries/share/action"
DELETE: Final = "Microsoft.Compute/galleries/delete"
VERSION_READ: Final = "Microsoft.Compute/galleries/images/versions/read"
BELOW: Final = "resourceGroups/rg/galleries/golden/images/linux/versions/1.0.0"


class Tree:
    """A management group over a subscription, and every scope down to a version."""

    def __init__(self, world: World) -> None:
        above = world.owner.directory.CreateManagementGroup(
            management_group_pb2.CreateManagementGroupRequest(
                parent="tenants/default",
                management_group_id=world.id("mg-"),
                management_group=management_group_pb2.ManagementGroup(
                    display_name="Above",
                    parent_management_group="tenants/default/managementGroups/default",
                ),
            )
        ).name
        self.subscription = world.owner.directory.CreateSubscription(
            subscription_pb2.CreateSubscriptionRequest(
                subscription_id=world.id("sub-"),
                subscription=subscription_pb2.Subscription(
                    display_name="S", tenant="tenants/default", parent_management_group=above
                ),
            )
        ).name
        steps = BELOW.split("/")
        self.scopes = [
            above,
            self.subscription,
            *("/".join([self.subscription, *steps[:end]]) for end in range(2, len(steps) + 1, 2)),
        ]
        self.version = self.scopes[-1]


@pytest.fixture
def tree(world: World) -> Tree:
    return Tree(world)


def deny(world: World, scope: str, *actions: str, minus: tuple[str, ...] = (), **more: Any) -> None:
    world.owner.denies.CreateDenyAssignment(
        deny_assignment_service_pb2.CreateDenyAssignmentRequest(
            parent=scope,
            deny_assignment=deny_assignment_pb2.DenyAssignment(
                display_name="No", permissions=[permission(*actions, minus=minus)], **more
            ),
        )
    )


@pytest.mark.parametrize("level", range(6))
def test_a_role_holds_from_its_scope_down_and_nowhere_above(
    world: World, tree: Tree, level: int
) -> None:
    user = world.user()
    world.assign(user, "Reader", tree.scopes[level])
    stubs = world.called(user)
    assert [allowed(stubs, scope, VERSION_READ) for scope in tree.scopes] == [
        at >= level for at in range(6)
    ]
    assert not allowed(stubs, world.subscription(), VERSION_READ)


@pytest.mark.parametrize("level", range(6))
def test_a_denial_holds_from_its_scope_down_whatever_is_granted_there(
    world: World, tree: Tree, level: int
) -> None:
    user = world.user()
    for scope in tree.scopes:
        world.assign(user, "Contributor", scope)
    deny(world, tree.scopes[level], VERSION_READ, principals=[user])
    stubs = world.called(user)
    assert [allowed(stubs, scope, VERSION_READ) for scope in tree.scopes] == [
        at < level for at in range(6)
    ]
    assert allowed(stubs, tree.version, GALLERY_READ)


def test_groups_are_members_of_groups_and_may_go_round(world: World, tree: Tree) -> None:
    user = world.user()
    inner = world.group(user)
    middle = world.group(inner)
    outer = world.group(middle)
    join(world, inner, outer)
    world.assign(outer, "Reader", tree.subscription)
    assert allowed(world.called(user), tree.version)
    deny(world, tree.version, "*", principals=[middle])
    assert not allowed(world.called(user), tree.version)


def join(world: World, group: str, member: str) -> None:
    world.owner.directory.AddGroupMembers(
        group_pb2.AddGroupMembersRequest(group=group, members=[member])
    )


def test_a_denial_means_its_actions_less_its_own_subtractions(world: World, tree: Tree) -> None:
    user = world.user()
    world.assign(user, "Owner", tree.subscription)
    deny(world, tree.subscription, "*", minus=("*/read",), principals=[user])
    stubs = world.called(user)
    assert allowed(stubs, tree.version, GALLERY_READ)
    assert not allowed(stubs, tree.version, GALLERY_WRITE)


def test_a_denial_for_everyone_spares_whom_it_excludes_and_their_groups(
    world: World, tree: Tree
) -> None:
    denied, spared, member = world.user(), world.user(), world.user()
    group = world.group(member)
    for user in (denied, spared, member):
        world.assign(user, "Owner", tree.subscription)
    excluded = [spared, group, "tenants/default/users/owner"]
    deny(world, tree.subscription, DELETE, everyone=True, exclude_principals=excluded)
    assert [
        allowed(world.called(user), tree.version, DELETE) for user in (denied, spared, member)
    ] == [False, True, True]


def test_a_denial_may_spare_what_is_below_its_scope(world: World, tree: Tree) -> None:
    user = world.user()
    world.assign(user, "Owner", tree.subscription)
    gallery = tree.scopes[3]
    deny(world, gallery, "*", principals=[user], do_not_apply_to_child_scopes=True)
    stubs = world.called(user)
    assert [allowed(stubs, scope) for scope in tree.scopes[1:]] == [True, True, False, True, True]


def test_what_one_role_subtracts_another_grants(world: World, tree: Tree) -> None:
    user = world.user()
    pair = [("*", SHARE), (SHARE, "")]
    for actions, minus in pair:
        what = permission(actions, minus=[minus] if minus else [])
        made = create(world.owner, role(world, tree.subscription, permissions=[what]))
        world.assign(user, made.name, tree.subscription)
        # The second role makes the difference: a subtraction is no denial.
        assert allowed(world.called(user), tree.version, SHARE) is (actions == SHARE)


def test_what_a_role_subtracts_is_subtracted_from_what_it_grants_alone(
    world: World, tree: Tree
) -> None:
    user = world.user()
    granted = permission("Microsoft.Compute/galleries/*", minus=["*/delete"])
    made = create(world.owner, role(world, tree.subscription, permissions=[granted]))
    world.assign(user, made.name, tree.subscription)
    stubs = world.called(user)
    assert allowed(stubs, tree.version, VERSION_READ)
    assert not allowed(stubs, tree.version, DELETE)
    assert not allowed(stubs, tree.version, "Microsoft.Compute/disks/read")


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("Microsoft.Compute/*", VERSION_READ, True),
        ("*/read", VERSION_READ, True),
        ("*/versions/*", VERSION_READ, True),
        ("microsoft.compute/GALLERIES/*/READ", VERSION_READ, True),
        ("Microsoft.Compute/galleries/*", GALLERY_READ, True),
        ("Microsoft.Compute/galleries/*/read", GALLERY_READ, False),
        ("Microsoft.Compute/galleries/read", VERSION_READ, False),
        ("Microsoft.Compute/galleries/*/write", VERSION_READ, False),
    ],
)
def test_a_star_stands_for_any_run_slashes_included_and_case_does_not_matter(
    world: World, tree: Tree, pattern: str, action: str, expected: bool
) -> None:
    user = world.user()
    made = create(world.owner, role(world, tree.subscription, actions=[pattern]))
    world.assign(user, made.name, tree.subscription)
    assert allowed(world.called(user), tree.version, action) is expected
    assert allowed(world.called(user), tree.version, action.upper()) is expected


def test_a_condition_voids_the_assignment_that_carries_it_and_no_other(
    world: World, tree: Tree
) -> None:
    user = world.user()
    world.assign(user, "Reader", tree.subscription)
    carrying = world.assignment(user, "Contributor", tree.subscription)
    carrying.role_assignment.condition = (
        "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] "
        "StringEquals 'images'"
    )
    carrying.role_assignment.condition_version = "2.0"
    world.owner.assignments.CreateRoleAssignment(carrying)
    stubs = world.called(user)
    assert allowed(stubs, tree.version, GALLERY_READ)
    assert not allowed(stubs, tree.version, GALLERY_WRITE)


def test_where_a_role_can_be_assigned_gives_nobody_access(world: World, tree: Tree) -> None:
    user, elsewhere = world.user(), world.subscription()
    made = create(world.owner, role(world, tree.subscription, elsewhere, actions=["*"]))
    world.assign(user, made.name, tree.subscription)
    stubs = world.called(user)
    assert allowed(stubs, tree.version, GALLERY_WRITE)
    assert not allowed(stubs, elsewhere, GALLERY_WRITE)


def test_who_was_given_nothing_may_do_nothing(world: World, tree: Tree) -> None:
    stubs = world.called(world.user())
    assert not any(allowed(stubs, scope, VERSION_READ) for scope in tree.scopes)
