"""What may be in a gallery of which sharing mode: the table of gallery-semantics 3.7, by cell."""

from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_pb2,
    image_definition_service_pb2,
    purchase_plan_pb2,
    sharing_profile_pb2,
)
from stoa.type.v1 import os_type_pb2

from services.catalog.domain.features import KNOWN
from tests.wire.catalog.galleries import COMMUNITY, GROUPS, PRIVATE, community, direct
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode
MODES = ("PRIVATE", "GROUPS", "COMMUNITY")
FORBIDDEN = {
    (kind, mode) for kind in ("TrustedLaunch", "ConfidentialVM") for mode in ("GROUPS", "COMMUNITY")
}
CELLS = [
    (kind, mode, (kind, mode) not in FORBIDDEN) for kind in KNOWN["SecurityType"] for mode in MODES
]
OTHERS = [
    (name, value, mode)
    for name, values in KNOWN.items()
    if name != "SecurityType"
    for value in values
    for mode in MODES
]
Feature = image_definition_pb2.ImageFeature


def gallery_of(world: World, mode: str) -> str:
    return {"PRIVATE": world.gallery, "GROUPS": lambda: direct(world)}.get(
        mode, lambda: community(world)
    )()


def request(world: World, gallery: str, *features: Feature, **more: Any) -> Any:
    return world.definition_request(
        gallery,
        hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2,
        features=features,
        **more,
    )


def create(world: World, made: Any) -> Any:
    return world.owner.definitions.CreateImageDefinition(made)


def change_mode(world: World, gallery: str, mode: str) -> Any:
    profile = sharing_profile_pb2.SharingProfile(mode={"GROUPS": GROUPS}.get(mode, COMMUNITY))
    if mode == "COMMUNITY":
        profile.community_gallery_info.CopyFrom(
            sharing_profile_pb2.CommunityGalleryInfo(
                publisher_uri="https://example.org",
                publisher_contact="images@example.org",
                eula="Be kind.",
                public_name_prefix="Golden",
            )
        )
    sent = gallery_pb2.Gallery(name=gallery, sharing_profile=profile)
    return world.owner.galleries.UpdateGallery(
        gallery_service_pb2.UpdateGalleryRequest(gallery=sent)
    )


@pytest.mark.parametrize(("kind", "mode", "allowed"), CELLS)
def test_a_definition_of_a_security_type_in_a_gallery_of_a_mode(
    world: World, kind: str, mode: str, allowed: bool
) -> None:
    made = request(world, gallery_of(world, mode), Feature(name="SecurityType", value=kind))
    if allowed:
        assert create(world, made).features[0].value == kind
        return
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_FEATURE") as found:
        create(world, made)
    name = f"{made.parent}/images/{made.image_definition_id}"
    assert found.info.metadata == {"resource": name, "feature": "SecurityType"}


@pytest.mark.parametrize(("kind", "mode", "allowed"), [one for one in CELLS if one[1] != "PRIVATE"])
def test_a_gallery_that_holds_a_security_type_changes_its_mode(
    world: World, kind: str, mode: str, allowed: bool
) -> None:
    gallery = world.gallery()
    name = create(world, request(world, gallery, Feature(name="SecurityType", value=kind))).name
    if allowed:
        changed = change_mode(world, gallery, mode).sharing_profile.mode
        assert changed == {"GROUPS": GROUPS}.get(mode, COMMUNITY)
        return
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_FEATURE") as found:
        change_mode(world, gallery, mode)
    assert found.preconditions == {name: "SHARING_FORBIDS_FEATURE"}
    kept = world.owner.galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=gallery))
    assert kept.sharing_profile.mode == PRIVATE


@pytest.mark.parametrize(("kind", "mode", "allowed"), CELLS)
def test_a_definition_gets_a_security_type_in_a_gallery_of_a_mode(
    world: World, kind: str, mode: str, allowed: bool
) -> None:
    name = create(world, request(world, gallery_of(world, mode))).name
    feature = Feature(name="SecurityType", value=kind, starts_at_version="2.0.0")
    update = image_definition_service_pb2.UpdateImageDefinitionRequest(
        image_definition=image_definition_pb2.ImageDefinition(name=name, features=[feature]),
        allow_update_image=True,
    )
    if allowed:
        assert list(world.owner.definitions.UpdateImageDefinition(update).features) == [feature]
        return
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_FEATURE"):
        world.owner.definitions.UpdateImageDefinition(update)


@pytest.mark.parametrize(("name", "value", "mode"), OTHERS)
def test_hibernation_networking_and_controllers_are_for_every_mode(
    world: World, name: str, value: str, mode: str
) -> None:
    made = request(world, gallery_of(world, mode), Feature(name=name, value=value))
    assert create(world, made).features[0].value == value


@pytest.mark.parametrize("mode", MODES)
def test_a_partner_plan_keeps_an_image_from_the_community_alone(world: World, mode: str) -> None:
    plan = purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="q")
    made = request(world, gallery_of(world, mode), purchase_plan=plan)
    if mode != "COMMUNITY":
        create(world, made)
        return
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_PLAN"):
        create(world, made)
    made.parent = world.gallery()
    name = create(world, made).name
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_PLAN") as found:
        change_mode(world, made.parent, mode)
    assert found.preconditions == {name: "SHARING_FORBIDS_PLAN"}
    change_mode(world, made.parent, "GROUPS")


@pytest.mark.parametrize("mode", MODES)
def test_definitions_of_community_galleries_are_in_their_region(world: World, mode: str) -> None:
    made = request(world, gallery_of(world, mode), location="westus")
    if mode != "COMMUNITY":
        create(world, made)
        return
    with refused(Code.FAILED_PRECONDITION, "SHARING_REGION_MISMATCH") as found:
        create(world, made)
    assert found.info.metadata["location"] == "westus"


@pytest.mark.parametrize("mode", MODES)
def test_versions_of_shared_galleries_are_in_their_region(world: World, mode: str) -> None:
    definition = create(world, request(world, gallery_of(world, mode))).name
    made = world.version_request(definition, regions=("eastus2",), location="eastus2")
    profile = made.image_version.storage_profile
    group = "/".join(definition.split("/")[:4])
    profile.os_disk_image.source.blob = world.blob(group, "eastus2")
    profile.data_disk_images[0].source.blob = world.blob(group, "eastus2")
    if mode == "PRIVATE":
        world.owner.versions.CreateImageVersion(made)
        return
    with refused(Code.FAILED_PRECONDITION, "SHARING_REGION_MISMATCH") as found:
        world.owner.versions.CreateImageVersion(made)
    assert found.info.metadata["location"] == "eastus2"
