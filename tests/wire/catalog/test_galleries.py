"""Galleries and definitions on the wire."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from stoa.catalog.v1 import gallery_pb2, gallery_service_pb2, image_definition_pb2
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import sharing_profile_pb2 as sharing_pb
from stoa.type.v1 import os_type_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode


def _create(
    group: str, gallery_id: str, **fields: object
) -> gallery_service_pb2.CreateGalleryRequest:
    return gallery_service_pb2.CreateGalleryRequest(
        parent=group,
        gallery_id=gallery_id,
        gallery=gallery_pb2.Gallery(**({"location": "eastus"} | fields)),  # type: ignore[arg-type]
    )


def test_a_gallery_has_a_view_id_that_tells_nothing(world: World) -> None:
    name = world.gallery(description="Golden images", tags={"team": "platform"})
    found = world.owner.galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=name))
    assert found.description == "Golden images"
    assert found.unique_name
    assert "default" not in found.unique_name
    assert name.rpartition("/")[2] not in found.unique_name
    assert found.sharing_profile.mode == sharing_pb.SharingProfile.SHARING_MODE_PRIVATE


@pytest.mark.parametrize("gallery_id", ["with-dash", "_a", "a.", "", "a" * 81])
def test_a_gallery_name_follows_the_rules_of_the_original(world: World, gallery_id: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.galleries.CreateGallery(_create(world.group(), gallery_id))
    assert set(found.fields) == {"gallery_id"}


def test_a_gallery_name_is_taken_in_the_whole_subscription(world: World) -> None:
    name = world.gallery()
    with refused(Code.ALREADY_EXISTS, "GALLERY_NAME_TAKEN") as found:
        world.owner.galleries.CreateGallery(_create(world.group(), name.rpartition("/")[2].upper()))
    assert name.split("/")[3] not in str(found.info)


def test_a_gallery_needs_its_group(world: World) -> None:
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        world.owner.galleries.CreateGallery(
            _create("subscriptions/default/resourceGroups/absent", world.id("gallery"))
        )


def test_a_community_gallery_lists_every_text_that_it_lacks(world: World) -> None:
    profile = sharing_pb.SharingProfile(mode=sharing_pb.SharingProfile.SHARING_MODE_COMMUNITY)
    with refused(Code.INVALID_ARGUMENT, "COMMUNITY_INFO_INCOMPLETE") as found:
        world.owner.galleries.CreateGallery(
            _create(world.group(), world.id("gallery"), sharing_profile=profile)
        )
    path = "gallery.sharing_profile.community_gallery_info"
    assert set(found.fields) == {
        f"{path}.{one}"
        for one in ("publisher_uri", "publisher_contact", "eula", "public_name_prefix")
    }


def test_soft_delete_needs_the_right_to_share(world: World, policy: Policy) -> None:
    group = world.group()
    contributor = policy.user()
    policy.assign(contributor, "Contributor", group)
    stub = world.catalog.user(contributor.rpartition("/")[2])
    soft = gallery_pb2.SoftDeletePolicy(enabled=True)
    with refused(Code.PERMISSION_DENIED) as found:
        stub.galleries.CreateGallery(_create(group, world.id("gallery"), soft_delete_policy=soft))
    assert found.info.metadata["permission"] == "Microsoft.Compute/galleries/share/action"
    stub.galleries.CreateGallery(_create(group, world.id("gallery")))


def test_galleries_of_all_groups_are_listed_by_a_wildcard(world: World) -> None:
    tag = world.id("tag")
    made = sorted(world.gallery(tags={"set": tag}) for _ in range(3))
    page = world.owner.galleries.ListGalleries(
        gallery_service_pb2.ListGalleriesRequest(
            parent="subscriptions/default/resourceGroups/-", filter=f"tags.set = {tag}"
        )
    )
    assert sorted(one.name for one in page.galleries) == made


def test_a_gallery_with_a_definition_is_not_deleted_and_without_one_it_is(world: World) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery)
    request = gallery_service_pb2.DeleteGalleryRequest(name=gallery)
    with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY") as found:
        world.owner.galleries.DeleteGallery(request)
    assert found.info.metadata["children"] == definition
    world.wait(
        world.owner.definitions.DeleteImageDefinition(
            definitions_pb.DeleteImageDefinitionRequest(name=definition)
        )
    )
    # As soon as the child is NOT_FOUND the parent may go.
    world.wait(world.owner.galleries.DeleteGallery(request))
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.owner.galleries.DeleteGallery(request)


def test_a_definition_gets_its_defaults_and_features_their_own_spelling(world: World) -> None:
    request = world.definition_request(
        hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2,
        features=[
            image_definition_pb2.ImageFeature(name="securitytype", value="trustedlaunchSUPPORTED"),
            image_definition_pb2.ImageFeature(name="DiskControllerType", value="scsi,nvme"),
        ],
    )
    made = world.owner.definitions.CreateImageDefinition(request)
    assert made.architecture == os_type_pb2.ARCHITECTURE_X64
    assert [(one.name, one.value) for one in made.features] == [
        ("SecurityType", "TrustedLaunchSupported"),
        ("DiskControllerTypes", "SCSI, NVMe"),
    ]
    read = world.owner.definitions.GetImageDefinition(
        definitions_pb.GetImageDefinitionRequest(name=made.name)
    )
    assert read == made


def test_everything_wrong_with_a_definition_is_told_at_once(world: World) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    request = world.definition_request(
        location="nowhere",
        os_type=0,
        end_of_life_time=past,
        recommended=image_definition_pb2.RecommendedMachine(
            vcpus=image_definition_pb2.ResourceRange(min=8, max=4)
        ),
        features=[
            image_definition_pb2.ImageFeature(name="SecurityType", value="TrustedLaunch"),
            image_definition_pb2.ImageFeature(name="Unheard", value="True"),
        ],
    )
    request.image_definition_id = "_bad"
    request.image_definition.identifier.sku = "ends."
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.definitions.CreateImageDefinition(request)
    assert dict(found.fields) == {
        "image_definition_id": "INVALID_FIELDS",
        "image_definition.identifier.sku": "INVALID_FIELDS",
        "image_definition.recommended.vcpus": "INVALID_FIELDS",
        "image_definition.location": "REGION_UNKNOWN",
        "image_definition.os_type": "INVALID_FIELDS",
        "image_definition.end_of_life_time": "END_OF_LIFE_PASSED",
        "image_definition.features[0].value": "FEATURE_INVALID",
        "image_definition.features[1].name": "FEATURE_INVALID",
    }


def test_publisher_offer_and_sku_are_unique_together_and_without_case(world: World) -> None:
    gallery = world.gallery()
    first = world.definition_request(gallery)
    name = world.owner.definitions.CreateImageDefinition(first).name
    second = world.definition_request(gallery)
    second.image_definition.identifier.sku = first.image_definition.identifier.sku.upper()
    with refused(Code.ALREADY_EXISTS, "IMAGE_IDENTIFIER_TAKEN") as found:
        world.owner.definitions.CreateImageDefinition(second)
    assert found.info.metadata["resource"] == name
    second.image_definition.identifier.offer = "Another"
    world.owner.definitions.CreateImageDefinition(second)
    page = world.owner.definitions.ListImageDefinitions(
        definitions_pb.ListImageDefinitionsRequest(
            parent=gallery, filter='identifier.offer = "another"'
        )
    )
    assert [one.identifier.offer for one in page.image_definitions] == ["Another"]


def test_what_a_mode_forbids_is_not_created_in_it(world: World) -> None:
    profile = sharing_pb.SharingProfile(mode=sharing_pb.SharingProfile.SHARING_MODE_GROUPS)
    request = world.definition_request(
        world.gallery(sharing_profile=profile),
        hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2,
        features=[image_definition_pb2.ImageFeature(name="SecurityType", value="TrustedLaunch")],
    )
    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_FEATURE"):
        world.owner.definitions.CreateImageDefinition(request)


def test_a_gallery_is_changed_by_mask(world: World) -> None:
    name = world.gallery(description="Before", allow_copy=True)
    sent = gallery_pb2.Gallery(name=name, description="After")
    request = gallery_service_pb2.UpdateGalleryRequest(gallery=sent)
    after = world.owner.galleries.UpdateGallery(request)
    assert (after.description, after.allow_copy) == ("After", True)
    request.update_mask.paths.append("allow_copy")
    assert not world.owner.galleries.UpdateGallery(request).allow_copy


def test_a_private_gallery_becomes_a_community_one_only_if_nothing_in_it_is_forbidden(
    world: World,
) -> None:
    name = world.gallery()
    world.definition(name, location="westus")
    info = sharing_pb.CommunityGalleryInfo(
        publisher_uri="https://example.org",
        publisher_contact="images@example.org",
        eula="Terms",
        public_name_prefix="golden",
    )
    profile = sharing_pb.SharingProfile(
        mode=sharing_pb.SharingProfile.SHARING_MODE_COMMUNITY, community_gallery_info=info
    )
    sent = gallery_pb2.Gallery(name=name, sharing_profile=profile)
    request = gallery_service_pb2.UpdateGalleryRequest(gallery=sent)
    with refused(Code.FAILED_PRECONDITION, "SHARING_REGION_MISMATCH"):
        world.owner.galleries.UpdateGallery(request)
    request.gallery.name = world.gallery()
    after = world.owner.galleries.UpdateGallery(request)
    public = after.sharing_profile.community_gallery_info.public_names
    assert public[0].startswith("golden-")
    sent = gallery_pb2.Gallery(name=after.name)
    back = gallery_service_pb2.UpdateGalleryRequest(gallery=sent)
    back.update_mask.paths.append("sharing_profile.mode")
    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_CHANGE_NOT_ALLOWED"):
        world.owner.galleries.UpdateGallery(back)


def test_a_definition_is_changed_where_it_may_be(world: World) -> None:
    name = world.definition()
    sent = image_definition_pb2.ImageDefinition(name=name, description="After")
    sent.recommended.vcpus.min = 2
    request = definitions_pb.UpdateImageDefinitionRequest(image_definition=sent)
    after = world.owner.definitions.UpdateImageDefinition(request)
    assert (after.description, after.recommended.vcpus.min) == ("After", 2)
    request.image_definition.features.add(name="IsHibernateSupported", value="true")
    request.image_definition.os_type = os_type_pb2.OS_TYPE_WINDOWS
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
        world.owner.definitions.UpdateImageDefinition(request)
    assert set(found.preconditions) == {"os_type", "features"}
    request.image_definition.os_type = os_type_pb2.OS_TYPE_LINUX
    request.allow_update_image = True
    after = world.owner.definitions.UpdateImageDefinition(request)
    assert [one.value for one in after.features] == ["True"]
