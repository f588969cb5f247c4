"""What is published to three regions is what everyone who may reads there, to the last bit."""

from dataclasses import dataclass

import pytest
from stoa.catalog.v1 import (
    community_gallery_service_pb2,
    gallery_pb2,
    gallery_sharing_pb2,
    image_resolution_pb2,
    image_version_pb2,
    shared_gallery_service_pb2,
    sharing_profile_pb2,
)
from stoa.catalog.v1.community_gallery_service_pb2_grpc import CommunityGalleryServiceStub
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.provisioning_state_pb2 import PROVISIONING_STATE_SUCCEEDED
from stoa.catalog.v1.shared_gallery_service_pb2_grpc import SharedGalleryServiceStub
from stoa.replication.v1 import image_disk_service_pb2, replica_pb2, replication_service_pb2
from stoa.replication.v1.copy_state_pb2 import COPY_STATE_COMPLETED
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1.replication_state_pb2 import (
    AGGREGATED_REPLICATION_STATE_COMPLETED,
    REGIONAL_REPLICATION_STATE_COMPLETED,
)

from tests.system.disks import Disk, sparse, structured
from tests.system.errors import refusal
from tests.system.installation import Client, Installation
from tests.system.publishing import (
    OS,
    PLACES,
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
)

pytestmark = pytest.mark.timeout(240)

REGIONS = {"eastus": 2, "eastus2": 1, "westus": 1}


@dataclass(frozen=True)
class Published:
    shop: Shop
    version: image_version_pb2.ImageVersion
    os: Disk
    data: Disk


def publish_two_disks(owner: Client, sharing: gallery_pb2.Gallery | None, seed: int) -> Published:
    os, data = sparse(64, 12, seed), structured(16, seed + 1)
    shop = make_shop(owner, sharing)
    image = make_image(owner, shop.group, os, data)
    return Published(shop, publish(shop, image, REGIONS), os, data)


@pytest.fixture(scope="module")
def owner(installation: Installation) -> Client:
    return installation.client()


@pytest.fixture(scope="module")
def private(owner: Client) -> Published:
    return publish_two_disks(owner, None, 1)


@dataclass(frozen=True)
class Consumer:
    client: Client
    subscription: str

    def place(self, region: str) -> str:
        return f"{self.subscription}/locations/{region}"


@pytest.fixture(scope="module")
def consumer(installation: Installation) -> Consumer:
    """Somebody who may read in a subscription of their own, and nothing of the publisher's."""
    subscription = make_subscription(installation)
    user = make_user(installation)
    grant(installation, principal(user), "Reader", subscription)
    return Consumer(installation.client(user), subscription)


def test_every_region_says_that_it_is_complete(private: Published) -> None:
    version = private.version
    status = version.replication_status
    assert version.provisioning_state == PROVISIONING_STATE_SUCCEEDED
    assert status.aggregated_state == AGGREGATED_REPLICATION_STATE_COMPLETED
    found = {one.location: (one.state, one.good_replica_count) for one in status.summary}
    assert found == {
        region: (REGIONAL_REPLICATION_STATE_COMPLETED, count) for region, count in REGIONS.items()
    }
    assert list(found) == list(REGIONS)
    assert all(one.usable for one in status.summary)


def test_every_replica_has_the_same_roots(private: Published, owner: Client) -> None:
    request = replication_service_pb2.ListReplicasRequest(parent=private.version.name)
    replicas = owner.of(ReplicationServiceStub).ListReplicas(request).replicas
    assert sorted((one.location, one.slot) for one in replicas) == [
        ("eastus", "slot-0"),
        ("eastus", "slot-1"),
        ("eastus2", "slot-0"),
        ("westus", "slot-0"),
    ]
    assert {one.state for one in replicas} == {COPY_STATE_COMPLETED}
    assert {one.health for one in replicas} == {replica_pb2.REPLICA_HEALTH_GOOD}
    roots = {
        tuple(
            (disk.disk.SerializeToString(), disk.root_digest, disk.size_bytes) for disk in one.disks
        )
        for one in replicas
    }
    (disks,) = roots
    assert {size for _, _, size in disks} == {private.os.size, private.data.size}
    assert all(len(root) == 32 for _, root, _ in disks)


@pytest.mark.parametrize("region", [place.id for place in PLACES])
def test_by_a_role_the_disks_are_read_in_each_region(
    private: Published, installation: Installation, region: str
) -> None:
    user = make_user(installation)
    grant(installation, principal(user), "Reader", private.shop.group)
    reader = installation.client(user)
    resolved = reader.of(ImageVersionServiceStub).ResolveImageVersion(
        image_resolution_pb2.ResolveImageVersionRequest(
            image=private.shop.definition, location=region
        )
    )
    assert resolved.image_version == private.version.name
    assert read(reader, resolved.image_version, OS, region).digest == private.os.digest
    assert read(reader, resolved.image_version, lun(0), region).digest == private.data.digest


def share(
    shop: Shop,
    operation: "gallery_sharing_pb2.ShareOperation.ValueType",
    consumer: Consumer | None = None,
) -> gallery_pb2.Gallery:
    groups = sharing_profile_pb2.SharingGroups(
        subscriptions=[consumer.subscription] if consumer else []
    )
    reply = shop.owner.of(GalleryServiceStub).ShareGallery(
        gallery_sharing_pb2.ShareGalleryRequest(
            name=shop.gallery,
            operation=operation,
            groups=groups if consumer else None,
            wait_for=gallery_sharing_pb2.SHARING_WAIT_MODE_REPLICAS,
        )
    )
    assert reply.effective_everywhere
    return reply.gallery


def test_by_a_direct_share_the_disks_are_read_through_the_view(
    owner: Client, consumer: Consumer
) -> None:
    profile = sharing_profile_pb2.SharingProfile(
        mode=sharing_profile_pb2.SharingProfile.SHARING_MODE_GROUPS
    )
    published = publish_two_disks(owner, gallery_pb2.Gallery(sharing_profile=profile), 11)
    stub = consumer.client.of(SharedGalleryServiceStub)
    request = shared_gallery_service_pb2.ListSharedGalleriesRequest(parent=consumer.place("westus"))
    before = {one.name for one in stub.ListSharedGalleries(request).shared_galleries}

    share(published.shop, gallery_sharing_pb2.SHARE_OPERATION_ADD, consumer)

    after = {one.name for one in stub.ListSharedGalleries(request).shared_galleries}
    (view,) = after - before
    versions = stub.ListSharedGalleryImageVersions(
        shared_gallery_service_pb2.ListSharedGalleryImageVersionsRequest(
            parent=f"{view}/images/linux-base"
        )
    ).shared_gallery_image_versions
    (version,) = [one.name for one in versions]
    assert published.shop.gallery.rpartition("/")[2] not in version
    assert read(consumer.client, version, OS).digest == published.os.digest
    assert read(consumer.client, version, lun(0)).digest == published.data.digest

    private = image_disk_service_pb2.ReadDiskRequest(
        name=published.version.name, location="westus", disk=OS
    )
    denied = refusal(consumer.client.of(ImageDiskServiceStub).ReadDisk, private)
    assert denied.info.reason == "PERMISSION_DENIED"

    share(published.shop, gallery_sharing_pb2.SHARE_OPERATION_REMOVE, consumer)
    gone = refusal(
        consumer.client.of(ImageDiskServiceStub).ReadDisk,
        image_disk_service_pb2.ReadDiskRequest(name=version, disk=OS),
    )
    assert gone.info.reason == "RESOURCE_NOT_FOUND"


def test_by_a_community_share_the_disks_are_read_once_the_terms_are_accepted(
    owner: Client, consumer: Consumer
) -> None:
    profile = sharing_profile_pb2.SharingProfile(
        mode=sharing_profile_pb2.SharingProfile.SHARING_MODE_COMMUNITY,
        community_gallery_info=sharing_profile_pb2.CommunityGalleryInfo(
            publisher_uri="https://example.org",
            publisher_contact="images@example.org",
            eula="https://example.org/terms",
            public_name_prefix="golden",
        ),
    )
    published = publish_two_disks(owner, gallery_pb2.Gallery(sharing_profile=profile), 21)
    gallery = share(published.shop, gallery_sharing_pb2.SHARE_OPERATION_ENABLE_COMMUNITY)
    (public_name,) = gallery.sharing_profile.community_gallery_info.public_names
    view = f"{consumer.place('eastus2')}/communityGalleries/{public_name}"
    stub = consumer.client.of(CommunityGalleryServiceStub)
    listed = stub.ListCommunityGalleries(
        community_gallery_service_pb2.ListCommunityGalleriesRequest(
            parent=consumer.place("eastus2")
        )
    )
    assert view in {one.name for one in listed.community_galleries}
    versions = stub.ListCommunityGalleryImageVersions(
        community_gallery_service_pb2.ListCommunityGalleryImageVersionsRequest(
            parent=f"{view}/images/linux-base"
        )
    ).community_gallery_image_versions
    (version,) = [one.name for one in versions]

    request = image_disk_service_pb2.ReadDiskRequest(name=version, disk=OS)
    unaccepted = refusal(consumer.client.of(ImageDiskServiceStub).ReadDisk, request)
    assert unaccepted.info.reason == "TERMS_NOT_ACCEPTED"

    found = read(consumer.client, version, OS, accept_terms=True)
    assert found.digest == published.os.digest
    found = read(consumer.client, version, lun(0), accept_terms=True)
    assert found.digest == published.data.digest
