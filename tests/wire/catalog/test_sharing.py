"""ShareGallery on the wire, with a real authz service."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import gallery_service_pb2

from services.catalog.bootstrap.foundation import Foundation
from services.catalog.clients.sharing import AuthzSharing
from services.catalog.domain.gallery import Consumers, ShareChange, ShareOperation, Sharing
from services.catalog.domain.gallery import PendingShare as Pending
from services.catalog.domain.sharing import after
from services.catalog.ports.transaction import Tx
from services.catalog.workers.sharing import ShareFinisher
from services.kernel.errors import Unavailable
from services.kernel.names import key
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import (
    ADD,
    BLOCK,
    DISABLE,
    ENABLE,
    PRIVATE,
    REMOVE,
    RESET,
    UNBLOCK,
    community,
    direct,
    get,
    request,
    share,
)
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode


def test_a_gallery_is_shared_with_subscriptions_and_tenants(world: World, policy: Policy) -> None:
    gallery, first, second = direct(world), policy.subscription(), policy.subscription()

    response = share(world, gallery, ADD, second, first, "tenants/default")

    groups = response.gallery.sharing_profile.groups
    assert list(groups.subscriptions) == sorted([first, second])
    assert list(groups.tenants) == ["tenants/default"]
    assert response.gallery == get(world, gallery)
    assert response.consistency_token
    assert response.effective_everywhere
    assert not response.lagging_replicas


def test_adding_and_removing_again_changes_nothing(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()

    share(world, gallery, ADD, consumer)
    again = share(world, gallery, ADD, consumer.upper().replace("SUBSCRIPTIONS", "subscriptions"))
    assert list(again.gallery.sharing_profile.groups.subscriptions) == [consumer]
    assert not again.exposure.gaining.subscriptions

    share(world, gallery, REMOVE, consumer)
    gone = share(world, gallery, REMOVE, consumer)
    assert not gone.gallery.sharing_profile.groups.subscriptions
    assert not gone.exposure.losing.subscriptions


def test_the_exposure_tells_who_sees_what(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()
    definition = world.definition(gallery)
    world.finished(definition, "1.0.0", regions=("eastus", "westus"))
    world.finished(definition, "1.1.0")
    world.version(definition, "2.0.0")
    world.definition(gallery)

    exposure = share(world, gallery, ADD, consumer, validate_only=True).exposure

    assert list(exposure.gaining.subscriptions) == [consumer]
    assert not exposure.public
    (seen,) = exposure.image_definitions
    assert (seen.image_definition, seen.image_version_count) == (definition, 2)
    assert list(seen.locations) == ["eastus", "westus"]
    assert (exposure.image_definition_count, exposure.image_version_count) == (1, 2)


def test_validating_a_share_leaves_no_trace(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()
    before = get(world, gallery)

    response = share(world, gallery, ADD, consumer, validate_only=True)

    assert list(response.gallery.sharing_profile.groups.subscriptions) == [consumer]
    assert not response.consistency_token
    assert get(world, gallery) == before
    with refused(Code.NOT_FOUND, "CONSUMER_NOT_FOUND"):
        share(world, gallery, ADD, "subscriptions/nobody", validate_only=True)


def test_a_community_gallery_is_opened_closed_and_reset(world: World, policy: Policy) -> None:
    gallery, blocked = community(world), policy.subscription()
    public_name = get(world, gallery).sharing_profile.community_gallery_info.public_names[0]

    opened = share(world, gallery, ENABLE)
    info = opened.gallery.sharing_profile.community_gallery_info
    assert info.community_gallery_enabled
    assert opened.exposure.public
    assert opened.exposure.community_gallery_info.eula == "Be kind."
    info = share(world, gallery, BLOCK, blocked).gallery.sharing_profile.community_gallery_info
    assert list(info.blocked_consumers.subscriptions) == [blocked]
    closed = share(world, gallery, DISABLE).gallery.sharing_profile.community_gallery_info
    assert not closed.community_gallery_enabled
    assert list(closed.public_names) == [public_name]
    assert list(closed.blocked_consumers.subscriptions) == [blocked]
    share(world, gallery, UNBLOCK, blocked)
    reset = share(world, gallery, RESET).gallery.sharing_profile
    assert reset.mode == PRIVATE
    assert not reset.HasField("community_gallery_info")


@pytest.mark.parametrize("operation", [ENABLE, DISABLE, BLOCK, UNBLOCK])
def test_steps_of_community_galleries_are_refused_for_others(world: World, operation: int) -> None:
    consumers = ["subscriptions/default"] if operation in {BLOCK, UNBLOCK} else []

    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_MISMATCH") as refusal:
        share(world, direct(world), operation, *consumers)

    assert refusal.info.metadata["mode"] == "GROUPS"


@pytest.mark.parametrize("operation", [ADD, REMOVE])
def test_steps_of_direct_sharing_are_refused_for_private_galleries(
    world: World, operation: int
) -> None:
    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_MISMATCH"):
        share(world, world.gallery(), operation, "subscriptions/default")


def test_everything_wrong_with_consumers_is_told_at_once(world: World) -> None:
    wrong = request(direct(world), ADD)
    wrong.groups.subscriptions.extend(["subscriptions/default", "subscription/x"])
    wrong.groups.tenants.append("tenants/")

    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.owner.galleries.ShareGallery(wrong)

    assert set(refusal.fields) == {"groups.subscriptions[1]", "groups.tenants[0]"}


def test_consumers_and_operations_have_to_fit(world: World) -> None:
    with refused(Code.INVALID_ARGUMENT):
        share(world, direct(world), ADD)
    with refused(Code.INVALID_ARGUMENT):
        share(world, direct(world), RESET, "subscriptions/default")


def test_a_consumer_that_does_not_exist_is_not_shared_with(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()

    with refused(Code.NOT_FOUND, "CONSUMER_NOT_FOUND") as refusal:
        share(world, gallery, ADD, consumer, "subscriptions/nobody")

    assert refusal.info.metadata["consumer"] == "subscriptions/nobody"
    assert not get(world, gallery).sharing_profile.groups.subscriptions
    share(world, gallery, ADD, consumer)


def test_a_gallery_is_shared_with_at_most_thirty_subscriptions(
    world: World, policy: Policy
) -> None:
    gallery = direct(world)
    consumers = [policy.subscription() for _ in range(31)]
    share(world, gallery, ADD, *consumers[:30])

    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"):
        share(world, gallery, ADD, consumers[30])

    share(world, gallery, REMOVE, consumers[0])
    share(world, gallery, ADD, consumers[30])


def test_a_stale_etag_is_aborted(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()
    etag = get(world, gallery).etag
    share(world, gallery, ADD, consumer, etag=etag)

    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        share(world, gallery, REMOVE, consumer, etag=etag)


def test_a_repeated_request_is_answered_as_the_first_time(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()
    request_id = str(uuid.uuid4())
    first = share(world, gallery, ADD, consumer, request_id=request_id)
    share(world, gallery, REMOVE, consumer)

    assert share(world, gallery, ADD, consumer, request_id=request_id) == first
    assert not get(world, gallery).sharing_profile.groups.subscriptions
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        share(world, gallery, REMOVE, consumer, request_id=request_id)


def test_contributors_do_not_share(world: World, policy: Policy) -> None:
    gallery, user = direct(world), policy.user()
    policy.assign(user, "Contributor", gallery)
    stubs = world.catalog.user(user.rpartition("/")[2])

    with refused(Code.PERMISSION_DENIED):
        stubs.galleries.ShareGallery(request(gallery, ADD, "subscriptions/default"))


def test_a_gallery_that_does_not_exist_is_not_found(world: World) -> None:
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        share(world, f"{world.gallery()}x", RESET)


def test_a_shared_gallery_is_not_deleted_before_its_reset(world: World, policy: Policy) -> None:
    gallery = direct(world)
    share(world, gallery, ADD, policy.subscription())
    delete = gallery_service_pb2.DeleteGalleryRequest(name=gallery)

    with refused(Code.FAILED_PRECONDITION, "STILL_SHARED"):
        world.owner.galleries.DeleteGallery(delete)
    share(world, gallery, RESET)
    world.wait(world.owner.galleries.DeleteGallery(delete))


def test_a_share_whose_call_died_is_finished_by_the_workers(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()
    foundation = world.catalog.foundation
    leave_pending(foundation, gallery, consumer)
    authority = AuthzSharing(foundation.authz)
    finisher = ShareFinisher(
        foundation.transact, authority, foundation.clock, patience=timedelta(0)
    )
    with refused(Code.ABORTED, "SHARING_PENDING"):
        share(world, gallery, REMOVE, consumer, validate_only=True)

    assert finisher.run_once() >= 1

    assert list(get(world, gallery).sharing_profile.groups.subscriptions) == [consumer]
    assert pending(foundation, gallery) is None


def test_a_share_whose_call_died_is_finished_by_the_next_one(world: World, policy: Policy) -> None:
    gallery, first, second = direct(world), policy.subscription(), policy.subscription()
    leave_pending(world.catalog.foundation, gallery, first)

    response = share(world, gallery, ADD, second)

    found = response.gallery.sharing_profile.groups.subscriptions
    assert list(found) == sorted([first, second])
    assert list(response.exposure.gaining.subscriptions) == [second]


def test_a_share_that_was_applied_and_not_recorded_is_applied_once(
    world: World, policy: Policy
) -> None:
    gallery, consumer = direct(world), policy.subscription()
    foundation = world.catalog.foundation
    leave_pending(foundation, gallery, consumer)
    authority = AuthzSharing(foundation.authz)
    row = foundation.transact(lambda tx: tx.galleries.get(key(gallery)))
    assert row is not None
    assert row.pending is not None
    first = authority.apply(row, row.pending)

    share(world, gallery, ADD, consumer)

    again = foundation.transact(lambda tx: tx.galleries.get(key(gallery)))
    assert again is not None
    assert again.sharing.sequence == first_sequence(row) + 1
    assert again.sharing.groups == first.groups


def test_a_share_that_is_refused_is_taken_back_by_the_workers(world: World) -> None:
    gallery = direct(world)
    foundation = world.catalog.foundation
    leave_pending(foundation, gallery, "subscriptions/nobody")
    finisher = ShareFinisher(
        foundation.transact, AuthzSharing(foundation.authz), foundation.clock, patience=timedelta(0)
    )

    finisher.run_once()

    assert pending(foundation, gallery) is None
    assert not get(world, gallery).sharing_profile.groups.subscriptions


def test_a_share_stays_pending_while_authz_does_not_answer(world: World, policy: Policy) -> None:
    class Silent:
        def apply(self, *_: Any, **__: Any) -> Any:
            raise Unavailable("no answer")

    gallery = direct(world)
    foundation = world.catalog.foundation
    leave_pending(foundation, gallery, policy.subscription())
    finisher = ShareFinisher(foundation.transact, Silent(), foundation.clock, patience=timedelta(0))

    finisher.run_once()

    assert pending(foundation, gallery) is not None
    finished = ShareFinisher(
        foundation.transact, AuthzSharing(foundation.authz), foundation.clock, patience=timedelta(0)
    )
    assert finished.run_once() >= 1


def leave_pending(foundation: Foundation, gallery: str, consumer: str) -> None:
    """Commit what a call commits before it asks authz, and no more."""

    def begin(tx: Tx) -> None:
        found = tx.galleries.get(key(gallery), lock=True)
        assert found is not None
        change = ShareChange(ShareOperation.ADD, Consumers((consumer,)))
        wanted: Sharing = after(found.sharing, change)
        # Young enough for the duty of the workers of this process to leave it alone.
        started = datetime.now(UTC) - timedelta(milliseconds=1)
        share = Pending(str(uuid.uuid4()), change, wanted, started)
        tx.galleries.update(replace(found, pending=share))

    foundation.transact(begin)


def pending(foundation: Foundation, gallery: str) -> Pending | None:
    found = foundation.transact(lambda tx: tx.galleries.get(key(gallery)))
    assert found is not None
    return found.pending


def first_sequence(gallery: Any) -> int:
    sequence: int = gallery.pending.wanted.sequence
    return sequence
