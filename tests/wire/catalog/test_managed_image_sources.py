"""Managed images of VHDs, disks, snapshots and machines: what they take over, what they refuse."""

from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import (
    machine_hardware_pb2,
    managed_image_pb2,
    managed_image_service_pb2,
    provisioning_state_pb2,
    purchase_plan_pb2,
    vhd_pb2,
    virtual_machine_pb2,
)
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.replication import GIB
from tests.wire.catalog.sources import (
    DISK,
    ENCRYPTION_SET,
    MACHINE,
    SNAPSHOT,
    STORAGE_ACCOUNT,
)
from tests.wire.catalog.test_managed_images import get, held_by, image_request

Code = grpc.StatusCode
Hardware = machine_hardware_pb2
LINUX, WINDOWS = os_type_pb2.OS_TYPE_LINUX, os_type_pb2.OS_TYPE_WINDOWS
GENERALIZED = os_type_pb2.OS_STATE_GENERALIZED
SPECIALIZED = os_type_pb2.OS_STATE_SPECIALIZED
V2, ARM64 = os_type_pb2.HYPER_V_GENERATION_V2, os_type_pb2.ARCHITECTURE_ARM64
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
PLAN = purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="o")
TRUSTED = Hardware.MACHINE_SECURITY_TYPE_TRUSTED_LAUNCH
READ_WRITE = Hardware.HOST_CACHING_READ_WRITE


def create(world: World, sent: Any, stubs: Any = None) -> Any:
    return (stubs or world.owner).images.CreateManagedImage(sent)


def request(world: World, group: str, **fields: Any) -> Any:
    """An image of another source, which tells nothing of the system."""
    return image_request(world, group, **({"os_type": 0, "os_state": 0} | fields))


def account(world: World, group: str, **more: Any) -> str:
    return str(STORAGE_ACCOUNT.create(world, STORAGE_ACCOUNT.request(world, group, **more)).name)


def vhds(world: World, group: str, **more: Any) -> managed_image_pb2.ManagedImageVhds:
    """An OS disk and a data disk in one account."""
    where = account(world, group)
    found = managed_image_pb2.ManagedImageVhds()
    for vhd in (found.os_vhd, found.data_vhds.add(lun=5, host_caching=READ_WRITE).vhd):
        vhd.storage_account, vhd.path = where, f"images/{world.id('disk')}.vhd"
        world.replication.add_file(vhd.path, **more)
    return found


def disk(world: World, group: str, **more: Any) -> Any:
    fields = {"os_type": LINUX, "os_state": GENERALIZED} | more
    return DISK.create(world, DISK.request(world, group, **fields))


def test_an_unmanaged_image_keeps_account_path_and_entity_tag_and_copies_nothing(
    world: World,
) -> None:
    group = world.group()
    sent = image_request(world, group, vhds=vhds(world, group, size_bytes=3 * GIB))
    made = create(world, sent)
    assert made.provisioning_state == SUCCEEDED
    assert [one.size_bytes for one in made.disks] == [3 * GIB, 3 * GIB]
    os_vhd, data = made.vhds.os_vhd, made.vhds.data_vhds[0]
    wanted = sent.managed_image.vhds
    assert (os_vhd.storage_account, os_vhd.path) == (
        wanted.os_vhd.storage_account,
        wanted.os_vhd.path,
    )
    assert (data.lun, data.vhd.path, data.host_caching) == (
        5,
        wanted.data_vhds[0].vhd.path,
        READ_WRITE,
    )
    stored = world.replication.files["images", os_vhd.path]
    assert (os_vhd.etag, os_vhd.size_bytes) == (stored.etag, 3 * GIB)
    assert not held_by(world, made.uid)
    assert get(world, made.name) == made


def test_an_account_stays_while_an_image_refers_to_a_vhd_in_it(world: World) -> None:
    group = world.group()
    made = create(world, image_request(world, group, vhds=vhds(world, group)))
    where = made.vhds.os_vhd.storage_account
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as refusal:
        STORAGE_ACCOUNT.delete(world, where)
    assert refusal.info.metadata["users"] == made.name
    world.owner.images.DeleteManagedImage(
        managed_image_service_pb2.DeleteManagedImageRequest(name=made.name)
    )
    STORAGE_ACCOUNT.delete(world, where)


@pytest.mark.parametrize("kind", ["disk", "snapshot"])
def test_an_image_takes_over_what_a_disk_or_snapshot_knows_which_may_go_then(
    world: World, kind: str
) -> None:
    group = world.group()
    source = {"disk": DISK, "snapshot": SNAPSHOT}[kind]
    known = {
        "os_type": WINDOWS,
        "os_state": SPECIALIZED,
        "hyper_v_generation": V2,
        "architecture": ARM64,
        "security_type": TRUSTED,
        "carries_vm_guest_state": True,
        "accelerated_networking_supported": False,
        "disk_controller_types": [Hardware.DISK_CONTROLLER_TYPE_NVME],
        "purchase_plan": PLAN,
    }
    found = source.create(world, source.request(world, group, **known))
    made = create(world, request(world, group, **{kind: found.name}))
    assert getattr(made, kind) == found.name
    for field in known:
        assert getattr(made, field) == getattr(found, field), field
    assert held_by(world, made.uid) == {found.blob}
    source.delete(world, found.name)
    assert get(world, made.name).provisioning_state == SUCCEEDED


def test_an_image_of_a_machine_has_all_its_disks_and_outlives_it(world: World) -> None:
    group = world.group()
    data = disk(world, group, os_type=0, os_state=0)
    found = MACHINE.create(
        world,
        MACHINE.request(
            world,
            group,
            accelerated_networking=True,
            data_disks=[virtual_machine_pb2.VirtualMachineDataDisk(lun=2, disk=data.name)],
        ),
    )
    made = create(world, request(world, group, virtual_machine=found.name))
    assert made.virtual_machine == found.name
    assert (made.os_type, made.os_state) == (found.os_type, found.os_state)
    assert made.accelerated_networking_supported
    assert [one.disk.lun for one in made.disks[1:]] == [2]
    assert len(held_by(world, made.uid)) == 2
    MACHINE.delete(world, found.name)
    DISK.delete(world, data.name)
    assert get(world, made.name).provisioning_state == SUCCEEDED


def test_the_os_state_that_a_disk_does_not_know_has_to_be_told(world: World) -> None:
    group = world.group()
    found = disk(world, group, os_state=0)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_OS_STATE_MISMATCH"):
        create(world, request(world, group, disk=found.name))
    sent = request(world, group, disk=found.name, os_state=SPECIALIZED)
    assert create(world, sent).os_state == SPECIALIZED


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"os_type": WINDOWS}, "SOURCE_OS_TYPE_MISMATCH"),
        ({"os_state": SPECIALIZED}, "SOURCE_OS_STATE_MISMATCH"),
        ({"hyper_v_generation": V2}, "SOURCE_GENERATION_MISMATCH"),
        ({"architecture": ARM64}, "SOURCE_ARCHITECTURE_MISMATCH"),
        ({"purchase_plan": PLAN}, "SOURCE_PLAN_MISMATCH"),
    ],
)
def test_what_the_request_tells_otherwise_than_the_source_is_refused(
    world: World, told: Any, reason: str
) -> None:
    group = world.group()
    found = disk(world, group)
    with refused(Code.FAILED_PRECONDITION, reason) as refusal:
        create(world, request(world, group, disk=found.name, **told))
    assert refusal.info.metadata["resource"] == found.name


def test_a_disk_without_an_operating_system_makes_no_image(world: World) -> None:
    group = world.group()
    found = disk(world, group, os_type=0, os_state=0)
    sent = request(world, group, disk=found.name, os_state=GENERALIZED)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_OS_TYPE_MISMATCH"):
        create(world, sent)


def test_ultra_disks_ephemeral_and_unmanaged_machines_make_no_image(world: World) -> None:
    group = world.group()
    ultra = disk(world, group, disk_type=Hardware.DISK_TYPE_ULTRA_SSD_LRS)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_ULTRA_DISK"):
        create(world, request(world, group, disk=ultra.name))
    os_vhd = vhds(world, group).os_vhd
    for backing, reason in (
        ({"ephemeral": True}, "SOURCE_EPHEMERAL_OS_DISK"),
        ({"vhd": os_vhd}, "SOURCE_UNMANAGED_MACHINE"),
        ({"disk": ultra.name}, "SOURCE_ULTRA_DISK"),
    ):
        os_disk = virtual_machine_pb2.VirtualMachineOsDisk(**backing)
        found = MACHINE.create(world, MACHINE.request(world, group, os_disk=os_disk))
        with refused(Code.FAILED_PRECONDITION, reason) as refusal:
            create(world, request(world, group, virtual_machine=found.name))
        assert refusal.info.metadata["resource"] == found.name


@pytest.mark.parametrize("kind", ["disk", "snapshot", "virtual_machine"])
def test_a_source_that_is_not_there_is_not_found(world: World, kind: str) -> None:
    group = world.group()
    collection = {"virtual_machine": "virtualMachines"}.get(kind, f"{kind}s")
    name = f"{group}/{collection}/nothing"
    with refused(Code.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        create(world, request(world, group, **{kind: name}))
    assert refusal.info.metadata["resource"] == name


def test_a_vhd_that_is_not_there_or_whose_account_is_not_is_not_found(world: World) -> None:
    group = world.group()
    found = vhds(world, group)
    sent = image_request(world, group, vhds=found)
    sent.managed_image.vhds.os_vhd.path = "nothing.vhd"
    with refused(Code.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        create(world, sent)
    assert refusal.info.metadata["resource"].endswith("/nothing.vhd")
    sent.managed_image.vhds.os_vhd.storage_account = f"{group}/storageAccounts/nothing"
    with refused(Code.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        create(world, sent)
    assert refusal.info.metadata["resource"] == f"{group}/storageAccounts/nothing"


def test_sources_lie_in_the_region_of_the_image(world: World) -> None:
    group = world.group()
    found = disk(world, group)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH") as refusal:
        create(world, request(world, group, disk=found.name, location="westus"))
    assert refusal.info.metadata["location"] == "eastus"
    sent = image_request(world, group, vhds=vhds(world, group), location="westus")
    with refused(Code.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH"):
        create(world, sent)


def test_a_file_that_is_no_fixed_vhd_is_refused(world: World) -> None:
    group = world.group()
    found = vhds(world, group, format=storage_pb2.DISK_FORMAT_RAW)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_FORMAT_INVALID") as refusal:
        create(world, image_request(world, group, vhds=found))
    assert refusal.info.metadata["format"] == "RAW"


def test_one_vhd_twice_one_lun_twice_and_a_bad_path_are_told_together(world: World) -> None:
    group = world.group()
    found = vhds(world, group)
    found.data_vhds.add(lun=5).vhd.CopyFrom(found.os_vhd)
    found.data_vhds.add(lun=6).vhd.CopyFrom(
        vhd_pb2.Vhd(storage_account=found.os_vhd.storage_account, path="../escape.vhd")
    )
    with refused(Code.INVALID_ARGUMENT) as refusal:
        create(world, image_request(world, group, vhds=found))
    data = "managed_image.vhds.data_vhds"
    assert dict(refusal.fields) == {
        f"{data}[1].vhd": "SOURCE_REPEATED",
        f"{data}[1].lun": "LUN_REPEATED",
        f"{data}[2].vhd.path": "INVALID_FIELDS",
    }


def test_a_name_of_another_kind_and_no_source_are_refused(world: World) -> None:
    group = world.group()
    for sent in (
        request(world, group, disk=f"{group}/snapshots/s"),
        request(
            world, group, blobs=managed_image_pb2.ManagedImageBlobs(os_blob=f"{group}/disks/d")
        ),
    ):
        with refused(Code.INVALID_ARGUMENT) as refusal:
            create(world, sent)
        assert "SOURCE_KIND_INVALID" in refusal.fields.values()
    nothing = image_request(world, group)
    nothing.managed_image.ClearField("blobs")
    with refused(Code.INVALID_ARGUMENT, "SOURCE_KIND_INVALID"):
        create(world, nothing)


def test_an_image_of_bytes_has_the_encryption_set_that_it_is_given(world: World) -> None:
    group = world.group()
    key = ENCRYPTION_SET.create(world, ENCRYPTION_SET.request(world, group))
    made = create(world, image_request(world, group, disk_encryption_set=key.name))
    assert made.disk_encryption_set == key.name
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE"):
        ENCRYPTION_SET.delete(world, key.name)
    sent = image_request(world, group, disk_encryption_set=f"{group}/diskEncryptionSets/nothing")
    with refused(Code.NOT_FOUND, "ENCRYPTION_SET_NOT_FOUND"):
        create(world, sent)


def test_an_encryption_set_of_another_subscription_or_region_is_refused(
    world: World, policy: Policy
) -> None:
    group, elsewhere = world.group(), world.group(parent=policy.subscription())
    foreign = ENCRYPTION_SET.create(world, ENCRYPTION_SET.request(world, elsewhere))
    sent = image_request(world, group, disk_encryption_set=foreign.name)
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION"):
        create(world, sent)
    western = ENCRYPTION_SET.create(world, ENCRYPTION_SET.request(world, group, location="westus"))
    sent = image_request(world, group, disk_encryption_set=western.name)
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_OTHER_REGION"):
        create(world, sent)
    found = disk(world, elsewhere, disk_encryption_set=foreign.name)
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION") as refusal:
        create(world, request(world, group, disk=found.name))
    assert refusal.info.metadata["resource"] == found.name


def test_an_image_takes_over_the_encryption_set_of_its_source_and_no_other(world: World) -> None:
    group = world.group()
    key, other = (
        ENCRYPTION_SET.create(world, ENCRYPTION_SET.request(world, group)).name for _ in range(2)
    )
    found = disk(world, group, disk_encryption_set=key)
    made = create(world, request(world, group, disk=found.name))
    assert made.disk_encryption_set == key
    DISK.delete(world, found.name)
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE"):
        ENCRYPTION_SET.delete(world, key)
    plain = disk(world, group)
    with refused(Code.FAILED_PRECONDITION):
        create(world, request(world, group, disk=plain.name, disk_encryption_set=other))


@pytest.mark.parametrize(
    ("kind", "permission"),
    [
        ("disk", "Microsoft.Compute/disks/write"),
        ("snapshot", "Microsoft.Compute/snapshots/write"),
        ("virtual_machine", "Microsoft.Compute/virtualMachines/write"),
        ("vhds", "Microsoft.Storage/storageAccounts/write"),
        ("disk_encryption_set", "Microsoft.Compute/diskEncryptionSets/read"),
    ],
)
def test_the_right_on_what_an_image_refers_to_is_demanded(
    world: World, policy: Policy, kind: str, permission: str
) -> None:
    user, group, elsewhere = policy.user(), world.group(), world.group()
    policy.assign(user, "Contributor", group)
    stubs = world.catalog.user(user.rpartition("/")[2])
    first, *rest = kind.split("_")
    collection = first + "".join(one.capitalize() for one in rest) + "s"
    name = f"{elsewhere}/{collection}/nothing"
    if kind == "vhds":
        name = f"{elsewhere}/storageAccounts/nothing"
        found = managed_image_pb2.ManagedImageVhds()
        found.os_vhd.storage_account, found.os_vhd.path = name, "os.vhd"
        sent = image_request(world, group, vhds=found)
    elif kind == "disk_encryption_set":
        sent = image_request(world, group, disk_encryption_set=name)
    else:
        sent = request(world, group, **{kind: name})
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        create(world, sent, stubs)
    assert refusal.info.metadata["permission"] == permission
    assert refusal.info.metadata["resource"] == name
