"""Versions made of shared and community versions, where their publisher lets them be copied."""

import threading
from typing import Any

import grpc
import pytest
from stoa.authz.v1 import audit_service_pb2
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_version_requests_pb2,
    storage_profile_pb2,
)
from stoa.type.v1 import os_type_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import (
    ADD,
    BLOCK,
    ENABLE,
    REMOVE,
    community,
    direct,
    get,
    share,
)
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.replication import COMPLETED

Code = grpc.StatusCode
SHARED = "shared_gallery_image_version"
COMMUNITY = "community_gallery_image_version"


class Copier:
    """A user who owns a subscription, and copies what publishers have opened to it."""

    def __init__(self, world: World, policy: Policy) -> None:
        self._world = world
        self.subscription = policy.subscription()
        self.user = policy.user()
        policy.assign(self.user, "Owner", self.subscription)
        self.stubs = world.catalog.user(self.user.rpartition("/")[2])
        self.definition = self._definition()

    def _definition(self, **more: Any) -> str:
        owner, self._world.owner = self._world.owner, self.stubs
        try:
            group = self._world.group(parent=self.subscription)
            return self._world.definition(self._world.gallery(group), **more)
        finally:
            self._world.owner = owner

    def view(self, kind: str, version: str, location: str = "eastus") -> str:
        """Answer what the copier knows a version by."""
        gallery = get(self._world, "/".join(version.split("/")[:6]))
        image, number = version.split("/")[7], version.split("/")[9]
        where = f"{self.subscription}/locations/{location}"
        if kind == SHARED:
            found = f"sharedGalleries/{gallery.unique_name}"
        else:
            info = gallery.sharing_profile.community_gallery_info
            found = f"communityGalleries/{info.public_names[0]}"
        return f"{where}/{found}/images/{image}/versions/{number}"

    def request(self, kind: str, view: str, **more: Any) -> Any:
        profile = storage_profile_pb2.StorageProfile()
        setattr(profile.source, kind, view)
        accept = more.pop("accept_terms", False)
        sent = self._world.version_request(self.definition, storage_profile=profile, **more)
        sent.accept_terms = accept
        return sent

    def create(self, sent: Any) -> Any:
        self.stubs.versions.CreateImageVersion(sent)
        request = image_version_requests_pb2.GetImageVersionRequest(
            name=f"{sent.parent}/versions/{sent.image_version_id}"
        )
        return self.stubs.versions.GetImageVersion(request)


@pytest.fixture
def copier(world: World, policy: Policy) -> Copier:
    return Copier(world, policy)


def opened(world: World, copier: Copier, kind: str, *, allow_copy: bool = True, **more: Any) -> str:
    """Answer a finished version that its publisher has opened to a subscription."""
    gallery = direct(world) if kind == SHARED else community(world)
    version = world.finished(world.definition(gallery, **more))
    if kind == SHARED:
        share(world, gallery, ADD, copier.subscription)
    else:
        share(world, gallery, ENABLE)
    if allow_copy:
        let_copy(world, gallery, allowed=True)
    return str(version.name)


def let_copy(world: World, gallery: str, *, allowed: bool) -> None:
    change = gallery_service_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(name=gallery, allow_copy=allowed)
    )
    change.update_mask.paths.append("allow_copy")
    world.owner.galleries.UpdateGallery(change)


def gallery_of(version: str) -> str:
    return "/".join(version.split("/")[:6])


@pytest.mark.parametrize("kind", [SHARED, COMMUNITY])
def test_an_opened_version_is_copied_where_its_publisher_allows_it(
    world: World, copier: Copier, kind: str
) -> None:
    origin = opened(world, copier, kind)
    view = copier.view(kind, origin)
    made = copier.create(copier.request(kind, view, accept_terms=True))
    source = made.storage_profile.source
    assert getattr(source, kind) == view
    assert [one.lun for one in made.storage_profile.data_disk_images] == [3]
    asked = world.replication.await_ensured(made.uid, 1)
    read = [one.source.image_version for one in asked.desired.disks]
    # What fails there is told to the copier, who knows no other name of it.
    assert {one.image_version for one in read} == {view}
    assert {one.uid for one in read} == {world.get(origin).uid}
    grant = next(one for one in world.replication.grants if one.uid == made.uid)
    assert view in {one.scope for one in grant.demands}


@pytest.mark.parametrize("kind", [SHARED, COMMUNITY])
def test_a_publisher_who_does_not_allow_copies_is_not_copied(
    world: World, copier: Copier, kind: str
) -> None:
    origin = opened(world, copier, kind, allow_copy=False)
    sent = copier.request(kind, copier.view(kind, origin), accept_terms=True)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_COPY_NOT_ALLOWED") as refusal:
        copier.create(sent)
    assert refusal.info.metadata["resource"] == copier.view(kind, origin)
    assert gallery_of(origin) not in refusal.message


def test_a_community_version_is_copied_only_by_who_accepts_the_terms(
    world: World, copier: Copier
) -> None:
    origin = opened(world, copier, COMMUNITY)
    view = copier.view(COMMUNITY, origin)
    with refused(Code.FAILED_PRECONDITION, "TERMS_NOT_ACCEPTED") as refusal:
        copier.create(copier.request(COMMUNITY, view))
    assert refusal.info.metadata["resource"] == view
    assert not audited(world, copier)


def test_the_acceptance_of_terms_is_in_the_audit_log_before_a_byte_is_copied(
    world: World, copier: Copier
) -> None:
    origin = opened(world, copier, COMMUNITY)
    view = copier.view(COMMUNITY, origin)
    made = copier.create(copier.request(COMMUNITY, view, accept_terms=True))
    world.replication.await_ensured(made.uid, 1)
    (record,) = audited(world, copier)
    assert (record.resource, record.caller) == (view, copier.user)
    assert record.workload == "catalog"
    assert record.action.endswith("/communityGalleries/images/versions/read")
    assert record.details["image_version"] == made.name
    assert record.trace_parent


def test_a_copy_of_a_shared_version_and_one_that_is_validated_only_leave_no_record(
    world: World, copier: Copier
) -> None:
    shared, public = opened(world, copier, SHARED), opened(world, copier, COMMUNITY)
    made = copier.create(copier.request(SHARED, copier.view(SHARED, shared), accept_terms=True))
    sent = copier.request(COMMUNITY, copier.view(COMMUNITY, public), accept_terms=True)
    sent.validate_only, sent.image_version_id = True, "2.0.0"
    copier.stubs.versions.CreateImageVersion(sent)
    world.replication.await_ensured(made.uid, 1)
    assert not audited(world, copier)


def audited(world: World, copier: Copier) -> list[Any]:
    request = audit_service_pb2.ListAuditRecordsRequest(
        parent=copier.subscription, filter='method = "terms.accepted"'
    )
    page = world.catalog.authz.user().audit.ListAuditRecords(request)
    return list(page.audit_records)


def test_what_is_not_shared_is_denied_as_what_does_not_exist(world: World, copier: Copier) -> None:
    origin = opened(world, copier, SHARED)
    view = copier.view(SHARED, origin)
    share(world, gallery_of(origin), REMOVE, copier.subscription)
    absent = view.replace("/sharedGalleries/", "/sharedGalleries/no")
    for name in (view, absent):
        with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
            copier.create(copier.request(SHARED, name))
        assert refusal.info.metadata["resource"] == name


def test_a_version_of_an_opened_gallery_that_is_not_there_is_not_found(
    world: World, copier: Copier
) -> None:
    view = copier.view(COMMUNITY, opened(world, copier, COMMUNITY))
    number = f"{view.rpartition('/')[0]}/9.9.9"
    for missing in (number, view.replace("/images/", "/images/no")):
        with refused(Code.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
            copier.create(copier.request(COMMUNITY, missing, accept_terms=True))
        assert refusal.info.metadata["resource"] == missing


def test_a_blocked_consumer_cannot_copy(world: World, copier: Copier) -> None:
    origin = opened(world, copier, COMMUNITY)
    view = copier.view(COMMUNITY, origin)
    share(world, gallery_of(origin), BLOCK, copier.subscription)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        copier.create(copier.request(COMMUNITY, view, accept_terms=True))


def test_the_view_of_another_subscription_needs_the_right_there(
    world: World, policy: Policy, copier: Copier
) -> None:
    origin = opened(world, copier, SHARED)
    other = policy.subscription()
    share(world, gallery_of(origin), ADD, other)
    view = copier.view(SHARED, origin).replace(copier.subscription, other)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        copier.create(copier.request(SHARED, view))
    permission = refusal.info.metadata["permission"]
    assert permission.endswith("/sharedGalleries/images/versions/read")
    policy.assign(copier.user, "Reader", other)
    assert copier.create(copier.request(SHARED, view)).uid


def test_a_view_in_another_region_than_the_version_is_elsewhere(
    world: World, copier: Copier
) -> None:
    gallery = direct(world)
    version = world.finished(world.definition(gallery), regions=("eastus", "westus"))
    share(world, gallery, ADD, copier.subscription)
    let_copy(world, gallery, allowed=True)
    view = copier.view(SHARED, version.name, "westus")
    with refused(Code.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH") as refusal:
        copier.create(copier.request(SHARED, view))
    assert refusal.info.metadata["location"] == "westus"


def test_an_opened_version_is_matched_as_any_other_source(world: World, copier: Copier) -> None:
    arm = os_type_pb2.ARCHITECTURE_ARM64
    origin = opened(world, copier, SHARED, architecture=arm)
    view = copier.view(SHARED, origin)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_ARCHITECTURE_MISMATCH") as refusal:
        copier.create(copier.request(SHARED, view))
    assert refusal.info.metadata["resource"] == view


def test_a_publisher_waits_for_a_copy_without_being_told_whose_it_is(
    world: World, policy: Policy, copier: Copier
) -> None:
    origin = opened(world, copier, SHARED)
    made = copier.create(copier.request(SHARED, copier.view(SHARED, origin)))
    publisher = policy.user()
    policy.assign(publisher, "Contributor", gallery_of(origin))
    stubs = world.catalog.user(publisher.rpartition("/")[2])
    gone = image_version_requests_pb2.DeleteImageVersionRequest(name=origin, purge=True)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as refusal:
        stubs.versions.DeleteImageVersion(gone)
    assert copier.subscription not in str(refusal.message) + str(refusal.info)
    world.replication.await_ensured(made.uid, 1)
    world.replication.tell(made.uid, "eastus", COMPLETED)
    for _ in range(300):
        try:
            stubs.versions.DeleteImageVersion(gone)
        except grpc.RpcError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError("the copy is done, and its source is still needed")
