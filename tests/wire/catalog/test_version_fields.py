"""Image versions, field by field: what is kept, what may change and what never does.

gallery-semantics 1.3, 3.3, 3.5 and 3.11.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import (
    image_definition_pb2,
    machine_hardware_pb2,
    provisioning_state_pb2,
    target_region_pb2,
    target_region_requests_pb2,
)
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import image_version_pb2 as pb
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1 import version_profiles_pb2 as profiles_pb
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.encryption import keyed, make_set
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.replication import GIB, REMOVED

Code = grpc.StatusCode
Uefi = profiles_pb.UefiSettings
Key = profiles_pb.UefiKey
V2 = os_type_pb2.HYPER_V_GENERATION_V2
PATH = "image_version"
UPDATING = provisioning_state_pb2.PROVISIONING_STATE_UPDATING
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
SHALLOW = storage_pb2.REPLICATION_MODE_SHALLOW
LRS = storage_pb2.STORAGE_ACCOUNT_TYPE_STANDARD_LRS
ZRS = storage_pb2.STORAGE_ACCOUNT_TYPE_STANDARD_ZRS
PREMIUM = storage_pb2.STORAGE_ACCOUNT_TYPE_PREMIUM_LRS
DIGEST = b"\7" * 32
CERTIFICATE = b"\x30\x82\x01\x00" + b"\1" * 256
BASIC, FULL = pb.IMAGE_VERSION_VIEW_BASIC, pb.IMAGE_VERSION_VIEW_FULL


def update(world: World, version: pb.ImageVersion, *paths: str, **more: Any) -> Any:
    request = requests_pb.UpdateImageVersionRequest(image_version=version, **more)
    request.update_mask.paths.extend(paths)
    return world.owner.versions.UpdateImageVersion(request)


def settings() -> Uefi:
    made = Uefi(
        signature_templates=[
            Uefi.UEFI_SIGNATURE_TEMPLATE_MICROSOFT_WINDOWS,
            Uefi.UEFI_SIGNATURE_TEMPLATE_MICROSOFT_UEFI_CERTIFICATE_AUTHORITY,
        ]
    )
    signatures = made.additional_signatures
    signatures.pk.CopyFrom(Key(type=Key.UEFI_KEY_TYPE_X509, values=[CERTIFICATE]))
    signatures.kek.add(type=Key.UEFI_KEY_TYPE_X509, values=[CERTIFICATE, b"\x30\x02\1\2"])
    signatures.db.add(type=Key.UEFI_KEY_TYPE_SHA256, values=[DIGEST])
    signatures.dbx.add(type=Key.UEFI_KEY_TYPE_SHA256, values=[DIGEST, b"\x08" * 32])
    return made


def test_uefi_settings_are_kept_and_answered_in_the_whole_view_alone(world: World) -> None:
    definition = world.definition(hyper_v_generation=V2)
    version, _ = world.version(definition, uefi_settings=settings())
    assert version.uefi_settings == settings()
    for view in (BASIC, pb.IMAGE_VERSION_VIEW_REPLICATION_STATUS):
        assert not world.get(version.name, view).HasField("uefi_settings")
    listed = world.owner.versions.ListImageVersions(
        requests_pb.ListImageVersionsRequest(parent=definition, view=FULL)
    )
    assert [one.uefi_settings for one in listed.image_versions] == [settings()]
    # They outlive whatever else is written of the version.
    update(world, pb.ImageVersion(name=version.name, tags={"a": "b"}))
    assert world.get(version.name).uefi_settings == settings()


def test_templates_alone_are_uefi_settings_too(world: World) -> None:
    plain = Uefi(signature_templates=[Uefi.UEFI_SIGNATURE_TEMPLATE_NO_SIGNATURE])
    version, _ = world.version(world.definition(hyper_v_generation=V2), uefi_settings=plain)
    assert version.uefi_settings == plain


def test_uefi_settings_need_generation_v2(world: World) -> None:
    request = world.version_request(uefi_settings=settings())
    with refused(Code.FAILED_PRECONDITION, "PRECONDITION_FAILED") as found:
        world.owner.versions.CreateImageVersion(request)
    assert set(found.preconditions) == {f"{PATH}.uefi_settings"}


def test_keys_of_secure_boot_are_what_they_say(world: World) -> None:
    wrong = settings()
    wrong.signature_templates.append(wrong.signature_templates[0])
    signatures = wrong.additional_signatures
    signatures.pk.values[0] = CERTIFICATE[:-1]
    signatures.db[0].values.append(b"short")
    signatures.dbx[0].type = Key.UEFI_KEY_TYPE_UNSPECIFIED
    signatures.kek.add(type=Key.UEFI_KEY_TYPE_X509)
    request = world.version_request(world.definition(hyper_v_generation=V2), uefi_settings=wrong)
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.versions.CreateImageVersion(request)
    below = f"{PATH}.uefi_settings.additional_signatures"
    assert set(found.fields) == {
        f"{PATH}.uefi_settings.signature_templates",
        f"{below}.pk.values[0]",
        f"{below}.kek[1].values",
        f"{below}.db[0].values[1]",
        f"{below}.dbx[0].type",
    }


def test_uefi_settings_never_change(world: World) -> None:
    version, _ = world.version(world.definition(hyper_v_generation=V2), uefi_settings=settings())
    update(world, version, "uefi_settings")
    version.uefi_settings.additional_signatures.db[0].values[0] = b"\x09" * 32
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
        update(world, version, "uefi_settings")
    assert found.info.metadata["field"] == "uefi_settings"
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED"):
        update(world, pb.ImageVersion(name=version.name), "uefi_settings")


def test_nothing_is_validated_and_nobody_reports_a_violation(world: World) -> None:
    version = world.finished()
    assert not version.HasField("validations_profile")
    assert not version.HasField("safety_profile")
    guarded, _ = world.version(
        safety_profile=profiles_pb.SafetyProfile(allow_deletion_of_replicated_locations=True)
    )
    assert not guarded.safety_profile.reported_for_policy_violation
    assert not guarded.safety_profile.policy_violations


@pytest.mark.parametrize(
    "flag", ["allow_deletion_of_replicated_locations", "block_deletion_before_end_of_life"]
)
def test_a_flag_of_safety_has_three_states(world: World, flag: str) -> None:
    version, _ = world.version()
    for value in (True, False):
        version.safety_profile.Clear()
        setattr(version.safety_profile, flag, value)
        version.etag = ""
        update(world, version, f"safety_profile.{flag}")
        found = world.get(version.name).safety_profile
        assert found.HasField(flag)
        assert getattr(found, flag) is value
    made, _ = world.version(safety_profile=version.safety_profile)
    assert made.safety_profile == version.safety_profile
    update(world, pb.ImageVersion(name=version.name), f"safety_profile.{flag}")
    assert not world.get(version.name).HasField("safety_profile")


def test_additional_replica_sets_are_kept_and_none_is_made_for_them(world: World) -> None:
    sets = [
        target_region_pb2.AdditionalReplicaSet(
            storage_account_type=PREMIUM, regional_replica_count=7
        )
    ]
    version, _ = world.version(regions=({"location": "eastus", "additional_replica_sets": sets},))
    assert list(version.target_regions[0].additional_replica_sets) == sets
    asked = world.replication.await_ensured(version.uid, 1).desired.regions
    assert [(one.location, one.replica_count) for one in asked] == [("eastus", 1)]

    version.target_regions[0].additional_replica_sets[0].regional_replica_count = 9
    operation = update(world, version, "target_regions")
    assert operation.done
    after = world.get(version.name)
    assert after.generation == 1
    assert after.target_regions[0].additional_replica_sets[0].regional_replica_count == 9


def test_additional_replica_sets_are_few_and_each_of_its_kind(world: World) -> None:
    kind = target_region_pb2.AdditionalReplicaSet
    twice = [kind(storage_account_type=PREMIUM, regional_replica_count=1)] * 2
    wrong = [
        {"location": "eastus", "additional_replica_sets": twice},
        {
            "location": "eastus2",
            "additional_replica_sets": [kind(storage_account_type=LRS, regional_replica_count=101)],
        },
    ]
    with refused(Code.INVALID_ARGUMENT) as found:
        world.version(regions=wrong)
    assert set(found.fields) == {
        f"{PATH}.target_regions[0].additional_replica_sets[1].storage_account_type",
        f"{PATH}.target_regions[1].additional_replica_sets[0].regional_replica_count",
    }


def shallow(world: World, *regions: Any, size: int = GIB, **more: Any) -> Any:
    request = world.version_request(
        regions=regions or ("eastus",), replication_mode=SHALLOW, **more
    )
    blob = world.blob("/".join(request.parent.split("/")[:4]), size_bytes=size)
    request.image_version.storage_profile.os_disk_image.source.blob = blob
    return request


def test_a_shallow_disk_of_32_tib_is_taken(world: World) -> None:
    request = shallow(world, size=32 * 1024 * GIB)
    world.owner.versions.CreateImageVersion(request)
    made = world.get(f"{request.parent}/versions/1.0.0")
    assert made.replication_mode == SHALLOW
    asked = world.replication.await_ensured(made.uid, 1).desired
    assert asked.replication_mode == SHALLOW


@pytest.mark.parametrize(
    "regions",
    [
        ("eastus", "eastus2"),
        ({"location": "eastus", "regional_replica_count": 2},),
    ],
)
def test_a_shallow_version_is_in_its_own_region_once(world: World, regions: Any) -> None:
    with refused(Code.INVALID_ARGUMENT, "SHALLOW_SHAPE_INVALID") as found:
        world.owner.versions.CreateImageVersion(shallow(world, *regions))
    assert set(found.fields) == {f"{PATH}.target_regions"}


def test_a_shallow_version_has_no_keys_of_a_customer(world: World) -> None:
    request = shallow(world)
    request.image_version.target_regions[0].CopyFrom(keyed("eastus", make_set(world)))
    with refused(Code.INVALID_ARGUMENT, "SHALLOW_SHAPE_INVALID"):
        world.owner.versions.CreateImageVersion(request)


def test_a_shallow_disk_has_at_most_32_tib(world: World) -> None:
    with refused(Code.FAILED_PRECONDITION, "SOURCE_TOO_LARGE") as found:
        world.owner.versions.CreateImageVersion(shallow(world, size=32 * 1024 * GIB + 1))
    assert found.info.metadata["maximum_bytes"] == str(32 * 1024 * GIB)


def test_all_that_may_change_of_a_version_changes(world: World) -> None:
    version = world.finished(regions=("eastus", "eastus2"))
    past = Timestamp()
    past.FromDatetime(datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))
    wanted = pb.ImageVersion(
        name=version.name,
        replica_count=2,
        exclude_from_latest=True,
        end_of_life_time=past,
        tags={"a": "b"},
        safety_profile=profiles_pb.SafetyProfile(block_deletion_before_end_of_life=False),
    )
    wanted.target_regions.add(location="eastus", exclude_from_latest=False)
    wanted.target_regions.add(location="East US 2", regional_replica_count=1)
    paths = (
        "replica_count",
        "exclude_from_latest",
        "end_of_life_time",
        "tags",
        "safety_profile",
        "target_regions",
    )

    update(world, wanted, *paths)

    after = world.get(version.name)
    wanted.target_regions[1].location = "eastus2"
    for path in paths:
        assert getattr(after, path) == getattr(wanted, path), path
    # An end of life of a version may be past: it informs.
    assert after.effective_end_of_life_time == past
    assert after.generation == 2
    asked = world.replication.await_ensured(version.uid, 2).desired.regions
    assert [(one.location, one.replica_count) for one in asked] == [("eastus", 2), ("eastus2", 1)]


def test_sending_back_what_was_answered_changes_nothing(world: World) -> None:
    version = world.finished(
        world.definition(hyper_v_generation=V2), uefi_settings=settings(), tags={"a": "b"}
    )
    for paths in ((), ("*",)):
        operation = update(world, version, *paths)
        assert operation.done
        after = world.get(version.name)
        assert (after.generation, after.etag) == (version.generation, version.etag)


def _move(version: pb.ImageVersion) -> None:
    version.location = "westus"


def _other_source(version: pb.ImageVersion) -> None:
    version.storage_profile.os_disk_image.source.blob += "x"


def _other_lun(version: pb.ImageVersion) -> None:
    version.storage_profile.data_disk_images[0].lun = 4


def _fewer_disks(version: pb.ImageVersion) -> None:
    del version.storage_profile.data_disk_images[0]


def _more_disks(version: pb.ImageVersion) -> None:
    more = version.storage_profile.data_disk_images.add(lun=9)
    more.source.blob = version.storage_profile.os_disk_image.source.blob


def _whole_source(version: pb.ImageVersion) -> None:
    version.storage_profile.Clear()
    version.storage_profile.source.image_version = version.name


def _cached(version: pb.ImageVersion) -> None:
    version.storage_profile.os_disk_image.host_caching = (
        machine_hardware_pb2.HOST_CACHING_READ_WRITE
    )


def _common_type(version: pb.ImageVersion) -> None:
    version.storage_account_type = PREMIUM


def _mode(version: pb.ImageVersion) -> None:
    version.replication_mode = SHALLOW


def _keys(version: pb.ImageVersion) -> None:
    version.uefi_settings.CopyFrom(settings())


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("location", _move),
        ("storage_profile", _other_source),
        ("storage_profile", _other_lun),
        ("storage_profile", _fewer_disks),
        ("storage_profile", _more_disks),
        ("storage_profile", _whole_source),
        ("storage_profile", _cached),
        ("storage_account_type", _common_type),
        ("replication_mode", _mode),
        ("uefi_settings", _keys),
    ],
)
def test_what_never_changes_of_a_version_is_refused_by_its_path(
    world: World, path: str, change: Any
) -> None:
    version, _ = world.version()
    change(version)
    for paths in ((), (path,), ("*",)):
        with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
            update(world, version, *paths)
        assert found.info.metadata["field"] == path


def test_the_storage_type_of_a_region_that_the_version_has_never_changes(world: World) -> None:
    version, _ = world.version(regions=("eastus", "eastus2"))
    version.target_regions[1].storage_account_type = ZRS
    with refused(Code.FAILED_PRECONDITION) as found:
        update(world, version, "target_regions")
    changed = f"{PATH}.target_regions[1].storage_account_type"
    assert found.preconditions[changed] == "PROPERTY_CHANGE_NOT_ALLOWED"
    # Naming the type that it has anyway is no change.
    version.target_regions[1].storage_account_type = LRS
    assert update(world, version, "target_regions").done


@pytest.mark.parametrize(("guard", "removed"), [(None, False), (True, True), (False, False)])
def test_an_update_removes_a_region_that_it_leaves_out_by_the_guard(
    world: World, guard: bool | None, removed: bool
) -> None:
    more: dict[str, Any] = {}
    if guard is not None:
        more["safety_profile"] = profiles_pb.SafetyProfile(
            allow_deletion_of_replicated_locations=guard
        )
    version, _ = world.version(regions=("eastus", "eastus2"), **more)
    del version.target_regions[1]
    if removed:
        update(world, version, "target_regions")
        assert [one.location for one in world.get(version.name).target_regions] == ["eastus"]
        return
    with refused(Code.FAILED_PRECONDITION, "REGION_REMOVAL_FORBIDDEN") as found:
        update(world, version, "target_regions")
    assert found.info.metadata["locations"] == "eastus2"


def test_the_guard_that_an_update_meets_decides_about_it(world: World) -> None:
    version, _ = world.version(regions=("eastus", "eastus2"))
    del version.target_regions[1]
    version.safety_profile.allow_deletion_of_replicated_locations = True
    with refused(Code.FAILED_PRECONDITION, "REGION_REMOVAL_FORBIDDEN"):
        update(world, version, "target_regions", "safety_profile")


def test_an_update_keeps_the_home_region_whatever_the_guard_says(world: World) -> None:
    version, _ = world.version(
        regions=("eastus", "eastus2"),
        safety_profile=profiles_pb.SafetyProfile(allow_deletion_of_replicated_locations=True),
    )
    del version.target_regions[0]
    with refused(Code.FAILED_PRECONDITION, "HOME_REGION_MISSING"):
        update(world, version, "target_regions")
    with refused(Code.INVALID_ARGUMENT, "HOME_REGION_MISSING"):
        update(world, pb.ImageVersion(name=version.name), "target_regions")


def test_a_version_is_updating_until_a_region_that_is_removed_is_gone(world: World) -> None:
    version = world.finished(regions=("eastus", "eastus2"))
    operation = world.owner.versions.RemoveTargetRegions(
        target_region_requests_pb2.RemoveTargetRegionsRequest(
            name=version.name, locations=["eastus2"]
        )
    )
    assert world.get(version.name).provisioning_state == UPDATING
    world.replication.tell(version.uid, "eastus2", REMOVED)
    world.wait(operation)
    assert world.get(version.name).provisioning_state == SUCCEEDED


def test_a_stale_etag_is_told_before_what_the_state_forbids(world: World) -> None:
    version, _ = world.version(regions=("eastus", "eastus2"))
    update(world, pb.ImageVersion(name=version.name, tags={"a": "b"}))
    del version.target_regions[1]
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        update(world, version, "target_regions")
    version.target_regions.add(location="atlantis")
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN"):
        update(world, version, "target_regions")


def test_a_version_cannot_be_renamed(world: World) -> None:
    version, _ = world.version()
    version.name = version.name.replace("1.0.0", "1.0.1")
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        update(world, version)


def test_a_source_of_another_installation_is_refused(world: World, policy: Policy) -> None:
    foreign = "subscriptions/elsewhere/resourceGroups/g/disks/d"
    user = policy.user()
    policy.assign(user, "Owner", "/")
    request = world.version_request()
    request.image_version.storage_profile.os_disk_image.source.disk = foreign
    stubs = world.catalog.user(user.rpartition("/")[2])

    with refused(Code.FAILED_PRECONDITION, "NOT_IN_INSTALLATION") as found:
        stubs.versions.CreateImageVersion(request)

    assert found.info.metadata["resource"] == foreign
    # Who may do nothing there is not even told that.
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        world.owner.versions.CreateImageVersion(request)


def test_an_immutable_field_that_is_unset_means_its_default(world: World) -> None:
    plain, _ = world.version()
    update(world, pb.ImageVersion(name=plain.name, tags={"a": "b"}), "tags", "storage_account_type")
    assert dict(world.get(plain.name).tags) == {"a": "b"}
    name = world.definition(hyper_v_generation=V2)
    changed = definitions_pb.UpdateImageDefinitionRequest(
        image_definition=image_definition_pb2.ImageDefinition(name=name)
    )
    changed.update_mask.paths.extend(["hyper_v_generation"])
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED"):
        world.owner.definitions.UpdateImageDefinition(changed)
    changed.image_definition.hyper_v_generation = V2
    world.owner.definitions.UpdateImageDefinition(changed)


def test_a_security_type_that_the_stored_generation_lacks_is_a_fault_of_the_state(
    world: World,
) -> None:
    made = image_definition_pb2.ImageDefinition(name=world.definition())
    made.features.add(name="SecurityType", value="TrustedLaunchSupported")
    changed = definitions_pb.UpdateImageDefinitionRequest(
        image_definition=made, allow_update_image=True
    )
    with refused(Code.FAILED_PRECONDITION, "FEATURE_INVALID"):
        world.owner.definitions.UpdateImageDefinition(changed)


def test_what_is_wrong_with_a_request_is_told_where_there_is_nothing_to_update(
    world: World,
) -> None:
    absent = pb.ImageVersion(name=f"{world.definition()}/versions/9.9.9", replica_count=0)
    with refused(Code.INVALID_ARGUMENT) as found:
        update(world, absent, "colour", "replica_count")
    assert set(found.fields) == {"update_mask", "image_version.replica_count"}
    absent.ClearField("replica_count")
    with refused(Code.INVALID_ARGUMENT) as found:
        update(world, absent, "colour")
    assert set(found.fields) == {"update_mask"}
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        update(world, absent, "tags")


def test_the_status_follows_the_order_of_the_target_regions(world: World) -> None:
    version = world.finished(regions=("eastus", "eastus2", "westus"))
    regions = list(reversed(version.target_regions))
    update(world, pb.ImageVersion(name=version.name, target_regions=regions), "target_regions")
    after = world.get(version.name)
    assert [one.location for one in after.target_regions] == ["westus", "eastus2", "eastus"]
    told = [one.location for one in after.replication_status.summary]
    assert told == ["westus", "eastus2", "eastus"]
    assert after.generation == version.generation


def test_features_that_do_not_exist_are_told_where_there_is_nothing_to_update(
    world: World,
) -> None:
    absent = image_definition_pb2.ImageDefinition(name=f"{world.gallery()}/images/absent")
    absent.features.add(name="Colour", value="red")
    changed = definitions_pb.UpdateImageDefinitionRequest(image_definition=absent)
    with refused(Code.INVALID_ARGUMENT, "FEATURE_INVALID"):
        world.owner.definitions.UpdateImageDefinition(changed)


def test_a_child_is_named_below_its_parent_as_that_is_spelled(world: World) -> None:
    group = world.group()
    gallery = world.gallery("/".join([*group.split("/")[:3], group.split("/")[3].upper()]))
    assert gallery.startswith(f"{group}/")
    definition = world.definition(f"{group}/galleries/{gallery.rpartition('/')[2].upper()}")
    assert definition.startswith(f"{gallery}/")
