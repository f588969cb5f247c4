"""Threat T23: who looks like another publisher is not taken for them."""

from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import image_definition_pb2 as definition_pb
from stoa.catalog.v1 import image_definition_service_pb2, image_resolution_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ENABLE, RESET, community, get, share
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.test_views import Consumer, last

Code = grpc.StatusCode


@pytest.fixture
def consumer(world: World, policy: Policy) -> Consumer:
    return Consumer(world, policy)


@pytest.fixture
def identifier(world: World) -> definition_pb.ImageIdentifier:
    return definition_pb.ImageIdentifier(publisher=world.id("Contoso"), offer="Web", sku="22")


@pytest.fixture
def twins(world: World, identifier: definition_pb.ImageIdentifier) -> Any:
    """Two community galleries that say the same of themselves and hold images of one name."""
    found = [community(world), community(world)]
    for number, gallery in enumerate(found, 1):
        request = world.definition_request(gallery, identifier=identifier)
        request.image_definition_id = "web-server"
        image = world.owner.definitions.CreateImageDefinition(request).name
        world.finished(image, f"1.0.{number}")
        share(world, gallery, ENABLE)
    yield found
    for gallery in found:
        share(world, gallery, RESET)


def test_t23_a_search_finds_all_that_look_alike_each_with_its_own_publisher(
    world: World, consumer: Consumer, twins: list[str], identifier: definition_pb.ImageIdentifier
) -> None:
    names = {consumer.community(get(world, gallery)) for gallery in twins}
    for question in ({"query": identifier.publisher.lower()}, {"publisher": identifier.publisher}):
        matches = consumer.search(**question).matches
        assert {match.gallery.name for match in matches} == names
        for match in matches:
            assert match.image.name == f"{match.gallery.name}/images/web-server"
            assert match.gallery.community_metadata.publisher_contact == "images@example.org"
        # One page at a time neither comes twice nor hides the other.
        first = consumer.search(**question, page_size=1)
        second = consumer.search(**question, page_size=1, page_token=first.next_page_token)
        assert {one.gallery.name for one in (*first.matches, *second.matches)} == names
    prefixes = {last(name).partition("-")[0] for name in names}
    assert prefixes == {"Golden"}


def test_t23_nothing_is_resolved_by_what_two_of_them_have_in_common(
    world: World, consumer: Consumer, twins: list[str], identifier: definition_pb.ImageIdentifier
) -> None:
    place = f"{consumer.region()}/communityGalleries"
    for several in (f"{place}/-", f"{consumer.subscription}/resourceGroups/-/galleries/-"):
        with refused(Code.INVALID_ARGUMENT):
            consumer.resolve(several, identifier=identifier, location="eastus")
        with refused(Code.INVALID_ARGUMENT):
            consumer.resolve(f"{several}/images/web-server", location="eastus")
    with refused(Code.INVALID_ARGUMENT):
        consumer.resolve("", identifier=identifier, location="eastus")
    # What its publisher chose of a name is not the name.
    for text in ("Golden", "golden-", "Golden-1"):
        with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            consumer.resolve(f"{place}/{text}", identifier=identifier)


def test_t23_each_gallery_resolves_to_its_own_and_never_to_the_newer_one_of_the_other(
    world: World, consumer: Consumer, twins: list[str], identifier: definition_pb.ImageIdentifier
) -> None:
    for number, gallery in enumerate(twins, 1):
        view = consumer.community(get(world, gallery))
        for found in (
            consumer.resolve(view, identifier=identifier),
            consumer.resolve(f"{view}/images/web-server"),
        ):
            assert found.image_version == f"{view}/images/web-server/versions/1.0.{number}"
        request = image_resolution_pb2.ResolveImageVersionRequest(
            image=gallery, identifier=identifier, location="eastus"
        )
        private = world.owner.versions.ResolveImageVersion(request)
        assert private.image_version == f"{gallery}/images/web-server/versions/1.0.{number}"


def test_t23_in_one_gallery_publisher_offer_and_sku_are_one_image_however_they_are_spelled(
    world: World, twins: list[str], identifier: definition_pb.ImageIdentifier
) -> None:
    alike = definition_pb.ImageIdentifier(
        publisher=identifier.publisher.upper(), offer="wEB", sku="22"
    )
    request = world.definition_request(twins[0], identifier=alike)
    with refused(Code.ALREADY_EXISTS):
        world.owner.definitions.CreateImageDefinition(request)
    for text in ("\u0421\u043entoso", "Contoso\u200b", "Contoso\u202e", "\uff23ontoso"):
        alike.publisher = text
        request = image_definition_service_pb2.CreateImageDefinitionRequest()
        request.CopyFrom(world.definition_request(twins[0], identifier=alike))
        with refused(Code.INVALID_ARGUMENT) as refusal:
            world.owner.definitions.CreateImageDefinition(request)
        assert set(refusal.fields) == {"image_definition.identifier.publisher"}
