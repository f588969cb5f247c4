"""Keys of a customer in target regions (gallery-semantics 3.13 and 4)."""

from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_pb2,
    target_region_requests_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.replication.v1 import region_pb2
from stoa.type.v1 import os_type_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.encryption import (
    SECURE,
    WITH_CMK,
    WITH_PMK,
    Profile,
    Region,
    confidential,
    keyed,
    make_set,
    request,
)
from tests.wire.catalog.galleries import GROUPS, community, direct
from tests.wire.catalog.galleries import Profile as SharingProfile
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.sources import ENCRYPTION_SET

Code = grpc.StatusCode
REGIONS = "image_version.target_regions"
SET_FIELD = "os_disk_image.disk_encryption_set"


def create(world: World, made: Any) -> Any:
    """Create a version and answer it."""
    world.owner.versions.CreateImageVersion(made)
    return world.get(f"{made.parent}/versions/{made.image_version_id}")


def add(world: World, version: Any, *regions: Region, stubs: Any = None) -> Any:
    made = target_region_requests_pb2.AddTargetRegionsRequest(
        name=version.name, target_regions=regions
    )
    return (stubs or world.owner).versions.AddTargetRegions(made)


def update(world: World, version: Any, stubs: Any = None) -> Any:
    made = requests_pb.UpdateImageVersionRequest(image_version=version)
    made.update_mask.paths.append("target_regions")
    return (stubs or world.owner).versions.UpdateImageVersion(made)


def confidential_definition(world: World, value: str = "ConfidentialVM") -> str:
    world.replication.add_region(
        "secureus", "Secure US", capabilities=[region_pb2.REGION_CAPABILITY_CONFIDENTIAL]
    )
    return world.definition(
        hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2,
        features=[image_definition_pb2.ImageFeature(name="SecurityType", value=value)],
    )


def confidential_request(world: World, *regions: Region, value: str = "ConfidentialVM") -> Any:
    definition = confidential_definition(world, value)
    made = request(world, *regions, definition=definition, location="secureus")
    for disk in (
        made.image_version.storage_profile.os_disk_image,
        made.image_version.storage_profile.data_disk_images[0],
    ):
        disk.source.blob = world.blob("/".join(definition.split("/")[:4]), "secureus")
    return made


def test_keys_are_kept_and_answered_under_their_stored_names(world: World) -> None:
    first, second = make_set(world), make_set(world, "eastus2")
    last = second.rpartition("/")[2]
    shouted = second.replace(last, last.upper())
    made = request(world, keyed("East US", first), keyed("eastus2", shouted))

    version = create(world, made)

    assert list(version.target_regions) == [keyed("eastus", first), keyed("eastus2", second)]


def test_a_set_that_a_version_is_encrypted_with_is_not_deleted(world: World) -> None:
    found = make_set(world)
    version = create(world, request(world, keyed("eastus", found)))
    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, "eastus", 3)
    world.until(version.name, lambda one: one.provisioning_state == 3)

    # The source may go once the bytes are copied; the key may not.
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE") as refusal:
        ENCRYPTION_SET.delete(world, found)
    assert refusal.info.metadata["users"] == version.name

    deletion = requests_pb.DeleteImageVersionRequest(name=version.name)
    operation = world.owner.versions.DeleteImageVersion(deletion)
    world.wait(operation)
    ENCRYPTION_SET.delete(world, found)


def test_a_set_is_free_again_when_its_region_is_removed(world: World) -> None:
    first, second = make_set(world), make_set(world, "eastus2")
    version = create(world, request(world, keyed("eastus", first), keyed("eastus2", second)))
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE"):
        ENCRYPTION_SET.delete(world, second)

    world.owner.versions.RemoveTargetRegions(
        target_region_requests_pb2.RemoveTargetRegionsRequest(
            name=version.name, locations=["eastus2"]
        )
    )

    ENCRYPTION_SET.delete(world, second)
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE"):
        ENCRYPTION_SET.delete(world, first)


def test_with_keys_in_one_region_all_must_have_them(world: World) -> None:
    made = request(world, keyed("eastus", make_set(world)), Region(location="eastus2"))

    with refused(Code.INVALID_ARGUMENT, "ENCRYPTION_INCOMPLETE") as refusal:
        world.owner.versions.CreateImageVersion(made)

    assert set(refusal.fields) == {f"{REGIONS}[1].encryption"}
    assert refusal.info.metadata["location"] == "eastus2"


def test_with_a_key_for_one_disk_all_must_have_one(world: World) -> None:
    found = make_set(world)
    only_os, only_data = Region(location="eastus"), Region(location="eastus")
    only_os.encryption.os_disk_image.disk_encryption_set = found
    only_data.encryption.data_disk_images.add(lun=3, disk_encryption_set=found)

    for region, path in ((only_os, "data_disk_images"), (only_data, "os_disk_image")):
        with refused(Code.INVALID_ARGUMENT, "ENCRYPTION_INCOMPLETE") as refusal:
            world.owner.versions.CreateImageVersion(request(world, region))
        assert set(refusal.fields) == {f"{REGIONS}[0].encryption.{path}"}


def test_luns_with_keys_exist_and_do_not_repeat(world: World) -> None:
    found = make_set(world)
    region = keyed("eastus", found)
    region.encryption.data_disk_images.add(lun=3, disk_encryption_set=found)
    region.encryption.data_disk_images.add(lun=9, disk_encryption_set=found)

    with refused(Code.INVALID_ARGUMENT, "ENCRYPTION_LUN_INVALID") as refusal:
        world.owner.versions.CreateImageVersion(request(world, region))

    path = f"{REGIONS}[0].encryption.data_disk_images"
    assert set(refusal.fields) == {f"{path}[1].lun", f"{path}[2].lun"}
    assert refusal.info.metadata["lun"] == "3,9"


def test_the_luns_of_a_source_for_all_disks_count_too(world: World) -> None:
    source = world.finished()
    made = request(world, keyed("eastus", make_set(world), lun=7))
    made.image_version.ClearField("storage_profile")
    made.image_version.storage_profile.source.image_version = source.name

    with refused(Code.FAILED_PRECONDITION) as refusal:
        world.owner.versions.CreateImageVersion(made)

    path = f"{REGIONS}[0].encryption.data_disk_images"
    assert refusal.preconditions == {
        f"{path}[0].lun": "ENCRYPTION_LUN_INVALID",
        path: "ENCRYPTION_INCOMPLETE",
    }


def test_a_malformed_set_is_told_of_its_field(world: World) -> None:
    with refused(Code.INVALID_ARGUMENT, "ENCRYPTION_SET_INVALID") as refusal:
        world.owner.versions.CreateImageVersion(request(world, keyed("eastus", "keys/mine")))

    path = f"{REGIONS}[0].encryption"
    assert set(refusal.fields) == {
        f"{path}.{SET_FIELD}",
        f"{path}.data_disk_images[0].disk_encryption_set",
    }


def test_a_set_that_does_not_exist_is_not_found(world: World) -> None:
    absent = f"{world.group()}/diskEncryptionSets/absent"

    with refused(Code.NOT_FOUND, "ENCRYPTION_SET_NOT_FOUND") as refusal:
        world.owner.versions.CreateImageVersion(request(world, keyed("eastus", absent)))

    assert refusal.info.metadata["resource"] == absent


def test_a_set_of_another_subscription_is_refused(world: World, policy: Policy) -> None:
    other = f"{policy.subscription()}/resourceGroups/g/diskEncryptionSets/s"
    policy.assign("tenants/default/users/owner", "Reader", other)

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION") as refusal:
        world.owner.versions.CreateImageVersion(request(world, keyed("eastus", other)))

    assert refusal.info.metadata["resource"] == other


def test_a_set_of_another_region_is_refused(world: World) -> None:
    found = make_set(world, "eastus2")

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_OTHER_REGION") as refusal:
        world.owner.versions.CreateImageVersion(request(world, keyed("eastus", found)))

    assert refusal.info.metadata == {"resource": found, "location": "eastus2"}


def test_a_set_for_confidential_machines_serves_nothing_else(world: World) -> None:
    found = make_set(world, encryption_type=SECURE)

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_INVALID") as refusal:
        world.owner.versions.CreateImageVersion(request(world, keyed("eastus", found)))

    assert refusal.info.metadata["disk_encryption_set"] == found


def test_the_right_to_read_a_set_is_decided_with_that_to_write(
    world: World, policy: Policy
) -> None:
    made = request(world, keyed("eastus", make_set(world)))
    user = policy.user()
    stubs = world.catalog.user(user.rpartition("/")[2])
    policy.assign(user, "Contributor", "/".join(made.parent.split("/")[:4]))

    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        stubs.versions.CreateImageVersion(made)

    assert refusal.info.metadata["permission"] == "Microsoft.Compute/diskEncryptionSets/read"
    assert refusal.info.metadata["field"] == f"{REGIONS}[0].encryption.{SET_FIELD}"
    absent = made.image_version.target_regions[0].encryption
    absent.os_disk_image.disk_encryption_set += "x"
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        stubs.versions.CreateImageVersion(made)


@pytest.mark.parametrize("mode", ["GROUPS", "COMMUNITY"])
def test_no_encrypted_version_is_created_in_a_shared_gallery(world: World, mode: str) -> None:
    gallery = direct(world) if mode == "GROUPS" else community(world)
    made = request(world, keyed("eastus", make_set(world)), definition=world.definition(gallery))

    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_ENCRYPTION") as refusal:
        world.owner.versions.CreateImageVersion(made)

    assert refusal.info.metadata["resource"] == f"{made.parent}/versions/1.0.0"


def test_a_gallery_with_an_encrypted_version_stays_private(world: World) -> None:
    gallery = world.gallery()
    made = request(world, keyed("eastus", make_set(world)), definition=world.definition(gallery))
    version = create(world, made)
    sent = gallery_pb2.Gallery(name=gallery, sharing_profile=SharingProfile(mode=GROUPS))

    with refused(Code.FAILED_PRECONDITION, "SHARING_FORBIDS_ENCRYPTION") as refusal:
        world.owner.galleries.UpdateGallery(gallery_service_pb2.UpdateGalleryRequest(gallery=sent))

    assert refusal.info.metadata["resource"] == version.name


def test_an_added_region_has_keys_where_the_others_have(world: World) -> None:
    first, second = make_set(world), make_set(world, "eastus2")
    version = create(world, request(world, keyed("eastus", first)))

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_INCOMPLETE") as refusal:
        add(world, version, Region(location="eastus2"))
    assert set(refusal.preconditions) == {"target_regions[0].encryption"}
    add(world, version, keyed("eastus", first), keyed("eastus2", second))

    assert list(world.get(version.name).target_regions) == [
        keyed("eastus", first),
        keyed("eastus2", second),
    ]
    with refused(Code.FAILED_PRECONDITION, "REGION_TARGETED_OTHERWISE"):
        add(world, version, Region(location="eastus2"))


def test_no_keys_come_after_the_creation(world: World) -> None:
    found, home = make_set(world, "eastus2"), make_set(world)
    version, _ = world.version()

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_INCOMPLETE"):
        add(world, version, keyed("eastus2", found))
    version.target_regions[0].CopyFrom(keyed("eastus", home))
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as refusal:
        update(world, version)
    assert refusal.info.metadata["field"] == f"{REGIONS}[0].encryption"


def test_a_version_never_goes_back_to_keys_of_the_platform(world: World) -> None:
    version = create(world, request(world, keyed("eastus", make_set(world))))
    version.target_regions[0].ClearField("encryption")

    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as refusal:
        update(world, version)
    assert refusal.info.metadata["field"] == f"{REGIONS}[0].encryption"

    version.target_regions[0].CopyFrom(keyed("eastus", make_set(world)))
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED"):
        update(world, version)


def test_an_update_encrypts_new_regions_and_leaves_no_lun_out(world: World) -> None:
    found = make_set(world, "eastus2")
    version = create(world, request(world, keyed("eastus", make_set(world))))
    version.target_regions.add().CopyFrom(keyed("eastus2", found, lun=5))

    with refused(Code.FAILED_PRECONDITION) as refusal:
        update(world, version)
    path = f"{REGIONS}[1].encryption.data_disk_images"
    assert refusal.preconditions == {
        f"{path}[0].lun": "ENCRYPTION_LUN_INVALID",
        path: "ENCRYPTION_INCOMPLETE",
    }
    version.target_regions[1].CopyFrom(keyed("eastus2", found))
    update(world, version)

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE"):
        ENCRYPTION_SET.delete(world, found)


def test_sets_that_a_version_has_need_no_right_in_an_update(world: World, policy: Policy) -> None:
    found, other = make_set(world), make_set(world, "eastus2")
    version = create(world, request(world, keyed("eastus", found)))
    user = policy.user()
    stubs = world.catalog.user(user.rpartition("/")[2])
    policy.assign(user, "Contributor", version.name)
    version.target_regions[0].regional_replica_count = 2
    update(world, version, stubs)

    version.etag = ""
    version.target_regions.add().CopyFrom(keyed("eastus2", other))
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        update(world, version, stubs)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        add(world, version, keyed("eastus2", other), stubs=stubs)


def test_a_confidential_disk_is_encrypted_with_a_set_for_it(world: World) -> None:
    secure, plain = _secure_set(world), make_set(world, "secureus")
    region = confidential("secureus", WITH_CMK, secure, data=plain)

    version = create(world, confidential_request(world, region))

    assert list(version.target_regions) == [region]
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE"):
        ENCRYPTION_SET.delete(world, secure)


def _secure_set(world: World) -> str:
    confidential_definition(world)
    return make_set(world, "secureus", encryption_type=SECURE)


def test_a_key_of_the_platform_needs_no_set(world: World) -> None:
    region = confidential("secureus", WITH_PMK)
    version = create(world, confidential_request(world, region, value="ConfidentialVMSupported"))
    assert list(version.target_regions) == [region]


def test_a_confidential_encryption_and_its_set_belong_together(world: World) -> None:
    secure = _secure_set(world)
    field = f"{REGIONS}[0].encryption.os_disk_image.security_profile.secure_vm_disk_encryption_set"
    for region in (confidential("secureus", WITH_CMK), confidential("secureus", WITH_PMK, secure)):
        with refused(Code.INVALID_ARGUMENT) as refusal:
            world.owner.versions.CreateImageVersion(confidential_request(world, region))
        assert refusal.fields[field] == "ENCRYPTION_SET_INVALID"

    plain = make_set(world, "secureus")
    region = confidential("secureus", WITH_CMK, plain, data=plain)
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_INVALID"):
        world.owner.versions.CreateImageVersion(confidential_request(world, region))


@pytest.mark.parametrize("kind", sorted(set(Profile.ConfidentialVmEncryptionType.values()) - {0}))
def test_a_confidential_encryption_is_for_confidential_images_alone(
    world: World, kind: int
) -> None:
    region = confidential("secureus", kind)
    if kind == WITH_CMK:
        region.encryption.os_disk_image.security_profile.secure_vm_disk_encryption_set = (
            _secure_set(world)
        )
        region.encryption.data_disk_images.add(
            lun=3, disk_encryption_set=make_set(world, "secureus")
        )
    made = confidential_request(world, region, value="TrustedLaunch")

    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_INVALID") as refusal:
        world.owner.versions.CreateImageVersion(made)

    assert set(refusal.preconditions) == {f"{REGIONS}[0].encryption.os_disk_image.security_profile"}
