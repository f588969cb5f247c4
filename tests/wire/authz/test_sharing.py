import uuid

import grpc
import pytest
from stoa.authz.v1 import (
    check_pb2,
    decision_pb2,
    role_assignment_service_pb2,
    scope_service_pb2,
    sharing_grant_pb2,
)
from stoa.authz.v1 import sharing_service_pb2 as pb

from tests.wire.authz.installation import refused

Code = grpc.StatusCode
GROUPS = sharing_grant_pb2.SHARING_MODE_GROUPS
COMMUNITY = sharing_grant_pb2.SHARING_MODE_COMMUNITY
PRIVATE = sharing_grant_pb2.SHARING_MODE_PRIVATE
ADD = sharing_grant_pb2.SHARING_OPERATION_ADD
REMOVE = sharing_grant_pb2.SHARING_OPERATION_REMOVE
ENABLE = sharing_grant_pb2.SHARING_OPERATION_ENABLE_COMMUNITY
BLOCK = sharing_grant_pb2.SHARING_OPERATION_BLOCK_CONSUMER
RESET = sharing_grant_pb2.SHARING_OPERATION_RESET


class Gallery:
    """A gallery as the catalog would share it."""

    def __init__(self, world) -> None:
        self.world = world
        self.name = f"{world.subscription()}/resourceGroups/rg/galleries/{world.id('gallery')}"
        self.uid = uuid.uuid4().hex
        self.shared_id = f"shared-{uuid.uuid4()}"
        self.public_name = f"public-{uuid.uuid4()}"
        self.service = world.installation.service()

    def request(self, sequence, operation=None, subscriptions=(), mode=GROUPS, **more):
        change = None
        if operation is not None:
            change = sharing_grant_pb2.SharingChange(
                operation=operation, subscriptions=subscriptions
            )
        return pb.ApplySharingRequest(
            gallery=self.name,
            gallery_uid=self.uid,
            sequence=sequence,
            profile=sharing_grant_pb2.SharingProfile(
                mode=mode,
                shared_id=self.shared_id,
                public_name=self.public_name if mode == COMMUNITY else "",
            ),
            change=change,
            **{"request_id": str(uuid.uuid4()), **more},
        )

    def apply(self, *args, **kwargs):
        return self.service.sharing.ApplySharing(self.request(*args, **kwargs))

    def granted(self):
        request = pb.GetSharingRequest(gallery=self.name)
        return self.service.sharing.GetSharing(request).grant


@pytest.fixture
def gallery(world) -> Gallery:
    return Gallery(world)


def reason_for_view(world, view_of: str, consumer: str) -> str:
    user = world.user()
    world.assign(user, "Reader", consumer)
    collection = "sharedGalleries" if view_of.startswith("shared") else "communityGalleries"
    request = check_pb2.CheckRequest(
        action=f"Microsoft.Compute/locations/{collection}/images/versions/read",
        resource=f"{consumer}/locations/eastus/{collection}/{view_of}/images/i/versions/1.0.0",
    )
    decision = world.called(user).questions.Check(request).decision
    name = decision_pb2.DecisionReason.Name(decision.reason)
    assert decision.allowed == (name != "DECISION_REASON_NOT_SHARED")
    return name.removeprefix("DECISION_REASON_")


def test_a_share_opens_the_view_and_its_removal_closes_it(world, gallery):
    consumer = world.subscription()
    assert reason_for_view(world, gallery.shared_id, consumer) == "NOT_SHARED"
    answer = gallery.apply(1, ADD, [consumer])
    assert list(answer.grant.subscriptions) == [consumer]
    assert answer.consistency_token
    assert reason_for_view(world, gallery.shared_id, consumer) == "SHARED_SUBSCRIPTION"
    gallery.apply(2, REMOVE, [consumer.upper().replace("SUBSCRIPTIONS", "subscriptions")])
    assert reason_for_view(world, gallery.shared_id, consumer) == "NOT_SHARED"


def test_a_community_gallery_opens_to_everybody_but_the_blocked(world, gallery):
    consumer, blocked = world.subscription(), world.subscription()
    gallery.apply(1, mode=COMMUNITY)
    assert reason_for_view(world, gallery.public_name, consumer) == "NOT_SHARED"
    gallery.apply(2, ENABLE, mode=COMMUNITY)
    gallery.apply(3, BLOCK, [blocked], mode=COMMUNITY)
    assert reason_for_view(world, gallery.public_name, consumer) == "COMMUNITY"
    assert reason_for_view(world, gallery.public_name, blocked) == "NOT_SHARED"
    gallery.apply(4, RESET, mode=PRIVATE)
    assert reason_for_view(world, gallery.public_name, consumer) == "NOT_SHARED"


def test_a_repeat_of_the_applied_sequence_writes_nothing_at_any_age(world, gallery):
    consumer = world.subscription()
    first = gallery.apply(5, ADD, [consumer])
    # Another request id is what a retry after the request log's 24 hours amounts to.
    again = gallery.apply(5, ADD, [consumer])
    assert again.grant == first.grant
    with refused(Code.ABORTED, "SHARING_SUPERSEDED"):
        gallery.apply(5, REMOVE, [consumer])


def test_a_late_addition_never_undoes_a_removal(world, gallery):
    consumer = world.subscription()
    gallery.apply(1, ADD, [consumer])
    gallery.apply(3, REMOVE, [consumer])
    with refused(Code.ABORTED, "SHARING_SUPERSEDED") as refusal:
        gallery.apply(2, ADD, [consumer])
    assert refusal.info.metadata["sequence"] == "3"
    assert not gallery.granted().subscriptions


def test_a_request_id_answers_the_first_reply(world, gallery):
    request = gallery.request(1, ADD, [world.subscription()])
    first = gallery.service.sharing.ApplySharing(request)
    assert gallery.service.sharing.ApplySharing(request).grant == first.grant
    request.sequence = 2
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        gallery.service.sharing.ApplySharing(request)


def test_the_mode_changes_only_while_nothing_is_shared(world, gallery):
    gallery.apply(1, ADD, [world.subscription()])
    with refused(Code.FAILED_PRECONDITION, "SHARING_NOT_RESET"):
        gallery.apply(2, mode=COMMUNITY)
    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_MISMATCH"):
        gallery.apply(3, ENABLE, mode=GROUPS)
    gallery.apply(4, RESET, mode=PRIVATE)
    gallery.apply(5, mode=COMMUNITY)
    assert gallery.granted().profile.mode == COMMUNITY


def test_too_many_consumers_are_refused_whole(world, gallery):
    consumers = [world.subscription() for _ in range(31)]
    with refused(Code.RESOURCE_EXHAUSTED, "SHARING_LIMIT_EXCEEDED"):
        gallery.apply(1, ADD, consumers)
    gallery.apply(2, ADD, consumers[:30])
    with refused(Code.RESOURCE_EXHAUSTED, "SHARING_LIMIT_EXCEEDED"):
        gallery.apply(3, ADD, consumers[30:])
    assert len(gallery.granted().subscriptions) == 30


def test_a_consumer_must_be_there(gallery):
    with refused(Code.NOT_FOUND, "CONSUMER_NOT_FOUND"):
        gallery.apply(1, ADD, ["subscriptions/unknown"])


def test_validate_only_shares_nothing(world, gallery):
    consumer = world.subscription()
    answer = gallery.apply(1, ADD, [consumer], validate_only=True)
    assert list(answer.grant.subscriptions) == [consumer]
    assert not answer.consistency_token
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        gallery.granted()


def tombstone(gallery, request_id="", uid=""):
    return gallery.service.scopes.TombstoneScope(
        scope_service_pb2.TombstoneScopeRequest(
            scope=gallery.name,
            resource_uid=uid or gallery.uid,
            request_id=request_id or str(uuid.uuid4()),
        )
    )


def test_a_tombstone_takes_assignments_and_grants_at_and_below(world, gallery):
    user, consumer = world.user(), world.subscription()
    gallery.apply(1, ADD, [consumer])
    kept = world.assign(user, "Reader", gallery.name.rpartition("/galleries/")[0])
    world.assign(user, "Reader", gallery.name)
    world.assign(user, "Contributor", f"{gallery.name}/images/i")
    answer = tombstone(gallery)
    assert (answer.already_tombstoned, answer.removed_count) == (False, 3)
    assert reason_for_view(world, gallery.shared_id, consumer) == "NOT_SHARED"
    request = role_assignment_service_pb2.GetRoleAssignmentRequest(name=kept.name)
    assert world.owner.assignments.GetRoleAssignment(request) == kept


def test_a_repeated_tombstone_removes_nothing_granted_later(world, gallery):
    user = world.user()
    world.assign(user, "Reader", gallery.name)
    assert tombstone(gallery).removed_count == 1
    later = world.assign(user, "Reader", gallery.name)
    again = tombstone(gallery)
    assert (again.already_tombstoned, again.removed_count) == (True, 1)
    check = check_pb2.CheckRequest(action="Microsoft.Compute/galleries/read", resource=gallery.name)
    assert world.called(user).questions.Check(check).decision.allowed
    assert tombstone(gallery, uid=uuid.uuid4().hex).removed_count == 1
    assert not world.called(user).questions.Check(check).decision.allowed
    assert later.scope == gallery.name


def test_what_is_tombstoned_is_never_shared_again(world, gallery):
    tombstone(gallery)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        gallery.apply(1, ADD, [world.subscription()])


@pytest.mark.parametrize("scope", ["subscriptions/default", "tenants/default", "regions/a/x/b"])
def test_subscriptions_and_what_lies_above_are_never_tombstoned(authz, scope):
    with refused(Code.INVALID_ARGUMENT) as refusal:
        authz.service().scopes.TombstoneScope(
            scope_service_pb2.TombstoneScopeRequest(
                scope=scope, resource_uid=uuid.uuid4().hex, request_id=str(uuid.uuid4())
            )
        )
    assert list(refusal.fields) == ["scope"]


def test_sharing_is_for_the_catalog_alone(authz):
    request = pb.GetSharingRequest(gallery="subscriptions/s/resourceGroups/r/galleries/g")
    with refused(Code.PERMISSION_DENIED):
        authz.service("replication").sharing.GetSharing(request)
    with refused(Code.UNIMPLEMENTED):
        authz.user().sharing.GetSharing(request)
