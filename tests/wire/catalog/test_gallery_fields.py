"""Galleries and resource groups, field by field (gallery-semantics 1.1, 3.1, 3.2, 3.4, 3.5)."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from stoa.authz.v1 import subscription_pb2
from stoa.catalog.v1 import (
    gallery_pb2,
    image_version_pb2,
    provisioning_state_pb2,
    sharing_profile_pb2,
)
from stoa.catalog.v1 import gallery_service_pb2 as pb
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import image_version_requests_pb2 as versions_pb
from stoa.catalog.v1 import resource_group_pb2 as group_pb
from stoa.catalog.v1 import resource_group_service_pb2 as groups_pb

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode
Gallery = gallery_pb2.Gallery
Soft = gallery_pb2.SoftDeletePolicy
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
PRIVATE = sharing_profile_pb2.SharingProfile.SHARING_MODE_PRIVATE
HOUR, YEAR = 3600, 31536000


def create(world: World, gallery_id: str = "", group: str = "", **more: Any) -> Any:
    top = {key: more.pop(key) for key in ("validate_only", "request_id") if key in more}
    fields: dict[str, Any] = {"location": "eastus"} | more
    request = pb.CreateGalleryRequest(
        parent=group or world.group(),
        gallery_id=gallery_id or world.id("gallery"),
        gallery=Gallery(**fields),
        **top,
    )
    return world.owner.galleries.CreateGallery(request)


def get(world: World, name: str) -> Any:
    return world.owner.galleries.GetGallery(pb.GetGalleryRequest(name=name))


def update(stubs: Any, name: str, *mask: str, **fields: Any) -> Any:
    top = {key: fields.pop(key) for key in ("validate_only", "request_id") if key in fields}
    request = pb.UpdateGalleryRequest(gallery=Gallery(name=name, **fields), **top)
    request.update_mask.paths.extend(mask)
    return stubs.galleries.UpdateGallery(request)


def update_group(world: World, name: str, *mask: str, **fields: Any) -> Any:
    sent = group_pb.ResourceGroup(name=name, **fields)
    request = groups_pb.UpdateResourceGroupRequest(resource_group=sent)
    request.update_mask.paths.extend(mask)
    return world.owner.groups.UpdateResourceGroup(request)


def test_a_gallery_that_says_nothing_has_the_defaults(world: World) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    made = create(world)
    assert made.location == "eastus"
    assert (made.description, made.allow_copy, dict(made.tags)) == ("", False, {})
    assert made.sharing_profile.mode == PRIVATE
    assert not made.sharing_profile.HasField("community_gallery_info")
    assert not made.HasField("sharing_status")
    assert not made.HasField("soft_delete_policy")
    assert made.provisioning_state == SUCCEEDED
    assert len(made.uid) == 32
    assert set(made.uid) <= set("0123456789abcdef")
    assert made.etag
    assert made.create_time == made.update_time
    assert before < made.create_time.ToDatetime(UTC) < datetime.now(UTC) + timedelta(seconds=2)
    assert get(world, made.name) == made


@pytest.mark.parametrize("good", ["a", "A.b_c.9", "9", "a" * 80, "a__b..c"])
def test_a_gallery_id_has_letters_digits_dots_and_underscores(world: World, good: str) -> None:
    gallery_id = good if len(good) > 60 else f"{world.id('g')}.{good}"
    made = create(world, gallery_id)
    assert made.name.rpartition("/")[2] == gallery_id
    upper = f"{made.name.rpartition('/')[0]}/{gallery_id.upper()}"
    assert get(world, upper) == made


@pytest.mark.parametrize(
    "bad", ["a-b", "a_", "_a", ".a", "a.", "", "a" * 81, "a b", "ä", "a/b", "-"]
)
def test_a_gallery_id_has_no_dash_and_ends_in_letters_or_digits(world: World, bad: str) -> None:
    request = pb.CreateGalleryRequest(
        parent=world.group(), gallery_id=bad, gallery=Gallery(location="eastus")
    )
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.galleries.CreateGallery(request)
    assert set(found.fields) == {"gallery_id"}


def test_the_same_name_is_taken_in_the_group_in_another_region_and_in_the_subscription(
    world: World,
) -> None:
    group = world.group()
    made = create(world, "", group)
    gallery_id = made.name.rpartition("/")[2]
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS") as found:
        create(world, gallery_id.upper(), group)
    assert found.info.metadata["resource"] == made.name
    with refused(Code.ALREADY_EXISTS, "LOCATION_CONFLICT") as found:
        create(world, gallery_id, group, location="West US")
    assert dict(found.info.metadata) == {"resource": made.name, "location": "eastus"}
    for location in ("eastus", "westus"):
        with refused(Code.ALREADY_EXISTS, "GALLERY_NAME_TAKEN") as found:
            create(world, gallery_id, location=location)
    # Nothing tells in which group it is.
    assert group.rpartition("/")[2] not in found.info.metadata["resource"]


@pytest.mark.parametrize("spelled", ["eastus2", "East US 2", "EASTUS2", "east us 2"])
def test_a_region_is_taken_in_any_spelling_and_answered_as_its_id(
    world: World, spelled: str
) -> None:
    group = world.group(spelled)
    assert get_group(world, group).location == "eastus2"
    gallery = create(world, "", group, location=spelled)
    assert gallery.location == "eastus2"
    # Said again in another spelling it is no change.
    assert update(world.owner, gallery.name, "location", location=spelled).location == "eastus2"
    assert update_group(world, group, "location", location=spelled).location == "eastus2"
    definition = definitions_pb.UpdateImageDefinitionRequest()
    definition.image_definition.name = world.definition(gallery.name, location=spelled)
    definition.image_definition.location = spelled
    assert world.owner.definitions.UpdateImageDefinition(definition).location == "eastus2"


def get_group(world: World, name: str) -> Any:
    return world.owner.groups.GetResourceGroup(groups_pb.GetResourceGroupRequest(name=name))


def test_a_region_is_required_and_must_be_one_of_the_installation(world: World) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world, location="")
    assert set(found.fields) == {"gallery.location"}
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN") as found:
        create(world, location="atlantis")
    assert found.info.metadata["location"] == "atlantis"
    assert "eastus2" in found.info.metadata["known"].split(",")
    with refused(Code.INVALID_ARGUMENT) as found:
        world.group("")
    assert set(found.fields) == {"resource_group.location"}


def test_everything_wrong_with_a_gallery_comes_back_at_once(world: World) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        create(
            world,
            "with-dash",
            location="atlantis",
            description="d" * 4097,
            tags={"k" * 513: "v"},
            soft_delete_policy=Soft(retention_duration=Duration(seconds=HOUR - 1)),
            request_id="no uuid",
        )
    assert {field.split("[")[0] for field in found.fields} == {
        "gallery_id",
        "gallery.location",
        "gallery.description",
        "gallery.tags",
        "gallery.soft_delete_policy.retention_duration",
        "request_id",
    }


@pytest.mark.parametrize(
    ("tags", "right"),
    [
        ({f"k{at}": "" for at in range(50)}, True),
        ({f"k{at}": "" for at in range(51)}, False),
        ({"k" * 512: "v" * 256}, True),
        ({"k" * 513: ""}, False),
        ({"": "v"}, False),
        ({"k": "v" * 257}, False),
    ],
)
def test_tags_are_at_most_50_of_512_and_256_characters(
    world: World, tags: dict[str, str], right: bool
) -> None:
    if right:
        assert dict(create(world, tags=tags).tags) == tags
        assert dict(get_group(world, world.group(tags=tags)).tags) == tags
        return
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world, tags=tags)
    assert {field.split("[")[0] for field in found.fields} == {"gallery.tags"}
    with refused(Code.INVALID_ARGUMENT) as found:
        world.group(tags=tags)
    assert {field.split("[")[0] for field in found.fields} == {"resource_group.tags"}


def test_tags_are_replaced_whole_or_key_by_key(world: World) -> None:
    name = create(world, tags={"a": "1", "b": "2", "with.dot": "3"}).name
    assert dict(update(world.owner, name, "tags.a", tags={"a": "9"}).tags) == {
        "a": "9",
        "b": "2",
        "with.dot": "3",
    }
    assert dict(update(world.owner, name, "tags.b", "tags.with.dot").tags) == {"a": "9"}
    assert dict(update(world.owner, name, "tags", tags={"c": "4"}).tags) == {"c": "4"}
    # Without a mask what is not there is left alone.
    assert dict(update(world.owner, name, description="x").tags) == {"c": "4"}
    assert not update(world.owner, name, "tags").tags


@pytest.mark.parametrize(
    ("retention", "grace", "right"),
    [
        (HOUR, 0, True),
        (YEAR, YEAR, True),
        (HOUR - 1, 0, False),
        (YEAR + 1, 0, False),
        (HOUR, YEAR + 1, False),
        (HOUR, -1, False),
    ],
)
def test_the_times_of_soft_delete_have_bounds(
    world: World, retention: int, grace: int, right: bool
) -> None:
    policy = Soft(
        enabled=True,
        retention_duration=Duration(seconds=retention),
        grace_duration=Duration(seconds=grace),
    )
    if right:
        assert create(world, soft_delete_policy=policy).soft_delete_policy == policy
        return
    with refused(Code.INVALID_ARGUMENT):
        create(world, soft_delete_policy=policy)


def test_soft_delete_keeps_for_7_days_and_no_longer_unless_it_says_so(world: World) -> None:
    found = create(world, soft_delete_policy=Soft(enabled=True)).soft_delete_policy
    assert (found.enabled, found.retention_duration.seconds) == (True, 7 * 24 * HOUR)
    assert found.grace_duration.seconds == 0
    off = create(world, soft_delete_policy=Soft()).soft_delete_policy
    assert not off.enabled


def test_an_update_without_a_mask_changes_what_is_populated(world: World) -> None:
    made = create(world, description="Before", allow_copy=True, tags={"a": "1"})
    after = update(world.owner, made.name, description="After")
    assert (after.description, after.allow_copy, dict(after.tags)) == ("After", True, {"a": "1"})
    assert after.uid == made.uid
    assert after.unique_name == made.unique_name
    assert after.create_time == made.create_time
    assert after.update_time.ToDatetime() >= made.update_time.ToDatetime()
    assert after.etag != made.etag
    assert get(world, made.name) == after


def test_an_update_with_a_star_clears_what_is_not_given(world: World) -> None:
    made = create(
        world,
        description="Before",
        allow_copy=True,
        tags={"a": "1"},
        soft_delete_policy=Soft(enabled=True),
    )
    after = update(world.owner, made.name, "*", description="After")
    assert (after.description, after.allow_copy, dict(after.tags)) == ("After", False, {})
    assert not after.soft_delete_policy.enabled
    assert after.location == "eastus"
    assert not update(world.owner, made.name, "description").description


def test_a_mask_names_fields_that_there_are(world: World) -> None:
    name = create(world).name
    with refused(Code.INVALID_ARGUMENT) as found:
        update(world.owner, name, "colour", "description", description="x" * 4097)
    assert set(found.fields) == {"update_mask", "gallery.description"}
    with refused(Code.INVALID_ARGUMENT) as found:
        update(world.owner, name, "*", "description")
    assert set(found.fields) == {"update_mask"}
    with refused(Code.INVALID_ARGUMENT):
        update_group(world, world.group(), "colour")


def test_the_region_never_changes(world: World) -> None:
    made = create(world)
    for mask in ((), ("location",), ("*",)):
        with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
            update(world.owner, made.name, *mask, location="westus")
        assert found.info.metadata["field"] == "location"
    group = world.group()
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED"):
        update_group(world, group, "location", location="westus")
    assert get(world, made.name) == made


def test_what_is_output_only_is_not_read(world: World) -> None:
    made = create(
        world,
        unique_name="mine",
        uid="f" * 32,
        etag="mine",
        name="subscriptions/x/resourceGroups/y",
    )
    assert made.unique_name != "mine"
    assert made.uid != "f" * 32
    assert made.etag != "mine"
    assert made.name.startswith("subscriptions/default/resourceGroups/group")
    other = create(world, provisioning_state=provisioning_state_pb2.PROVISIONING_STATE_FAILED)
    assert other.provisioning_state == SUCCEEDED
    after = update(world.owner, made.name, "*", unique_name="mine", uid="f" * 32)
    assert (after.unique_name, after.uid) == (made.unique_name, made.uid)
    with refused(Code.INVALID_ARGUMENT):
        update(world.owner, made.name, "nonsense.uid")


def test_a_stale_etag_is_told_with_the_current_one_and_none_is_no_condition(
    world: World,
) -> None:
    made = create(world)
    first = update(world.owner, made.name, description="1", etag=made.etag)
    with refused(Code.ABORTED, "ETAG_MISMATCH") as found:
        update(world.owner, made.name, description="2", etag=made.etag)
    assert dict(found.info.metadata) == {"resource": made.name, "etag": first.etag}
    assert update(world.owner, made.name, description="3").description == "3"
    request = pb.DeleteGalleryRequest(name=made.name, etag=made.etag)
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        world.owner.galleries.DeleteGallery(request)


def test_a_gallery_made_again_under_its_name_is_another_one(world: World) -> None:
    made = create(world)
    world.wait(world.owner.galleries.DeleteGallery(pb.DeleteGalleryRequest(name=made.name)))
    group, _, gallery_id = made.name.partition("/galleries/")
    again = create(world, gallery_id, group, location="westus")
    assert again.name == made.name
    assert again.location == "westus"
    assert again.uid != made.uid
    assert again.unique_name != made.unique_name
    assert again.etag != made.etag
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        update(world.owner, made.name, description="x", etag=made.etag)


def test_a_request_id_answers_the_first_reply_and_is_of_one_request(world: World) -> None:
    request_id = str(uuid.uuid4())
    group, gallery_id = world.group(), world.id("gallery")
    made = create(world, gallery_id, group, request_id=request_id)
    update(world.owner, made.name, description="since")
    assert create(world, gallery_id, group, request_id=request_id) == made
    # The same name in another spelling is the same request.
    assert (
        create(
            world,
            gallery_id,
            group.upper().replace("SUBSCRIPTIONS", "subscriptions"),
            request_id=request_id,
        )
        == made
    )
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        create(world, gallery_id, group, request_id=request_id, description="other")
    change = str(uuid.uuid4())
    first = update(world.owner, made.name, description="1", request_id=change)
    update(world.owner, made.name, description="2")
    assert update(world.owner, made.name, description="1", request_id=change) == first
    assert get(world, made.name).description == "2"


def test_what_is_only_validated_changes_nothing(world: World) -> None:
    group, gallery_id = world.group(), world.id("gallery")
    shown = create(world, gallery_id, group, description="x", validate_only=True)
    assert (shown.description, shown.location) == ("x", "eastus")
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world, shown.name)
    made = create(world, gallery_id, group)
    shown = update(world.owner, made.name, description="y", validate_only=True)
    assert shown.description == "y"
    assert get(world, made.name) == made
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        create(world, gallery_id, group, validate_only=True)


def test_the_parent_has_to_be_there(world: World) -> None:
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND") as found:
        create(world, "", "subscriptions/default/resourceGroups/absent")
    assert found.info.metadata["resource"] == "subscriptions/default/resourceGroups/absent"
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        update(world.owner, f"{world.group()}/galleries/absent", description="x")
    with refused(Code.INVALID_ARGUMENT):
        get(world, "subscriptions/default/galleries/x")


def test_soft_delete_and_sharing_need_the_right_to_share_and_the_rest_does_not(
    world: World, policy: Policy
) -> None:
    made = create(world)
    writer = policy.user()
    policy.assign(writer, "Contributor", made.name)
    world.catalog.catch_up()
    stubs = world.catalog.user(writer.rpartition("/")[2])
    assert update(stubs, made.name, description="theirs").description == "theirs"
    for fields in (
        {"soft_delete_policy": Soft(enabled=True)},
        {
            "sharing_profile": sharing_profile_pb2.SharingProfile(
                mode=sharing_profile_pb2.SharingProfile.SHARING_MODE_GROUPS
            )
        },
    ):
        with refused(Code.PERMISSION_DENIED) as found:
            update(stubs, made.name, **fields)
        assert found.info.metadata["permission"] == "Microsoft.Compute/galleries/share/action"


def test_soft_delete_wants_one_region_for_all_that_is_in_the_gallery(world: World) -> None:
    gallery = world.gallery()
    image = world.definition(gallery, location="westus")
    with refused(Code.FAILED_PRECONDITION, "SOFT_DELETE_REGION_MISMATCH") as found:
        update(world.owner, gallery, soft_delete_policy=Soft(enabled=True))
    assert found.info.metadata["resource"] == image
    with refused(Code.FAILED_PRECONDITION, "SOFT_DELETE_REGION_MISMATCH"):
        world.definition(world.gallery(soft_delete_policy=Soft(enabled=True)), location="West US")


def test_nothing_is_made_or_changed_in_a_disabled_subscription(
    world: World, policy: Policy
) -> None:
    subscription = policy.subscription()
    world.catalog.catch_up()
    request = groups_pb.CreateResourceGroupRequest(
        parent=subscription,
        resource_group_id="here",
        resource_group=group_pb.ResourceGroup(location="eastus"),
    )
    group = world.owner.groups.CreateResourceGroup(request).name
    made = create(world, "", group)
    policy.owner.directory.DisableSubscription(
        subscription_pb2.DisableSubscriptionRequest(name=subscription)
    )
    world.catalog.catch_up()
    request.resource_group_id = "there"
    for call in (
        lambda: world.owner.groups.CreateResourceGroup(request),
        lambda: create(world, "", group),
        lambda: update(world.owner, made.name, description="x"),
        lambda: update_group(world, group, tags={"a": "b"}),
    ):
        with refused(Code.FAILED_PRECONDITION, "SUBSCRIPTION_DISABLED") as found:
            call()
        assert found.info.metadata["subscription"] == subscription
    assert get(world, made.name) == made
    world.wait(world.owner.galleries.DeleteGallery(pb.DeleteGalleryRequest(name=made.name)))


@pytest.mark.parametrize("good", ["a", "(a)", "a_b-c.d(e)", "9" * 90, "--"])
def test_a_group_id_has_what_the_original_allows(world: World, good: str) -> None:
    group_id = good if len(good) > 60 else f"{world.id('g')}{good}"
    request = groups_pb.CreateResourceGroupRequest(
        parent="subscriptions/default",
        resource_group_id=group_id,
        resource_group=group_pb.ResourceGroup(location="eastus"),
    )
    assert world.owner.groups.CreateResourceGroup(request).name.endswith(f"/{group_id}")


@pytest.mark.parametrize("bad", ["", "-", "a.", "a b", "a/b", "a" * 91, "ä", "a%"])
def test_a_group_id_has_nothing_else(world: World, bad: str) -> None:
    request = groups_pb.CreateResourceGroupRequest(
        parent="subscriptions/default",
        resource_group_id=bad,
        resource_group=group_pb.ResourceGroup(location="eastus"),
    )
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.groups.CreateResourceGroup(request)
    assert set(found.fields) == {"resource_group_id"}


def test_the_order_of_regions_is_kept_and_each_is_answered_as_its_id(world: World) -> None:
    version, _ = world.version(regions=("West US", "EAST US 2", "East US"))
    assert [one.location for one in version.target_regions] == ["westus", "eastus2", "eastus"]
    summary = version.replication_status.summary
    assert [one.location for one in summary] == ["westus", "eastus2", "eastus"]


def test_the_effective_end_of_life_is_the_own_or_follows_the_definition(world: World) -> None:
    def seen(name: str) -> datetime | None:
        found = world.get(name, image_version_pb2.IMAGE_VERSION_VIEW_BASIC)
        if not found.HasField("effective_end_of_life_time"):
            return None
        end: datetime = found.effective_end_of_life_time.ToDatetime(UTC)
        return end

    def listed(definition: str) -> list[datetime | None]:
        request = versions_pb.ListImageVersionsRequest(parent=definition)
        return [
            one.effective_end_of_life_time.ToDatetime(UTC)
            if one.HasField("effective_end_of_life_time")
            else None
            for one in world.owner.versions.ListImageVersions(request).image_versions
        ]

    def set_end(end: datetime) -> None:
        request = definitions_pb.UpdateImageDefinitionRequest()
        request.image_definition.name = definition
        request.image_definition.end_of_life_time.FromDatetime(end)
        world.owner.definitions.UpdateImageDefinition(request)

    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    definition = world.definition()
    plain = world.version(definition, "1.0.0")[0].name
    own = world.version(definition, "2.0.0", end_of_life_time=soon - timedelta(days=60))[0].name
    assert listed(definition) == [None, soon - timedelta(days=60)]
    set_end(soon)
    assert (seen(plain), seen(own)) == (soon, soon - timedelta(days=60))
    set_end(soon + timedelta(days=1))
    assert seen(plain) == soon + timedelta(days=1)
    assert listed(definition) == [soon + timedelta(days=1), soon - timedelta(days=60)]
    assert not world.get(plain).HasField("end_of_life_time")
    request = versions_pb.UpdateImageVersionRequest()
    request.image_version.name = plain
    request.image_version.end_of_life_time.FromDatetime(soon)
    request.update_mask.paths.append("end_of_life_time")
    world.owner.versions.UpdateImageVersion(request)
    assert seen(plain) == soon
    request.image_version.ClearField("end_of_life_time")
    answered = image_version_pb2.ImageVersion()
    assert world.owner.versions.UpdateImageVersion(request).response.Unpack(answered)
    assert seen(plain) == soon + timedelta(days=1)
