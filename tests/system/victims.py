"""What attackers are after: one of everything, and what its owner was ever told about it."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.api import resource_pb2
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from stoa.authz.v1 import (
    authorization_service_pb2_grpc,
    check_pb2,
    role_assignment_pb2,
    role_assignment_service_pb2,
    subscription_pb2,
    user_pb2,
)
from stoa.authz.v1.directory_service_pb2_grpc import DirectoryServiceStub
from stoa.authz.v1.role_assignment_service_pb2_grpc import RoleAssignmentServiceStub
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    gallery_sharing_pb2,
    image_definition_service_pb2,
    image_resolution_pb2,
    image_version_pb2,
    image_version_requests_pb2,
    managed_image_service_pb2,
    resource_group_service_pb2,
    sharing_profile_pb2,
)
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.managed_image_service_pb2_grpc import ManagedImageServiceStub
from stoa.catalog.v1.resource_group_service_pb2_grpc import ResourceGroupServiceStub
from stoa.replication.v1 import (
    blob_pb2,
    blob_service_pb2,
    region_service_pb2,
    replication_service_pb2,
)
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from tests.system.disks import noise
from tests.system.installation import SUBSCRIPTION, TENANT, Client, Installation
from tests.system.publishing import (
    HOME,
    ROLES,
    Shop,
    get_version,
    make_image,
    make_shop,
    publish,
    unique,
)

COMMUNITY: Final = sharing_profile_pb2.SharingProfile(
    mode=sharing_profile_pb2.SharingProfile.SHARING_MODE_COMMUNITY,
    community_gallery_info=sharing_profile_pb2.CommunityGalleryInfo(
        publisher_uri="https://example.org",
        publisher_contact="images@example.org",
        eula="https://example.org/terms",
        public_name_prefix="hostile",
    ),
)
_OPAQUE: Final = ("token", "uid", "decision_id", "etag", "digest")
# Enough for a page and a token.
_PAGE: Final = 1


class Loot(grpc.UnaryUnaryClientInterceptor):
    """Keeps what was asked and answered: requests that succeed, names by type, opaque texts."""

    def __init__(self) -> None:
        self.seeds: Final[dict[str, list[Message]]] = defaultdict(list)
        self.names: Final[dict[str, list[str]]] = defaultdict(list)
        self.tokens: Final[list[str]] = []
        # Which revision of the policy there is, which every answer about it tells.
        self._revisions: Final[set[str]] = set()

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        call = continuation(details, request)
        if call.exception() is None and isinstance(reply := call.result(), Message):
            self.seeds[request.DESCRIPTOR.full_name].append(request)
            self.keep(reply)
        return call

    def keep(self, message: Message) -> None:
        """Take names and tokens out of a reply."""
        kind = message.DESCRIPTOR
        resource = kind.GetOptions().Extensions[resource_pb2.resource].type
        if isinstance(message, operations_pb2.Operation):
            resource = "stoa.dev/Operation"
        if _is_everybodys(message, resource):
            return
        for field, value in message.ListFields():
            if field.name == (resource and "name"):
                self._add(self.names[resource], value)
            elif field.name.endswith(_OPAQUE) and isinstance(value, str):
                self._add(self.tokens, value)
                if field.name == "consistency_token":
                    self._revisions.add(value)
            for inner in _messages(field, value):
                self.keep(inner)

    def _add(self, found: list[str], text: str) -> None:
        if text not in found:
            found.append(text)

    @property
    def secrets(self) -> set[str]:
        """What only its owner was told: ids that nobody guesses."""
        ids = {part for names in self.names.values() for name in names for part in name.split("/")}
        return {
            one
            for one in (ids | set(self.tokens)) - self._revisions
            if len(one) >= 14 and any(map(str.isdigit, one))
        }


def _is_everybodys(message: Any, resource: str) -> bool:
    """Whether anybody may read it: regions, built-in roles, and one's own tenant."""
    if resource == "stoa.dev/RoleDefinition":
        return bool(message.type == message.TYPE_BUILT_IN)
    return resource == "stoa.dev/Region" or getattr(message, "name", "") == TENANT


def _messages(field: Any, value: Any) -> Iterator[Message]:
    if field.message_type is None:
        return
    if field.message_type.GetOptions().map_entry:
        return
    yield from value if field.is_repeated else (value,)


class Robbed(Client):
    """A client whose every successful call is kept."""

    def __init__(self, client: Client, loot: Loot) -> None:
        self._channels = {  # type: ignore[misc]
            service: grpc.intercept_channel(client.channel(service), loot)
            for service in ("catalog", "replication", "authz")
        }
        self.loot: Final = loot


@dataclass(frozen=True)
class Victim:
    """The owner with everything that was told to them, and a shop of each mode of sharing."""

    owner: Robbed
    private: Shop
    public: Shop
    shared: Shop

    def name(self, kind: str) -> str:
        """The first name of a type that the owner was told."""
        return self.owner.loot.names[f"stoa.dev/{kind}"][0]

    @property
    def version(self) -> str:
        """The version in the private shop."""
        return f"{self.private.definition}/versions/1.0.0"


GROUPS: Final = sharing_profile_pb2.SharingProfile(
    mode=sharing_profile_pb2.SharingProfile.SHARING_MODE_GROUPS
)


def make_victim(installation: Installation) -> Victim:
    """Make and use one of everything."""
    owner = Robbed(installation.client(), Loot())
    private = make_shop(owner)
    image = make_image(owner, private.group, noise(1, 91))
    publish(private, image, {HOME: 1})
    public = make_shop(owner, gallery_pb2.Gallery(sharing_profile=COMMUNITY))
    publish(public, make_image(owner, public.group, noise(1, 92)), {HOME: 1})
    owner.of(GalleryServiceStub).ShareGallery(
        gallery_sharing_pb2.ShareGalleryRequest(
            name=public.gallery, operation=gallery_sharing_pb2.SHARE_OPERATION_ENABLE_COMMUNITY
        )
    )
    shared = make_shop(owner, gallery_pb2.Gallery(sharing_profile=GROUPS))
    publish(shared, make_image(owner, shared.group, noise(1, 93)), {HOME: 1})
    owner.of(GalleryServiceStub).ShareGallery(
        gallery_sharing_pb2.ShareGalleryRequest(
            name=shared.gallery,
            operation=gallery_sharing_pb2.SHARE_OPERATION_ADD,
            groups=sharing_profile_pb2.SharingGroups(subscriptions=[SUBSCRIPTION]),
        )
    )
    _use_catalog(owner, private)
    _use_replication(owner, private)
    _use_authz(owner, private)
    return Victim(owner, private, public, shared)


def _use_catalog(owner: Robbed, shop: Shop) -> None:
    groups, galleries = owner.of(ResourceGroupServiceStub), owner.of(GalleryServiceStub)
    groups.GetResourceGroup(resource_group_service_pb2.GetResourceGroupRequest(name=shop.group))
    groups.ListResourceGroups(
        resource_group_service_pb2.ListResourceGroupsRequest(parent=SUBSCRIPTION, page_size=_PAGE)
    )
    gallery = galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=shop.gallery))
    gallery.tags["team"] = "images"
    galleries.UpdateGallery(
        gallery_service_pb2.UpdateGalleryRequest(
            gallery=gallery_pb2.Gallery(name=gallery.name, tags=gallery.tags)
        )
    )
    galleries.ListGalleries(
        gallery_service_pb2.ListGalleriesRequest(
            parent=f"{SUBSCRIPTION}/resourceGroups/-", page_size=_PAGE
        )
    )
    definitions, versions = owner.of(ImageDefinitionServiceStub), owner.of(ImageVersionServiceStub)
    definitions.GetImageDefinition(
        image_definition_service_pb2.GetImageDefinitionRequest(name=shop.definition)
    )
    definitions.ListImageDefinitions(
        image_definition_service_pb2.ListImageDefinitionsRequest(
            parent=shop.gallery, page_size=_PAGE
        )
    )
    version = get_version(owner, f"{shop.definition}/versions/1.0.0")
    versions.ListImageVersions(
        image_version_requests_pb2.ListImageVersionsRequest(parent=shop.definition, page_size=_PAGE)
    )
    versions.UpdateImageVersion(
        image_version_requests_pb2.UpdateImageVersionRequest(
            image_version=image_version_pb2.ImageVersion(name=version.name, tags={"a": "b"})
        )
    )
    versions.ResolveImageVersion(
        image_resolution_pb2.ResolveImageVersionRequest(image=shop.definition, location=HOME)
    )
    owner.of(ManagedImageServiceStub).ListManagedImages(
        managed_image_service_pb2.ListManagedImagesRequest(parent=shop.group, page_size=_PAGE)
    )


def _use_replication(owner: Robbed, shop: Shop) -> None:
    version = f"{shop.definition}/versions/1.0.0"
    blobs, replications = owner.of(BlobServiceStub), owner.of(ReplicationServiceStub)
    blobs.CreateBlob(
        blob_service_pb2.CreateBlobRequest(
            parent=shop.group, blob_id=unique("open"), blob=blob_pb2.Blob(location=HOME)
        )
    )
    blobs.ListBlobs(blob_service_pb2.ListBlobsRequest(parent=shop.group, page_size=_PAGE))
    (found,) = replications.ListReplications(
        replication_service_pb2.ListReplicationsRequest(parent=version)
    ).replications
    replications.GetReplication(replication_service_pb2.GetReplicationRequest(name=found.name))
    replications.ListReplicas(replication_service_pb2.ListReplicasRequest(parent=version))
    owner.of(RegionServiceStub).ListRegions(region_service_pb2.ListRegionsRequest(page_size=_PAGE))


def _use_authz(owner: Robbed, shop: Shop) -> None:
    directory = owner.of(DirectoryServiceStub)
    user = directory.CreateUser(
        user_pb2.CreateUserRequest(
            parent=TENANT,
            user_id=unique("victim"),
            user=user_pb2.User(
                display_name="Victim", user_principal_name=f"{unique('victim')}@example.org"
            ),
        )
    )
    directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=unique("secret"),
            subscription=subscription_pb2.Subscription(tenant=TENANT, display_name="Secret"),
        )
    )
    assignments = owner.of(RoleAssignmentServiceStub)
    assignments.CreateRoleAssignment(
        role_assignment_service_pb2.CreateRoleAssignmentRequest(
            parent=shop.group,
            role_assignment_id=str(uuid.uuid4()),
            role_assignment=role_assignment_pb2.RoleAssignment(
                principal=user.name, role_definition=f"roleDefinitions/{ROLES['Reader']}"
            ),
        )
    )
    assignments.ListRoleAssignments(
        role_assignment_service_pb2.ListRoleAssignmentsRequest(parent=SUBSCRIPTION, page_size=_PAGE)
    )
    owner.of(authorization_service_pb2_grpc.AuthorizationServiceStub).Check(
        check_pb2.CheckRequest(action="Microsoft.Compute/galleries/read", resource=shop.gallery)
    )
