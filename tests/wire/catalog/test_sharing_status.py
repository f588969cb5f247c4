"""How far a change of sharing has come, and what is checked and told anew at each step."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from stoa.authz.v1 import sharing_service_pb2
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_version_requests_pb2,
    sharing_profile_pb2,
    target_region_requests_pb2,
)

from services.catalog.clients.sharing import AuthzSharing
from services.catalog.domain.definition import Definition, Feature
from services.catalog.domain.gallery import (
    Consumers,
    Gallery,
    PendingShare,
    ShareChange,
    ShareOperation,
)
from services.catalog.domain.hardware import PurchasePlan
from services.catalog.domain.sharing import after
from services.catalog.ports.transaction import Tx
from services.catalog.workers.sharing import ShareFinisher
from services.kernel.errors import Unavailable
from services.kernel.names import key
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.encryption import keyed, make_set
from tests.wire.catalog.galleries import ADD, ENABLE, REMOVE, RESET, community, direct, share
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode
Status = sharing_profile_pb2.SharingStatus


def get(world: World, name: str) -> gallery_pb2.Gallery:
    request = gallery_service_pb2.GetGalleryRequest(name=name)
    found: gallery_pb2.Gallery = world.owner.galleries.GetGallery(request)
    return found


def status_of(world: World, name: str) -> tuple[int, list[tuple[str, int]]]:
    found = get(world, name).sharing_status
    return found.aggregated_state, [(one.location, one.state) for one in found.summary]


def leave_pending(world: World, gallery: str, consumer: str, at: datetime | None = None) -> None:
    """Commit what a call commits before it asks authz, and no more."""

    def begin(tx: Tx) -> None:
        found = tx.galleries.get(key(gallery), lock=True)
        assert found is not None
        change = ShareChange(ShareOperation.ADD, Consumers((consumer,)))
        share = PendingShare(
            str(uuid.uuid4()), change, after(found.sharing, change), at or datetime.now(UTC)
        )
        tx.galleries.update(replace(found, pending=share))

    world.catalog.foundation.transact(begin)


def change_definition(world: World, name: str, **changes: Any) -> None:
    """Change a definition behind the back of the service."""

    def work(tx: Tx) -> None:
        found = tx.definitions.get(key(name), lock=True)
        assert found is not None
        changed: Definition = replace(found, **changes)
        tx.definitions.update(changed)

    world.catalog.foundation.transact(work)


def test_a_private_gallery_has_no_sharing_status(world: World) -> None:
    gallery = world.gallery()
    world.finished(world.definition(gallery))
    assert not get(world, gallery).HasField("sharing_status")


@pytest.mark.parametrize("make", [direct, community])
def test_the_sharing_status_tells_each_region_with_a_view(
    world: World, make: Callable[[World], str]
) -> None:
    gallery = make(world)
    assert status_of(world, gallery) == (Status.SHARING_STATE_SUCCEEDED, [])
    definition = world.definition(gallery)
    world.finished(definition, "1.0.0", regions=("eastus", "westus"))
    version = world.finished(definition, "2.0.0", regions=("eastus", "eastus2"))
    world.version(definition, "3.0.0", regions=("eastus", "eastus2"))
    succeeded = Status.SHARING_STATE_SUCCEEDED
    regions = [(one, succeeded) for one in ("eastus", "eastus2", "westus")]
    assert status_of(world, gallery) == (succeeded, regions)

    remove = target_region_requests_pb2.RemoveTargetRegionsRequest(
        name=version.name, locations=["eastus2"]
    )
    world.owner.versions.RemoveTargetRegions(remove)
    assert status_of(world, gallery) == (succeeded, [regions[0], regions[2]])

    listed = world.owner.galleries.ListGalleries(
        gallery_service_pb2.ListGalleriesRequest(parent=gallery.rpartition("/galleries/")[0])
    )
    assert list(listed.galleries) == [get(world, gallery)]
    sent = gallery_pb2.Gallery(name=gallery, description="x")
    request = gallery_service_pb2.UpdateGalleryRequest(gallery=sent)
    assert world.owner.galleries.UpdateGallery(request) == get(world, gallery)


def test_a_share_that_is_not_finished_is_in_progress(world: World, policy: Policy) -> None:
    gallery = direct(world)
    world.finished(world.definition(gallery))
    leave_pending(world, gallery, policy.subscription())
    going = Status.SHARING_STATE_IN_PROGRESS
    assert status_of(world, gallery) == (going, [("eastus", going)])

    response = share(world, gallery, REMOVE, "subscriptions/default")

    assert response.gallery == get(world, gallery)
    assert status_of(world, gallery)[0] == Status.SHARING_STATE_SUCCEEDED
    share(world, gallery, RESET)
    assert not get(world, gallery).HasField("sharing_status")


def test_a_share_that_was_given_up_is_failed_until_the_next_one(
    world: World, policy: Policy
) -> None:
    gallery = direct(world)
    world.finished(world.definition(gallery))
    leave_pending(world, gallery, "subscriptions/nobody", datetime(2020, 1, 1, tzinfo=UTC))
    foundation = world.catalog.foundation
    ShareFinisher(foundation.transact, AuthzSharing(foundation.authz), foundation.clock).run_once()

    failed = get(world, gallery).sharing_status
    assert failed.aggregated_state == Status.SHARING_STATE_FAILED
    (region,) = failed.summary
    assert (region.location, region.state) == ("eastus", Status.SHARING_STATE_FAILED)
    assert "subscriptions/nobody" in region.details

    # One that is refused to its caller changes nothing, and is no failure to be told.
    share(world, gallery, ADD, policy.subscription())
    with refused(Code.NOT_FOUND, "CONSUMER_NOT_FOUND"):
        share(world, gallery, ADD, "subscriptions/nobody")
    assert status_of(world, gallery)[0] == Status.SHARING_STATE_SUCCEEDED


def test_every_step_that_lets_in_asks_again_what_the_gallery_holds(
    world: World, policy: Policy
) -> None:
    gallery, consumer = direct(world), policy.subscription()
    definition = world.definition(gallery)
    share(world, gallery, ADD, consumer)
    change_definition(world, definition, features=(Feature("SecurityType", "TrustedLaunch"),))

    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_FEATURE") as refusal:
        share(world, gallery, ADD, policy.subscription())
    assert refusal.preconditions == {definition: "SHARING_FORBIDS_FEATURE"}
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_FEATURE"):
        share(world, gallery, ADD, policy.subscription(), validate_only=True)

    # What takes back is possible in any state.
    share(world, gallery, REMOVE, consumer)


def test_a_community_gallery_is_opened_only_with_what_it_may_hold(world: World) -> None:
    gallery = community(world)
    planned, away = world.definition(gallery), world.definition(gallery)
    change_definition(world, planned, purchase_plan=PurchasePlan("n", "p", "q"))
    change_definition(world, away, location="westus")

    with refused(Code.FAILED_PRECONDITION) as refusal:
        share(world, gallery, ENABLE)

    assert refusal.preconditions == {
        planned: "SHARING_FORBIDS_PLAN",
        away: "SHARING_REGION_MISMATCH",
    }


def test_an_encrypted_version_and_one_elsewhere_keep_a_gallery_closed(
    world: World, policy: Policy
) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery)
    request = world.version_request(definition, regions=())
    request.image_version.target_regions.add().CopyFrom(keyed("eastus", make_set(world)))
    world.owner.versions.CreateImageVersion(request)
    elsewhere = world.version_request(definition, "2.0.0", regions=(), location="eastus2")
    group = gallery.partition("/galleries/")[0]
    profile = elsewhere.image_version.storage_profile
    profile.os_disk_image.source.blob = world.blob(group, "eastus2")
    profile.data_disk_images[0].source.blob = world.blob(group, "eastus2")
    world.owner.versions.CreateImageVersion(elsewhere)
    sent = gallery_pb2.Gallery(name=gallery)
    sent.sharing_profile.mode = sharing_profile_pb2.SharingProfile.SHARING_MODE_GROUPS

    with refused(Code.FAILED_PRECONDITION) as refusal:
        world.owner.galleries.UpdateGallery(gallery_service_pb2.UpdateGalleryRequest(gallery=sent))

    assert refusal.preconditions == {
        f"{definition}/versions/1.0.0": "SHARING_FORBIDS_ENCRYPTION",
        f"{definition}/versions/2.0.0": "SHARING_REGION_MISMATCH",
    }
    assert refusal.info.metadata["location"] == "eastus2"
    delete = image_version_requests_pb2.DeleteImageVersionRequest
    for number in ("1.0.0", "2.0.0"):
        operation = world.owner.versions.DeleteImageVersion(
            delete(name=f"{definition}/versions/{number}")
        )
        world.wait(operation)
    world.owner.galleries.UpdateGallery(gallery_service_pb2.UpdateGalleryRequest(gallery=sent))
    share(world, gallery, ADD, policy.subscription())


def allow(world: World, gallery: str, *, copies: bool, **more: Any) -> gallery_pb2.Gallery:
    sent = gallery_pb2.Gallery(name=gallery, allow_copy=copies)
    request = gallery_service_pb2.UpdateGalleryRequest(gallery=sent, **more)
    request.update_mask.paths.append("allow_copy")
    changed: gallery_pb2.Gallery = world.owner.galleries.UpdateGallery(request)
    return changed


def granted_copies(policy: Policy, gallery: str) -> bool:
    request = sharing_service_pb2.GetSharingRequest(gallery=gallery)
    found: bool = policy.installation.service().sharing.GetSharing(request).grant.profile.allow_copy
    return found


def row_of(world: World, gallery: str) -> Gallery:
    found = world.catalog.foundation.transact(lambda tx: tx.galleries.get(key(gallery)))
    assert found is not None
    return found


def test_the_policy_learns_at_once_that_copies_are_allowed(world: World, policy: Policy) -> None:
    gallery, consumer = direct(world), policy.subscription()
    share(world, gallery, ADD, consumer)

    changed = allow(world, gallery, copies=True)

    assert granted_copies(policy, gallery)
    found = get(world, gallery)
    assert found.etag == changed.etag
    assert list(found.sharing_profile.groups.subscriptions) == [consumer]
    assert found.sharing_status.aggregated_state == Status.SHARING_STATE_SUCCEEDED
    allow(world, gallery, copies=False)
    assert not granted_copies(policy, gallery)


def test_the_policy_learns_later_what_it_could_not_be_told_at_once(
    world: World, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def apply(self, *_: Any, **__: Any) -> Any:
            raise Unavailable("no answer")

    gallery = direct(world)
    share(world, gallery, ADD, policy.subscription())
    with monkeypatch.context() as patch:
        patch.setattr(AuthzSharing, "apply", Silent.apply)
        allow(world, gallery, copies=True)
    assert not granted_copies(policy, gallery)
    assert status_of(world, gallery)[0] == Status.SHARING_STATE_IN_PROGRESS
    with refused(Code.ABORTED, "SHARING_PENDING"):
        allow(world, gallery, copies=False)

    # The next change of sharing finishes it, as the workers do.
    share(world, gallery, ADD, policy.subscription())

    assert granted_copies(policy, gallery)
    assert row_of(world, gallery).pending is None


def test_a_gallery_that_is_shared_with_nobody_has_nothing_to_tell(world: World) -> None:
    gallery = direct(world)
    allow(world, gallery, copies=True)
    assert row_of(world, gallery).sharing.sequence == 0
    allow(world, gallery, copies=False, validate_only=True)
    assert get(world, gallery).allow_copy
