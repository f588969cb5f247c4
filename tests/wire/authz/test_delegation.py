"""Roles of Azure's delegates: whom they may give which roles (authorization.md, case 80)."""

import grpc
import pytest
from stoa.authz.v1 import check_pb2, group_pb2, role_assignment_pb2
from stoa.authz.v1 import role_assignment_service_pb2 as pb

from services.policy.builtin_roles import BUILT_IN_ROLES
from tests.wire.authz.installation import ROLES, refused

Code = grpc.StatusCode
ID = {one.display_name: one.id for one in BUILT_IN_ROLES}
ADMIN = f"roleDefinitions/{ID['Role Based Access Control Administrator']}"
OF = "Microsoft.Authorization/roleAssignments"


def template(giving: str, taking: str = "") -> str:
    taking = taking or giving.replace("@Request", "@Resource")
    return (
        f"((!(ActionMatches{{'{OF}/write'}})) OR ({giving}))"
        f" AND ((!(ActionMatches{{'{OF}/delete'}})) OR ({taking}))"
    )


READER_TO_GROUPS = (
    f"@Request[{OF}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{ID['Reader']}}} AND "
    f"@Request[{OF}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'Group'}}"
)


@pytest.fixture
def subscription(world):
    return world.subscription()


def delegate(world, scope, condition):
    user = world.user()
    request = world.assignment(user, ADMIN, scope)
    request.role_assignment.condition = condition
    made = world.owner.assignments.CreateRoleAssignment(request)
    assert (made.condition, made.condition_version) == (condition, "2.0")
    return world.called(user)


def give(stubs, world, principal, role, scope, **more):
    return stubs.assignments.CreateRoleAssignment(world.assignment(principal, role, scope, **more))


def take(stubs, made):
    stubs.assignments.DeleteRoleAssignment(pb.DeleteRoleAssignmentRequest(name=made.name))


def test_case_80_a_delegate_gives_only_what_the_condition_says(world, subscription):
    stubs = delegate(world, subscription, template(READER_TO_GROUPS))
    group, user = world.group(), world.user()
    assert give(stubs, world, group, "Reader", subscription).principal == group
    for principal, role in ((group, "Contributor"), (user, "Reader"), (user, "Owner")):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            give(stubs, world, principal, role, subscription)
        assert dict(refusal.info.metadata) == {
            "permission": f"{OF}/write",
            "resource": subscription,
        }


def test_a_delegate_takes_back_only_what_the_condition_says(world, subscription):
    stubs = delegate(world, subscription, template(READER_TO_GROUPS))
    within = world.assign(world.group(), "Reader", subscription)
    for principal, role in ((world.group(), "Contributor"), (world.user(), "Reader")):
        outside = world.assign(principal, role, subscription)
        with refused(Code.PERMISSION_DENIED):
            take(stubs, outside)
    take(stubs, within)
    with refused(Code.PERMISSION_DENIED):
        take(stubs, within)


def test_nothing_is_checked_for_a_delegate_that_is_not_theirs(world, subscription):
    stubs = delegate(world, subscription, template(READER_TO_GROUPS))
    group, user = world.group(), world.user()
    with refused(Code.PERMISSION_DENIED):
        give(stubs, world, user, "Reader", subscription, validate_only=True)
    give(stubs, world, group, "Reader", subscription, validate_only=True)
    with refused(Code.PERMISSION_DENIED):
        give(stubs, world, group, "Reader", world.subscription())
    with refused(Code.INVALID_ARGUMENT) as refusal:
        give(stubs, world, "nobody", "reader", subscription)
    assert set(refusal.fields) == {"role_assignment.principal", "role_assignment.role_definition"}


def test_an_id_alone_is_one_of_the_tenant_of_the_scope(world, subscription):
    group = world.group()
    meant = group.rpartition("/")[2]
    condition = f"@Request[{OF}:PrincipalId] ForAnyOfAnyValues:GuidEquals {{{meant}, other}}"
    stubs = delegate(world, subscription, template(condition))
    give(stubs, world, group, "Contributor", subscription)
    with refused(Code.PERMISSION_DENIED):
        give(stubs, world, world.group(), "Contributor", subscription)


def test_excluded_roles_cannot_be_given(world, subscription):
    excluded = f"{ID['Owner']}, {ADMIN.rpartition('/')[2]}"
    stubs = delegate(
        world,
        subscription,
        template(f"@Request[{OF}:RoleDefinitionId] ForAnyOfAllValues:GuidNotEquals {{{excluded}}}"),
    )
    give(stubs, world, world.user(), "Contributor", subscription)
    for role in ("Owner", ADMIN):
        with refused(Code.PERMISSION_DENIED):
            give(stubs, world, world.user(), role, subscription)


def test_membership_of_a_group_with_roles_is_no_way_round(world, subscription):
    group, user = world.group(), world.user()
    world.assign(group, "Reader", subscription)
    name = world.user()
    world.assign(name, "Contributor", "tenants/default")
    stubs = world.called(name)
    request = world.assignment(name, ADMIN, subscription)
    request.role_assignment.condition = template(READER_TO_GROUPS)
    world.owner.assignments.CreateRoleAssignment(request)
    with refused(Code.PERMISSION_DENIED):
        stubs.directory.AddGroupMembers(
            group_pb2.AddGroupMembersRequest(group=group, members=[user])
        )


def test_the_other_actions_of_the_role_are_not_touched(world, subscription):
    stubs = delegate(world, subscription, template(READER_TO_GROUPS))
    listed = stubs.assignments.ListRoleAssignments(
        pb.ListRoleAssignmentsRequest(parent=subscription)
    )
    assert len(listed.role_assignments) == 1


def test_what_is_not_evaluated_voids_the_assignment_and_no_other(world, subscription):
    condition = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'x'"
    user = world.user()
    request = world.assignment(user, "Reader", subscription)
    request.role_assignment.condition = condition
    world.owner.assignments.CreateRoleAssignment(request)
    ask = check_pb2.CheckRequest(
        action="Microsoft.Compute/galleries/read", resource=f"{subscription}/resourceGroups/rg"
    )
    found = world.called(user).questions.Check(ask).decision
    assert not found.allowed
    assert found.reason == 8  # CONDITION_UNSUPPORTED
    world.assign(user, "Reader", f"{subscription}/resourceGroups/rg")
    assert world.called(user).questions.Check(ask).decision.allowed


@pytest.mark.parametrize(
    ("condition", "position"),
    [("nonsense", 8), ("a AND", 2), ("ActionMatches{'x'} OR ActionMatches{'y'} AND !(", 41)],
)
def test_a_condition_that_cannot_be_read_is_refused_where_it_is_wrong(
    world, subscription, condition, position
):
    request = world.assignment(world.user(), "Reader", subscription)
    request.role_assignment.condition = condition
    with refused(Code.INVALID_ARGUMENT, "CONDITION_INVALID") as refusal:
        world.owner.assignments.CreateRoleAssignment(request)
    assert refusal.fields == ["role_assignment.condition"]
    assert refusal.info.metadata["position"] == str(position)


def test_a_version_of_the_syntax_that_is_not_known_is_refused(world, subscription):
    request = pb.CreateRoleAssignmentRequest(
        parent=subscription,
        role_assignment=role_assignment_pb2.RoleAssignment(
            principal=world.user(),
            role_definition=ROLES["Reader"],
            condition="ActionMatches{'*'}",
            condition_version="1.0",
        ),
    )
    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.owner.assignments.CreateRoleAssignment(request)
    assert refusal.fields == ["role_assignment.condition_version"]
