"""Explain: how a decision comes about, less what its reader may not see."""

import uuid

import grpc
import pytest
from stoa.authz.v1 import (
    audit_record_pb2,
    audit_service_pb2,
    check_pb2,
    consistency_pb2,
    decision_pb2,
    role_assignment_service_pb2,
)
from stoa.authz.v1 import explanation_pb2 as pb

from services.kernel.ids import new_uid
from services.policy.builtin_roles import COMPUTE_GALLERY_IMAGE_READER, READER
from tests.wire.authz.consistency import demanding
from tests.wire.authz.installation import ROLES, refused
from tests.wire.authz.test_list_accessible import another_server, deny, share, subject
from tests.wire.authz.test_question_contexts import delegate

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"
WRITE = "Microsoft.Compute/galleries/write"
READ_IMAGE = "Microsoft.Compute/galleries/images/read"
ASSIGN = "Microsoft.Authorization/roleAssignments/write"
SHARED = "Microsoft.Compute/locations/sharedGalleries/read"
GRANTED = pb.ExplainedAssignment.STATE_GRANTED
NOT_GRANTED = pb.ExplainedAssignment.STATE_NOT_GRANTED
HIDDEN = pb.ExplainedAssignment.STATE_UNKNOWN_INFO_DENIED
CONDITIONAL = pb.ExplainedAssignment.STATE_UNKNOWN_CONDITIONAL


def reason(name):
    return decision_pb2.DecisionReason.Value(f"DECISION_REASON_{name}")


def explained(stubs, resource, action=READ, consistency=None, **more):
    item = decision_pb2.CheckItem(resource=resource, action=action, **more)
    return stubs.questions.Explain(pb.ExplainRequest(item=item, consistency=consistency))


def by_id(stubs, decision_id):
    return stubs.questions.Explain(pb.ExplainRequest(decision_id=decision_id))


def checked(stubs, resource, action=READ, **more):
    request = check_pb2.CheckRequest(resource=resource, action=action, **more)
    return stubs.questions.Check(request).decision


def test_the_whole_trace_is_shown_to_who_may_read_it(world):
    user, subscription = world.user(), world.subscription()
    inner = world.group(user)
    outer = world.group(inner)
    gallery = f"{subscription}/resourceGroups/Images/galleries/Golden"
    through = world.assign(outer, "Reader", subscription).name
    denial = deny(world, f"{subscription}/resourceGroups/Images", user, here=True).name
    found = explained(world.owner, gallery, subject=subject(user))
    assert found.decision.allowed
    assert found.decision.reason == reason("ROLE_ASSIGNMENT")
    assert found.subject == subject(user)
    assert (found.action, found.resource, found.plane) == (
        READ,
        gallery,
        decision_pb2.PLANE_CONTROL,
    )
    assert list(found.scopes) == [
        gallery,
        f"{subscription}/resourceGroups/Images",
        subscription,
        "tenants/default/managementGroups/default",
        "tenants/default",
        "/",
    ]
    (one,) = found.assignments
    assert (one.assignment, one.scope, one.principal) == (through, subscription, outer)
    assert (one.role, one.state, one.reason) == (
        ROLES["Reader"],
        GRANTED,
        reason("ROLE_ASSIGNMENT"),
    )
    assert (one.matched_action, one.matched_not_action) == ("*/read", "")
    assert [(group.group, list(group.path)) for group in found.groups] == [(outer, [inner])]
    (stopped,) = found.denials
    assert stopped.deny_assignment == denial
    assert stopped.state == pb.ExplainedDeny.STATE_NOT_AT_THIS_DEPTH
    assert stopped.matched_action == "*/read"
    assert not found.suggested_roles
    assert not found.HasField("sharing")


def test_a_denial_says_what_is_missing_and_what_to_ask_for(world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Reader", subscription)
    found = explained(world.called(user), subscription, WRITE)
    assert found.decision.reason == reason("ACTION_NOT_IN_ROLE")
    assert [(one.state, one.reason) for one in found.assignments] == [
        (NOT_GRANTED, reason("ACTION_NOT_IN_ROLE"))
    ]
    assert f"{ROLES['Contributor']}" in found.suggested_roles
    assert len(found.suggested_roles) <= 5
    deny(world, subscription, user)
    found = explained(world.owner, subscription, subject=subject(user))
    assert found.decision.reason == reason("DENY_ASSIGNMENT")
    assert [one.state for one in found.denials] == [pb.ExplainedDeny.STATE_DENIED]
    # No role would help.
    assert not found.suggested_roles


def test_what_a_reader_may_not_read_is_left_out_and_marked(world):
    user, other, subscription = world.user(), world.user(), world.subscription()
    group = world.group(user)
    # It may read images, and no assignments.
    world.assign(group, f"roleDefinitions/{COMPUTE_GALLERY_IMAGE_READER.id}", subscription)
    deny(world, f"{subscription}/resourceGroups/rg", user, here=True)
    image = f"{subscription}/resourceGroups/rg/galleries/golden/images/i"
    found = explained(world.called(user), image, READ_IMAGE)
    assert found.decision.allowed
    assert list(found.assignments) == [pb.ExplainedAssignment(state=HIDDEN)]
    assert list(found.denials) == [
        pb.ExplainedDeny(state=pb.ExplainedDeny.STATE_UNKNOWN_INFO_DENIED)
    ]
    assert not found.groups
    assert group not in str(found)
    # Who may read assignments in the resource group alone sees what lies there.
    world.assign(user, "Reader", f"{subscription}/resourceGroups/rg")
    world.assign(other, "Reader", f"{subscription}/resourceGroups/rg")
    found = explained(world.called(other), image, READ_IMAGE, subject=subject(user))
    assert [one.state for one in found.assignments] == [GRANTED, HIDDEN]
    assert [one.state for one in found.denials] == [pb.ExplainedDeny.STATE_NOT_AT_THIS_DEPTH]


def test_a_question_about_others_needs_the_right_to_read_assignments(world):
    user, other, subscription = world.user(), world.user(), world.subscription()
    with refused(Code.PERMISSION_DENIED):
        explained(world.called(user), subscription, subject=subject(other))
    world.assign(user, "Reader", subscription)
    assert not explained(world.called(user), subscription, subject=subject(other)).decision.allowed
    with refused(Code.UNAUTHENTICATED):
        explained(world.installation.nobody(), subscription)


def test_a_condition_that_needs_more_is_unknown(world):
    user, subscription = delegate(world)
    found = explained(world.owner, subscription, ASSIGN, subject=subject(user))
    (one,) = found.assignments
    assert (one.state, one.reason) == (CONDITIONAL, reason("CONDITION_FALSE"))
    assert READER.id in one.condition


@pytest.mark.parametrize("action", [READ, WRITE])
def test_a_denial_can_be_explained_by_its_id(world, action):
    user, subscription = world.user(), world.subscription()
    decision = checked(world.called(user), subscription, action)
    assert not decision.allowed
    # It is explained as it was, whatever was granted since.
    world.assign(user, "Contributor", subscription)
    found = by_id(world.called(user), decision.decision_id)
    assert found.decision == decision
    assert (found.action, found.resource) == (action, subscription)
    assert found.subject == subject(user)
    assert not found.assignments
    assert checked(world.called(user), subscription, action).allowed


def test_a_decision_is_its_subjects_and_that_of_who_may_read_assignments_there(world):
    user, other, subscription = world.user(), world.user(), world.subscription()
    decision_id = checked(world.called(user), subscription).decision_id
    with refused(Code.NOT_FOUND, "DECISION_NOT_FOUND") as refusal:
        by_id(world.called(other), decision_id)
    assert dict(refusal.info.metadata) == {"decision_id": decision_id}
    with refused(Code.NOT_FOUND, "DECISION_NOT_FOUND"):
        by_id(world.called(user), "none")
    world.assign(other, "Reader", subscription)
    assert by_id(world.called(other), decision_id).subject == subject(user)
    assert by_id(world.installation.service(), decision_id).subject == subject(user)


def test_strangers_do_not_see_each_others_decisions(world):
    installation = world.installation
    stranger, other = installation.user("stranger"), installation.user("another")
    decision_id = checked(stranger, "/").decision_id
    with refused(Code.NOT_FOUND, "DECISION_NOT_FOUND"):
        by_id(other, decision_id)


def test_a_conjunction_is_explained_by_the_item_that_decided_it(world):
    user, one, two = world.user(), world.subscription(), world.subscription()
    world.assign(user, "Contributor", one)
    items = [
        decision_pb2.CheckItem(action=WRITE, resource=one),
        decision_pb2.CheckItem(action=READ, resource=two),
    ]
    stubs = world.called(user)
    denied = stubs.questions.CheckAll(check_pb2.CheckAllRequest(items=items)).decision
    found = by_id(stubs, denied.decision_id)
    assert found.decision.reason == reason("LINKED_SOURCE_DENIED")
    assert (found.action, found.resource) == (READ, two)
    world.assign(user, "Reader", two)
    # An allowance of a mutation is kept too.
    allowed = stubs.questions.CheckAll(check_pb2.CheckAllRequest(items=items)).decision
    found = by_id(stubs, allowed.decision_id)
    assert found.decision.reason == reason("TARGET_AND_SOURCE")
    assert (found.action, found.resource) == (WRITE, one)


def told(world, user, decision, *, action=WRITE, **more):
    """A decision that the catalog made by its own replica."""
    decision_id = new_uid()
    record = audit_record_pb2.AuditRecord(
        caller=user,
        method="stoa.catalog.v1.GalleryService/CreateGallery",
        action=action,
        outcome=audit_record_pb2.AuditRecord.OUTCOME_DONE,
        decision_id=decision_id,
        revision=decision.revision,
        **more,
    )
    record.event_time.GetCurrentTime()
    world.installation.service().audit.AppendAuditRecords(
        audit_service_pb2.AppendAuditRecordsRequest(
            audit_records=[record], request_id=str(uuid.uuid4())
        )
    )
    return decision_id


def test_a_decision_that_a_service_told_the_audit_log_of_can_be_explained(world):
    robot, subscription = world.service_principal(), world.subscription()
    world.assign(robot, "Contributor", subscription)
    decision = checked(world.called(robot), subscription, WRITE)
    # A service knows the id in the token, and not what it is the id of.
    named = robot.replace("servicePrincipals", "users")
    for more in ({}, {"reason": reason("TARGET_AND_SOURCE")}):
        decision_id = told(world, named, decision, resource=subscription, **more)
        found = by_id(world.called(robot), decision_id)
        assert found.decision.allowed
        assert found.decision.decision_id == decision_id
        assert found.decision.reason == more.get("reason", reason("ROLE_ASSIGNMENT"))
        assert found.subject == subject(robot)
        assert [one.state for one in found.assignments] == [GRANTED]


def test_what_a_service_told_that_is_no_question_is_not_explained(world):
    user, subscription = world.user(), world.subscription()
    decision = checked(world.called(user), subscription)
    decision_id = told(
        world, user, decision, action="Microsoft.Nothing/read", resource=subscription
    )
    with refused(Code.NOT_FOUND, "DECISION_NOT_FOUND"):
        by_id(world.installation.service(), decision_id)


def test_an_exact_snapshot_shows_what_was_and_expires(world):
    user, subscription = world.user(), world.subscription()
    assigned = world.assign(user, "Reader", subscription)
    then = checked(world.called(user), subscription).evaluated_at
    world.owner.assignments.DeleteRoleAssignment(
        role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=assigned.name)
    )
    exact = consistency_pb2.Consistency(at_exact_snapshot=then)
    found = explained(world.called(user), subscription, consistency=exact)
    assert found.decision.allowed
    assert found.decision.evaluated_at == then
    assert not explained(world.called(user), subscription).decision.allowed
    with (
        another_server(world.installation, user) as later,
        refused(Code.OUT_OF_RANGE, "SNAPSHOT_EXPIRED") as refusal,
    ):
        explained(later, subscription, consistency=exact)
    assert refusal.info.metadata["oldest"]


@pytest.mark.parametrize("demand", ["at_least_as_fresh", "at_exact_snapshot"])
def test_a_consistency_token_is_one_of_this_installation(world, demand):
    with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
        explained(world.owner, "/", consistency=demanding(demand, "MTphYTo5OTox"))


@pytest.mark.parametrize(
    ("action", "resource", "expected", "field"),
    [
        ("*", "/", "WILDCARD_ACTION", "item.action"),
        ("Microsoft.Nothing/read", "/", "MALFORMED_ACTION", "item.action"),
        (READ, "subscriptions", "MALFORMED_RESOURCE", "item.resource"),
    ],
)
def test_a_malformed_question_is_not_explained(world, action, resource, expected, field):
    with refused(Code.INVALID_ARGUMENT, expected) as refusal:
        explained(world.owner, resource, action)
    assert list(refusal.fields) == [field]


def test_something_is_to_be_explained(world):
    with refused(Code.INVALID_ARGUMENT):
        world.owner.questions.Explain(pb.ExplainRequest())
    with refused(Code.INVALID_ARGUMENT):
        explained(world.owner, "/", plane=99)


def test_both_sides_of_a_view_are_shown(world):
    user, publisher, one = world.user(), world.subscription(), world.subscription()
    gallery = f"{publisher}/resourceGroups/rg/galleries/golden"
    shared = share(world, gallery, "ADD", subscriptions=[one])
    view = f"{one}/locations/eastus/sharedGalleries/{shared.shared_id}"
    # Who holds nothing there does not learn whether there is such a gallery.
    found = explained(world.called(user), view, SHARED)
    assert not found.sharing.consumer_allowed
    assert found.sharing.reason == reason("UNSPECIFIED")
    missing = explained(world.called(user), f"{view}x", SHARED)
    assert missing.sharing == found.sharing
    seen = explained(world.owner, view, SHARED, subject=subject(user))
    assert seen.sharing.reason == reason("SHARED_SUBSCRIPTION")
    world.assign(user, "Reader", one)
    found = explained(world.called(user), view, SHARED)
    assert found.sharing == pb.ExplainedSharing(
        subscription=one, consumer_allowed=True, reason=reason("SHARED_SUBSCRIPTION")
    )
    assert publisher not in str(found)
    assert found.decision.reason == reason("SHARED_SUBSCRIPTION")
