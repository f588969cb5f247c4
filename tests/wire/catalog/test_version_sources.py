"""What versions are made from, and what keeps it: every kind of source, every refusal."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from stoa.catalog.v1 import (
    image_definition_pb2,
    image_version_requests_pb2,
    machine_hardware_pb2,
    purchase_plan_pb2,
    storage_profile_pb2,
    target_region_pb2,
    vhd_pb2,
    virtual_machine_pb2,
)
from stoa.replication.v1 import copy_state_pb2
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED, GIB
from tests.wire.catalog.sources import (
    DISK,
    ENCRYPTION_SET,
    MACHINE,
    SNAPSHOT,
    STORAGE_ACCOUNT,
)
from tests.wire.catalog.test_managed_images import image_request

Code = grpc.StatusCode
Hardware = machine_hardware_pb2
LINUX = os_type_pb2.OS_TYPE_LINUX
WINDOWS = os_type_pb2.OS_TYPE_WINDOWS
GENERALIZED = os_type_pb2.OS_STATE_GENERALIZED
SPECIALIZED = os_type_pb2.OS_STATE_SPECIALIZED
V2 = os_type_pb2.HYPER_V_GENERATION_V2
ARM64 = os_type_pb2.ARCHITECTURE_ARM64
PLAN = purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="o")
TRUSTED = Hardware.MACHINE_SECURITY_TYPE_TRUSTED_LAUNCH
READ_ONLY = Hardware.HOST_CACHING_READ_ONLY


def group_of(name: str) -> str:
    return "/".join(name.split("/")[:4])


def definition(world: World, *features: tuple[str, str], **more: Any) -> str:
    found = [image_definition_pb2.ImageFeature(name=n, value=v) for n, v in features]
    return world.definition(features=found, **more)


def request(
    world: World, source: Any = None, *, disks: Any = None, into: str = "", **more: Any
) -> Any:
    """A version of one source, or of disks by their keys."""
    profile = storage_profile_pb2.StorageProfile()
    if source is not None:
        profile.source.CopyFrom(storage_profile_pb2.VersionSource(**source))
    for disk, fields in (disks or {}).items():
        entry = profile.os_disk_image if disk == "os" else profile.data_disk_images.add(lun=disk)
        entry.source.CopyFrom(storage_profile_pb2.DiskSource(**fields))
    return world.version_request(into, storage_profile=profile, **more)


def create(world: World, sent: Any, stubs: Any = None) -> Any:
    """Answer a version that was just accepted."""
    (stubs or world.owner).versions.CreateImageVersion(sent)
    return world.get(f"{sent.parent}/versions/{sent.image_version_id}")


def asked(world: World, version: Any) -> Any:
    return world.replication.await_ensured(version.uid, 1).desired.disks


def finish(world: World, version: Any) -> None:
    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.until(version.name, lambda one: one.replication_status.summary[0].usable)


def disk(world: World, group: str, **more: Any) -> Any:
    fields = {"os_type": LINUX, "os_state": GENERALIZED} | more
    return DISK.create(world, DISK.request(world, group, **fields))


def machine(world: World, group: str, **more: Any) -> Any:
    return MACHINE.create(world, MACHINE.request(world, group, **more))


def vhd(world: World, group: str, path: str = "", **more: Any) -> Any:
    """A VHD in an account of its own, in the region eastus."""
    path = path or f"{world.id('vhd')}.vhd"
    world.replication.add_file(path, **more)
    account = STORAGE_ACCOUNT.create(world, STORAGE_ACCOUNT.request(world, group))
    return vhd_pb2.Vhd(storage_account=account.name, path=path)


def refused_as(world: World, reason: str, sent: Any, code: Any = Code.FAILED_PRECONDITION) -> Any:
    with refused(code, reason) as refusal:
        world.owner.versions.CreateImageVersion(sent)
    return refusal


# What versions are made from.


def test_a_machine_gives_its_os_disk_and_all_of_its_data_disks(world: World) -> None:
    group = world.group()
    data = disk(world, group, os_type=0, os_state=0)
    found = machine(
        world,
        group,
        data_disks=[
            virtual_machine_pb2.VirtualMachineDataDisk(
                lun=4, disk=data.name, host_caching=READ_ONLY
            )
        ],
    )
    made = create(world, request(world, {"virtual_machine": found.name}))
    assert made.storage_profile.source.virtual_machine == found.name
    assert made.storage_profile.os_disk_image.size_bytes == GIB
    assert not made.storage_profile.os_disk_image.HasField("source")
    (answered,) = made.storage_profile.data_disk_images
    assert (answered.lun, answered.host_caching) == (4, READ_ONLY)
    assert [one.source.blob.blob for one in asked(world, made)][1] == data.blob


def test_a_specialized_machine_feeds_a_specialized_definition(world: World) -> None:
    found = machine(world, world.group(), os_state=SPECIALIZED)
    into = definition(world, os_state=SPECIALIZED)
    made = create(world, request(world, {"virtual_machine": found.name}, into=into))
    finish(world, made)
    sent = request(world, {"virtual_machine": found.name})
    refused_as(world, "SOURCE_OS_STATE_MISMATCH", sent)


@pytest.mark.parametrize("kind", ["disk", "snapshot"])
def test_a_specialized_disk_or_snapshot_feeds_a_specialized_definition(
    world: World, kind: str
) -> None:
    source = {"disk": DISK, "snapshot": SNAPSHOT}[kind]
    found = source.create(world, source.request(world, os_type=LINUX, os_state=SPECIALIZED))
    into = definition(world, os_state=SPECIALIZED)
    finish(world, create(world, request(world, disks={"os": {kind: found.name}}, into=into)))


def test_disks_of_a_machine_can_be_cached_otherwise_but_not_added(world: World) -> None:
    found = machine(world, world.group())
    sent = request(world, {"virtual_machine": found.name})
    profile = sent.image_version.storage_profile
    profile.os_disk_image.host_caching = READ_ONLY
    made = create(world, sent)
    assert made.storage_profile.os_disk_image.host_caching == READ_ONLY
    profile.data_disk_images.add(lun=1)
    sent.image_version_id = "2.0.0"
    refused_as(world, "SOURCE_KIND_INVALID", sent)


def test_every_disk_can_have_a_source_of_its_own_kind(world: World) -> None:
    group = world.group()
    os_disk = disk(world, group)
    snapshot = SNAPSHOT.create(world, SNAPSHOT.request(world, group))
    blob, file = world.blob(group), vhd(world, group, size_bytes=5 * GIB)
    sent = request(
        world,
        disks={
            "os": {"disk": os_disk.name},
            9: {"snapshot": snapshot.name},
            2: {"blob": blob},
            3: {"vhd": file},
        },
    )
    made = create(world, sent)
    profile = made.storage_profile
    assert profile.os_disk_image.source.disk == os_disk.name
    assert [one.lun for one in profile.data_disk_images] == [2, 3, 9]
    first, second, third = (one.source for one in profile.data_disk_images)
    assert (first.blob, third.snapshot) == (blob, snapshot.name)
    assert (second.vhd.storage_account, second.vhd.path) == (file.storage_account, file.path)
    assert second.vhd.size_bytes == 5 * GIB
    assert second.vhd.etag
    read = {one.disk.lun: one for one in asked(world, made)}
    assert read[2].source.blob.blob == blob
    assert read[9].source.blob.blob == snapshot.blob
    pinned = read[3].source.store_file
    assert (pinned.store, pinned.path, pinned.etag) == ("images", file.path, second.vhd.etag)
    assert read[3].format == storage_pb2.DISK_FORMAT_VHD_FIXED


def test_an_update_with_the_same_sources_changes_nothing_and_with_others_is_refused(
    world: World,
) -> None:
    group = world.group()
    file = vhd(world, group)
    made = create(world, request(world, disks={"os": {"vhd": file}}))
    update = image_version_requests_pb2.UpdateImageVersionRequest(image_version=made)
    world.owner.versions.UpdateImageVersion(update)
    assert world.get(made.name).generation == 1
    other = update.image_version.storage_profile.os_disk_image.source
    other.vhd.path = other.vhd.path.upper()
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED"):
        world.owner.versions.UpdateImageVersion(update)


@pytest.mark.parametrize("same_gallery", [True, False])
def test_a_version_is_made_of_a_version_of_the_same_or_another_gallery(
    world: World, same_gallery: bool
) -> None:
    origin = world.finished()
    gallery = "/".join(origin.name.split("/")[:6]) if same_gallery else ""
    into = world.definition(gallery)
    made = create(world, request(world, {"image_version": origin.name}, into=into))
    assert made.storage_profile.source.image_version == origin.name
    assert [one.lun for one in made.storage_profile.data_disk_images] == [3]
    read = asked(world, made)
    assert {one.source.image_version.uid for one in read} == {origin.uid}
    assert {one.format for one in read} == {storage_pb2.DISK_FORMAT_RAW}


def test_a_version_is_copied_into_another_subscription_by_who_may_read_it(
    world: World, policy: Policy
) -> None:
    origin = world.finished()
    subscription, user = policy.subscription(), policy.user()
    policy.assign(user, "Contributor", subscription)
    stubs = world.catalog.user(user.rpartition("/")[2])
    into = definition_in(world, stubs, subscription)
    sent = request(world, {"image_version": origin.name}, into=into)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        stubs.versions.CreateImageVersion(sent)
    assert refusal.info.metadata["resource"] == origin.name
    assert refusal.info.metadata["field"].endswith("source.image_version")
    policy.assign(user, "Reader", origin.name)
    assert create(world, sent, stubs).storage_profile.source.image_version == origin.name


def definition_in(world: World, stubs: Any, subscription: str) -> str:
    """Make a definition in another subscription, by who may."""
    owner, world.owner = world.owner, stubs
    try:
        return world.definition(world.gallery(world.group(parent=subscription)))
    finally:
        world.owner = owner


# What does not fit the definition.


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"os_type": WINDOWS}, "SOURCE_OS_TYPE_MISMATCH"),
        ({"os_type": 0, "os_state": 0}, "SOURCE_OS_TYPE_MISMATCH"),
        ({"os_state": SPECIALIZED}, "SOURCE_OS_STATE_MISMATCH"),
        ({"hyper_v_generation": V2}, "SOURCE_GENERATION_MISMATCH"),
        ({"architecture": ARM64}, "SOURCE_ARCHITECTURE_MISMATCH"),
        ({"purchase_plan": PLAN}, "SOURCE_PLAN_MISMATCH"),
        (
            {"disk_controller_types": [Hardware.DISK_CONTROLLER_TYPE_NVME]},
            "SOURCE_FEATURE_MISMATCH",
        ),
        ({"security_type": TRUSTED}, "SOURCE_SECURITY_TYPE_MISMATCH"),
    ],
)
@pytest.mark.parametrize("kind", ["disk", "snapshot"])
def test_os_type_state_generation_architecture_plan_features_and_security_must_match(
    world: World, kind: str, fields: Any, reason: str
) -> None:
    source = {"disk": DISK, "snapshot": SNAPSHOT}[kind]
    known = {"os_type": LINUX, "os_state": GENERALIZED} | fields
    found = source.create(world, source.request(world, **known))
    refusal = refused_as(world, reason, request(world, disks={"os": {kind: found.name}}))
    assert refusal.info.metadata["resource"] == found.name


def test_an_os_state_that_a_disk_does_not_know_is_not_compared(world: World) -> None:
    found = disk(world, world.group(), os_state=0)
    for state in (GENERALIZED, SPECIALIZED):
        into = definition(world, os_state=state)
        create(world, request(world, disks={"os": {"disk": found.name}}, into=into))


def test_a_machine_without_accelerated_networking_cannot_keep_the_promise_of_it(
    world: World,
) -> None:
    into = definition(world, ("IsAcceleratedNetworkSupported", "True"))
    group = world.group()
    without, having = machine(world, group), machine(world, group, accelerated_networking=True)
    sent = request(world, {"virtual_machine": without.name}, into=into)
    refusal = refused_as(world, "SOURCE_FEATURE_MISMATCH", sent)
    assert refusal.info.metadata["feature"] == "IsAcceleratedNetworkSupported"
    create(world, request(world, {"virtual_machine": having.name}, into=into))


def test_an_nvme_machine_needs_a_definition_with_nvme(world: World) -> None:
    nvme = Hardware.DISK_CONTROLLER_TYPE_NVME
    found = machine(world, world.group(), disk_controller_type=nvme)
    refused_as(world, "SOURCE_FEATURE_MISMATCH", request(world, {"virtual_machine": found.name}))
    into = definition(world, ("DiskControllerTypes", "SCSI, NVMe"))
    create(world, request(world, {"virtual_machine": found.name}, into=into))


def test_guest_state_is_refused_for_a_supported_type_and_taken_for_the_exact_one(
    world: World,
) -> None:
    found = machine(
        world,
        world.group(),
        hyper_v_generation=V2,
        security_type=TRUSTED,
        carries_vm_guest_state=True,
    )
    source = {"virtual_machine": found.name}
    supported = definition(world, ("SecurityType", "TrustedLaunchSupported"), hyper_v_generation=V2)
    refused_as(world, "SOURCE_CARRIES_GUEST_STATE", request(world, source, into=supported))
    exact = definition(world, ("SecurityType", "TrustedLaunch"), hyper_v_generation=V2)
    made = create(world, request(world, source, into=exact))
    finish(world, made)
    # A version remembers what it carries, also where its definition does not tell.
    sent = request(world, {"image_version": made.name}, into=supported)
    refused_as(world, "SOURCE_CARRIES_GUEST_STATE", sent)


def test_a_managed_image_and_a_version_are_matched_as_everything_else(world: World) -> None:
    image = world.owner.images.CreateManagedImage(image_request(world, os_type=WINDOWS))
    origin = world.finished(definition(world, architecture=ARM64))
    refused_as(world, "SOURCE_OS_TYPE_MISMATCH", request(world, {"managed_image": image.name}))
    sent = request(world, {"image_version": origin.name})
    refused_as(world, "SOURCE_ARCHITECTURE_MISMATCH", sent)


# What cannot be a source.


def test_a_machine_with_an_ephemeral_os_disk_is_refused(world: World) -> None:
    ephemeral = virtual_machine_pb2.VirtualMachineOsDisk(ephemeral=True)
    found = machine(world, world.group(), os_disk=ephemeral)
    sent = request(world, {"virtual_machine": found.name})
    refused_as(world, "SOURCE_EPHEMERAL_OS_DISK", sent)


def test_a_machine_with_an_unmanaged_disk_is_refused(world: World) -> None:
    group = world.group()
    found = machine(
        world, group, os_disk=virtual_machine_pb2.VirtualMachineOsDisk(vhd=vhd(world, group))
    )
    sent = request(world, {"virtual_machine": found.name})
    refused_as(world, "SOURCE_UNMANAGED_MACHINE", sent)


def test_an_ultra_disk_is_refused_by_itself_and_in_a_machine(world: World) -> None:
    group = world.group()
    ultra = disk(world, group, disk_type=Hardware.DISK_TYPE_ULTRA_SSD_LRS)
    refused_as(world, "SOURCE_ULTRA_DISK", request(world, disks={"os": {"disk": ultra.name}}))
    found = machine(
        world,
        group,
        data_disks=[virtual_machine_pb2.VirtualMachineDataDisk(lun=0, disk=ultra.name)],
    )
    refusal = refused_as(
        world, "SOURCE_ULTRA_DISK", request(world, {"virtual_machine": found.name})
    )
    assert refusal.info.metadata["resource"] == found.name


def test_a_premium_v2_disk_is_taken(world: World) -> None:
    found = disk(world, world.group(), disk_type=Hardware.DISK_TYPE_PREMIUM_V2_LRS)
    create(world, request(world, disks={"os": {"disk": found.name}}))


@pytest.mark.parametrize("kind", ["disk", "snapshot", "blob", "vhd"])
def test_a_source_that_is_not_there_is_not_found_and_one_elsewhere_is_said_to_be_there(
    world: World, kind: str
) -> None:
    group = world.group("westus")
    present: Any
    absent: Any
    if kind == "vhd":
        world.replication.add_file("west.vhd", "western")
        account = STORAGE_ACCOUNT.create(
            world, STORAGE_ACCOUNT.request(world, group, location="westus", store="western")
        )
        present = vhd_pb2.Vhd(storage_account=account.name, path="west.vhd")
        absent = vhd_pb2.Vhd(storage_account=account.name, path="nothing.vhd")
    elif kind == "blob":
        present, absent = world.blob(group, "westus"), f"{group}/blobs/nothing"
    else:
        source = {"disk": DISK, "snapshot": SNAPSHOT}[kind]
        blob = world.blob(group, "westus")
        made = source.create(
            world, source.request(world, group, location="westus", blob=blob, os_type=LINUX)
        )
        present, absent = made.name, f"{group}/{kind}s/nothing"
    sent = request(world, disks={"os": {kind: present}})
    refusal = refused_as(world, "SOURCE_LOCATION_MISMATCH", sent)
    assert refusal.info.metadata["location"] == "westus"
    sent = request(world, disks={"os": {kind: absent}})
    refused_as(world, "SOURCE_NOT_FOUND", sent, Code.NOT_FOUND)


@pytest.mark.parametrize("kind", ["virtual_machine", "managed_image", "image_version"])
def test_a_source_of_all_disks_that_is_not_there_is_not_found(world: World, kind: str) -> None:
    group = world.group()
    name = {
        "virtual_machine": f"{group}/virtualMachines/nothing",
        "managed_image": f"{group}/managedImages/nothing",
        "image_version": f"{world.definition()}/versions/1.2.3",
    }[kind]
    refused_as(world, "SOURCE_NOT_FOUND", request(world, {kind: name}), Code.NOT_FOUND)


def test_a_version_that_cannot_be_used_in_the_region_is_not_ready(world: World) -> None:
    unfinished, _ = world.version()
    sent = request(world, {"image_version": unfinished.name})
    refused_as(world, "SOURCE_NOT_READY", sent)
    elsewhere = world.finished(
        location="westus", regions=("westus",), storage_profile=in_west(world)
    )
    refused_as(world, "SOURCE_NOT_READY", request(world, {"image_version": elsewhere.name}))


def in_west(world: World) -> Any:
    profile = storage_profile_pb2.StorageProfile()
    profile.os_disk_image.source.blob = world.blob(world.group("westus"), "westus")
    return profile


@pytest.mark.parametrize("version", ["latest", "-", "1.0"])
def test_a_version_is_a_source_by_its_exact_number_alone(world: World, version: str) -> None:
    name = f"{world.definition()}/versions/{version}"
    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.owner.versions.CreateImageVersion(request(world, {"image_version": name}))
    assert set(refusal.fields) == {"image_version.storage_profile.source.image_version"}


def problem(reason: str) -> Any:
    found = copy_state_pb2.FailureCause()
    found.status.code = Code.FAILED_PRECONDITION.value[0]
    found.status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain="replication.stoa.dev")
    )
    return found


def test_a_vhd_that_is_dynamic_or_has_no_footer_is_refused(world: World) -> None:
    group = world.group()
    dynamic = vhd(
        world,
        group,
        format=storage_pb2.DISK_FORMAT_VHD_DYNAMIC,
        problem=problem("SOURCE_FORMAT_INVALID"),
    )
    raw = vhd(world, group, format=storage_pb2.DISK_FORMAT_RAW)
    for file, shown in ((dynamic, "VHD_DYNAMIC"), (raw, "RAW")):
        sent = request(world, disks={"os": {"vhd": file}})
        refusal = refused_as(world, "SOURCE_FORMAT_INVALID", sent)
        assert refusal.info.metadata["format"] == shown
        assert refusal.info.metadata["resource"] == f"{file.storage_account}/{file.path}"


def test_a_blob_that_is_not_committed_is_not_ready(world: World) -> None:
    blob = world.blob(world.group(), problem=problem("BLOB_NOT_COMMITTED"))
    refused_as(world, "SOURCE_NOT_READY", request(world, disks={"os": {"blob": blob}}))


def test_an_image_whose_vhd_was_changed_since_is_refused(world: World) -> None:
    group = world.group()
    file = vhd(world, group)
    sent = image_request(world, group)
    sent.managed_image.vhds.os_vhd.CopyFrom(file)
    image = world.owner.images.CreateManagedImage(sent)
    made = create(world, request(world, {"managed_image": image.name}))
    assert [one.source.store_file.path for one in asked(world, made)] == [file.path]
    world.replication.add_file(file.path, etag="another")
    refusal = refused_as(world, "SOURCE_CHANGED", request(world, {"managed_image": image.name}))
    assert refusal.info.metadata["resource"] == image.name


def test_a_disk_beyond_the_limit_of_a_full_version_is_refused_whatever_it_comes_from(
    world: World,
) -> None:
    group = world.group()
    blob = world.blob(group, size_bytes=(2048 << 30) + 1)
    found = DISK.create(world, DISK.request(world, group, blob=blob, os_type=LINUX))
    refusal = refused_as(
        world, "SOURCE_TOO_LARGE", request(world, disks={"os": {"disk": found.name}})
    )
    assert refusal.info.metadata["resource"] == found.name
    assert refusal.info.metadata["maximum_bytes"] == str(2048 << 30)


def test_one_source_for_two_disks_and_one_lun_twice_are_refused(world: World) -> None:
    group = world.group()
    file, found = vhd(world, group), disk(world, group)
    shouted = vhd_pb2.Vhd(
        storage_account=file.storage_account.replace("resourceGroups", "RESOURCEGROUPS"),
        path=file.path,
    )
    sent = request(
        world,
        disks={
            "os": {"vhd": file},
            1: {"vhd": shouted},
            2: {"disk": found.name},
            3: {"disk": found.name},
        },
    )
    sent.image_version.storage_profile.data_disk_images[2].lun = 2
    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.owner.versions.CreateImageVersion(sent)
    data = "image_version.storage_profile.data_disk_images"
    assert dict(refusal.fields) == {
        f"{data}[0].source.vhd": "SOURCE_REPEATED",
        f"{data}[2].source.disk": "SOURCE_REPEATED",
        f"{data}[2].lun": "LUN_REPEATED",
    }


def test_no_source_two_kinds_or_no_os_disk_is_refused(world: World) -> None:
    group = world.group()
    found = machine(world, group)
    both = request(
        world, {"virtual_machine": found.name}, disks={"os": {"blob": world.blob(group)}}
    )
    for sent in (request(world), both, request(world, disks={0: {"blob": world.blob(group)}})):
        refused_as(world, "SOURCE_KIND_INVALID", sent, Code.INVALID_ARGUMENT)


# Keys of customers.


def encrypted(world: World, group: str) -> Any:
    return ENCRYPTION_SET.create(world, ENCRYPTION_SET.request(world, group))


def with_keys(set_name: str) -> Any:
    encryption = target_region_pb2.TargetRegionEncryption()
    encryption.os_disk_image.disk_encryption_set = set_name
    return {"location": "eastus", "encryption": encryption}


def test_a_version_with_a_customers_key_cannot_be_a_source(world: World) -> None:
    group = world.group()
    found = encrypted(world, group)
    sent = request(
        world, disks={"os": {"blob": world.blob(group)}}, regions=(with_keys(found.name),)
    )
    origin = create(world, sent)
    finish(world, origin)
    refused_as(world, "SOURCE_CUSTOMER_KEY", request(world, {"image_version": origin.name}))


@pytest.mark.parametrize("kind", ["disk", "snapshot", "machine", "image"])
def test_an_encrypted_source_of_another_subscription_is_refused(
    world: World, policy: Policy, kind: str
) -> None:
    group = world.group(parent=policy.subscription())
    key = encrypted(world, group).name
    os_disk = disk(world, group, disk_encryption_set=key)
    if kind == "disk":
        sent = request(world, disks={"os": {"disk": os_disk.name}})
    elif kind == "snapshot":
        found = SNAPSHOT.create(
            world, SNAPSHOT.request(world, group, os_type=LINUX, disk_encryption_set=key)
        )
        sent = request(world, disks={"os": {"snapshot": found.name}})
    elif kind == "machine":
        backing = virtual_machine_pb2.VirtualMachineOsDisk(disk=os_disk.name)
        found = machine(world, group, os_disk=backing)
        sent = request(world, {"virtual_machine": found.name})
    else:
        made = image_request(world, group, disk=os_disk.name)
        found = world.owner.images.CreateManagedImage(made)
        sent = request(world, {"managed_image": found.name})
    refused_as(world, "SOURCE_ENCRYPTED_IN_OTHER_SUBSCRIPTION", sent)


def test_no_encrypted_version_is_made_of_a_vhd(world: World) -> None:
    group = world.group()
    sent = request(
        world,
        disks={"os": {"vhd": vhd(world, group)}},
        regions=(with_keys(encrypted(world, group).name),),
    )
    refused_as(world, "SOURCE_KIND_NOT_ENCRYPTABLE", sent)


# Rights.


@pytest.mark.parametrize(
    ("kind", "permission"),
    [
        ("virtual_machine", "Microsoft.Compute/virtualMachines/write"),
        ("managed_image", "Microsoft.Compute/images/read"),
        ("disk", "Microsoft.Compute/disks/write"),
        ("snapshot", "Microsoft.Compute/snapshots/write"),
        ("vhd", "Microsoft.Storage/storageAccounts/write"),
    ],
)
def test_the_right_on_the_source_is_demanded_whether_it_exists_or_not(
    world: World, policy: Policy, kind: str, permission: str
) -> None:
    user, into, group = policy.user(), world.definition(), world.group()
    policy.assign(user, "Contributor", group_of(into))
    stubs = world.catalog.user(user.rpartition("/")[2])
    collection = {"vhd": "storageAccounts"}.get(kind, "".join(_camel(kind)))
    name = f"{group}/{collection}/nothing"
    if kind in {"virtual_machine", "managed_image"}:
        sent = request(world, {kind: name}, into=into)
    else:
        source = vhd_pb2.Vhd(storage_account=name, path="os.vhd") if kind == "vhd" else name
        sent = request(world, disks={"os": {kind: source}}, into=into)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        stubs.versions.CreateImageVersion(sent)
    assert refusal.info.metadata["permission"] == permission
    assert refusal.info.metadata["resource"] == name


def _camel(kind: str) -> list[str]:
    first, *rest = kind.split("_")
    return [first, *(one.capitalize() for one in rest), "s"]


# What keeps sources.


@pytest.mark.parametrize("kind", ["disk", "snapshot", "vhd", "virtual_machine", "image_version"])
def test_an_unfinished_version_keeps_its_source_and_a_finished_one_frees_it(
    world: World, kind: str
) -> None:
    group = world.group()
    if kind == "vhd":
        file = vhd(world, group)
        source, name = STORAGE_ACCOUNT, file.storage_account
        sent = request(world, disks={"os": {"vhd": file}})
    elif kind == "virtual_machine":
        source, name = MACHINE, machine(world, group).name
        sent = request(world, {kind: name})
    elif kind == "image_version":
        origin = world.finished()
        made = create(world, request(world, {kind: origin.name}))
        gone = image_version_requests_pb2.DeleteImageVersionRequest(name=origin.name)
        with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as refusal:
            world.owner.versions.DeleteImageVersion(gone)
        assert refusal.info.metadata["users"] == made.name
        finish(world, made)
        world.wait(world.owner.versions.DeleteImageVersion(gone))
        return
    else:
        source = {"disk": DISK, "snapshot": SNAPSHOT}[kind]
        found = source.create(world, source.request(world, group, os_type=LINUX))
        name = found.name
        sent = request(world, disks={"os": {kind: name}})
    made = create(world, sent)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as refusal:
        source.delete(world, name)
    assert refusal.info.metadata["users"] == made.name
    finish(world, made)
    source.delete(world, name)


def held(world: World, version: Any) -> set[str]:
    return {name for name, uid in world.replication.held if uid == version.uid}


def test_a_version_holds_the_blobs_that_it_is_made_from_until_it_is_done(world: World) -> None:
    group = world.group()
    first, second = world.blob(group), world.blob(group)
    snapshot = SNAPSHOT.create(world, SNAPSHOT.request(world, group))
    made = create(
        world,
        request(
            world,
            disks={
                "os": {"blob": first},
                0: {"blob": second},
                1: {"snapshot": snapshot.name},
            },
        ),
    )
    # It is held before replication is told to copy.
    world.replication.await_ensured(made.uid, 1)
    assert held(world, made) == {first, second}
    finish(world, made)
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, made), 15)


def test_a_version_that_failed_everywhere_keeps_its_sources_for_a_retry(world: World) -> None:
    group = world.group()
    blob, found = world.blob(group), disk(world, group, os_type=0, os_state=0)
    sent = request(world, disks={"os": {"blob": blob}, 0: {"disk": found.name}})
    made = create(world, sent)
    world.replication.await_ensured(made.uid, 1)
    cause = copy_state_pb2.FailureCause(retryable=True)
    world.replication.tell(made.uid, "eastus", FAILED, cause=cause)
    world.until(made.name, lambda one: one.replication_status.summary[0].state == FAILED)
    assert held(world, made) == {blob}
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE"):
        DISK.delete(world, found.name)
    # The retry is replication's, at the same generation.
    world.replication.tell(made.uid, "eastus", COMPLETED)
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, made), 15)
    DISK.delete(world, found.name)


def test_deleting_an_unfinished_version_lets_go_of_its_blobs(world: World) -> None:
    blob = world.blob(world.group())
    made = create(world, request(world, disks={"os": {"blob": blob}}))
    world.replication.await_ensured(made.uid, 1)
    assert held(world, made) == {blob}
    gone = image_version_requests_pb2.DeleteImageVersionRequest(name=made.name)
    world.wait(world.owner.versions.DeleteImageVersion(gone))
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, made), 15)


def test_a_call_that_is_validated_only_checks_the_sources_and_holds_nothing(world: World) -> None:
    blob = world.blob(world.group())
    sent = request(world, disks={"os": {"blob": blob}}, validate_only=True)
    operation = world.owner.versions.CreateImageVersion(sent)
    assert (operation.name, operation.done) == ("", True)
    assert not {uid for name, uid in world.replication.held if name == blob}
    sent.image_version.storage_profile.os_disk_image.source.blob = f"{blob}x"
    refused_as(world, "SOURCE_NOT_FOUND", sent, Code.NOT_FOUND)
