"""Ids of somebody else, in every field: they open nothing and tell nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stoa.catalog.v1 import (
    community_gallery_service_pb2,
    gallery_pb2,
    gallery_service_pb2,
    gallery_sharing_pb2,
    image_resolution_pb2,
    managed_image_pb2,
    managed_image_service_pb2,
    resource_group_pb2,
    resource_group_service_pb2,
)
from stoa.catalog.v1.community_gallery_service_pb2_grpc import CommunityGalleryServiceStub
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.managed_image_service_pb2_grpc import ManagedImageServiceStub
from stoa.catalog.v1.resource_group_service_pb2_grpc import ResourceGroupServiceStub
from stoa.replication.v1 import (
    image_disk_service_pb2,
    replication_service_pb2,
    replication_watch_pb2,
)
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1 import method_policy_pb2, os_type_pb2

from tests.system.errors import refusal
from tests.system.installation import SUBSCRIPTION, Client, Installation
from tests.system.publishing import (
    HOME,
    OS,
    grant,
    make_group,
    make_shop,
    make_subscription,
    make_user,
    principal,
    unique,
)
from tests.system.test_contract import SERVICES, call, methods
from tests.system.victims import COMMUNITY, Victim, make_victim

pytestmark = pytest.mark.timeout(300)

DENIED: Final = grpc.StatusCode.PERMISSION_DENIED
INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT


@dataclass(frozen=True)
class Mallory:
    """Somebody who owns a subscription, and nothing in that of the victim."""

    client: Client
    subscription: str


@pytest.fixture(scope="module")
def victim(installation: Installation) -> Victim:
    return make_victim(installation)


@pytest.fixture(scope="module")
def mallory(installation: Installation) -> Mallory:
    subscription = make_subscription(installation)
    user = make_user(installation, "mallory")
    grant(installation, principal(user), "Owner", subscription)
    return Mallory(installation.client(user), subscription)


def answer(send: Callable[..., Any], request: Message, name: str) -> tuple[Any, ...]:
    """All that a refusal says, with the name that was asked about taken out."""
    found = refusal(send, request)
    said = (found.message, *map(str, found.details), *map(str, [found.info]))
    return (found.code, *(one.replace(name, "NAME") for one in said))


def _absent(name: str) -> str:
    """A name of the same length and kind as another one that nothing has."""
    if name.endswith("/versions/1.0.0"):
        return name.replace("1.0.0", "9.9.9")
    return name[:-1] + ("0" if name[-1] != "0" else "1")


def test_t5_what_exists_and_what_does_not_are_one_answer_to_whom_it_is_not_for(
    victim: Victim, mallory: Mallory
) -> None:
    loot, compared = victim.owner.loot, 0
    for service in SERVICES:
        for method in methods(service):
            for seed in loot.seeds.get(method.input_type.full_name, ()):
                path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
                holder: Any = GetMessageClass(method.input_type)()
                request = holder
                holder.CopyFrom(seed)
                *above, last = path.split(".")
                for one in above:
                    holder = getattr(holder, one)
                name = getattr(holder, last, "")
                if not name.startswith("subscriptions/") or "-" in name.split("/"):
                    continue
                found = []
                for asked in (name, _absent(name)):
                    setattr(holder, last, asked)
                    refused = call(mallory.client.channel(service), method, request)
                    assert refused is not None, f"{method.full_name} of {asked} succeeds"
                    said = (refused.message, *map(str, refused.details), str(refused.info))
                    found.append((refused.code, *(one.replace(asked, "NAME") for one in said)))
                # What is packed has lengths, and those are equal: both names are as long.
                assert found[0][:2] == found[1][:2], method.full_name
                assert found[0][-1] == found[1][-1], method.full_name
                compared += 1
    assert compared >= 15


def test_t6_operations_and_replications_of_others_are_as_if_they_were_not(
    victim: Victim, mallory: Mallory
) -> None:
    operations: Any = operations_pb2_grpc.OperationsStub(mallory.client.channel("catalog"))
    name = victim.name("Operation")
    get, cancel = operations_pb2.GetOperationRequest, operations_pb2.CancelOperationRequest
    for send, kind in ((operations.GetOperation, get), (operations.CancelOperation, cancel)):
        mine, never = (answer(send, kind(name=one), one) for one in (name, _absent(name)))
        assert mine == never
        assert mine[0] is DENIED
    replication = victim.name("Replication")
    stub = mallory.client.of(ReplicationServiceStub)
    for send, request in (
        (stub.GetReplication, replication_service_pb2.GetReplicationRequest),
        (stub.CancelReplication, replication_service_pb2.CancelReplicationRequest),
        (stub.RetryReplication, replication_service_pb2.RetryReplicationRequest),
        (stub.WatchReplication, replication_watch_pb2.WatchReplicationRequest),
    ):
        mine, never = (
            answer(send, request(name=one), one) for one in (replication, _absent(replication))
        )
        assert mine == never
        assert mine[0] is DENIED


def test_t6_a_page_token_is_good_for_its_caller_and_its_list_alone(
    victim: Victim, mallory: Mallory
) -> None:
    request = resource_group_service_pb2.ListResourceGroupsRequest(parent=SUBSCRIPTION, page_size=1)
    token = victim.owner.of(ResourceGroupServiceStub).ListResourceGroups(request).next_page_token
    assert token
    make_group(mallory.client, mallory.subscription)
    for client, parent in (
        (mallory.client, mallory.subscription),
        (victim.owner, mallory.subscription),
    ):
        other = resource_group_service_pb2.ListResourceGroupsRequest(
            parent=parent, page_size=1, page_token=token
        )
        found = refusal(client.of(ResourceGroupServiceStub).ListResourceGroups, other)
        assert found.code is INVALID
        assert set(found.fields) == {"page_token"}


def test_t1_nobody_copies_the_blob_or_the_image_of_somebody_else(
    victim: Victim, mallory: Mallory
) -> None:
    group = make_group(mallory.client, mallory.subscription)
    said = set()
    blob = victim.name("Blob")
    for source in (blob, _absent(blob)):
        request = managed_image_service_pb2.CreateManagedImageRequest(
            parent=group,
            managed_image_id=unique("stolen"),
            managed_image=managed_image_pb2.ManagedImage(
                location=HOME,
                blobs=managed_image_pb2.ManagedImageBlobs(os_blob=source),
                os_type=os_type_pb2.OS_TYPE_LINUX,
                os_state=os_type_pb2.OS_STATE_GENERALIZED,
            ),
        )
        stub = mallory.client.of(ManagedImageServiceStub)
        said.add(answer(stub.CreateManagedImage, request, source)[:2])
    ((code, _),) = said
    assert code is DENIED


def test_a_request_id_of_somebody_else_answers_nothing_of_theirs(
    victim: Victim, mallory: Mallory
) -> None:
    def request(parent: str) -> resource_group_service_pb2.CreateResourceGroupRequest:
        return resource_group_service_pb2.CreateResourceGroupRequest(
            parent=parent,
            resource_group_id="same-for-both",
            resource_group=resource_group_pb2.ResourceGroup(location=HOME),
            request_id="5f0c1f2e-6a51-4f1d-9d4a-0f5a1c6b7d8e",
        )

    theirs = victim.owner.of(ResourceGroupServiceStub).CreateResourceGroup(request(SUBSCRIPTION))
    stub = mallory.client.of(ResourceGroupServiceStub)
    assert refusal(stub.CreateResourceGroup, request(SUBSCRIPTION)).code is DENIED
    mine = stub.CreateResourceGroup(request(mallory.subscription))
    assert mine.name.startswith(mallory.subscription)
    assert mine.uid != theirs.uid


def test_t7_a_community_gallery_that_was_reset_is_as_if_it_never_was(victim: Victim) -> None:
    owner = victim.owner
    galleries = owner.of(GalleryServiceStub)

    def public_name(gallery: str) -> str:
        found = galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=gallery))
        (name,) = found.sharing_profile.community_gallery_info.public_names
        return str(name)

    once = public_name(victim.public.gallery)
    hidden = public_name(make_shop(owner, gallery_pb2.Gallery(sharing_profile=COMMUNITY)).gallery)
    never = _absent(hidden)
    assert len(once) == len(hidden)
    place = f"{SUBSCRIPTION}/locations/{HOME}/communityGalleries"
    views = owner.of(CommunityGalleryServiceStub)
    pb = community_gallery_service_pb2
    views.GetCommunityGallery(pb.GetCommunityGalleryRequest(name=f"{place}/{once}"))
    galleries.ShareGallery(
        gallery_sharing_pb2.ShareGalleryRequest(
            name=victim.public.gallery,
            operation=gallery_sharing_pb2.SHARE_OPERATION_RESET,
            wait_for=gallery_sharing_pb2.SHARING_WAIT_MODE_REPLICAS,
        )
    )

    def ask(name: str) -> list[tuple[Any, ...]]:
        image = f"{place}/{name}/images/linux-base"
        disk = image_disk_service_pb2.ReadDiskRequest(name=f"{image}/versions/1.0.0", disk=OS)
        disk.accept_terms = True
        questions: list[tuple[Callable[..., Any], Message]] = [
            (
                views.GetCommunityGallery,
                pb.GetCommunityGalleryRequest(name=f"{place}/{name}"),
            ),
            (
                views.ListCommunityGalleryImages,
                pb.ListCommunityGalleryImagesRequest(parent=f"{place}/{name}"),
            ),
            (
                views.GetCommunityGalleryImageVersion,
                pb.GetCommunityGalleryImageVersionRequest(name=f"{image}/versions/1.0.0"),
            ),
            (
                owner.of(ImageVersionServiceStub).ResolveImageVersion,
                image_resolution_pb2.ResolveImageVersionRequest(image=image),
            ),
            (owner.of(ImageDiskServiceStub).ReadDisk, disk),
        ]
        return [answer(send, request, name) for send, request in questions]

    first, second, third = (ask(name) for name in (once, hidden, never))
    assert first == second == third
    assert {one[0] for one in first} == {grpc.StatusCode.NOT_FOUND}
