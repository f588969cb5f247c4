"""Shallow versions with all three services: read at their sources, then promoted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from stoa.catalog.v1 import (
    image_version_pb2,
    storage_account_pb2,
    storage_account_service_pb2,
    vhd_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.storage_account_service_pb2_grpc import StorageAccountServiceStub
from stoa.replication.v1 import blob_service_pb2, image_disk_service_pb2
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.type.v1 import storage_pb2

from tests.large_files import large_files
from tests.system.disks import noise
from tests.system.errors import refusal
from tests.system.installation import Client, Installation, eventually, installed
from tests.system.publishing import (
    HOME,
    OS,
    Shop,
    get_version,
    make_regions,
    make_shop,
    read,
    unique,
    upload,
)
from tests.vhd import vhd_footer

pytestmark = pytest.mark.timeout(240)

TIB: Final = 1 << 40
FULL, SHALLOW = storage_pb2.REPLICATION_MODE_FULL, storage_pb2.REPLICATION_MODE_SHALLOW


@pytest.fixture(scope="module")
def vhds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory that the operator allows as a source in the home region."""
    with large_files(tmp_path_factory.mktemp("vhds")) as folder:
        yield folder


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory, vhds: Path) -> Iterator[Installation]:
    allowed = f"images={HOME} {vhds.as_uri()}"
    folder = tmp_path_factory.mktemp("shallow")
    with installed(folder, STOA_REPLICATION_SOURCE_STORES=allowed) as found:
        make_regions(found)
        yield found


@pytest.fixture
def owner(allowing: Installation) -> Client:
    return allowing.client()


def options(shop: Shop) -> tuple[str, ...]:
    names = shop.definition.split("/")
    return "-g", names[3], "-r", names[5], "-i", names[7]


def stored(installation: Installation) -> int:
    """The bytes in the stores of all regions."""
    files = (one for one in installation.layout.stores.rglob("*") if one.is_file())
    return sum(one.stat().st_blocks * 512 for one in files)


def test_a_shallow_version_is_pulled_at_its_source_and_promoted(
    allowing: Installation, owner: Client, tmp_path: Path
) -> None:
    shop, disk = make_shop(owner), noise(9, 21)
    blob = upload(owner, shop.group, disk)
    before = stored(allowing)
    create = ("image-version", "create", *options(shop), "-e", "1.0.0", "--os-blob", blob)
    allowing.stoa(*create, "--replication-mode", "Shallow", "--target-regions", HOME)
    name = f"{shop.definition}/versions/1.0.0"
    version = get_version(owner, name)
    assert version.replication_mode == SHALLOW
    (region,) = version.replication_status.summary
    assert (region.usable, region.progress_percent) == (True, 100)
    assert region.progress.copied_bytes == 0
    assert stored(allowing) == before
    pull = ("image-version", "pull", *options(shop), "-e", "1.0.0", "-l", HOME)
    allowing.stoa(*pull, "-f", str(tmp_path / "shallow.img"))
    assert (tmp_path / "shallow.img").read_bytes() == disk.content
    delete = blob_service_pb2.DeleteBlobRequest(name=blob)
    blobs = owner.of(BlobServiceStub)
    assert refusal(blobs.DeleteBlob, delete).info.reason == "BLOB_HELD"
    allowing.stoa("image-version", "promote", *options(shop), "-e", "1.0.0")
    promoted = get_version(owner, name)
    assert (promoted.uid, promoted.replication_mode) == (version.uid, FULL)

    def is_let_go() -> bool:
        try:
            blobs.DeleteBlob(delete)
        except grpc.RpcError:
            return False
        return True

    eventually(is_let_go, "the blob to be let go of")
    assert read(owner, name, OS, HOME).content == disk.content


def make_account(owner: Client, shop: Shop) -> str:
    request = storage_account_service_pb2.CreateStorageAccountRequest(
        parent=shop.group,
        storage_account_id=unique("vhds"),
        storage_account=storage_account_pb2.StorageAccount(location=HOME, store="images"),
    )
    return owner.of(StorageAccountServiceStub).CreateStorageAccount(request).name


def make_vhd(path: Path, size: int) -> None:
    """Make a VHD of fixed size that is a hole but for its ends."""
    with path.open("wb") as file:
        file.write(b"boot")
        file.seek(size - 4)
        file.write(b"last" + vhd_footer(size))


def request_of(
    shop: Shop, account: str, path: str, number: str, mode: Any
) -> requests_pb.CreateImageVersionRequest:
    version = image_version_pb2.ImageVersion(location=HOME, replication_mode=mode)
    source = version.storage_profile.os_disk_image.source
    source.vhd.CopyFrom(vhd_pb2.Vhd(storage_account=account, path=path))
    version.target_regions.add(location=HOME)
    return requests_pb.CreateImageVersionRequest(
        parent=shop.definition, image_version_id=number, image_version=version
    )


def test_32_tib_are_there_at_once_33_are_refused_and_neither_is_copied(
    allowing: Installation, owner: Client, vhds: Path
) -> None:
    shop = make_shop(owner)
    account = make_account(owner, shop)
    versions = owner.of(ImageVersionServiceStub)
    make_vhd(vhds / "large.vhd", 32 * TIB)
    make_vhd(vhds / "larger.vhd", 33 * TIB)
    before = stored(allowing)
    larger = request_of(shop, account, "larger.vhd", "1.0.0", SHALLOW)
    refused = refusal(versions.CreateImageVersion, larger).info
    assert (refused.reason, refused.metadata["maximum_bytes"]) == (
        "SOURCE_TOO_LARGE",
        str(32 * TIB),
    )
    full = request_of(shop, account, "large.vhd", "1.0.0", FULL)
    refused = refusal(versions.CreateImageVersion, full).info
    assert (refused.reason, refused.metadata["maximum_bytes"]) == (
        "SOURCE_TOO_LARGE",
        str(2 * TIB),
    )
    operation = versions.CreateImageVersion(
        request_of(shop, account, "large.vhd", "1.0.0", SHALLOW)
    )
    version = owner.result(operation, image_version_pb2.ImageVersion)
    (region,) = get_version(owner, version.name).replication_status.summary
    assert (region.usable, region.progress.copied_bytes) == (True, 0)
    assert version.storage_profile.os_disk_image.size_bytes == 32 * TIB
    asked = image_disk_service_pb2.ReadDiskRequest(name=version.name, location=HOME, disk=OS)
    asked.ranges.add(offset_bytes=0, length_bytes=8)
    asked.ranges.add(offset_bytes=16 * TIB, length_bytes=4 * TIB)
    asked.ranges.add(offset_bytes=32 * TIB - 6)
    start, *pieces = owner.of(ImageDiskServiceStub).ReadDisk(asked)
    assert (start.start.verified, start.start.layout.size_bytes) == (False, 32 * TIB)
    found = [one.piece.data or one.piece.zero_bytes for one in pieces]
    assert found == [b"boot\0\0\0\0", 4 * TIB, b"\0\0last"]
    promote = requests_pb.PromoteImageVersionRequest(name=version.name)
    refused = refusal(versions.PromoteImageVersion, promote).info
    assert refused.reason == "SOURCE_TOO_LARGE"
    assert stored(allowing) == before
