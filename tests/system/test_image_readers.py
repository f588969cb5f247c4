"""Image Readers of another subscription and of another tenant list, resolve and pull, no more."""

from dataclasses import dataclass
from typing import Final

import grpc
import pytest
from stoa.authz.v1 import subscription_pb2, tenant_pb2, user_pb2
from stoa.authz.v1.directory_service_pb2_grpc import DirectoryServiceStub
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    gallery_sharing_pb2,
    image_definition_service_pb2,
    image_resolution_pb2,
    image_version_pb2,
    image_version_requests_pb2,
    shared_gallery_service_pb2,
    sharing_profile_pb2,
    target_region_pb2,
    target_region_requests_pb2,
)
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.shared_gallery_service_pb2_grpc import SharedGalleryServiceStub
from stoa.replication.v1 import replication_service_pb2, replication_watch_pb2
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from tests.system.disks import Disk, sparse, structured
from tests.system.errors import refusal
from tests.system.installation import Client, Installation
from tests.system.publishing import (
    OS,
    Shop,
    grant,
    lun,
    make_image,
    make_shop,
    make_subscription,
    make_user,
    principal,
    publish,
    read,
    unique,
)

pytestmark = pytest.mark.timeout(240)

REGIONS: Final = {"eastus": 1, "eastus2": 1}
IMAGE_READER: Final = "Compute Gallery Image Reader"


@dataclass(frozen=True)
class Published:
    shop: Shop
    version: image_version_pb2.ImageVersion
    os: Disk
    data: Disk


@dataclass(frozen=True)
class Reader:
    client: Client
    name: str


@pytest.fixture(scope="module")
def published(installation: Installation) -> Published:
    owner = installation.client()
    os, data = sparse(16, 4, 31), structured(8, 32)
    # Readers by a role and readers of the view side by side.
    mode = sharing_profile_pb2.SharingProfile.SHARING_MODE_GROUPS
    profile = sharing_profile_pb2.SharingProfile(mode=mode)
    shop = make_shop(owner, gallery_pb2.Gallery(sharing_profile=profile))
    image = make_image(owner, shop.group, os, data)
    return Published(shop, publish(shop, image, REGIONS), os, data)


def of_another_subscription(installation: Installation) -> Reader:
    user = make_user(installation)
    grant(installation, principal(user), "Contributor", make_subscription(installation))
    return Reader(installation.client(user), principal(user))


def of_another_tenant(installation: Installation) -> Reader:
    tenant, user = unique("abroad"), unique("ann")
    directory = installation.client().of(DirectoryServiceStub)
    directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=tenant,
            tenant=tenant_pb2.Tenant(display_name="Abroad"),
            initial_owner_id=user,
            initial_owner=user_pb2.User(
                display_name="Ann", user_principal_name=f"{user}@example.org"
            ),
        )
    )
    client = installation.client(token=installation.token(user, tenant))
    client.of(DirectoryServiceStub).CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=unique("abroad"),
            subscription=subscription_pb2.Subscription(
                tenant=f"tenants/{tenant}", display_name="Abroad"
            ),
        )
    )
    return Reader(client, f"tenants/{tenant}/users/{user}")


@pytest.fixture(params=[of_another_subscription, of_another_tenant], ids=lambda one: one.__name__)
def reader(
    request: pytest.FixtureRequest, installation: Installation, published: Published
) -> Reader:
    found: Reader = request.param(installation)
    grant(installation, found.name, IMAGE_READER, published.shop.gallery)
    return found


def listed(client: Client, gallery: str, definition: str) -> tuple[list[str], list[str]]:
    """The definitions and versions that somebody is shown below these names."""
    definitions = client.of(ImageDefinitionServiceStub).ListImageDefinitions(
        image_definition_service_pb2.ListImageDefinitionsRequest(parent=gallery)
    )
    versions = client.of(ImageVersionServiceStub).ListImageVersions(
        image_version_requests_pb2.ListImageVersionsRequest(parent=definition)
    )
    return (
        [one.name for one in definitions.image_definitions],
        [one.name for one in versions.image_versions],
    )


def test_an_image_reader_lists_what_they_may_read_and_nothing_else(
    reader: Reader, published: Published
) -> None:
    shop = published.shop
    everywhere = "subscriptions/-/resourceGroups/-/galleries/-"
    for gallery, definition in (
        (shop.gallery, shop.definition),
        (everywhere, f"{everywhere}/images/-"),
    ):
        found = listed(reader.client, gallery, definition)
        assert found == ([shop.definition], [published.version.name])
    request = gallery_service_pb2.GetGalleryRequest(name=shop.gallery)
    denied = refusal(reader.client.of(GalleryServiceStub).GetGallery, request)
    assert denied.code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("region", REGIONS)
def test_an_image_reader_resolves_and_pulls_every_disk_of_a_version(
    reader: Reader, published: Published, region: str
) -> None:
    resolved = reader.client.of(ImageVersionServiceStub).ResolveImageVersion(
        image_resolution_pb2.ResolveImageVersionRequest(
            image=published.shop.definition, location=region
        )
    )
    assert resolved.image_version == published.version.name
    name = resolved.image_version
    assert read(reader.client, name, OS, region).digest == published.os.digest
    assert read(reader.client, name, lun(0), region).digest == published.data.digest


def test_an_image_reader_adds_no_region_and_changes_nothing_else(
    reader: Reader, published: Published
) -> None:
    name = published.version.name
    stub = reader.client.of(ImageVersionServiceStub)
    requests = target_region_requests_pb2
    added = target_region_pb2.TargetRegion(location="westus")
    changed = image_version_pb2.ImageVersion(name=name, exclude_from_latest=True)
    for call, request in (
        (
            stub.AddTargetRegions,
            requests.AddTargetRegionsRequest(name=name, target_regions=[added]),
        ),
        (
            stub.RemoveTargetRegions,
            requests.RemoveTargetRegionsRequest(name=name, locations=["eastus2"]),
        ),
        (
            stub.SetReplicaCounts,
            requests.SetReplicaCountsRequest(name=name, replica_count=2),
        ),
        (
            stub.UpdateImageVersion,
            image_version_requests_pb2.UpdateImageVersionRequest(image_version=changed),
        ),
        (
            stub.DeleteImageVersion,
            image_version_requests_pb2.DeleteImageVersionRequest(name=name),
        ),
        (
            reader.client.of(ReplicationServiceStub).RetryReplication,
            replication_service_pb2.RetryReplicationRequest(name=name),
        ),
    ):
        denied = refusal(call, request)
        assert denied.code == grpc.StatusCode.PERMISSION_DENIED, request
        assert denied.info.reason == "PERMISSION_DENIED"
    owner = published.shop.owner.of(ImageVersionServiceStub)
    found = owner.GetImageVersion(image_version_requests_pb2.GetImageVersionRequest(name=name))
    assert [one.location for one in found.target_regions] == list(REGIONS)
    assert not found.exclude_from_latest


def test_who_reads_the_view_alone_sees_no_replication_data(
    installation: Installation, published: Published
) -> None:
    subscription, user = make_subscription(installation), make_user(installation)
    grant(installation, principal(user), "Owner", subscription)
    published.shop.owner.of(GalleryServiceStub).ShareGallery(
        gallery_sharing_pb2.ShareGalleryRequest(
            name=published.shop.gallery,
            operation=gallery_sharing_pb2.SHARE_OPERATION_ADD,
            groups=sharing_profile_pb2.SharingGroups(subscriptions=[subscription]),
            wait_for=gallery_sharing_pb2.SHARING_WAIT_MODE_REPLICAS,
        )
    )
    client, place = installation.client(user), f"{subscription}/locations/eastus"
    galleries = client.of(SharedGalleryServiceStub).ListSharedGalleries(
        shared_gallery_service_pb2.ListSharedGalleriesRequest(parent=place)
    )
    (view,) = [one.name for one in galleries.shared_galleries]
    seen = f"{view}/images/linux-base/versions/1.0.0"
    assert read(client, seen, OS).digest == published.os.digest
    stub, pb = client.of(ReplicationServiceStub), replication_service_pb2
    for name, code in (
        (published.version.name, grpc.StatusCode.PERMISSION_DENIED),
        # No view is a name of what replicas belong to.
        (seen, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        for call, request in (
            (stub.ListReplicas, pb.ListReplicasRequest(parent=name)),
            (stub.ListReplications, pb.ListReplicationsRequest(parent=name)),
            (stub.GetReplication, pb.GetReplicationRequest(name=name)),
            (stub.WatchReplication, replication_watch_pb2.WatchReplicationRequest(name=name)),
        ):
            assert refusal(call, request).code == code, request
