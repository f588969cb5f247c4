"""The three ways from a file to a version, and what else versions are made of, with real bytes."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from stoa.catalog.v1 import (
    disk_pb2,
    disk_service_pb2,
    image_version_pb2,
    image_version_requests_pb2,
    managed_image_pb2,
    managed_image_service_pb2,
    storage_account_pb2,
    storage_account_service_pb2,
    storage_profile_pb2,
    vhd_pb2,
    virtual_machine_pb2,
    virtual_machine_service_pb2,
)
from stoa.catalog.v1.disk_service_pb2_grpc import DiskServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.managed_image_service_pb2_grpc import ManagedImageServiceStub
from stoa.catalog.v1.storage_account_service_pb2_grpc import StorageAccountServiceStub
from stoa.catalog.v1.virtual_machine_service_pb2_grpc import VirtualMachineServiceStub
from stoa.replication.v1 import blob_service_pb2
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.type.v1 import os_type_pb2, replication_state_pb2

from tests.system.disks import MIB, Disk, noise, sparse
from tests.system.errors import refusal
from tests.system.installation import Client, Installation, eventually, installed
from tests.system.publishing import (
    HOME,
    OS,
    Shop,
    get_version,
    lun,
    make_image,
    make_regions,
    make_shop,
    publish,
    read,
    unique,
    upload,
    version_request,
)
from tests.vhd import fixed_vhd, write_fixed_vhd

pytestmark = pytest.mark.timeout(300)

ELSEWHERE = "eastus2"
BOTH = {HOME: 1, ELSEWHERE: 1}
V2 = os_type_pb2.HYPER_V_GENERATION_V2
LINUX, GENERALIZED = os_type_pb2.OS_TYPE_LINUX, os_type_pb2.OS_STATE_GENERALIZED
COMPLETED = replication_state_pb2.REGIONAL_REPLICATION_STATE_COMPLETED
Source = storage_profile_pb2.VersionSource


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


@pytest.fixture
def shop(allowing: Installation) -> Shop:
    return make_shop(allowing.client())


def account(owner: Client, group: str) -> str:
    made = owner.of(StorageAccountServiceStub).CreateStorageAccount(
        storage_account_service_pb2.CreateStorageAccountRequest(
            parent=group,
            storage_account_id=unique("vhds"),
            storage_account=storage_account_pb2.StorageAccount(location=HOME, store="images"),
        )
    )
    return made.name


def profiled(
    shop: Shop, profile: storage_profile_pb2.StorageProfile, number: str = "1.0.0"
) -> image_version_pb2.ImageVersion:
    """Make a version of a storage profile and wait until both regions have it."""
    request = version_request(shop, "", BOTH, number)
    request.image_version.storage_profile.CopyFrom(profile)
    operation = shop.owner.of(ImageVersionServiceStub).CreateImageVersion(request)
    return shop.owner.result(operation, image_version_pb2.ImageVersion)


def check(shop: Shop, name: str, os: Disk, *data: Disk) -> None:
    """Compare what every region answers with the disks that went in, byte by byte."""
    found = get_version(shop.owner, name)
    summary = found.replication_status.summary
    assert {one.location: one.state for one in summary} == dict.fromkeys(BOTH, COMPLETED)
    profile = found.storage_profile
    assert profile.os_disk_image.size_bytes == os.size
    assert [one.size_bytes for one in profile.data_disk_images] == [one.size for one in data]
    for location in BOTH:
        assert read(shop.owner, name, OS, location) == os
        for number, disk in enumerate(data):
            assert read(shop.owner, name, lun(number), location) == disk


def test_a_managed_image_of_uploaded_blobs_becomes_a_version(shop: Shop) -> None:
    os, data = sparse(12, 5, seed=11), noise(3, seed=12)
    image = make_image(shop.owner, shop.group, os, data)
    check(shop, publish(shop, image, BOTH).name, os, data)


def test_an_unmanaged_image_of_vhds_by_account_and_path_becomes_a_version(
    shop: Shop, vhds: Path
) -> None:
    os, data = sparse(12, 5, seed=21), noise(3, seed=22)
    (vhds / "web").mkdir()
    write_fixed_vhd(vhds / "web" / "os.vhd", os.content)
    write_fixed_vhd(vhds / "web" / "data.vhd", data.content)
    where = account(shop.owner, shop.group)
    vhd, pb = vhd_pb2.Vhd, managed_image_pb2
    image = shop.owner.of(ManagedImageServiceStub).CreateManagedImage(
        managed_image_service_pb2.CreateManagedImageRequest(
            parent=shop.group,
            managed_image_id=unique("unmanaged"),
            managed_image=pb.ManagedImage(
                location=HOME,
                vhds=pb.ManagedImageVhds(
                    os_vhd=vhd(storage_account=where, path="web/os.vhd"),
                    data_vhds=[
                        pb.ManagedImageDataVhd(
                            lun=0, vhd=vhd(storage_account=where, path="web/data.vhd")
                        )
                    ],
                ),
                os_type=LINUX,
                os_state=GENERALIZED,
                hyper_v_generation=V2,
            ),
        )
    )
    # The size is the guest's: that of the file without its footer.
    assert image.vhds.os_vhd.size_bytes == (vhds / "web" / "os.vhd").stat().st_size - 512
    version = publish(shop, image.name, BOTH)
    check(shop, version.name, os, data)

    # What was made is made; from now on the image speaks of bytes that are no more.
    write_fixed_vhd(vhds / "web" / "data.vhd", noise(3, seed=23).content)
    again = version_request(shop, image.name, BOTH, "2.0.0")
    changed = refusal(shop.owner.of(ImageVersionServiceStub).CreateImageVersion, again)
    assert changed.info.reason == "SOURCE_CHANGED"
    check(shop, version.name, os, data)


def test_a_local_vhd_is_uploaded_and_becomes_a_version(shop: Shop, tmp_path: Path) -> None:
    os = sparse(12, 5, seed=31)
    local = tmp_path / "local.vhd"
    write_fixed_vhd(local, os.content)
    file = Disk(local.read_bytes())
    assert file.content == os.content + file.content[-512:]
    blob = upload(shop.owner, shop.group, file, vhd=True)
    profile = storage_profile_pb2.StorageProfile()
    profile.os_disk_image.source.blob = blob
    version = profiled(shop, profile)
    check(shop, version.name, os)

    # The version held the blob until it was done, and no longer.
    delete = blob_service_pb2.DeleteBlobRequest(name=blob)
    blobs = shop.owner.of(BlobServiceStub)
    eventually(lambda: _deleted(blobs, delete), "the blob is let go of")
    check(shop, version.name, os)


def _deleted(blobs: BlobServiceStub, request: blob_service_pb2.DeleteBlobRequest) -> bool:
    try:
        blobs.DeleteBlob(request)
    except grpc.RpcError:
        return False
    return True


def test_a_file_that_is_no_vhd_makes_no_version(shop: Shop) -> None:
    blob = upload(shop.owner, shop.group, noise(2, seed=41), vhd=True)
    request = version_request(shop, "", BOTH)
    profile = request.image_version.storage_profile
    profile.ClearField("source")
    profile.os_disk_image.source.blob = blob
    found = refusal(shop.owner.of(ImageVersionServiceStub).CreateImageVersion, request)
    assert found.info.reason == "SOURCE_FORMAT_INVALID"


def test_a_machine_with_a_data_disk_becomes_a_version_and_may_go(shop: Shop) -> None:
    os, data = sparse(8, 3, seed=51), noise(2, seed=52)
    disks = shop.owner.of(DiskServiceStub)
    system = disk_pb2.Disk(os_type=LINUX, os_state=GENERALIZED, hyper_v_generation=V2)
    names = []
    for content, made in ((os, system), (data, disk_pb2.Disk())):
        made.location = HOME
        made.blob = upload(shop.owner, shop.group, content)
        request = disk_service_pb2.CreateDiskRequest(
            parent=shop.group, disk_id=unique("disk"), disk=made
        )
        names.append(disks.CreateDisk(request).name)
    machines = shop.owner.of(VirtualMachineServiceStub)
    machine = machines.CreateVirtualMachine(
        virtual_machine_service_pb2.CreateVirtualMachineRequest(
            parent=shop.group,
            virtual_machine_id=unique("vm"),
            virtual_machine=virtual_machine_pb2.VirtualMachine(
                location=HOME,
                size="Standard_D2s_v5",
                os_type=LINUX,
                os_state=GENERALIZED,
                hyper_v_generation=V2,
                os_disk=virtual_machine_pb2.VirtualMachineOsDisk(disk=names[0]),
                data_disks=[virtual_machine_pb2.VirtualMachineDataDisk(lun=0, disk=names[1])],
            ),
        )
    )
    source = storage_profile_pb2.StorageProfile(source=Source(virtual_machine=machine.name))
    version = profiled(shop, source)
    gone = virtual_machine_service_pb2.DeleteVirtualMachineRequest(name=machine.name)
    machines.DeleteVirtualMachine(gone)
    for name in names:
        disks.DeleteDisk(disk_service_pb2.DeleteDiskRequest(name=name))
    check(shop, version.name, os, data)


def test_disks_have_sources_of_their_own_kinds(shop: Shop, vhds: Path) -> None:
    os, first, second = sparse(8, 3, seed=61), noise(1, seed=62), noise(2, seed=63)
    (vhds / "own.vhd").write_bytes(fixed_vhd(first.content))
    profile = storage_profile_pb2.StorageProfile()
    profile.os_disk_image.source.blob = upload(shop.owner, shop.group, os)
    vhd = profile.data_disk_images.add(lun=0).source.vhd
    vhd.storage_account, vhd.path = account(shop.owner, shop.group), "own.vhd"
    profile.data_disk_images.add(lun=1).source.blob = upload(shop.owner, shop.group, second)
    check(shop, profiled(shop, profile).name, os, first, second)
    assert first.size == MIB


def test_a_version_is_copied_into_another_gallery_and_outlives_its_source(
    allowing: Installation, shop: Shop
) -> None:
    os, data = sparse(8, 3, seed=71), noise(2, seed=72)
    origin = publish(shop, make_image(shop.owner, shop.group, os, data), BOTH)
    other = make_shop(allowing.client())
    source = storage_profile_pb2.StorageProfile(source=Source(image_version=origin.name))
    copy = profiled(other, source)
    versions = shop.owner.of(ImageVersionServiceStub)
    request = image_version_requests_pb2.DeleteImageVersionRequest(name=origin.name, purge=True)
    shop.owner.ended(versions.DeleteImageVersion(request))
    check(other, copy.name, os, data)
