"""ListSubjects: who may do something, and the grant that lets them."""

import grpc
import pytest
from stoa.authz.v1 import access_pb2 as pb
from stoa.authz.v1 import (
    check_pb2,
    consistency_pb2,
    decision_pb2,
    group_pb2,
)

from tests.wire.authz.consistency import demanding
from tests.wire.authz.installation import Installation, refused
from tests.wire.authz.test_list_accessible import another_server, deny, share

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"
SHARED = "Microsoft.Compute/locations/sharedGalleries/read"
ROLE_ASSIGNMENT = decision_pb2.DECISION_REASON_ROLE_ASSIGNMENT


@pytest.fixture(scope="module")
def authz(tmp_path_factory):
    """An installation of its own: what other tests hand out above subscriptions would be listed."""
    found = Installation(tmp_path_factory.mktemp("own"))
    yield found
    found.close()


def asking(resource, action=READ, **more):
    return pb.ListSubjectsRequest(resource=resource, action=action, **more)


def listed(stubs, *args, **more):
    """Every page."""
    request, found, at = asking(*args, **more), [], set()
    while True:
        answer = stubs.questions.ListSubjects(request)
        found += answer.subject_accesses
        at.add(answer.evaluated_at)
        if not answer.next_page_token:
            assert len(at) == 1
            return found
        assert len(answer.subject_accesses) == request.page_size
        request.page_token = answer.next_page_token


def below(world, found):
    """Those that hold something in the subscription itself; everybody's owner is above."""
    return [one for one in found if one.principal != "tenants/default/users/owner"]


def test_a_subject_is_listed_with_each_grant_that_lets_it_in(world):
    user, robot, subscription = world.user(), world.service_principal(), world.subscription()
    inner = world.group(user)
    outer = world.group(inner)
    group = f"{subscription}/resourceGroups/Images"
    own = world.assign(user, "Reader", group).name
    through = world.assign(outer, "Contributor", subscription).name
    robots = world.assign(robot, "Reader", subscription).name
    found = below(world, listed(world.owner, f"{group}/galleries/golden"))
    assert [(one.principal, list(one.via_groups), one.role_assignment) for one in found] == sorted(
        [(outer, [], through), (robot, [], robots), (user, [], own)]
    )
    assert {one.reason for one in found} == {ROLE_ASSIGNMENT}
    expanded = below(world, listed(world.owner, f"{group}/galleries/golden", expand_groups=True))
    assert [
        (one.principal, list(one.via_groups), one.role_assignment) for one in expanded
    ] == sorted([(robot, [], robots), (user, [], own), (user, [outer, inner], through)])
    write = below(world, listed(world.owner, group, "Microsoft.Compute/galleries/write"))
    assert [one.principal for one in write] == [outer]


def test_everybody_listed_may_and_everybody_else_may_not(world):
    users = [world.user() for _ in range(4)]
    subscription = world.subscription()
    world.assign(users[0], "Reader", subscription)
    world.assign(world.group(users[1], users[2]), "Reader", subscription)
    deny(world, subscription, users[2])
    named = {one.principal for one in listed(world.owner, subscription, expand_groups=True)}
    for user in users:
        check = check_pb2.CheckRequest(action=READ, resource=subscription)
        allowed = world.called(user).questions.Check(check).decision.allowed
        assert (user in named) is allowed
    assert users[1] in named
    assert users[2] not in named


def test_pages_are_of_one_revision(world):
    subscription = world.subscription()
    users = [world.user() for _ in range(3)]
    for user in users:
        world.assign(user, "Reader", subscription)
    request = asking(subscription, page_size=1)
    first = world.owner.questions.ListSubjects(request)
    world.assign(world.user(), "Reader", subscription)
    request.page_token, request.page_size = first.next_page_token, 100
    second = world.owner.questions.ListSubjects(request)
    pages = [*first.subject_accesses, *second.subject_accesses]
    assert [one.principal for one in below(world, pages)] == sorted(users)
    assert second.evaluated_at == first.evaluated_at
    assert len(below(world, listed(world.owner, subscription, page_size=2))) == 4


def test_a_list_whose_revision_is_no_longer_held_is_begun_again(world):
    subscription = world.subscription()
    world.assign(world.user(), "Reader", subscription)
    request = asking(subscription, page_size=1)
    request.page_token = world.owner.questions.ListSubjects(request).next_page_token
    world.user()
    with (
        another_server(world.installation, "tenants/default/users/owner") as later,
        refused(Code.ABORTED, "LIST_EXPIRED"),
    ):
        later.questions.ListSubjects(request)
    request.page_token += "A"
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        world.owner.questions.ListSubjects(request)


def test_the_question_needs_the_right_to_read_assignments_there(world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Reader", f"{subscription}/resourceGroups/rg")
    # Even though it is the caller alone who is let in there.
    with refused(Code.PERMISSION_DENIED):
        world.called(user).questions.ListSubjects(asking(subscription))
    found = listed(world.called(user), f"{subscription}/resourceGroups/rg")
    assert user in {one.principal for one in found}
    with refused(Code.UNAUTHENTICATED):
        world.installation.nobody().questions.ListSubjects(asking(subscription))
    service = world.installation.service()
    assert user not in {one.principal for one in listed(service, subscription)}


@pytest.mark.parametrize(
    ("resource", "action", "reason"),
    [
        ("/", "*", "WILDCARD_ACTION"),
        ("/", "Microsoft.Nothing/read", "MALFORMED_ACTION"),
        ("subscriptions", READ, "MALFORMED_RESOURCE"),
    ],
)
def test_a_malformed_question_has_no_list(world, resource, action, reason):
    with refused(Code.INVALID_ARGUMENT, reason):
        world.owner.questions.ListSubjects(asking(resource, action))


def test_a_consistency_token_is_one_of_this_installation(world):
    for demand in ("at_least_as_fresh", "at_exact_snapshot"):
        request = asking("/", consistency=demanding(demand, "nonsense"))
        with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
            world.owner.questions.ListSubjects(request)


def test_an_exact_snapshot_shows_who_could_then(world):
    subscription, group, user = world.subscription(), world.group(), world.user()
    world.assign(group, "Reader", subscription)
    before = world.owner.questions.ListSubjects(asking(subscription)).evaluated_at
    world.owner.directory.AddGroupMembers(
        group_pb2.AddGroupMembersRequest(group=group, members=[user])
    )
    then = consistency_pb2.Consistency(at_exact_snapshot=before)
    old = listed(world.owner, subscription, expand_groups=True, consistency=then)
    now = listed(world.owner, subscription, expand_groups=True)
    assert user not in {one.principal for one in old}
    assert user in {one.principal for one in now}


def test_a_view_lets_in_whoever_holds_the_action_in_the_subscription(world):
    publisher, one, two = (world.subscription() for _ in range(3))
    world.assign(world.user(), "Reader", one)
    gallery = f"{publisher}/resourceGroups/rg/galleries/golden"
    shared = share(world, gallery, "ADD", subscriptions=[one])
    view = f"locations/eastus/sharedGalleries/{shared.shared_id}"
    (found,) = listed(world.owner, f"{one}/{view}", SHARED)
    assert found.subscription == one
    assert found.reason == decision_pb2.DECISION_REASON_SHARED_SUBSCRIPTION
    assert not found.principal
    assert not found.role_assignment
    assert listed(world.owner, f"{two}/{view}", SHARED) == []
    assert listed(world.owner, f"{one}/{view}", READ) == []
