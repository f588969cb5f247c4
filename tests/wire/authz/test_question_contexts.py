"""Questions about what a condition looks at, and about views."""

import grpc
from google.protobuf.struct_pb2 import Struct
from stoa.authz.v1 import access_pb2, check_pb2, decision_pb2

from services.policy.builtin_roles import CONTRIBUTOR, READER
from tests.wire.authz.installation import refused
from tests.wire.authz.test_list_accessible import share, subject

Code = grpc.StatusCode
WRITE = "Microsoft.Authorization/roleAssignments/write"
ROLE = "Microsoft.Authorization/roleAssignments:RoleDefinitionId"
RBAC = "roleDefinitions/f58310d9-a9f6-439a-9e8d-f62e7b41a168"
SHARED = "Microsoft.Compute/locations/sharedGalleries/read"


def context(role):
    found = Struct()
    found.update({ROLE: role, "something else": 7})
    return found


def delegate(world):
    user, subscription = world.user(), world.subscription()
    request = world.assignment(user, RBAC, subscription)
    request.role_assignment.condition = (
        f"((!(ActionMatches{{'{WRITE}'}})) OR "
        f"(@Request[{ROLE}] ForAnyOfAnyValues:GuidEquals {{{READER.id}}}))"
    )
    request.role_assignment.condition_version = "2.0"
    world.owner.assignments.CreateRoleAssignment(request)
    return user, subscription


def test_a_condition_looks_at_the_context_of_the_question(world):
    user, subscription = delegate(world)
    questions = world.called(user).questions
    about = {"action": WRITE, "resource": subscription}
    for asked, allowed in (
        (context(READER.id), True),
        (context(CONTRIBUTOR.id), False),
        (Struct(), False),
    ):
        check = check_pb2.CheckRequest(**about, context=asked)
        assert questions.Check(check).decision.allowed is allowed
        items = [decision_pb2.CheckItem(**about, context=asked)]
        batch = check_pb2.BatchCheckRequest(items=items)
        assert questions.BatchCheck(batch).results[0].decision.allowed is allowed
        both = check_pb2.CheckAllRequest(items=items)
        assert questions.CheckAll(both).decision.allowed is allowed
        test = check_pb2.TestActionsRequest(resource=subscription, actions=[WRITE], context=asked)
        assert bool(questions.TestActions(test).allowed_actions) is allowed
        listing = access_pb2.ListAccessibleRequest(action=WRITE, context=asked)
        assert bool(questions.ListAccessible(listing).accessible_scopes) is allowed
        who = access_pb2.ListSubjectsRequest(**about, context=asked)
        found = world.owner.questions.ListSubjects(who).subject_accesses
        assert (user in {one.principal for one in found}) is allowed


def test_who_may_read_assignments_in_a_subscription_asks_about_its_views(world):
    reader, user, publisher, one = (
        world.user(),
        world.user(),
        world.subscription(),
        world.subscription(),
    )
    gallery = f"{publisher}/resourceGroups/rg/galleries/golden"
    shared = share(world, gallery, "ADD", subscriptions=[one])
    check = check_pb2.CheckRequest(
        action=SHARED,
        resource=f"{one}/locations/eastus/sharedGalleries/{shared.shared_id}",
        subject=subject(user),
    )
    with refused(Code.PERMISSION_DENIED):
        world.called(reader).questions.Check(check)
    world.assign(reader, "Reader", one)
    decision = world.called(reader).questions.Check(check).decision
    assert decision.reason == decision_pb2.DECISION_REASON_NO_MATCHING_GRANT
