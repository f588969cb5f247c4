"""VirtualMachineService on the wire: what is its alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import (
    machine_hardware_pb2,
    purchase_plan_pb2,
    vhd_pb2,
    virtual_machine_pb2,
)
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.sources import CREATING, DISK, MACHINE, STORAGE_ACCOUNT, SUCCEEDED

Machine = virtual_machine_pb2.VirtualMachine
LINUX = os_type_pb2.OS_TYPE_LINUX


def data_disk(world: World, group: str, **more: Any) -> str:
    name: str = DISK.create(world, DISK.request(world, group, **more)).name
    return name


def request_with_vhd(world: World, path: str) -> Any:
    group = world.group()
    account = STORAGE_ACCOUNT.create(world, STORAGE_ACCOUNT.request(world, group))
    request = MACHINE.request(world, group)
    request.virtual_machine.os_disk.vhd.CopyFrom(
        vhd_pb2.Vhd(storage_account=account.name, path=path)
    )
    return request


def test_what_is_told_of_a_machine_is_kept(world: World) -> None:
    fields: dict[str, Any] = {
        "size": "Standard_E4pds_v6",
        "os_state": os_type_pb2.OS_STATE_SPECIALIZED,
        "hyper_v_generation": os_type_pb2.HYPER_V_GENERATION_V2,
        "architecture": os_type_pb2.ARCHITECTURE_ARM64,
        "power_state": Machine.POWER_STATE_DEALLOCATED,
        "security_type": machine_hardware_pb2.MACHINE_SECURITY_TYPE_CONFIDENTIAL_VM,
        "carries_vm_guest_state": True,
        "accelerated_networking": True,
        "hibernation": True,
        "disk_controller_type": machine_hardware_pb2.DISK_CONTROLLER_TYPE_NVME,
        "purchase_plan": purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="o"),
    }

    made = MACHINE.create(world, MACHINE.request(world, **fields))

    for field, value in fields.items():
        assert getattr(made, field) == value, field
    assert MACHINE.get(world, made.name) == made


def test_what_is_not_told_of_a_machine_has_its_default(world: World) -> None:
    made = MACHINE.create(world)

    assert made.hyper_v_generation == os_type_pb2.HYPER_V_GENERATION_V1
    assert made.architecture == os_type_pb2.ARCHITECTURE_X64
    assert made.security_type == machine_hardware_pb2.MACHINE_SECURITY_TYPE_STANDARD
    assert made.disk_controller_type == machine_hardware_pb2.DISK_CONTROLLER_TYPE_SCSI
    assert made.power_state == Machine.POWER_STATE_UNSPECIFIED
    assert made.os_disk.host_caching == machine_hardware_pb2.HOST_CACHING_NONE


def test_disks_are_answered_by_their_luns_as_they_are_called(world: World) -> None:
    request = MACHINE.request(world)
    seven, two = (data_disk(world, request.parent) for _ in range(2))
    read_only = machine_hardware_pb2.HOST_CACHING_READ_ONLY
    spelled = seven.replace("/disks/disk", "/disks/DISK")
    request.virtual_machine.data_disks.add(lun=7, disk=spelled, host_caching=read_only)
    request.virtual_machine.data_disks.add(lun=2, disk=two)

    made = MACHINE.create(world, request)

    assert [(one.lun, one.disk) for one in made.data_disks] == [(2, two), (7, seven)]
    assert made.data_disks[1].host_caching == read_only


def test_a_disk_stays_while_a_machine_refers_to_it(world: World) -> None:
    request = MACHINE.request(world)
    data = data_disk(world, request.parent)
    request.virtual_machine.data_disks.add(lun=0, disk=data)
    made = MACHINE.create(world, request)

    for disk in (made.os_disk.disk, data):
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_IN_USE") as refusal:
            DISK.delete(world, disk)
        assert refusal.info.metadata["users"] == made.name

    MACHINE.delete(world, made.name)
    DISK.delete(world, made.os_disk.disk)
    DISK.delete(world, data)


def test_a_disk_is_deleted_or_referred_to_and_never_both(world: World) -> None:
    for _ in range(10):
        request = MACHINE.request(world)
        disk = request.virtual_machine.os_disk.disk
        at_once = threading.Barrier(2)

        def tried(
            call: Callable[..., Any], argument: Any, at_once: threading.Barrier = at_once
        ) -> bool:
            at_once.wait(10)
            try:
                call(world, argument)
            except grpc.RpcError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            made = pool.submit(tried, MACHINE.create, request)
            deleted = pool.submit(tried, DISK.delete, disk)
        assert made.result() != deleted.result()


def test_everything_wrong_with_a_machine_is_told_at_once(world: World) -> None:
    group = world.group()
    disk = f"{group}/disks/d"
    request = MACHINE.request(world, group, location="mars", size="", os_type=0, os_state=0)
    machine = request.virtual_machine
    machine.purchase_plan.name = "only"
    machine.os_disk.disk = disk
    machine.data_disks.add(lun=1, disk=disk.upper().replace("SUBSCRIPTIONS", "subscriptions"))
    machine.data_disks.add(lun=1, disk=f"{group}/snapshots/s")
    machine.data_disks.add(lun=2)
    machine.data_disks.add(lun=3, vhd=vhd_pb2.Vhd(storage_account="here", path="/etc/../a"))

    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS") as refusal:
        MACHINE.create(world, request)

    path = "virtual_machine"
    assert refusal.fields == {
        f"{path}.location": "REGION_UNKNOWN",
        f"{path}.size": "INVALID_FIELDS",
        f"{path}.os_type": "INVALID_FIELDS",
        f"{path}.os_state": "INVALID_FIELDS",
        f"{path}.purchase_plan.publisher": "INVALID_FIELDS",
        f"{path}.purchase_plan.product": "INVALID_FIELDS",
        f"{path}.data_disks[0].disk": "SOURCE_REPEATED",
        f"{path}.data_disks[1].lun": "LUN_REPEATED",
        f"{path}.data_disks[1].disk": "SOURCE_KIND_INVALID",
        f"{path}.data_disks[2]": "SOURCE_KIND_INVALID",
        f"{path}.data_disks[3].vhd.storage_account": "SOURCE_KIND_INVALID",
        f"{path}.data_disks[3].vhd.path": "INVALID_FIELDS",
    }


@pytest.mark.parametrize("reason", ["LUN_REPEATED", "SOURCE_REPEATED", "SOURCE_KIND_INVALID"])
def test_disks_that_are_wrong_by_themselves_have_a_reason_each(world: World, reason: str) -> None:
    request = MACHINE.request(world)
    machine = request.virtual_machine
    match reason:
        case "LUN_REPEATED":
            machine.data_disks.add(lun=4, disk=f"{request.parent}/disks/a")
            machine.data_disks.add(lun=4, disk=f"{request.parent}/disks/b")
        case "SOURCE_REPEATED":
            machine.data_disks.add(lun=4, disk=machine.os_disk.disk)
        case _:
            machine.ClearField("os_disk")

    with refused(grpc.StatusCode.INVALID_ARGUMENT, reason):
        MACHINE.create(world, request)


def test_a_disk_that_is_not_there_is_not_found(world: World) -> None:
    request = MACHINE.request(world)
    nothing = f"{request.parent}/disks/nothing"
    request.virtual_machine.data_disks.add(lun=0, disk=nothing)

    with refused(grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        MACHINE.create(world, request)

    assert refusal.info.metadata["resource"] == nothing


def test_a_disk_in_another_region_is_refused(world: World) -> None:
    request = MACHINE.request(world)
    blob = world.blob(request.parent, "westus")
    far = data_disk(world, request.parent, location="westus", blob=blob)
    request.virtual_machine.data_disks.add(lun=0, disk=far)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH") as refusal:
        MACHINE.create(world, request)

    assert dict(refusal.info.metadata) == {"resource": far, "location": "westus"}


def test_a_disk_that_is_not_finished_is_refused(world: World) -> None:
    request = MACHINE.request(world)
    world.replication.holds_nothing = True
    try:
        disk = DISK.create(world, DISK.request(world, request.parent))
        assert disk.provisioning_state == CREATING
        request.virtual_machine.data_disks.add(lun=0, disk=disk.name)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_NOT_READY") as refusal:
            MACHINE.create(world, request)
    finally:
        world.replication.holds_nothing = False

    assert refusal.preconditions == {disk.name: "SOURCE_NOT_READY"}


@pytest.mark.parametrize("os_type", [0, os_type_pb2.OS_TYPE_WINDOWS])
def test_a_disk_with_another_system_or_none_cannot_be_the_os_disk(
    world: World, os_type: Any
) -> None:
    request = MACHINE.request(world)
    disk = data_disk(world, request.parent, os_type=os_type)
    request.virtual_machine.os_disk.disk = disk

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_OS_TYPE_MISMATCH"):
        MACHINE.create(world, request)


def test_an_ephemeral_machine_can_be_registered(world: World) -> None:
    request = MACHINE.request(world)
    request.virtual_machine.os_disk.ephemeral = True

    assert MACHINE.create(world, request).os_disk.ephemeral

    request.virtual_machine.os_disk.ephemeral = False
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        MACHINE.create(world, request)
    assert "virtual_machine.os_disk.ephemeral" in refusal.fields


def test_an_unmanaged_machine_lies_in_vhds_whose_account_stays(world: World) -> None:
    request = request_with_vhd(world, "web/os.vhd")
    world.replication.add_file("web/os.vhd", etag="tag")

    made = MACHINE.create(world, request)

    account = request.virtual_machine.os_disk.vhd.storage_account
    assert made.provisioning_state == SUCCEEDED
    assert made.os_disk.vhd == vhd_pb2.Vhd(
        storage_account=account, path="web/os.vhd", etag="tag", size_bytes=1 << 30
    )
    assert MACHINE.get(world, made.name) == made
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_IN_USE"):
        STORAGE_ACCOUNT.delete(world, account)
    MACHINE.delete(world, made.name)
    STORAGE_ACCOUNT.delete(world, account)


def test_two_vhds_of_one_account_are_two_disks(world: World) -> None:
    request = request_with_vhd(world, "two/os.vhd")
    vhd = request.virtual_machine.os_disk.vhd
    data = vhd_pb2.Vhd(storage_account=vhd.storage_account, path="two/OS.vhd")
    request.virtual_machine.data_disks.add(lun=1, vhd=data)
    for path in ("two/os.vhd", "two/OS.vhd"):
        world.replication.add_file(path)

    assert len(MACHINE.create(world, request).data_disks) == 1

    request.virtual_machine.data_disks[0].vhd.path = "two/os.vhd"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "SOURCE_REPEATED"):
        MACHINE.create(world, request)


def test_a_vhd_or_account_that_is_not_there_is_not_found(world: World) -> None:
    request = request_with_vhd(world, "nothing.vhd")
    vhd = request.virtual_machine.os_disk.vhd

    with refused(grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        MACHINE.create(world, request)
    assert refusal.info.metadata["resource"] == f"{vhd.storage_account}/nothing.vhd"

    vhd.storage_account = f"{request.parent}/storageAccounts/nothing"
    with refused(grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        MACHINE.create(world, request)
    assert refusal.info.metadata["resource"] == vhd.storage_account


def test_a_vhd_in_another_region_is_refused(world: World) -> None:
    request = request_with_vhd(world, "far.vhd")
    world.replication.add_file("far.vhd")
    request.virtual_machine.location = "westus"

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH"):
        MACHINE.create(world, request)


def test_what_is_no_vhd_of_fixed_size_is_refused(world: World) -> None:
    request = request_with_vhd(world, "raw.vhd")
    world.replication.add_file("raw.vhd", format=storage_pb2.DISK_FORMAT_RAW)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_FORMAT_INVALID"):
        MACHINE.create(world, request)


def test_nothing_is_made_while_nobody_can_look_at_vhds(world: World) -> None:
    request = request_with_vhd(world, "unseen.vhd")
    world.replication.silent = True
    try:
        with refused(grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
            MACHINE.create(world, request)
    finally:
        world.replication.silent = False

    assert MACHINE.listed(world, request.parent) == []


def test_the_rights_to_all_disks_and_accounts_are_needed(world: World, policy: Policy) -> None:
    disk_group, account_group = world.group(), world.group()
    account = STORAGE_ACCOUNT.create(world, STORAGE_ACCOUNT.request(world, account_group))
    request = MACHINE.request(world)
    os_disk = data_disk(world, disk_group, os_type=LINUX)
    request.virtual_machine.os_disk.disk = os_disk
    vhd = vhd_pb2.Vhd(storage_account=account.name, path="data.vhd")
    request.virtual_machine.data_disks.add(lun=0, vhd=vhd)
    world.replication.add_file("data.vhd")
    user = policy.user()
    policy.assign(user, "Contributor", request.parent)
    stubs = world.catalog.user(user.rpartition("/")[2])

    for scope, resource, field, permission in (
        (disk_group, os_disk, "os_disk.disk", "Microsoft.Compute/disks/write"),
        (
            account_group,
            account.name,
            "data_disks[0].vhd.storage_account",
            "Microsoft.Storage/storageAccounts/write",
        ),
    ):
        with refused(grpc.StatusCode.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
            MACHINE.create(world, request, stubs)
        assert dict(refusal.info.metadata) == {
            "permission": permission,
            "resource": resource,
            "field": f"virtual_machine.{field}",
        }
        policy.assign(user, "Contributor", scope)

    assert MACHINE.create(world, request, stubs).provisioning_state == SUCCEEDED


def test_machines_are_filtered_by_what_they_are(world: World) -> None:
    group = world.group()
    arm = MACHINE.request(world, group, architecture=os_type_pb2.ARCHITECTURE_ARM64)
    made = MACHINE.create(world, arm).name.rpartition("/")[2]
    MACHINE.create(world, MACHINE.request(world, group))

    assert MACHINE.listed(world, group, filter="architecture = ARM64") == [made]
    both = "os_type = LINUX AND os_state = GENERALIZED AND hyper_v_generation = V1"
    assert len(MACHINE.listed(world, group, filter=both)) == 2
    assert MACHINE.listed(world, group, filter="os_state = SPECIALIZED") == []
