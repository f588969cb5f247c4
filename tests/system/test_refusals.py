"""What is refused, in which words, and that a refusal tells nothing that is not known."""

import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from stoa.authz.v1 import (
    audit_service_pb2,
    authorization_service_pb2,
    directory_service_pb2,
    policy_feed_service_pb2,
    scope_service_pb2,
    sharing_service_pb2,
)
from stoa.catalog.v1 import (
    community_gallery_service_pb2,
    gallery_pb2,
    gallery_service_pb2,
    image_version_requests_pb2,
    image_version_service_pb2,
    managed_image_service_pb2,
    resource_group_service_pb2,
    sharing_profile_pb2,
    target_region_pb2,
)
from stoa.catalog.v1.community_gallery_service_pb2_grpc import CommunityGalleryServiceStub
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.replication.v1 import (
    blob_service_pb2,
    image_disk_service_pb2,
    region_service_pb2,
    replication_feed_service_pb2,
    replication_service_pb2,
)
from stoa.type.v1 import method_policy_pb2

from tests.system.disks import noise
from tests.system.errors import Refusal, refusal
from tests.system.installation import SUBSCRIPTION, Client, Installation
from tests.system.publishing import (
    HOME,
    begin,
    make_image,
    make_shop,
    make_user,
    unique,
    version_request,
)

pytestmark = pytest.mark.timeout(240)

# Every service of the main job, by who serves it.
SERVICES = {
    "authz": [
        audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
        authorization_service_pb2.DESCRIPTOR.services_by_name["AuthorizationService"],
        directory_service_pb2.DESCRIPTOR.services_by_name["DirectoryService"],
        policy_feed_service_pb2.DESCRIPTOR.services_by_name["PolicyFeedService"],
        scope_service_pb2.DESCRIPTOR.services_by_name["ScopeService"],
        sharing_service_pb2.DESCRIPTOR.services_by_name["SharingService"],
    ],
    "catalog": [
        community_gallery_service_pb2.DESCRIPTOR.services_by_name["CommunityGalleryService"],
        gallery_service_pb2.DESCRIPTOR.services_by_name["GalleryService"],
        image_version_service_pb2.DESCRIPTOR.services_by_name["ImageVersionService"],
        managed_image_service_pb2.DESCRIPTOR.services_by_name["ManagedImageService"],
        resource_group_service_pb2.DESCRIPTOR.services_by_name["ResourceGroupService"],
    ],
    "replication": [
        blob_service_pb2.DESCRIPTOR.services_by_name["BlobService"],
        image_disk_service_pb2.DESCRIPTOR.services_by_name["ImageDiskService"],
        region_service_pb2.DESCRIPTOR.services_by_name["RegionService"],
        replication_feed_service_pb2.DESCRIPTOR.services_by_name["ReplicationFeedService"],
        replication_service_pb2.DESCRIPTOR.services_by_name["ReplicationService"],
    ],
}


def methods(*, internal: bool) -> Iterator[tuple[str, MethodDescriptor]]:
    """The methods that only services may call, or the others, with who serves them."""
    for service, found in SERVICES.items():
        for one in found:
            for method in one.methods:
                policy = method.GetOptions().Extensions[method_policy_pb2.policy]
                if (policy.rule == method_policy_pb2.ACCESS_RULE_WORKLOAD) == internal:
                    yield service, method


def call_empty(client: Client, service: str, method: MethodDescriptor) -> Refusal:
    """Call a method by its name alone, with an empty request."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    channel = client.channel(service)
    if method.server_streaming:
        return refusal(channel.unary_stream(path), b"")
    if method.client_streaming:
        return refusal(channel.stream_unary(path), iter([b""]))
    return refusal(channel.unary_unary(path), b"")


@pytest.fixture(scope="module")
def owner(installation: Installation) -> Client:
    return installation.client()


@pytest.fixture(scope="module")
def stranger(installation: Installation) -> Client:
    """A user of the tenant without any role."""
    return installation.client(make_user(installation, "eve"))


def test_without_a_token_every_method_is_unauthenticated(installation: Installation) -> None:
    client = installation.client(token="")
    found = {
        method.full_name: call_empty(client, service, method).code
        for service, method in methods(internal=False)
    }
    # What is not built yet does not exist for anybody.
    built = {name for name, code in found.items() if code != grpc.StatusCode.UNIMPLEMENTED}
    assert {
        "stoa.authz.v1.AuthorizationService.Check",
        "stoa.catalog.v1.ImageVersionService.CreateImageVersion",
        "stoa.catalog.v1.ImageVersionService.GetImageVersion",
        "stoa.replication.v1.BlobService.UploadBlob",
        "stoa.replication.v1.ImageDiskService.ReadDisk",
        "stoa.replication.v1.ReplicationService.WatchReplication",
    } <= built
    assert {found[name] for name in built} == {grpc.StatusCode.UNAUTHENTICATED}, found


def test_a_token_that_nobody_signed_is_unauthenticated(installation: Installation) -> None:
    head, body, signature = installation.token().split(".")
    forged = installation.client(token=f"{head}.{body}.{signature[::-1]}")
    request = gallery_service_pb2.ListGalleriesRequest(
        parent=f"{SUBSCRIPTION}/resourceGroups/images"
    )
    found = refusal(forged.of(GalleryServiceStub).ListGalleries, request)
    assert found.code == grpc.StatusCode.UNAUTHENTICATED
    assert (found.info.domain, found.info.reason) == ("catalog.stoa.dev", "UNAUTHENTICATED")


def test_a_method_for_services_does_not_exist_for_clients(owner: Client) -> None:
    found = {
        method.full_name: call_empty(owner, service, method).code
        for service, method in methods(internal=True)
    }
    assert {
        "stoa.replication.v1.ReplicationService.EnsureReplicas",
        "stoa.replication.v1.BlobService.HoldBlob",
        "stoa.authz.v1.PolicyFeedService.GetHead",
        "stoa.authz.v1.SharingService.ApplySharing",
        "stoa.replication.v1.ReplicationFeedService.Watch",
    } <= set(found)
    assert set(found.values()) == {grpc.StatusCode.UNIMPLEMENTED}, found


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_reflection_shows_clients_no_service_that_is_for_services_alone(
    installation: Installation, service: str
) -> None:
    anyone = installation.client(token="")
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(anyone.channel(service))
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (reply,) = stub.ServerReflectionInfo(iter([request]))
    listed = {one.name for one in reply.list_services_response.service}
    public = {
        method.containing_service.full_name
        for served, method in methods(internal=False)
        if served == service
    }
    internal = {one.full_name for one in SERVICES[service]} - public
    assert public <= listed
    assert "grpc.health.v1.Health" in listed
    assert not internal & listed


def test_a_caller_without_a_role_is_denied_in_the_words_of_aip_211(
    owner: Client, stranger: Client
) -> None:
    existing = make_shop(owner).gallery
    missing = f"{SUBSCRIPTION}/resourceGroups/images/galleries/{unique('never')}"
    action = "Microsoft.Compute/galleries/read"
    for name in (existing, missing):
        request = gallery_service_pb2.GetGalleryRequest(name=name)
        denied = refusal(stranger.of(GalleryServiceStub).GetGallery, request)
        assert denied.code == grpc.StatusCode.PERMISSION_DENIED
        assert denied.message == (
            f"Permission '{action}' denied on resource '{name}' (or it may not exist)."
        )
        assert denied.info.reason == "PERMISSION_DENIED"
        assert denied.info.domain == "catalog.stoa.dev"
        assert dict(denied.info.metadata) == {"permission": action, "resource": name}
    request = gallery_service_pb2.GetGalleryRequest(name=missing)
    assert (
        refusal(owner.of(GalleryServiceStub).GetGallery, request).code == grpc.StatusCode.NOT_FOUND
    )


def test_a_community_gallery_that_is_not_enabled_is_as_if_it_never_existed(owner: Client) -> None:
    info = sharing_profile_pb2.CommunityGalleryInfo(
        publisher_uri="https://example.org",
        publisher_contact="images@example.org",
        eula="https://example.org/terms",
        public_name_prefix="hidden",
    )
    profile = sharing_profile_pb2.SharingProfile(
        mode=sharing_profile_pb2.SharingProfile.SHARING_MODE_COMMUNITY,
        community_gallery_info=info,
    )
    shop = make_shop(owner, gallery_pb2.Gallery(sharing_profile=profile))
    gallery = owner.of(GalleryServiceStub).GetGallery(
        gallery_service_pb2.GetGalleryRequest(name=shop.gallery)
    )
    assert not gallery.sharing_profile.community_gallery_info.community_gallery_enabled
    (hidden,) = gallery.sharing_profile.community_gallery_info.public_names
    # The same name but for one digit, as nobody ever got it.
    never = hidden[:-1] + ("0" if hidden[-1] != "0" else "1")

    def ask(public_name: str) -> tuple[str, ...]:
        request = community_gallery_service_pb2.GetCommunityGalleryRequest(
            name=f"{SUBSCRIPTION}/locations/{HOME}/communityGalleries/{public_name}"
        )
        found = refusal(owner.of(CommunityGalleryServiceStub).GetCommunityGallery, request)
        assert found.code == grpc.StatusCode.NOT_FOUND
        said = (found.message, str(found.info), *map(str, found.details))
        return tuple(one.replace(public_name, "NAME") for one in said)

    assert ask(hidden) == ask(never)


def test_everything_that_is_wrong_with_a_version_is_said_in_one_answer(owner: Client) -> None:
    shop = make_shop(owner)
    image = make_image(owner, shop.group, noise(1, 51))
    request = version_request(shop, image, {"eastus": 1}, number="1.2.3.4")
    for location, count in (("atlantis", 1), ("East US 2", 1), ("eastus2", 1), ("westus", 0)):
        request.image_version.target_regions.append(
            target_region_pb2.TargetRegion(location=location, regional_replica_count=count)
        )
    found = refusal(owner.of(ImageVersionServiceStub).CreateImageVersion, request)
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT
    assert found.info.domain == "catalog.stoa.dev"
    assert found.info.reason == "INVALID_FIELDS"
    regions = "image_version.target_regions"
    assert set(found.fields) == {
        "image_version_id",
        f"{regions}[1].location",
        f"{regions}[3].location",
        f"{regions}[4].regional_replica_count",
    }
    assert found.fields[f"{regions}[1].location"] == "REGION_UNKNOWN"
    assert found.fields[f"{regions}[3].location"] == "REGION_REPEATED"
    listed = owner.of(ImageVersionServiceStub).ListImageVersions(
        image_version_requests_pb2.ListImageVersionsRequest(parent=shop.definition)
    )
    assert not listed.image_versions


def test_a_version_of_nothing_that_exists_tells_a_stranger_no_more_than_one_that_does(
    owner: Client, stranger: Client
) -> None:
    shop = make_shop(owner)
    image = make_image(owner, shop.group, noise(1, 52))
    existing = version_request(shop, image, {"eastus": 1})
    missing = version_request(shop, f"{image}x", {"eastus": 1})
    missing.parent = f"{shop.definition}x"
    said = set()
    for request in (existing, missing):
        found = refusal(stranger.of(ImageVersionServiceStub).CreateImageVersion, request)
        said.add((found.code, found.message.replace(request.parent, "PARENT")))
    ((code, _),) = said
    assert code == grpc.StatusCode.PERMISSION_DENIED


def test_a_request_id_that_is_repeated_makes_one_version(owner: Client) -> None:
    shop = make_shop(owner)
    image = make_image(owner, shop.group, noise(1, 53))
    request = version_request(shop, image, {"eastus": 1})
    request.request_id = str(uuid.uuid4())
    stub = owner.of(ImageVersionServiceStub)
    assert stub.CreateImageVersion(request).name == stub.CreateImageVersion(request).name
    other = refusal(lambda again: begin(shop, image, {"eastus": 1}), request)
    assert other.code == grpc.StatusCode.ALREADY_EXISTS
