"""Shared and community galleries on the wire, as their consumers see them."""

import base64
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import community_gallery_service_pb2 as community_pb
from stoa.catalog.v1 import gallery_service_pb2, image_resolution_pb2, image_version_requests_pb2
from stoa.catalog.v1 import image_definition_pb2 as definition_pb
from stoa.catalog.v1 import shared_gallery_service_pb2 as shared_pb
from stoa.type.v1 import os_type_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import (
    ADD,
    BLOCK,
    DISABLE,
    ENABLE,
    GROUPS,
    REMOVE,
    RESET,
    community,
    direct,
    get,
    share,
)
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode
SECRET = "secretlyowned"
EASTUS, WESTUS = "eastus", "westus"


class Consumer:
    """A user who reads in one subscription, and nothing else."""

    def __init__(self, world: World, policy: Policy) -> None:
        self.subscription = policy.subscription()
        self.user = policy.user()
        policy.assign(self.user, "Reader", self.subscription)
        self.stubs = world.catalog.user(self.user.rpartition("/")[2])
        self._await_role()

    def _await_role(self) -> None:
        # Reads are decided by a copy of the policy that may be a moment behind.
        for _ in range(200):
            try:
                self.list_shared("-")
            except grpc.RpcError:
                threading.Event().wait(0.02)
            else:
                return
        raise AssertionError("the role has not arrived")

    def region(self, location: str = EASTUS) -> str:
        return f"{self.subscription}/locations/{location}"

    def shared(self, gallery: Any, location: str = EASTUS) -> str:
        return f"{self.region(location)}/sharedGalleries/{gallery.unique_name}"

    def community(self, gallery: Any, location: str = EASTUS) -> str:
        name = gallery.sharing_profile.community_gallery_info.public_names[0]
        return f"{self.region(location)}/communityGalleries/{name}"

    def list_shared(self, location: str = EASTUS, **more: Any) -> Any:
        request = shared_pb.ListSharedGalleriesRequest(parent=self.region(location), **more)
        return self.stubs.shared.ListSharedGalleries(request)

    def list_community(self, location: str = EASTUS, **more: Any) -> Any:
        request = community_pb.ListCommunityGalleriesRequest(parent=self.region(location), **more)
        return self.stubs.community.ListCommunityGalleries(request)

    def get_shared(self, name: str) -> Any:
        return self.stubs.shared.GetSharedGallery(shared_pb.GetSharedGalleryRequest(name=name))

    def get_community(self, name: str) -> Any:
        request = community_pb.GetCommunityGalleryRequest(name=name)
        return self.stubs.community.GetCommunityGallery(request)

    def shared_version(self, name: str) -> Any:
        request = shared_pb.GetSharedGalleryImageVersionRequest(name=name)
        return self.stubs.shared.GetSharedGalleryImageVersion(request)

    def shared_versions(self, parent: str, **more: Any) -> Any:
        request = shared_pb.ListSharedGalleryImageVersionsRequest(parent=parent, **more)
        return self.stubs.shared.ListSharedGalleryImageVersions(request)

    def shared_images(self, parent: str, **more: Any) -> Any:
        request = shared_pb.ListSharedGalleryImagesRequest(parent=parent, **more)
        return self.stubs.shared.ListSharedGalleryImages(request)

    def resolve(self, image: str, **more: Any) -> Any:
        request = image_resolution_pb2.ResolveImageVersionRequest(image=image, **more)
        return self.stubs.versions.ResolveImageVersion(request)

    def search(self, **more: Any) -> Any:
        request = community_pb.SearchCommunityGalleriesRequest(parent=self.region(), **more)
        return self.stubs.community.SearchCommunityGalleries(request)


@pytest.fixture
def consumer(world: World, policy: Policy) -> Consumer:
    return Consumer(world, policy)


def published(world: World, gallery: str, *numbers: str, regions: Any = (EASTUS,)) -> str:
    definition = world.definition(gallery, tags={SECRET: SECRET})
    for number in numbers or ("1.0.0",):
        world.finished(definition, number, regions=regions, tags={SECRET: SECRET})
    return definition


def last(name: str) -> str:
    return name.rpartition("/")[2]


def texts(message: Message) -> Iterator[str]:
    """Every string in a message, wherever it is."""
    for field, value in message.ListFields():
        repeated = value if field.is_repeated else [value]
        for one in repeated:
            if isinstance(one, Message):
                yield from texts(one)
            elif isinstance(one, str):
                yield one


def test_a_shared_gallery_is_seen_where_something_of_it_can_be_used(
    world: World, consumer: Consumer
) -> None:
    gallery = direct(world)
    image = published(world, gallery, regions=(EASTUS, WESTUS))
    found = get(world, gallery)
    share(world, gallery, ADD, consumer.subscription)

    (seen,) = consumer.list_shared().shared_galleries
    assert seen.name == consumer.shared(found)
    assert seen == consumer.get_shared(seen.name)
    assert [one.location for one in consumer.list_shared("-").shared_galleries] == [EASTUS, WESTUS]
    assert not consumer.list_shared("eastus2").shared_galleries
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.get_shared(consumer.shared(found, "eastus2"))
    (view,) = consumer.shared_images(seen.name).shared_gallery_images
    assert view.name == f"{seen.name}/images/{last(image)}"
    assert view.os_type == os_type_pb2.OS_TYPE_LINUX
    request = shared_pb.GetSharedGalleryImageRequest(name=view.name)
    assert consumer.stubs.shared.GetSharedGalleryImage(request) == view


def test_versions_are_seen_where_they_are_completed_in_the_order_of_numbers(
    world: World, consumer: Consumer
) -> None:
    gallery = direct(world)
    image = published(world, gallery, "1.9.0", "1.10.0", "1.2.0")
    world.finished(image, "3.0.0", regions=(EASTUS, WESTUS))
    world.version(image, "4.0.0")
    share(world, gallery, ADD, consumer.subscription)
    parent = f"{consumer.shared(get(world, gallery))}/images/{last(image)}"

    first = consumer.shared_versions(parent, page_size=3)
    second = consumer.shared_versions(parent, page_size=3, page_token=first.next_page_token)

    seen = [*first.shared_gallery_image_versions, *second.shared_gallery_image_versions]
    assert [last(one.name) for one in seen] == ["1.2.0", "1.9.0", "1.10.0", "3.0.0"]
    assert not second.next_page_token
    assert consumer.shared_version(seen[0].name) == seen[0]
    disks = seen[0].storage_profile
    assert disks.os_disk_image.size_bytes == 1 << 30
    assert [one.lun for one in disks.data_disk_images] == [3]
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.shared_version(f"{parent}/versions/4.0.0")
    elsewhere = parent.replace(EASTUS, WESTUS)
    (only,) = consumer.shared_versions(elsewhere).shared_gallery_image_versions
    assert last(only.name) == "3.0.0"
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.shared_versions(parent.replace(EASTUS, "eastus2"))
    both = consumer.shared_versions(parent.replace(f"/{EASTUS}/", "/-/"), page_size=4)
    more = consumer.shared_versions(
        parent.replace(f"/{EASTUS}/", "/-/"), page_size=4, page_token=both.next_page_token
    )
    assert [one.location for one in more.shared_gallery_image_versions] == [WESTUS]


def test_an_unfinished_version_alone_shows_no_gallery(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    world.version(world.definition(gallery))
    share(world, gallery, ADD, consumer.subscription)

    assert not consumer.list_shared().shared_galleries
    with refused(Code.NOT_FOUND):
        consumer.get_shared(consumer.shared(get(world, gallery)))


def test_views_hold_nothing_of_the_owner(world: World, consumer: Consumer) -> None:
    shared, open_to_all = direct(world), community(world)
    images = [published(world, one, regions=(EASTUS, WESTUS)) for one in (shared, open_to_all)]
    share(world, shared, ADD, consumer.subscription)
    share(world, open_to_all, ENABLE)
    stubs = consumer.stubs
    direct_name = consumer.shared(get(world, shared))
    public_name = consumer.community(get(world, open_to_all))
    direct_image = f"{direct_name}/images/{last(images[0])}"
    public_image = f"{public_name}/images/{last(images[1])}"
    community_get = community_pb.GetCommunityGalleryImageVersionRequest
    community_list = community_pb.ListCommunityGalleryImageVersionsRequest
    seen: list[Any] = [
        consumer.list_shared(),
        consumer.get_shared(direct_name),
        consumer.shared_images(direct_name),
        consumer.shared_versions(direct_image),
        consumer.shared_version(f"{direct_image}/versions/1.0.0"),
        consumer.get_community(public_name),
        consumer.search(query=last(images[1])),
        stubs.community.GetCommunityGalleryImage(
            community_pb.GetCommunityGalleryImageRequest(name=public_image)
        ),
        stubs.community.GetCommunityGalleryImageVersion(
            community_get(name=f"{public_image}/versions/1.0.0")
        ),
        stubs.community.ListCommunityGalleryImageVersions(community_list(parent=public_image)),
    ]

    versions = [world.get(f"{one}/versions/1.0.0") for one in images]
    private = [SECRET, WESTUS, "resourcegroups", "/blobs/", "replica"]
    private += [last(shared), last(open_to_all), "subscriptions/default"]
    private += [one.uid for one in versions] + [one.etag for one in versions]
    for message in seen:
        assert message.ByteSize()
        told = [one.lower() for one in texts(message)]
        raw = message.SerializeToString().lower()
        for one in private:
            assert not [text for text in told if one.lower() in text], (one, message)
            assert one.lower().encode() not in raw


def test_page_tokens_hold_nothing_of_the_owner(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    for _ in range(2):
        published(world, gallery, "1.0.0", "2.0.0")
    share(world, gallery, ADD, consumer.subscription)
    parent = f"{consumer.region('-')}/sharedGalleries/-"

    images = consumer.shared_images(parent, page_size=1).next_page_token
    versions = consumer.shared_versions(f"{parent}/images/-", page_size=1).next_page_token

    for token in (images, versions):
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).lower()
        assert b"resourcegroups" not in raw
        assert last(gallery).encode() not in raw


def test_everything_of_all_galleries_is_listed_in_pages(world: World, consumer: Consumer) -> None:
    names = set()
    for _ in range(3):
        gallery = direct(world)
        images = [published(world, gallery, regions=(EASTUS, WESTUS)) for _ in range(2)]
        share(world, gallery, ADD, consumer.subscription)
        for location in (EASTUS, WESTUS):
            view = consumer.shared(get(world, gallery), location)
            names |= {f"{view}/images/{last(one)}" for one in images}
    parent = f"{consumer.region('-')}/sharedGalleries/-"

    seen: list[str] = []
    token = ""
    while True:
        page = consumer.shared_images(parent, page_size=5, page_token=token)
        seen += [one.name for one in page.shared_gallery_images]
        token = page.next_page_token
        if not token:
            break

    assert len(seen) == len(names)
    assert set(seen) == names
    pages = []
    token = ""
    for _ in range(6):
        found = consumer.list_shared("-", page_size=1, page_token=token, order_by="location desc")
        pages += [one.location for one in found.shared_galleries]
        token = found.next_page_token
    assert pages == [WESTUS] * 3 + [EASTUS] * 3
    assert not token


def test_images_are_filtered_and_ordered_by_what_is_seen(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    ends = Timestamp(seconds=4_000_000_000)
    names = []
    for publisher in ("Zeta", "alpha"):
        identifier = definition_pb.ImageIdentifier(publisher=publisher, offer="O", sku="S")
        image = world.definition(gallery, identifier=identifier, end_of_life_time=ends)
        world.finished(image)
        names.append(last(image))
    share(world, gallery, ADD, consumer.subscription)
    view = consumer.shared(get(world, gallery))

    def listed(**more: Any) -> list[str]:
        found = consumer.shared_images(view, **more).shared_gallery_images
        return [last(one.name) for one in found]

    assert listed(order_by="identifier.publisher") == names[::-1]
    assert listed(order_by="identifier.publisher desc") == names
    assert listed(filter='identifier.publisher = "ALPHA"') == names[1:]
    assert listed(filter=f'name = "{view}/images/nothing"') == []
    assert listed(filter=f'name = "{view}/images/{names[0].upper()}"') == names[:1]
    assert listed(filter="os_type = WINDOWS") == []
    assert listed(filter='end_of_life_time > "2030-01-01T00:00:00Z" AND identifier.sku : s')
    with refused(Code.INVALID_ARGUMENT):
        listed(filter='tags.env = "x"')
    versions = consumer.shared_versions(
        f"{view}/images/{names[0]}",
        order_by="publish_time desc",
        filter="exclude_from_latest=false",
    )
    assert len(versions.shared_gallery_image_versions) == 1


def test_what_is_shared_with_a_tenant_is_listed_apart(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    published(world, gallery)
    share(world, gallery, ADD, "tenants/default")

    assert not consumer.list_shared().shared_galleries
    found = consumer.list_shared(shared_to=shared_pb.SHARED_TO_TENANT).shared_galleries
    view = consumer.shared(get(world, gallery))
    assert view in {one.name for one in found}
    assert consumer.get_shared(view).name == view
    share(world, gallery, RESET)


def test_what_is_taken_back_is_gone_at_once(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    published(world, gallery)
    share(world, gallery, ADD, consumer.subscription)
    view = consumer.shared(get(world, gallery))
    assert consumer.get_shared(view)

    share(world, gallery, REMOVE, consumer.subscription)

    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.get_shared(view)
    assert not consumer.list_shared().shared_galleries
    with refused(Code.NOT_FOUND):
        consumer.shared_images(view)


def test_a_caller_without_a_role_in_the_subscription_is_denied(
    world: World, consumer: Consumer, policy: Policy
) -> None:
    gallery = direct(world)
    published(world, gallery)
    share(world, gallery, ADD, consumer.subscription)
    stranger = world.catalog.user(policy.user().rpartition("/")[2])

    for parent in (consumer.region(), consumer.region("-")):
        with refused(Code.PERMISSION_DENIED):
            stranger.shared.ListSharedGalleries(shared_pb.ListSharedGalleriesRequest(parent=parent))
        with refused(Code.PERMISSION_DENIED):
            stranger.shared.ListSharedGalleryImages(
                shared_pb.ListSharedGalleryImagesRequest(parent=f"{parent}/sharedGalleries/-")
            )
    with refused(Code.INVALID_ARGUMENT):
        consumer.stubs.shared.ListSharedGalleries(
            shared_pb.ListSharedGalleriesRequest(parent="subscriptions/-/locations/-")
        )


def test_an_unknown_region_is_told_to_lists(consumer: Consumer) -> None:
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN"):
        consumer.list_shared("mars")
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN"):
        consumer.list_community("mars")


def test_closed_private_and_absent_community_galleries_answer_alike(
    world: World, consumer: Consumer
) -> None:
    never, closed, reset, blocked = (community(world) for _ in range(4))
    for one in (never, closed, reset, blocked):
        published(world, one)
    names = [consumer.community(get(world, one)) for one in (never, closed, reset, blocked)]
    for one in (closed, reset, blocked):
        share(world, one, ENABLE)
    share(world, closed, DISABLE)
    share(world, reset, RESET)
    share(world, blocked, BLOCK, consumer.subscription)
    names.append(f"{consumer.region()}/communityGalleries/Golden-nothing")

    answers = []
    for name in names:
        with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND") as refusal:
            consumer.get_community(name)
        answers.append(
            (refusal.message.replace(name, ""), dict(refusal.info.metadata) | {"resource": ""})
        )
        with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            consumer.stubs.community.ListCommunityGalleryImages(
                community_pb.ListCommunityGalleryImagesRequest(parent=name)
            )
    assert all(one == answers[0] for one in answers)


def test_a_community_gallery_is_open_to_every_subscription(
    world: World, consumer: Consumer, policy: Policy
) -> None:
    gallery = community(world)
    image = published(world, gallery)
    share(world, gallery, ENABLE)
    other = Consumer(world, policy)

    for one in (consumer, other):
        name = one.community(get(world, gallery))
        seen = one.get_community(name)
        assert seen.community_metadata.eula == "Be kind."
        assert list(seen.community_metadata.public_names) == [last(name)]
        listed = one.list_community(filter=f'public_name = "{last(name).lower()}"')
        assert list(listed.community_galleries) == [seen]
        found = one.stubs.community.ListCommunityGalleryImages(
            community_pb.ListCommunityGalleryImagesRequest(parent=name)
        )
        assert [x.name for x in found.community_gallery_images] == [f"{name}/images/{last(image)}"]
    share(world, gallery, RESET)


def test_community_galleries_are_searched_for_images(world: World, consumer: Consumer) -> None:
    gallery = community(world)
    publisher = world.id("Contoso")
    identifier = definition_pb.ImageIdentifier(publisher=publisher, offer="Web", sku="22")
    image = world.definition(gallery, identifier=identifier)
    world.finished(image)
    published(world, gallery)
    share(world, gallery, ENABLE)

    (match,) = consumer.search(query=f"web {publisher.lower()}").matches
    assert last(match.image.name) == last(image)
    assert match.gallery == consumer.get_community(consumer.community(get(world, gallery)))
    assert len(consumer.search(publisher=publisher.upper()).matches) == 1
    assert not consumer.search(publisher=publisher, os_type=os_type_pb2.OS_TYPE_WINDOWS).matches
    assert not consumer.search(query=f"{publisher} nothing").matches
    share(world, gallery, RESET)


def test_a_version_that_was_deleted_is_told_as_gone(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    image = published(world, gallery, "1.0.0", "2.0.0")
    share(world, gallery, ADD, consumer.subscription)
    operation = world.owner.versions.DeleteImageVersion(
        image_version_requests_pb2.DeleteImageVersionRequest(name=f"{image}/versions/1.0.0")
    )
    name = f"{consumer.shared(get(world, gallery))}/images/{last(image)}/versions/1.0.0"
    world.wait(operation)

    with refused(Code.NOT_FOUND, "VERSION_DELETED") as refusal:
        consumer.shared_version(name)
    assert "resourceGroups" not in refusal.message
    assert gallery not in str(refusal.info)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.shared_version(name.replace("1.0.0", "9.0.0"))


def test_a_gallery_made_again_under_the_name_is_not_shared(
    world: World, consumer: Consumer
) -> None:
    gallery = direct(world)
    share(world, gallery, ADD, consumer.subscription)
    old = consumer.shared(get(world, gallery))
    share(world, gallery, RESET)
    delete = gallery_service_pb2.DeleteGalleryRequest(name=gallery)
    world.wait(world.owner.galleries.DeleteGallery(delete))
    again = gallery_service_pb2.CreateGalleryRequest(
        parent=gallery.partition("/galleries/")[0], gallery_id=last(gallery)
    )
    again.gallery.location = EASTUS
    again.gallery.sharing_profile.mode = GROUPS
    assert world.owner.galleries.CreateGallery(again).name == gallery
    published(world, gallery)

    assert not consumer.list_shared().shared_galleries
    for name in (old, consumer.shared(get(world, gallery))):
        with refused(Code.NOT_FOUND):
            consumer.get_shared(name)


def test_an_image_of_a_view_is_resolved_in_its_region(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    identifier = definition_pb.ImageIdentifier(publisher="P", offer="O", sku="S")
    image = world.definition(gallery, identifier=identifier)
    world.finished(image, "1.0.0", regions=(EASTUS, WESTUS))
    world.finished(image, "01.2.0")
    excluded = {"location": EASTUS, "exclude_from_latest": True}
    world.finished(image, "3.0.0", regions=(excluded,))
    world.version(image, "4.0.0")
    share(world, gallery, ADD, consumer.subscription)
    view = consumer.shared(get(world, gallery))
    seen = f"{view}/images/{last(image)}"

    for name in (
        seen,
        seen.replace(last(image), last(image).upper()),
        f"{seen}/versions/latest",
    ):
        found = consumer.resolve(name)
        assert (found.image_version, found.location) == (f"{seen}/versions/01.2.0", EASTUS)
    assert consumer.resolve(view, identifier=identifier) == found
    assert consumer.resolve(seen, location="East US") == found
    assert last(consumer.resolve(f"{seen}/versions/3.0.0").image_version) == "3.0.0"
    assert last(consumer.resolve(seen.replace(EASTUS, WESTUS)).image_version) == "1.0.0"

    with refused(Code.INVALID_ARGUMENT) as refusal:
        consumer.resolve(view, location="westus")
    assert set(refusal.fields) == {"identifier", "location"}
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as refusal:
        consumer.resolve(seen.replace(EASTUS, "eastus2"))
    assert EASTUS not in str(refusal.info).replace("eastus2", "")
    with refused(Code.NOT_FOUND, "NOT_IN_REGION"):
        consumer.resolve(f"{seen.replace(EASTUS, WESTUS)}/versions/3.0.0")
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.resolve(f"{seen}/versions/4.0.0")
    with refused(Code.NOT_FOUND, "IMAGE_IDENTIFIER_NOT_FOUND"):
        other = definition_pb.ImageIdentifier(publisher="P", offer="O", sku="T")
        consumer.resolve(view, identifier=other)
    share(world, gallery, RESET)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.resolve(seen)


def test_an_image_whose_versions_are_all_excluded_has_no_latest(
    world: World, consumer: Consumer
) -> None:
    gallery = community(world)
    image = world.definition(gallery)
    world.finished(image, exclude_from_latest=True)
    share(world, gallery, ENABLE)
    seen = f"{consumer.community(get(world, gallery))}/images/{last(image)}"

    with refused(Code.NOT_FOUND, "NO_LATEST"):
        consumer.resolve(seen)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.resolve(f"{seen}x")
    share(world, gallery, RESET)


def test_each_get_is_answered_by_few_statements(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    image = published(world, gallery)
    share(world, gallery, ADD, consumer.subscription)
    view = consumer.shared(get(world, gallery))
    reads = world.catalog.foundation.db.statements

    with reads() as statements:
        consumer.shared_version(f"{view}/images/{last(image)}/versions/1.0.0")
        found = [one for one in statements if "FROM galleries" in one]
    assert len(found) == 1
    with reads() as statements:
        consumer.shared_versions(f"{view}/images/{last(image)}")
        found = [one for one in statements if "FROM galleries" in one]
    assert len(found) == 1
