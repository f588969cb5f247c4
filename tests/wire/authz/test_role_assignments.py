import uuid

import grpc
from stoa.authz.v1 import check_pb2, group_pb2, user_pb2
from stoa.authz.v1 import role_assignment_service_pb2 as pb

from tests.wire.authz.installation import ROLES, refused

READ = "Microsoft.Compute/galleries/read"
Code = grpc.StatusCode


def allowed(stubs, scope, action=READ) -> bool:
    request = check_pb2.CheckRequest(action=action, resource=scope)
    return bool(stubs.questions.Check(request).decision.allowed)


def test_a_role_holds_at_its_scope_and_below_from_the_answer_on(world):
    user, subscription = world.user(), world.subscription()
    assert not allowed(world.called(user), subscription)
    made = world.assign(user, "Reader", f"{subscription}/resourceGroups/rg")
    assert made.scope == f"{subscription}/resourceGroups/rg"
    assert made.principal == user
    assert made.creator == "tenants/default/users/owner"
    assert allowed(world.called(user), f"{subscription}/resourceGroups/RG/galleries/g")
    assert not allowed(world.called(user), subscription)


def test_a_role_reaches_members_of_groups_in_groups(world):
    user, subscription = world.user(), world.subscription()
    outer = world.group(world.group(world.group(user)))
    world.assign(outer, "Reader", subscription)
    assert allowed(world.called(user), subscription)
    world.owner.directory.RemoveGroupMembers(
        group_pb2.RemoveGroupMembersRequest(
            group=outer,
            members=[
                one.member
                for one in world.owner.directory.ListGroupMembers(
                    group_pb2.ListGroupMembersRequest(group=outer)
                ).group_members
            ],
        )
    )
    assert not allowed(world.called(user), subscription)


def test_a_deleted_assignment_grants_nothing_from_the_answer_on(world):
    user, subscription = world.user(), world.subscription()
    made = world.assign(user, "Reader", subscription)
    _, call = world.owner.assignments.DeleteRoleAssignment.with_call(
        pb.DeleteRoleAssignmentRequest(name=made.name, etag=made.etag)
    )
    assert dict(call.trailing_metadata())["x-consistency-token"]
    assert not allowed(world.called(user), subscription)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.owner.assignments.GetRoleAssignment(pb.GetRoleAssignmentRequest(name=made.name))


def test_the_same_principal_role_and_scope_are_joined_once(world):
    user, subscription = world.user(), world.subscription()
    made = world.assign(user, "Reader", subscription)
    with refused(Code.ALREADY_EXISTS, "ROLE_ASSIGNMENT_EXISTS") as refusal:
        world.assign(
            user.upper().replace("TENANTS", "tenants").replace("USERS", "users"),
            "Reader",
            subscription,
        )
    assert refusal.info.metadata["assignment"] == made.name


def test_a_request_id_that_comes_again_gets_the_first_reply(world):
    user, subscription = world.user(), world.subscription()
    request = world.assignment(user, "Reader", subscription, request_id=str(uuid.uuid4()))
    first = world.owner.assignments.CreateRoleAssignment(request)
    assert world.owner.assignments.CreateRoleAssignment(request) == first
    request.role_assignment.description = "another"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        world.owner.assignments.CreateRoleAssignment(request)


def test_an_id_is_taken_once(world):
    chosen = str(uuid.uuid4())
    subscription = world.subscription()
    world.assign(world.user(), "Reader", subscription, role_assignment_id=chosen)
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        world.assign(world.user(), "Reader", subscription, role_assignment_id=chosen)


def test_what_an_assignment_names_must_be_there(world):
    user, subscription = world.user(), world.subscription()
    with refused(Code.NOT_FOUND, "PRINCIPAL_NOT_FOUND"):
        world.assign("tenants/default/users/unknown", "Reader", subscription)
    with refused(Code.NOT_FOUND, "ROLE_DEFINITION_NOT_FOUND"):
        world.assign(user, "roleDefinitions/00000000-0000-0000-0000-000000000001", subscription)
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        world.assign(user, "Reader", "subscriptions/unknown")


def test_every_wrong_field_is_told_at_once(world):
    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.assign("users/bob", "reader", "/", role_assignment_id="x", request_id="y")
    assert set(refusal.fields) == {
        "role_assignment_id",
        "request_id",
        "role_assignment.principal",
        "role_assignment.role_definition",
    }


def test_an_empty_parent_is_not_the_installation(world):
    with refused(Code.INVALID_ARGUMENT):
        world.assign(world.user(), "Reader", "")


def test_giving_a_role_needs_the_right_at_that_scope(world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Contributor", subscription)
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
        world.called(user).assignments.CreateRoleAssignment(
            world.assignment(user, "Owner", subscription)
        )
    assert dict(refusal.info.metadata) == {
        "permission": "Microsoft.Authorization/roleAssignments/write",
        "resource": subscription,
    }


def test_validate_only_checks_everything_and_keeps_nothing(world):
    user, subscription = world.user(), world.subscription()
    made = world.assign(user, "Reader", subscription, validate_only=True)
    assert made.principal == user
    assert not allowed(world.called(user), subscription)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.owner.assignments.GetRoleAssignment(pb.GetRoleAssignmentRequest(name=made.name))


def test_the_last_owner_of_a_subscription_stays(world):
    owner = [
        one
        for one in world.owner.assignments.ListRoleAssignments(
            pb.ListRoleAssignmentsRequest(parent="tenants/default")
        ).role_assignments
        if one.role_definition == ROLES["Owner"] and one.principal.endswith("/owner")
    ]
    with refused(Code.FAILED_PRECONDITION, "LAST_OWNER"):
        world.owner.assignments.DeleteRoleAssignment(
            pb.DeleteRoleAssignmentRequest(name=owner[0].name)
        )
    with refused(Code.FAILED_PRECONDITION, "LAST_OWNER"):
        world.owner.directory.DeleteUser(
            user_pb2.DeleteUserRequest(name="tenants/default/users/owner")
        )


def test_a_stale_etag_is_refused(world):
    made = world.assign(world.user(), "Reader", world.subscription())
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        world.owner.assignments.DeleteRoleAssignment(
            pb.DeleteRoleAssignmentRequest(name=made.name, etag='"other"')
        )


def test_a_list_shows_what_is_at_above_and_below(world):
    user, subscription = world.user(), world.subscription()
    at = world.assign(user, "Reader", subscription).name
    below = world.assign(user, "Reader", f"{subscription}/resourceGroups/rg").name

    def listed(relation) -> set[str]:
        request = pb.ListRoleAssignmentsRequest(parent=subscription, relation=relation)
        found = world.owner.assignments.ListRoleAssignments(request).role_assignments
        return {one.name for one in found}

    assert listed(0) == listed(1) == {at}
    assert at in listed(2)
    assert below not in listed(2)
    assert any(name.startswith("tenants/default/roleAssignments/") for name in listed(2))
    assert listed(3) == {at, below}


def test_a_list_is_paged_filtered_and_its_tokens_are_bound(world):
    subscription = world.subscription()
    users = [world.user() for _ in range(5)]
    group = world.group(users[0])
    made = {world.assign(one, "Reader", subscription).name for one in (*users, group)}
    found: list[str] = []
    token = ""
    while True:
        page = world.owner.assignments.ListRoleAssignments(
            pb.ListRoleAssignmentsRequest(parent=subscription, page_size=2, page_token=token)
        )
        assert len(page.role_assignments) <= 2
        found += [one.name for one in page.role_assignments]
        token = page.next_page_token
        if not token:
            break
        last = token
    assert len(found) == 6
    assert set(found) == made
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        world.owner.assignments.ListRoleAssignments(
            pb.ListRoleAssignmentsRequest(parent="subscriptions/default", page_token=last)
        )

    def filtered(text: str) -> set[str]:
        request = pb.ListRoleAssignmentsRequest(parent=subscription, filter=text)
        answer = world.owner.assignments.ListRoleAssignments(request)
        return {one.principal for one in answer.role_assignments}

    assert filtered(f'principal = "{users[1]}"') == {users[1]}
    assert filtered("principal_type = GROUP") == {group}
    assert filtered(f'assigned_to = "{users[0]}"') == {users[0], group}
    with refused(Code.INVALID_ARGUMENT):
        filtered("nonsense = 1")


def test_without_a_token_nothing_is_answered(authz):
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        authz.nobody().assignments.GetRoleAssignment(
            pb.GetRoleAssignmentRequest(name="roleAssignments/x")
        )
