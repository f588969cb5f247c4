"""Disks, storage accounts and machines with all three services and real bytes."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from stoa.catalog.v1 import (
    disk_pb2,
    disk_service_pb2,
    provisioning_state_pb2,
    storage_account_pb2,
    storage_account_service_pb2,
    vhd_pb2,
    virtual_machine_pb2,
    virtual_machine_service_pb2,
)
from stoa.catalog.v1.disk_service_pb2_grpc import DiskServiceStub
from stoa.catalog.v1.storage_account_service_pb2_grpc import StorageAccountServiceStub
from stoa.catalog.v1.virtual_machine_service_pb2_grpc import VirtualMachineServiceStub
from stoa.replication.v1 import blob_service_pb2
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.type.v1 import os_type_pb2

from tests.system.disks import MIB, noise
from tests.system.errors import refusal
from tests.system.installation import Installation, installed
from tests.system.publishing import HOME, make_group, make_regions, unique, upload
from tests.vhd import fixed_vhd

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def vhds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the operator allows as a source in the home region."""
    return tmp_path_factory.mktemp("vhds")


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory, vhds: Path) -> Iterator[Installation]:
    allowed = f"images={HOME} {vhds.as_uri()}"
    folder = tmp_path_factory.mktemp("allowing")
    with installed(folder, STOA_REPLICATION_SOURCE_STORES=allowed) as found:
        make_regions(found)
        yield found


def account_request(
    group: str, location: str = HOME, store: str = "images"
) -> storage_account_service_pb2.CreateStorageAccountRequest:
    return storage_account_service_pb2.CreateStorageAccountRequest(
        parent=group,
        storage_account_id=unique("vhds"),
        storage_account=storage_account_pb2.StorageAccount(location=location, store=store),
    )


def test_a_blob_stays_as_long_as_a_disk_is_made_of_it(allowing: Installation) -> None:
    owner = allowing.client()
    group = make_group(owner)
    blob = upload(owner, group, noise(1, 5))
    disks, blobs = owner.of(DiskServiceStub), owner.of(BlobServiceStub)
    made = disks.CreateDisk(
        disk_service_pb2.CreateDiskRequest(
            parent=group, disk_id=unique("disk"), disk=disk_pb2.Disk(location=HOME, blob=blob)
        )
    )
    assert made.provisioning_state == provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
    assert made.size_bytes == MIB
    delete = blob_service_pb2.DeleteBlobRequest(name=blob)

    assert refusal(blobs.DeleteBlob, delete).info.reason == "BLOB_HELD"

    disks.DeleteDisk(disk_service_pb2.DeleteDiskRequest(name=made.name))
    # The release goes through the outbox, after the answer.
    deadline = time.monotonic() + 60
    while not _deletes(blobs, delete):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _deletes(blobs: BlobServiceStub, request: blob_service_pb2.DeleteBlobRequest) -> bool:
    try:
        blobs.DeleteBlob(request)
    except grpc.RpcError:
        return False
    return True


def test_an_account_names_a_store_that_the_operator_allowed_there(allowing: Installation) -> None:
    owner = allowing.client()
    group = make_group(owner)
    accounts = owner.of(StorageAccountServiceStub)

    assert accounts.CreateStorageAccount(account_request(group)).store == "images"

    for request in (account_request(group, "westus"), account_request(group, store="other")):
        refused = refusal(accounts.CreateStorageAccount, request)
        assert refused.info.reason == "STORE_NOT_ALLOWED"


def test_a_machine_refers_to_vhds_that_are_there_and_of_fixed_size(
    allowing: Installation, vhds: Path
) -> None:
    owner = allowing.client()
    group = make_group(owner)
    account = owner.of(StorageAccountServiceStub).CreateStorageAccount(account_request(group))
    (vhds / "web").mkdir()
    (vhds / "web" / "os.vhd").write_bytes(fixed_vhd(noise(1, 6).content))
    (vhds / "raw.vhd").write_bytes(noise(1, 7).content)
    machines = owner.of(VirtualMachineServiceStub)

    def request(path: str) -> virtual_machine_service_pb2.CreateVirtualMachineRequest:
        vhd = vhd_pb2.Vhd(storage_account=account.name, path=path)
        return virtual_machine_service_pb2.CreateVirtualMachineRequest(
            parent=group,
            virtual_machine_id=unique("vm"),
            virtual_machine=virtual_machine_pb2.VirtualMachine(
                location=HOME,
                size="Standard_D2s_v5",
                os_type=os_type_pb2.OS_TYPE_LINUX,
                os_state=os_type_pb2.OS_STATE_GENERALIZED,
                os_disk=virtual_machine_pb2.VirtualMachineOsDisk(vhd=vhd),
            ),
        )

    made = machines.CreateVirtualMachine(request("web/os.vhd"))

    assert made.os_disk.vhd.size_bytes == MIB
    assert made.os_disk.vhd.etag
    absent = refusal(machines.CreateVirtualMachine, request("web/other.vhd"))
    assert absent.info.reason == "SOURCE_NOT_FOUND"
    raw = refusal(machines.CreateVirtualMachine, request("raw.vhd"))
    assert raw.info.reason == "SOURCE_FORMAT_INVALID"
