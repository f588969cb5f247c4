"""The main job in calls of the contract: regions, sources, versions, reading."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from blake3 import blake3
from google.longrunning import operations_pb2
from stoa.authz.v1 import directory_service_pb2_grpc as directory
from stoa.authz.v1 import (
    role_assignment_pb2,
    role_assignment_service_pb2,
    subscription_pb2,
    user_pb2,
)
from stoa.authz.v1.role_assignment_service_pb2_grpc import RoleAssignmentServiceStub
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_pb2,
    image_definition_service_pb2,
    image_version_pb2,
    image_version_requests_pb2,
    managed_image_pb2,
    managed_image_service_pb2,
    resource_group_pb2,
    resource_group_service_pb2,
    storage_profile_pb2,
    target_region_pb2,
)
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.managed_image_service_pb2_grpc import ManagedImageServiceStub
from stoa.catalog.v1.resource_group_service_pb2_grpc import ResourceGroupServiceStub
from stoa.replication.v1 import (
    blob_pb2,
    blob_service_pb2,
    blob_upload_pb2,
    image_disk_service_pb2,
    region_pb2,
    region_service_pb2,
)
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub
from stoa.type.v1 import os_type_pb2
from stoa.type.v1.storage_pb2 import DISK_FORMAT_UNSPECIFIED, DISK_FORMAT_VHD_FIXED, DiskSelector

from tests.system.disks import Disk
from tests.system.installation import SUBSCRIPTION, TENANT, Client, Installation

HOME: Final = "eastus"
OS: Final = DiskSelector(os=True)
# Azure's, which policies written for it name.
ROLES: Final = {
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Compute Gallery Image Reader": "cf7c76d2-98a3-4358-a134-615aa78bf44d",
}


def lun(number: int) -> DiskSelector:
    return DiskSelector(lun=number)


def unique(prefix: str) -> str:
    """An id that nothing else in the installation has."""
    return f"{prefix}{uuid.uuid4().hex[:10]}"


@dataclass(frozen=True, slots=True)
class Place:
    """A region for tests: its id, display name and how many slots it has."""

    id: str
    display_name: str
    slots: int = 1


PLACES: Final = (
    Place(HOME, "East US", 2),
    Place("eastus2", "East US 2"),
    Place("westus", "West US"),
)


def store_of(installation: Installation, region: str, slot: int = 0) -> Path:
    """The directory that is one slot of a region."""
    return installation.layout.stores / f"{region}-{slot}"


def make_regions(
    installation: Installation, places: Sequence[Place] = PLACES, **limits: region_pb2.RegionLimits
) -> None:
    """Create regions with a directory for each slot."""
    stub = installation.client().of(RegionServiceStub)
    for place in places:
        region = region_pb2.Region(display_name=place.display_name, limits=limits.get(place.id))
        for number in range(place.slots):
            store = store_of(installation, place.id, number)
            store.mkdir(mode=0o700, parents=True, exist_ok=True)
            region.slots.add(id=f"slot-{number}", store_url=store.as_uri())
        stub.CreateRegion(region_service_pb2.CreateRegionRequest(region_id=place.id, region=region))


@dataclass(frozen=True, slots=True)
class Shop:
    """A resource group with a gallery and a definition in it, and who made them."""

    owner: Client
    group: str
    gallery: str
    definition: str


def make_shop(
    owner: Client, sharing: gallery_pb2.Gallery | None = None, *, group: str = ""
) -> Shop:
    """Create a gallery and a definition, in a group of their own where none is named.

    `sharing` holds the profile of the gallery.
    """
    group = group or make_group(owner)
    gallery = owner.of(GalleryServiceStub).CreateGallery(
        gallery_service_pb2.CreateGalleryRequest(
            parent=group,
            gallery_id=unique("golden"),
            gallery=gallery_pb2.Gallery(
                location=HOME, sharing_profile=sharing.sharing_profile if sharing else None
            ),
        )
    )
    definition = owner.of(ImageDefinitionServiceStub).CreateImageDefinition(
        image_definition_service_pb2.CreateImageDefinitionRequest(
            parent=gallery.name,
            image_definition_id="linux-base",
            image_definition=image_definition_pb2.ImageDefinition(
                location=HOME,
                os_type=os_type_pb2.OS_TYPE_LINUX,
                os_state=os_type_pb2.OS_STATE_GENERALIZED,
                hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2,
                identifier=image_definition_pb2.ImageIdentifier(
                    publisher="contoso", offer="linux", sku="base"
                ),
            ),
        )
    )
    return Shop(owner, group, gallery.name, definition.name)


def make_group(owner: Client, subscription: str = SUBSCRIPTION) -> str:
    made = owner.of(ResourceGroupServiceStub).CreateResourceGroup(
        resource_group_service_pb2.CreateResourceGroupRequest(
            parent=subscription,
            resource_group_id=unique("images"),
            resource_group=resource_group_pb2.ResourceGroup(location=HOME),
        )
    )
    return made.name


def upload(owner: Client, group: str, disk: Disk, *, vhd: bool = False) -> str:
    """Upload a file into a blob of the home region; its digest is demanded at the commit."""
    stub = owner.of(BlobServiceStub)
    form = DISK_FORMAT_VHD_FIXED if vhd else DISK_FORMAT_UNSPECIFIED
    blob = stub.CreateBlob(
        blob_service_pb2.CreateBlobRequest(
            parent=group, blob_id=unique("disk"), blob=blob_pb2.Blob(location=HOME, format=form)
        )
    )
    reply = stub.UploadBlob(_messages(blob.name, disk))
    assert reply.blob.state == blob_pb2.Blob.STATE_COMMITTED
    assert reply.blob.size_bytes == disk.size
    return blob.name


def _messages(name: str, disk: Disk) -> Iterator[blob_upload_pb2.UploadBlobRequest]:
    pb = blob_upload_pb2
    yield pb.UploadBlobRequest(start=pb.UploadStart(name=name, offset_bytes=0))
    for at, piece in disk.pieces():
        chunk = pb.UploadChunk(offset_bytes=at)
        if piece.count(0) == len(piece):
            chunk.zero_bytes = len(piece)
        else:
            chunk.data = piece
            chunk.blake3_digest = blake3(piece).digest()
        yield pb.UploadBlobRequest(chunk=chunk)
    commit = pb.UploadCommit(size_bytes=disk.size, blake3_digest=bytes.fromhex(disk.digest))
    yield pb.UploadBlobRequest(commit=commit)


def make_image(owner: Client, group: str, os: Disk, *data: Disk) -> str:
    """Upload disks and make a managed image of them; data disks have the LUNs from 0."""
    pb = managed_image_pb2
    blobs = pb.ManagedImageBlobs(
        os_blob=upload(owner, group, os),
        data_blobs=[
            pb.ManagedImageDataBlob(lun=number, blob=upload(owner, group, disk))
            for number, disk in enumerate(data)
        ],
    )
    made = owner.of(ManagedImageServiceStub).CreateManagedImage(
        managed_image_service_pb2.CreateManagedImageRequest(
            parent=group,
            managed_image_id=unique("base"),
            managed_image=pb.ManagedImage(
                location=HOME,
                blobs=blobs,
                os_type=os_type_pb2.OS_TYPE_LINUX,
                os_state=os_type_pb2.OS_STATE_GENERALIZED,
                hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2,
            ),
        )
    )
    return made.name


def version_request(
    shop: Shop, image: str, regions: Mapping[str, int], number: str = "1.0.0"
) -> image_version_requests_pb2.CreateImageVersionRequest:
    """The request for a version of a managed image, with a replica count for each region."""
    return image_version_requests_pb2.CreateImageVersionRequest(
        parent=shop.definition,
        image_version_id=number,
        image_version=image_version_pb2.ImageVersion(
            location=HOME,
            storage_profile=storage_profile_pb2.StorageProfile(
                source=storage_profile_pb2.VersionSource(managed_image=image)
            ),
            target_regions=[
                target_region_pb2.TargetRegion(location=location, regional_replica_count=count)
                for location, count in regions.items()
            ],
        ),
    )


def begin(
    shop: Shop, image: str, regions: Mapping[str, int], number: str = "1.0.0"
) -> tuple[operations_pb2.Operation, str]:
    """Create a version; answer its operation and its name."""
    request = version_request(shop, image, regions, number)
    operation = shop.owner.of(ImageVersionServiceStub).CreateImageVersion(request)
    return operation, f"{shop.definition}/versions/{number}"


def publish(
    shop: Shop, image: str, regions: Mapping[str, int], number: str = "1.0.0"
) -> image_version_pb2.ImageVersion:
    """Create a version and wait until all of its regions have it."""
    operation, _ = begin(shop, image, regions, number)
    return shop.owner.result(operation, image_version_pb2.ImageVersion)


def get_version(client: Client, name: str) -> image_version_pb2.ImageVersion:
    return client.of(ImageVersionServiceStub).GetImageVersion(
        image_version_requests_pb2.GetImageVersionRequest(
            name=name, view=image_version_pb2.IMAGE_VERSION_VIEW_FULL
        )
    )


def read(
    client: Client, name: str, disk: DiskSelector, location: str = "", *, accept_terms: bool = False
) -> Disk:
    """Read a whole disk where it is replicated."""
    request = image_disk_service_pb2.ReadDiskRequest(
        name=name, location=location, disk=disk, accept_terms=accept_terms
    )
    stream = client.of(ImageDiskServiceStub).ReadDisk(request)
    start = next(stream).start
    assert start.verified
    content = bytearray()
    for response in stream:
        piece = response.piece
        assert piece.offset_bytes == len(content)
        content += piece.data if piece.HasField("data") else bytes(piece.zero_bytes)
    assert len(content) == start.layout.size_bytes
    return Disk(bytes(content))


def make_subscription(installation: Installation) -> str:
    """Create a subscription of the tenant."""
    stub = installation.client().of(directory.DirectoryServiceStub)
    made, call = stub.CreateSubscription.with_call(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=unique("consumer"),
            subscription=subscription_pb2.Subscription(tenant=TENANT, display_name="Consumer"),
        )
    )
    keep_token(installation, call)
    return made.name


def make_user(installation: Installation, prefix: str = "ada") -> str:
    """Create a user of the tenant who holds nothing; answer the id, which is a token's subject."""
    user = unique(prefix)
    stub = installation.client().of(directory.DirectoryServiceStub)
    _, call = stub.CreateUser.with_call(
        user_pb2.CreateUserRequest(
            parent=TENANT,
            user_id=user,
            user=user_pb2.User(
                display_name=prefix.title(), user_principal_name=f"{user}@example.org"
            ),
        )
    )
    keep_token(installation, call)
    return user


def principal(user: str) -> str:
    return f"{TENANT}/users/{user}"


def grant(
    installation: Installation, who: str, role: str, scope: str
) -> role_assignment_pb2.RoleAssignment:
    """Give a built-in role to a principal at a scope; what is called next knows of it."""
    stub = installation.client().of(RoleAssignmentServiceStub)
    made, call = stub.CreateRoleAssignment.with_call(
        role_assignment_service_pb2.CreateRoleAssignmentRequest(
            parent=scope,
            role_assignment_id=str(uuid.uuid4()),
            role_assignment=role_assignment_pb2.RoleAssignment(
                principal=who, role_definition=f"roleDefinitions/{ROLES[role]}"
            ),
        )
    )
    keep_token(installation, call)
    return made


def keep_token(installation: Installation, call: grpc.Call) -> None:
    """Have all later calls see the change of the policy that this call made."""
    installation.consistency_token = str(dict(call.trailing_metadata())["x-consistency-token"])


def revoke(installation: Installation, assignment: str, *, wait: bool = False) -> str:
    """Take a role away; answer which replicas of the policy had not followed, with `wait`."""
    _, call = (
        installation.client()
        .of(RoleAssignmentServiceStub)
        .DeleteRoleAssignment.with_call(
            role_assignment_service_pb2.DeleteRoleAssignmentRequest(
                name=assignment, wait_for_replicas=wait
            )
        )
    )
    return str(dict(call.trailing_metadata()).get("x-lagging-replicas", ""))
