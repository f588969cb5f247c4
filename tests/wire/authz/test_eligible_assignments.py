"""Roles that are taken when they are needed (authorization.md, case 92)."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf import field_mask_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import (
    audit_service_pb2,
    check_pb2,
    decision_pb2,
    eligible_assignment_pb2,
    group_pb2,
    permission_pb2,
    principal_pb2,
    role_definition_pb2,
    scope_service_pb2,
    subscription_pb2,
    user_pb2,
)
from stoa.authz.v1 import eligible_assignment_service_pb2 as pb
from stoa.authz.v1 import policy_feed_service_pb2 as feed_pb
from stoa.authz.v1 import role_definition_service_pb2 as roles

from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.convert import ChangeReader, transaction_from_pb
from services.policy.decision import Question
from services.policy.evaluation import evaluate
from services.policy.index import load_index
from tests.wire.authz.installation import ROLES, refused

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"
SEE = "Microsoft.Authorization/roleEligibilitySchedules/read"
MAKE = "Microsoft.Authorization/roleEligibilityScheduleRequests/write"
ID = {one.display_name: one.id for one in BUILT_IN_ROLES}
# A role that reads no assignments.
IMAGES = f"roleDefinitions/{ID['Compute Gallery Image Reader']}"
IMAGE_READ = "Microsoft.Compute/galleries/images/read"
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def subscription(world):
    return world.subscription()


def at(time):
    message = Timestamp()
    message.FromDatetime(time)
    return message


def creation(principal, scope, role="Reader", *, request=None, **fields):
    return pb.CreateEligibleAssignmentRequest(
        parent=scope,
        eligible_assignment=eligible_assignment_pb2.EligibleAssignment(
            principal=principal, role_definition=ROLES.get(role, role), **fields
        ),
        **(request or {}),
    )


def eligible(world, principal, scope, role="Reader", **fields):
    made = creation(principal, scope, role, **fields)
    return world.owner.eligible.CreateEligibleAssignment(made)


def activate(stubs, made, justification="an incident", **more):
    return stubs.eligible.ActivateEligibleAssignment(
        pb.ActivateEligibleAssignmentRequest(name=made.name, justification=justification, **more)
    )


def deactivate(stubs, made, **more):
    stubs.eligible.DeactivateEligibleAssignment(
        pb.DeactivateEligibleAssignmentRequest(name=made.name, **more)
    )


def read(stubs, made):
    return stubs.eligible.GetEligibleAssignment(pb.GetEligibleAssignmentRequest(name=made.name))


def decision(stubs, scope, action=READ):
    request = check_pb2.CheckRequest(action=action, resource=scope)
    found = stubs.questions.Check(request).decision
    return found.allowed, decision_pb2.DecisionReason.Name(found.reason)[16:]


def test_an_eligible_assignment_shows_what_was_asked_for_and_what_is_meant(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription, description="on call")
    assert made.name.startswith(f"{subscription}/eligibleAssignments/")
    assert (made.scope, made.principal) == (subscription, user)
    assert made.principal_type == principal_pb2.PRINCIPAL_TYPE_USER
    assert made.role_definition == ROLES["Reader"]
    assert made.description == "on call"
    assert made.max_activation_duration == Duration(seconds=8 * 3600)
    assert made.justification_required is True
    assert made.creator == "tenants/default/users/owner"
    assert made.create_time.ToDatetime(UTC) >= NOW
    assert len(made.uid) == 32
    assert made.etag
    assert not made.HasField("start_time")
    assert not made.HasField("end_time")
    assert read(world.owner, made) == made


def test_everything_that_can_be_said_is_kept(world, subscription):
    chosen = str(uuid.uuid4())
    made = eligible(
        world,
        world.group(),
        subscription,
        "Contributor",
        start_time=at(NOW - HOUR),
        end_time=at(NOW + HOUR),
        condition="ActionMatches{'*/read'}",
        max_activation_duration=Duration(seconds=300),
        justification_required=False,
        request={"eligible_assignment_id": chosen},
    )
    found = read(world.owner, made)
    assert found == made
    assert found.name == f"{subscription}/eligibleAssignments/{chosen}"
    assert found.principal_type == principal_pb2.PRINCIPAL_TYPE_GROUP
    assert (found.start_time, found.end_time) == (at(NOW - HOUR), at(NOW + HOUR))
    assert (found.condition, found.condition_version) == ("ActionMatches{'*/read'}", "2.0")
    assert found.max_activation_duration == Duration(seconds=300)
    assert found.justification_required is False


def test_case_92_activated_with_a_justification_then_deactivated_early(world, subscription):
    user = world.user()
    stubs = world.called(user)
    made = eligible(world, user, subscription)
    assert decision(stubs, subscription) == (False, "ELIGIBLE_NOT_ACTIVE")
    held = activate(stubs, made, "incident 7", duration=Duration(seconds=3600))
    assert held.principal == user
    assert held.end_time.ToDatetime() - held.start_time.ToDatetime() == HOUR
    assert held.justification == "incident 7"
    assert decision(stubs, subscription) == (True, "ROLE_ASSIGNMENT")
    assert list(read(stubs, made).activations) == [held]
    deactivate(stubs, made, wait_for_replicas=True)
    assert decision(stubs, subscription) == (False, "ELIGIBLE_NOT_ACTIVE")
    assert not read(stubs, made).activations


def test_each_member_of_a_group_activates_for_themselves_alone(world, subscription):
    ann, bob = world.user(), world.user()
    made = eligible(world, world.group(world.group(ann, bob)), subscription, IMAGES)
    held = activate(world.called(ann), made)
    assert held.principal == ann
    assert decision(world.called(ann), subscription, IMAGE_READ)[0]
    not_yet = (False, "ELIGIBLE_NOT_ACTIVE")
    assert decision(world.called(bob), subscription, IMAGE_READ) == not_yet
    activate(world.called(bob), made)
    seen = read(world.owner, made)
    assert [one.principal for one in seen.activations] == sorted([ann, bob])
    assert [one.principal for one in read(world.called(ann), made).activations] == [ann]
    assert [one.principal for one in read(world.called(bob), made).activations] == [bob]


def test_who_leaves_the_group_has_nothing_and_can_still_give_it_back(world, subscription):
    user = world.user()
    group = world.group(user)
    made = eligible(world, group, subscription)
    stubs = world.called(user)
    activate(stubs, made)
    world.owner.directory.RemoveGroupMembers(
        group_pb2.RemoveGroupMembersRequest(group=group, members=[user])
    )
    assert not decision(stubs, subscription)[0]
    with refused(Code.PERMISSION_DENIED):
        read(stubs, made)
    deactivate(stubs, made)
    with refused(Code.PERMISSION_DENIED):
        deactivate(stubs, made)
    assert not read(world.owner, made).activations


def test_an_activation_lasts_as_long_as_it_may_where_nothing_is_said(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription, max_activation_duration=Duration(seconds=600))
    held = activate(world.called(user), made)
    assert held.end_time.seconds - held.start_time.seconds == 600


def test_an_activation_ends_with_the_eligibility(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription, end_time=at(NOW + HOUR))
    assert activate(world.called(user), made).end_time == at(NOW + HOUR)


def test_deleting_ends_the_activations(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    activate(world.called(user), made)
    _, call = world.owner.eligible.DeleteEligibleAssignment.with_call(
        pb.DeleteEligibleAssignmentRequest(name=made.name, wait_for_replicas=True)
    )
    assert dict(call.trailing_metadata())["x-consistency-token"]
    assert decision(world.called(user), subscription) == (False, "NO_MATCHING_GRANT")
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        read(world.owner, made)


def test_a_condition_counts_while_the_assignment_is_active(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription, "Contributor", condition="ActionMatches{'*/read'}")
    stubs = world.called(user)
    activate(stubs, made)
    assert decision(stubs, subscription)[0]
    writing = decision(stubs, subscription, "Microsoft.Compute/galleries/write")
    assert writing == (False, "CONDITION_FALSE")


# What stands in the way of an activation.


@pytest.mark.parametrize(
    ("start", "end"), [(NOW + HOUR, None), (NOW - HOUR, NOW - timedelta(minutes=1))]
)
def test_eligibility_that_has_not_begun_or_has_ended(world, subscription, start, end):
    user = world.user()
    window = {"start_time": at(start)} | ({"end_time": at(end)} if end else {})
    made = eligible(world, user, subscription, **window)
    with refused(Code.FAILED_PRECONDITION, "ELIGIBILITY_NOT_IN_FORCE") as refusal:
        activate(world.called(user), made)
    assert refusal.info.metadata["eligible_assignment"] == made.name
    assert refusal.info.metadata["start_time"] == made.start_time.ToJsonString()
    expected = made.end_time.ToJsonString() if end else ""
    assert refusal.info.metadata["end_time"] == expected
    reason = "EXPIRED" if end else "NOT_YET_ACTIVE"
    assert decision(world.called(user), subscription) == (False, reason)


def test_an_activation_that_is_in_force(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    held = activate(world.called(user), made)
    with refused(Code.FAILED_PRECONDITION, "ACTIVATION_IN_FORCE") as refusal:
        activate(world.called(user), made)
    assert dict(refusal.info.metadata) == {
        "eligible_assignment": made.name,
        "end_time": held.end_time.ToJsonString(),
    }


def test_an_activation_that_is_too_long_and_one_that_is_not(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription, max_activation_duration=Duration(seconds=600))
    with refused(Code.FAILED_PRECONDITION, "ACTIVATION_TOO_LONG") as refusal:
        activate(world.called(user), made, duration=Duration(seconds=600, nanos=1000))
    assert dict(refusal.info.metadata) == {
        "eligible_assignment": made.name,
        "max_activation_duration": "600s",
    }
    activate(world.called(user), made, duration=Duration(seconds=600))


@pytest.mark.parametrize("justification", ["", "   "])
def test_a_justification_that_is_missing(world, subscription, justification):
    user = world.user()
    made = eligible(world, user, subscription)
    with refused(Code.FAILED_PRECONDITION, "JUSTIFICATION_REQUIRED") as refusal:
        activate(world.called(user), made, justification)
    assert dict(refusal.info.metadata) == {"eligible_assignment": made.name}
    free = eligible(world, user, subscription, "Contributor", justification_required=False)
    activate(world.called(user), free, justification)


def test_everything_that_stands_in_the_way_is_told_at_once(world, subscription):
    user = world.user()
    made = eligible(
        world,
        user,
        subscription,
        start_time=at(NOW + HOUR),
        max_activation_duration=Duration(seconds=600),
    )
    with refused(Code.FAILED_PRECONDITION, "PRECONDITION_FAILED") as refusal:
        activate(world.called(user), made, "", duration=Duration(seconds=700))
    assert refusal.preconditions == [
        "ELIGIBILITY_NOT_IN_FORCE",
        "ACTIVATION_TOO_LONG",
        "JUSTIFICATION_REQUIRED",
    ]


@pytest.mark.parametrize("seconds", [299, 86_401])
def test_a_duration_that_no_assignment_allows(world, subscription, seconds):
    user = world.user()
    made = eligible(world, user, subscription)
    with refused(Code.INVALID_ARGUMENT) as refusal:
        activate(world.called(user), made, duration=Duration(seconds=seconds))
    assert refusal.fields == ["duration"]
    with refused(Code.INVALID_ARGUMENT) as refusal:
        eligible(world, user, subscription, max_activation_duration=Duration(seconds=seconds))
    assert refusal.fields == ["eligible_assignment.max_activation_duration"]


def test_nothing_to_give_back(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    with refused(Code.FAILED_PRECONDITION, "NOT_ACTIVATED") as refusal:
        deactivate(world.called(user), made)
    assert refusal.info.metadata["eligible_assignment"] == made.name
    assert refusal.info.metadata["principal"] == user
    other = world.user()
    with refused(Code.FAILED_PRECONDITION, "NOT_ACTIVATED") as refusal:
        deactivate(world.owner, made, principal=other)
    assert refusal.info.metadata["principal"] == other


# Whose it is.


def test_nobody_else_can_activate_it_and_who_may_not_read_it_learns_nothing(world, subscription):
    made = eligible(world, world.user(), subscription)
    stranger = world.called(world.user())
    there_is_none = f"{subscription}/eligibleAssignments/{uuid.uuid4()}"
    for method in ("Get", "Activate", "Deactivate"):
        told = []
        for name in (made.name, there_is_none):
            with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
                call = getattr(stranger.eligible, f"{method}EligibleAssignment")
                call(getattr(pb, f"{method}EligibleAssignmentRequest")(name=name))
            told.append((refusal.info.metadata["permission"], refusal.info.metadata["resource"]))
        assert told == [(SEE, made.name), (SEE, there_is_none)]
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        activate(world.owner, made)
    for call in (activate, deactivate, read):
        with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            call(world.owner, eligible_assignment_pb2.EligibleAssignment(name=there_is_none))


def test_the_activation_of_another_is_ended_by_who_may_make_such_assignments(world, subscription):
    user, helper = world.user(), world.user()
    made = eligible(world, user, subscription)
    activate(world.called(user), made)
    world.assign(helper, "Reader", subscription)
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
        deactivate(world.called(helper), made, principal=user)
    assert refusal.info.metadata["permission"] == MAKE
    deactivate(world.owner, made, principal=user.replace("users", "USERS"))
    assert not decision(world.called(user), subscription)[0]
    with refused(Code.INVALID_ARGUMENT) as invalid:
        deactivate(world.owner, made, principal="somebody")
    assert invalid.fields == ["principal"]


def test_making_and_deleting_need_the_right_at_the_scope(world, subscription):
    user = world.user()
    world.assign(user, "Contributor", subscription)
    made = eligible(world, user, subscription)
    stubs = world.called(user)
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
        stubs.eligible.CreateEligibleAssignment(creation(user, subscription, "Owner"))
    assert dict(refusal.info.metadata) == {"permission": MAKE, "resource": subscription}
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
        stubs.eligible.DeleteEligibleAssignment(pb.DeleteEligibleAssignmentRequest(name=made.name))
    assert dict(refusal.info.metadata) == {"permission": MAKE, "resource": made.name}


def test_a_delegate_makes_eligible_only_for_what_the_condition_says(world, subscription):
    of = "Microsoft.Authorization/roleAssignments"
    only = f"@Request[{of}:RoleDefinitionId] GuidEquals {ID['Reader']}"
    condition = (
        f"((!(ActionMatches{{'{of}/write'}})) OR ({only})) AND "
        f"((!(ActionMatches{{'{of}/delete'}})) OR ({only.replace('@Request', '@Resource')}))"
    )
    delegate = world.user()
    request = world.assignment(
        delegate, f"roleDefinitions/{ID['User Access Administrator']}", subscription
    )
    request.role_assignment.condition = condition
    world.owner.assignments.CreateRoleAssignment(request)
    stubs, user = world.called(delegate), world.user()
    made = stubs.eligible.CreateEligibleAssignment(creation(user, subscription))
    with refused(Code.PERMISSION_DENIED):
        stubs.eligible.CreateEligibleAssignment(creation(user, subscription, "Contributor"))
    other = eligible(world, user, subscription, "Contributor")
    activate(world.called(user), other)
    with refused(Code.PERMISSION_DENIED):
        deactivate(stubs, other, principal=user)
    with refused(Code.PERMISSION_DENIED):
        stubs.eligible.DeleteEligibleAssignment(pb.DeleteEligibleAssignmentRequest(name=other.name))
    stubs.eligible.DeleteEligibleAssignment(pb.DeleteEligibleAssignmentRequest(name=made.name))


# Making them.


def test_the_same_principal_role_and_scope_are_joined_once(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    with refused(Code.ALREADY_EXISTS, "ROLE_ASSIGNMENT_EXISTS") as refusal:
        eligible(world, user, subscription)
    assert refusal.info.metadata["assignment"] == made.name
    # Holding the role and being eligible for it are two things.
    world.assign(user, "Reader", subscription)


def test_an_id_is_taken_once(world, subscription):
    chosen = {"eligible_assignment_id": str(uuid.uuid4())}
    eligible(world, world.user(), subscription, request=chosen)
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        eligible(world, world.user(), subscription, request=chosen)


def test_what_it_names_must_be_there(world, subscription):
    user = world.user()
    with refused(Code.NOT_FOUND, "PRINCIPAL_NOT_FOUND"):
        eligible(world, "tenants/default/users/unknown", subscription)
    with refused(Code.NOT_FOUND, "ROLE_DEFINITION_NOT_FOUND"):
        eligible(world, user, subscription, f"roleDefinitions/{uuid.uuid4()}")
    administrator = world.user()
    world.assign(administrator, f"roleDefinitions/{ID['User Access Administrator']}", "/")
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        world.called(administrator).eligible.CreateEligibleAssignment(
            creation(user, "subscriptions/unknown")
        )


def test_roles_are_made_eligible_where_they_can_be_assigned(world, subscription):
    other = world.subscription()
    role = world.owner.roles.CreateRoleDefinition(
        roles.CreateRoleDefinitionRequest(
            role_definition=role_definition_pb2.RoleDefinition(
                role_name=world.id("role "),
                permissions=[permission_pb2.Permission(actions=["*/read"])],
                assignable_scopes=[other],
            )
        )
    )
    with refused(Code.FAILED_PRECONDITION, "ROLE_NOT_ASSIGNABLE"):
        eligible(world, world.user(), subscription, role.name)
    eligible(world, world.user(), other, role.name)


def test_roles_with_data_actions_are_not_made_eligible_above_subscriptions(world):
    role = world.owner.roles.CreateRoleDefinition(
        roles.CreateRoleDefinitionRequest(
            role_definition=role_definition_pb2.RoleDefinition(
                role_name=world.id("role "),
                permissions=[permission_pb2.Permission(data_actions=["*"])],
                assignable_scopes=["tenants/default/managementGroups/default"],
            )
        )
    )
    with refused(Code.FAILED_PRECONDITION, "DATA_ACTIONS_AT_MANAGEMENT_GROUP"):
        eligible(world, world.user(), "tenants/default/managementGroups/default", role.name)


def test_every_wrong_field_is_told_at_once(world, subscription):
    with refused(Code.INVALID_ARGUMENT) as refusal:
        eligible(
            world,
            "bob",
            subscription,
            "reader",
            start_time=at(NOW),
            end_time=at(NOW),
            condition="nonsense",
            request={"eligible_assignment_id": "x", "request_id": "y"},
        )
    assert set(refusal.fields) == {
        "eligible_assignment_id",
        "request_id",
        "eligible_assignment",
        "eligible_assignment.principal",
        "eligible_assignment.role_definition",
        "eligible_assignment.condition",
    }
    with refused(Code.INVALID_ARGUMENT, "CONDITION_INVALID") as refusal:
        eligible(world, world.user(), subscription, condition="nonsense")
    assert refusal.info.metadata["position"] == "8"
    with refused(Code.INVALID_ARGUMENT):
        eligible(world, world.user(), "")


def test_validate_only_checks_everything_and_keeps_nothing(world, subscription):
    made = eligible(world, world.user(), subscription, request={"validate_only": True})
    with refused(Code.NOT_FOUND):
        read(world.owner, made)


def test_a_request_id_that_comes_again_gets_the_first_reply(world, subscription):
    user = world.user()
    stubs = world.called(user)
    request = creation(user, subscription, request={"request_id": str(uuid.uuid4())})
    made = world.owner.eligible.CreateEligibleAssignment(request)
    assert world.owner.eligible.CreateEligibleAssignment(request) == made
    request.eligible_assignment.description = "another"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        world.owner.eligible.CreateEligibleAssignment(request)
    once = {"request_id": str(uuid.uuid4())}
    assert activate(stubs, made, **once) == activate(stubs, made, **once)
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        activate(stubs, made, "another reason", **once)
    once = {"request_id": str(uuid.uuid4())}
    deactivate(stubs, made, **once)
    deactivate(stubs, made, **once)
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        deactivate(stubs, made, principal=user, **once)
    deletion = pb.DeleteEligibleAssignmentRequest(name=made.name, request_id=str(uuid.uuid4()))
    world.owner.eligible.DeleteEligibleAssignment(deletion)
    world.owner.eligible.DeleteEligibleAssignment(deletion)
    deletion.wait_for_replicas = True
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        world.owner.eligible.DeleteEligibleAssignment(deletion)


def test_a_stale_etag_is_refused_and_activations_make_etags_stale(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    activate(world.called(user), made)
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        world.owner.eligible.DeleteEligibleAssignment(
            pb.DeleteEligibleAssignmentRequest(name=made.name, etag=made.etag)
        )
    now = read(world.owner, made)
    world.owner.eligible.DeleteEligibleAssignment(
        pb.DeleteEligibleAssignmentRequest(name=made.name, etag=now.etag)
    )


# Lists.


def listed(stubs, parent, **more):
    request = pb.ListEligibleAssignmentsRequest(parent=parent, **more)
    return list(stubs.eligible.ListEligibleAssignments(request).eligible_assignments)


def test_a_list_shows_what_is_at_above_and_below(world, subscription):
    user = world.user()
    group = f"{subscription}/resourceGroups/rg"
    above = eligible(world, user, "tenants/default/managementGroups/default")
    here, below = eligible(world, user, subscription), eligible(world, user, group)

    def names(relation):
        return [one.name for one in listed(world.owner, subscription, relation=relation)]

    assert names(0) == names(1) == [here.name]
    assert {here.name, above.name} <= set(names(2))
    assert below.name not in names(2)
    assert names(3) == sorted([here.name, below.name], key=str.lower)
    across = {one.name for one in listed(world.owner, "subscriptions/-")}
    assert here.name in across
    assert below.name not in across
    with refused(Code.INVALID_ARGUMENT):
        listed(world.owner, "subscriptions/-", relation=3)
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        listed(world.owner, "subscriptions/unknown")


def test_who_may_not_read_them_lists_what_they_can_activate_themselves(world, subscription):
    ann, bob = world.user(), world.user()
    group = world.group(ann, bob)
    own, shared, _ = (eligible(world, one, subscription, IMAGES) for one in (ann, group, bob))
    activate(world.called(ann), shared)
    activate(world.called(bob), shared)
    for parent in (subscription, "subscriptions/-"):
        found = {one.name: one for one in listed(world.called(ann), parent)}
        assert set(found) == {own.name, shared.name}
        assert [one.principal for one in found[shared.name].activations] == [ann]
    # Whether there is such a subscription is not told.
    assert listed(world.called(ann), "subscriptions/unknown") == []
    everything = {one.name: one for one in listed(world.owner, subscription)}
    assert len(everything) == 3
    assert len(everything[shared.name].activations) == 2


def test_a_list_is_paged_filtered_and_its_tokens_are_bound(world, subscription):
    users = [world.user() for _ in range(3)]
    group = world.group(users[0])
    for one in (*users, group):
        eligible(world, one, subscription)
    found, token = [], ""
    while True:
        page = world.owner.eligible.ListEligibleAssignments(
            pb.ListEligibleAssignmentsRequest(
                parent=subscription, page_size=3, page_token=token, order_by="create_time desc"
            )
        )
        found += [one.principal for one in page.eligible_assignments]
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert found == [group, *reversed(users)]
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        listed(world.owner, subscription, page_token=token)

    def filtered(text):
        return {one.principal for one in listed(world.owner, subscription, filter=text)}

    assert filtered(f'principal = "{users[1]}"') == {users[1]}
    assert filtered("principal_type = GROUP") == {group}
    assert filtered(f'role_definition = "{ROLES["Reader"]}"') == {*users, group}
    assert filtered(f'role_definition = "{ROLES["Owner"]}"') == set()
    assert filtered(f'assigned_to = "{users[0]}"') == {users[0], group}
    with refused(Code.INVALID_ARGUMENT):
        filtered("justification_required = true")


# What it means elsewhere.


def test_audit_tells_who_took_which_role_and_why(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    activate(world.called(user), made, "incident 9")
    deactivate(world.owner, made, principal=user)
    records = world.owner.audit.ListAuditRecords(
        audit_service_pb2.ListAuditRecordsRequest(
            parent="tenants/default", filter=f'resource = "{made.name}"', order_by="event_time"
        )
    ).audit_records
    told = [
        (one.method.rpartition("/")[2], one.caller, one.action, dict(one.details))
        for one in records
    ]
    assert told == [
        ("ActivateEligibleAssignment", user, "", {"justification": "incident 9"}),
        ("DeactivateEligibleAssignment", "tenants/default/users/owner", MAKE, {"principal": user}),
    ]


def test_replicas_learn_of_an_activation_and_of_its_end(authz, world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    feed = authz.feed()
    *chunks, last = feed.Snapshot(feed_pb.SnapshotRequest())
    reader = ChangeReader(0)
    replica = load_index(
        last.end.epoch,
        last.end.revision,
        [two for one in chunks for change in one.chunk.changes for two in reader.read(change)],
    )
    watch = feed.Watch(feed_pb.WatchRequest(epoch=last.end.epoch, after_revision=last.end.revision))

    def outcome():
        question = Question(READ, subscription)
        return evaluate(replica, user, question, now=datetime.now(UTC)).reason.value

    found = [outcome()]
    held = activate(world.called(user), made)
    deactivate(world.called(user), made)
    told = (one.transaction for one in watch if one.HasField("transaction"))
    for transaction in itertools.islice(told, 2):
        replica = replica.apply(transaction_from_pb(transaction))
        found.append(outcome())
        for change in transaction.changes:
            record = change.put_eligible_assignment
            assert record.name == made.name
            assert "an incident" not in str(change)
    watch.cancel()
    assert found == ["ELIGIBLE_NOT_ACTIVE", "ROLE_ASSIGNMENT", "ELIGIBLE_NOT_ACTIVE"]
    assert held.principal == user


def test_a_subscription_is_listed_while_a_role_in_it_is_taken(world, subscription):
    user = world.user()
    made = eligible(world, user, f"{subscription}/resourceGroups/rg")
    stubs = world.called(user)

    def subscriptions():
        request = subscription_pb2.ListSubscriptionsRequest()
        return [one.name for one in stubs.directory.ListSubscriptions(request).subscriptions]

    assert subscriptions() == []
    activate(stubs, made)
    assert subscriptions() == [subscription]
    deactivate(stubs, made)
    assert subscriptions() == []


def test_eligibility_goes_with_its_resource(authz, world, subscription):
    group = f"{subscription}/resourceGroups/rg"
    made = eligible(world, world.user(), f"{group}/galleries/g")
    other = eligible(world, world.user(), subscription)
    authz.service().scopes.TombstoneScope(
        scope_service_pb2.TombstoneScopeRequest(
            scope=group, resource_uid=uuid.uuid4().hex, request_id=str(uuid.uuid4())
        )
    )
    with refused(Code.NOT_FOUND):
        read(world.owner, made)
    assert read(world.owner, other) == other


def test_eligibility_goes_with_its_principal(world, subscription):
    user = world.user()
    made = eligible(world, user, subscription)
    world.owner.directory.DeleteUser(user_pb2.DeleteUserRequest(name=user))
    with refused(Code.NOT_FOUND):
        read(world.owner, made)


def test_who_adds_members_must_be_able_to_give_what_the_group_is_eligible_for(world, subscription):
    helper, group = world.user(), world.group()
    eligible(world, group, subscription)
    world.assign(helper, "Contributor", "tenants/default")
    with refused(Code.PERMISSION_DENIED) as refusal:
        world.called(helper).directory.AddGroupMembers(
            group_pb2.AddGroupMembersRequest(group=group, members=[helper])
        )
    assert refusal.info.metadata["resource"] == subscription


def test_a_role_for_which_somebody_is_eligible_stays(world, subscription):
    role = world.owner.roles.CreateRoleDefinition(
        roles.CreateRoleDefinitionRequest(
            role_definition=role_definition_pb2.RoleDefinition(
                role_name=world.id("role "),
                permissions=[permission_pb2.Permission(actions=["*/read"])],
                assignable_scopes=["tenants/default", subscription],
            )
        )
    )
    made = eligible(world, world.user(), subscription, role.name)
    with refused(Code.FAILED_PRECONDITION, "ROLE_DEFINITION_IN_USE") as refusal:
        world.owner.roles.DeleteRoleDefinition(roles.DeleteRoleDefinitionRequest(name=role.name))
    assert refusal.info.metadata["assignment_count"] == "1"
    role.assignable_scopes[:] = [world.subscription()]
    with refused(Code.FAILED_PRECONDITION, "ASSIGNMENT_OUTSIDE_SCOPES"):
        world.owner.roles.UpdateRoleDefinition(
            roles.UpdateRoleDefinitionRequest(
                role_definition=role,
                update_mask=field_mask_pb2.FieldMask(paths=["assignable_scopes"]),
            )
        )
    world.owner.eligible.DeleteEligibleAssignment(
        pb.DeleteEligibleAssignmentRequest(name=made.name)
    )
    world.owner.roles.DeleteRoleDefinition(roles.DeleteRoleDefinitionRequest(name=role.name))


def test_without_a_token_nothing_is_answered(authz):
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        authz.nobody().eligible.GetEligibleAssignment(
            pb.GetEligibleAssignmentRequest(name="eligibleAssignments/x")
        )
