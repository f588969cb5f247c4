import grpc
import pytest
from stoa.authz.v1 import check_pb2 as pb
from stoa.authz.v1 import (
    consistency_pb2,
    decision_pb2,
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    permission_pb2,
)

from tests.wire.authz.installation import refused

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"
WRITE = "Microsoft.Compute/galleries/write"


def subject(principal: str) -> decision_pb2.Subject:
    return decision_pb2.Subject(tenant="tenants/default", principal_id=principal.rpartition("/")[2])


def reason(name: str) -> int:
    return decision_pb2.DecisionReason.Value(f"DECISION_REASON_{name}")


def test_a_decision_carries_its_id_and_the_revision_it_was_made_at(world):
    request = pb.CheckRequest(action=READ, resource="subscriptions/default")
    decision = world.owner.questions.Check(request).decision
    assert decision.allowed
    assert decision.reason == reason("ROLE_ASSIGNMENT")
    assert len(decision.decision_id) == 32
    again = pb.CheckRequest(
        action=READ,
        resource="subscriptions/default",
        consistency=consistency_pb2.Consistency(at_exact_snapshot=decision.evaluated_at),
    )
    world.user()
    assert world.owner.questions.Check(again).decision.revision == decision.revision


def test_an_exact_snapshot_does_not_see_later_grants(world):
    user, subscription = world.user(), world.subscription()
    request = pb.CheckRequest(action=READ, resource=subscription)
    before = world.called(user).questions.Check(request).decision
    world.assign(user, "Reader", subscription)
    request.consistency.at_exact_snapshot = before.evaluated_at
    assert not world.called(user).questions.Check(request).decision.allowed
    request.consistency.at_least_as_fresh = before.evaluated_at
    assert world.called(user).questions.Check(request).decision.allowed


@pytest.mark.parametrize("token", ["nonsense", "MTphYTo5OTox", "MTphYToxOjE"])
def test_a_token_that_stands_for_nothing_is_refused(world, token):
    request = pb.CheckRequest(action=READ, resource="/")
    request.consistency.at_least_as_fresh = token
    with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
        world.owner.questions.Check(request)


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("Microsoft.Compute/*", "/", "WILDCARD_ACTION"),
        ("Microsoft.Nothing/read", "/", "MALFORMED_ACTION"),
        (READ, "subscriptions//x", "MALFORMED_RESOURCE"),
        (READ, "subscriptions", "MALFORMED_RESOURCE"),
    ],
)
def test_a_malformed_question_is_no_denial(world, action, resource, expected):
    with refused(Code.INVALID_ARGUMENT, expected):
        world.owner.questions.Check(pb.CheckRequest(action=action, resource=resource))
    batch = pb.BatchCheckRequest(items=[decision_pb2.CheckItem(action=action, resource=resource)])
    if expected != "MALFORMED_RESOURCE":
        decision = world.owner.questions.BatchCheck(batch).results[0].decision
        assert not decision.allowed
        assert decision.reason == reason(expected)


def test_one_malformed_item_of_a_batch_does_not_fail_the_others(world):
    items = [
        decision_pb2.CheckItem(correlation_id="a", action=READ, resource="subscriptions/x"),
        decision_pb2.CheckItem(correlation_id="b", action="*", resource="/"),
        decision_pb2.CheckItem(correlation_id="c", action=READ, resource="//"),
    ]
    answer = world.owner.questions.BatchCheck(pb.BatchCheckRequest(items=items))
    assert [one.correlation_id for one in answer.results] == ["a", "b", "c"]
    assert [one.decision.reason for one in answer.results] == [
        reason("ACTION_NOT_IN_ROLE"),
        reason("WILDCARD_ACTION"),
        reason("MALFORMED_RESOURCE"),
    ]
    assert {one.decision.evaluated_at for one in answer.results} == {answer.evaluated_at}


def test_a_question_about_others_needs_the_right_to_read_assignments(world):
    user, other, subscription = world.user(), world.user(), world.subscription()
    request = pb.CheckRequest(action=READ, resource=subscription, subject=subject(other))
    with refused(Code.PERMISSION_DENIED) as refusal:
        world.called(user).questions.Check(request)
    assert refusal.info.metadata["permission"] == "Microsoft.Authorization/roleAssignments/read"
    world.assign(user, "Reader", subscription)
    assert not world.called(user).questions.Check(request).decision.allowed
    own = pb.CheckRequest(action=READ, resource="subscriptions/x", subject=subject(user))
    assert not world.called(user).questions.Check(own).decision.allowed


def test_a_service_asks_about_anyone_and_must_say_about_whom(authz, world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Reader", subscription)
    request = pb.CheckRequest(action=READ, resource=subscription, subject=subject(user))
    assert authz.service().questions.Check(request).decision.allowed
    request.ClearField("subject")
    with refused(Code.INVALID_ARGUMENT) as refusal:
        authz.service().questions.Check(request)
    assert list(refusal.fields) == ["subject"]
    unknown = pb.CheckRequest(action=READ, resource=subscription, subject=subject("x/y/nobody"))
    assert not authz.service().questions.Check(unknown).decision.allowed


def test_a_conjunction_names_the_first_item_that_fails(authz, world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Reader", subscription)
    items = [
        decision_pb2.CheckItem(correlation_id="target", action=READ, resource=subscription),
        decision_pb2.CheckItem(correlation_id="source", action=WRITE, resource=subscription),
    ]
    request = pb.CheckAllRequest(subject=subject(user), items=items)
    answer = authz.service().questions.CheckAll(request)
    assert not answer.decision.allowed
    assert answer.decision.reason == reason("LINKED_SOURCE_DENIED")
    assert (answer.failed_item, answer.failed_correlation_id) == (1, "source")
    assert answer.failed_reason == reason("ACTION_NOT_IN_ROLE")
    world.assign(user, "Contributor", subscription)
    answer = authz.service().questions.CheckAll(request)
    assert answer.decision.allowed
    assert answer.decision.reason == reason("TARGET_AND_SOURCE")
    assert not answer.HasField("failed_item")


def test_correlation_ids_are_unique(world):
    items = [decision_pb2.CheckItem(correlation_id="a", action=READ, resource="/")] * 2
    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.owner.questions.CheckAll(pb.CheckAllRequest(items=items))
    assert list(refusal.fields) == ["items[1].correlation_id"]


def test_actions_are_tested_in_the_order_and_spelling_sent(world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Reader", subscription)
    actions = [WRITE, READ.upper(), "Microsoft.Compute/images/read"]
    request = pb.TestActionsRequest(resource=subscription, actions=actions)
    assert list(world.called(user).questions.TestActions(request).allowed_actions) == actions[1:]


def test_a_deny_wins_over_every_role_until_it_is_deleted(world):
    user, subscription = world.user(), world.subscription()
    world.assign(world.group(user), "Owner", subscription)
    check = pb.CheckRequest(action=WRITE, resource=f"{subscription}/resourceGroups/rg")
    assert world.called(user).questions.Check(check).decision.allowed
    deny = world.owner.denies.CreateDenyAssignment(
        deny_assignment_service_pb2.CreateDenyAssignmentRequest(
            parent=subscription,
            deny_assignment=deny_assignment_pb2.DenyAssignment(
                display_name="No writing",
                permissions=[permission_pb2.Permission(actions=["*/write"])],
                everyone=True,
                exclude_principals=["tenants/default/users/owner"],
            ),
            wait_for_replicas=True,
        )
    )
    assert world.called(user).questions.Check(check).decision.reason == reason("DENY_ASSIGNMENT")
    owner = world.owner.questions.Check(check).decision
    assert owner.allowed
    listed = world.owner.denies.ListDenyAssignments(
        deny_assignment_service_pb2.ListDenyAssignmentsRequest(
            parent=subscription, filter='exclude_principals:"tenants/default/users/owner"'
        )
    )
    assert list(listed.deny_assignments) == [deny]
    world.owner.denies.DeleteDenyAssignment(
        deny_assignment_service_pb2.DeleteDenyAssignmentRequest(name=deny.name, etag=deny.etag)
    )
    assert world.called(user).questions.Check(check).decision.allowed


def test_a_deny_for_everyone_leaves_somebody_out(world):
    with refused(Code.INVALID_ARGUMENT):
        world.owner.denies.CreateDenyAssignment(
            deny_assignment_service_pb2.CreateDenyAssignmentRequest(
                parent=world.subscription(),
                deny_assignment=deny_assignment_pb2.DenyAssignment(
                    display_name="All",
                    permissions=[permission_pb2.Permission(actions=["*"])],
                    everyone=True,
                ),
            )
        )
