"""What views answer, field by field: all that a consumer needs (gallery-semantics 1.5)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import (
    community_gallery_pb2,
    machine_hardware_pb2,
    purchase_plan_pb2,
    shared_gallery_pb2,
)
from stoa.catalog.v1 import community_gallery_service_pb2 as community_pb
from stoa.catalog.v1 import image_definition_pb2 as definition_pb
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import image_version_pb2 as version_pb
from stoa.catalog.v1 import shared_gallery_service_pb2 as shared_pb
from stoa.catalog.v1 import view_storage_profile_pb2 as storage_pb

from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ADD, COMMUNITY, ENABLE, Profile, community, get, share
from tests.wire.catalog.galleries import direct as direct_gallery
from tests.wire.catalog.installation import Catalog, World, refused
from tests.wire.catalog.replication import GIB, Replication
from tests.wire.catalog.test_definition_fields import full
from tests.wire.catalog.test_rules_galleries import texts
from tests.wire.catalog.test_views import Consumer, last

Code = grpc.StatusCode
READ_ONLY = machine_hardware_pb2.HOST_CACHING_READ_ONLY
READ_WRITE = machine_hardware_pb2.HOST_CACHING_READ_WRITE
PLAN = purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="q")
VIEWS = ("shared", "community")
# What a definition tells its owner, and nobody who sees it in a view.
OWN = {"description", "release_note_uri", "tags", "create_time", "update_time", "uid", "etag"}
OWN |= {"provisioning_state"}


@pytest.fixture
def consumer(world: World, policy: Policy) -> Consumer:
    return Consumer(world, policy)


def opened(world: World, consumer: Consumer, kind: str) -> str:
    """A gallery that the consumer sees in a view of this kind."""
    gallery = direct_gallery(world) if kind == "shared" else community(world)
    if kind == "shared":
        share(world, gallery, ADD, consumer.subscription)
    else:
        share(world, gallery, ENABLE)
    return gallery


def name_of(world: World, consumer: Consumer, kind: str, gallery: str) -> str:
    found = get(world, gallery)
    return consumer.shared(found) if kind == "shared" else consumer.community(found)


def image_of(consumer: Consumer, name: str) -> Any:
    if "/sharedGalleries/" in name:
        asked = shared_pb.GetSharedGalleryImageRequest(name=name)
        return consumer.stubs.shared.GetSharedGalleryImage(asked)
    request = community_pb.GetCommunityGalleryImageRequest(name=name)
    return consumer.stubs.community.GetCommunityGalleryImage(request)


def version_of(consumer: Consumer, name: str) -> Any:
    if "/sharedGalleries/" in name:
        return consumer.shared_version(name)
    request = community_pb.GetCommunityGalleryImageVersionRequest(name=name)
    return consumer.stubs.community.GetCommunityGalleryImageVersion(request)


def test_a_shared_gallery_answers_region_and_id_and_nothing_else(
    world: World, consumer: Consumer
) -> None:
    gallery = opened(world, consumer, "shared")
    world.finished(world.definition(gallery))
    found = get(world, gallery)
    assert consumer.get_shared(consumer.shared(found)) == shared_gallery_pb2.SharedGallery(
        name=consumer.shared(found), location="eastus", unique_name=found.unique_name
    )


def test_a_community_gallery_answers_what_its_publisher_tells(
    world: World, consumer: Consumer
) -> None:
    info = texts(privacy_statement_uri="https://example.org/privacy")
    profile = Profile(mode=COMMUNITY, community_gallery_info=info)
    gallery = world.gallery(sharing_profile=profile)
    world.finished(world.definition(gallery))
    share(world, gallery, ENABLE)
    name = consumer.community(get(world, gallery))
    assert consumer.get_community(name) == community_gallery_pb2.CommunityGallery(
        name=name,
        location="eastus",
        public_name=last(name),
        community_metadata=community_gallery_pb2.CommunityGalleryMetadata(
            publisher_uri=info.publisher_uri,
            publisher_contact=info.publisher_contact,
            eula=info.eula,
            public_names=[last(name)],
            privacy_statement_uri=info.privacy_statement_uri,
        ),
    )


@pytest.mark.parametrize("kind", VIEWS)
def test_a_view_of_a_definition_answers_what_a_consumer_needs(
    world: World, consumer: Consumer, kind: str
) -> None:
    gallery = opened(world, consumer, kind)
    request = full(world)
    request.parent = gallery
    # Neither may be in a gallery that the community sees.
    request.image_definition.ClearField("purchase_plan")
    request.image_definition.features[0].value = "TrustedLaunchSupported"
    definition = world.owner.definitions.CreateImageDefinition(request)
    world.finished(definition.name)

    name = f"{name_of(world, consumer, kind, gallery)}/images/{last(definition.name)}"
    seen = image_of(consumer, name)

    assert (seen.name, seen.location) == (name, "eastus")
    told = {field.name for field, _ in definition.ListFields()} - OWN - {"name", "location"}
    assert told == {field.name for field, _ in seen.ListFields()} - {"name", "location"}
    for field in told:
        assert getattr(seen, field) == getattr(definition, field), field


def test_the_plan_of_a_definition_is_in_its_view(world: World, consumer: Consumer) -> None:
    gallery = opened(world, consumer, "shared")
    definition = world.definition(gallery, purchase_plan=PLAN)
    world.finished(definition)
    seen = image_of(consumer, f"{consumer.shared(get(world, gallery))}/images/{last(definition)}")
    assert seen.purchase_plan == PLAN


@pytest.mark.parametrize("kind", VIEWS)
def test_a_view_of_a_version_answers_what_a_consumer_needs(
    world: World, consumer: Consumer, kind: str
) -> None:
    gallery = opened(world, consumer, kind)
    definition = world.definition(gallery)
    request = world.version_request(
        definition,
        "1.02.3",
        regions=({"location": "eastus", "exclude_from_latest": True},),
        end_of_life_time=Timestamp(seconds=4_000_000_000),
        tags={"mine": "alone"},
    )
    profile = request.image_version.storage_profile
    profile.os_disk_image.host_caching = READ_WRITE
    profile.data_disk_images[0].host_caching = READ_ONLY
    operation = world.owner.versions.CreateImageVersion(request)
    version = world.get(f"{definition}/versions/1.02.3")
    world.replication.tell(version.uid, "eastus", 3)
    world.wait(operation)

    image = f"{name_of(world, consumer, kind, gallery)}/images/{last(definition)}"
    seen = version_of(consumer, f"{image}/versions/1.2.3")

    kinds: dict[str, Any] = {
        "shared": shared_gallery_pb2.SharedGalleryImageVersion,
        "community": community_gallery_pb2.CommunityGalleryImageVersion,
    }
    assert seen == kinds[kind](
        name=f"{image}/versions/1.02.3",
        location="eastus",
        publish_time=version.publish_time,
        end_of_life_time=Timestamp(seconds=4_000_000_000),
        exclude_from_latest=True,
        storage_profile=storage_pb.ViewStorageProfile(
            os_disk_image=storage_pb.ViewOsDiskImage(size_bytes=GIB, host_caching=READ_WRITE),
            data_disk_images=[
                storage_pb.ViewDataDiskImage(lun=3, size_bytes=GIB, host_caching=READ_ONLY)
            ],
        ),
        state=version_pb.IMAGE_VERSION_STATE_ACTIVE,
    )


def test_a_view_of_a_version_shows_the_end_of_life_of_its_definition(
    world: World, consumer: Consumer
) -> None:
    gallery = opened(world, consumer, "shared")
    definition = world.definition(gallery)
    version = world.finished(definition)
    name = f"{consumer.shared(get(world, gallery))}/images/{last(definition)}/versions/1.0.0"
    assert not version_of(consumer, name).HasField("end_of_life_time")
    change = definitions_pb.UpdateImageDefinitionRequest(
        image_definition=definition_pb.ImageDefinition(name=definition)
    )
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    change.image_definition.end_of_life_time.FromDatetime(end)
    world.owner.definitions.UpdateImageDefinition(change)
    seen = version_of(consumer, name)
    assert seen.end_of_life_time.ToDatetime(UTC) == end
    assert seen.publish_time == version.publish_time


def test_a_community_gallery_is_seen_where_something_of_it_can_be_used(
    world: World, consumer: Consumer
) -> None:
    gallery = opened(world, consumer, "community")
    definition = world.definition(gallery)
    found = get(world, gallery)
    world.version(definition)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.get_community(consumer.community(found))
    world.finished(definition, "2.0.0", regions=("eastus", "westus"))
    for location in ("eastus", "westus"):
        name = consumer.community(found, location)
        assert consumer.get_community(name).location == location
        listed = consumer.list_community(location).community_galleries
        assert name in {one.name for one in listed}
    absent = consumer.community(found, "eastus2")
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.get_community(absent)
    listed = consumer.list_community("eastus2").community_galleries
    assert absent not in {one.name for one in listed}


@pytest.fixture(scope="module")
def disclaiming(
    authz: Installation, replication: Replication, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    data = tmp_path_factory.mktemp("disclaiming")
    found = Catalog(authz, replication, data, community_disclaimer="Nobody checked this.")
    yield found
    found.close()


def test_the_operator_says_something_beside_all_of_the_community(
    disclaiming: Catalog, policy: Policy
) -> None:
    world = World(disclaiming)
    consumer = Consumer(world, policy)
    gallery = opened(world, consumer, "community")
    definition = world.definition(gallery)
    world.finished(definition)
    name = consumer.community(get(world, gallery))
    image = f"{name}/images/{last(definition)}"
    stubs = consumer.stubs.community
    (match,) = consumer.search(query=last(definition)).matches
    images = community_pb.ListCommunityGalleryImagesRequest(parent=name)
    versions = community_pb.ListCommunityGalleryImageVersionsRequest(parent=image)
    shown = [
        consumer.get_community(name),
        image_of(consumer, image),
        version_of(consumer, f"{image}/versions/1.0.0"),
        match.gallery,
        match.image,
        *consumer.list_community().community_galleries,
        *stubs.ListCommunityGalleryImages(images).community_gallery_images,
        *stubs.ListCommunityGalleryImageVersions(versions).community_gallery_image_versions,
    ]
    assert len(shown) >= 8
    assert {one.disclaimer for one in shown} == {"Nobody checked this."}
