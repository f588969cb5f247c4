"""A region in a bucket, with all three services: into it, out of it, and past it by URLs."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from stoa.replication.v1 import image_disk_service_pb2, region_pb2, region_service_pb2
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub

from tests.object_servers import ObjectServer
from tests.system.disks import sparse
from tests.system.installation import Installation, installed
from tests.system.publishing import (
    OS,
    Place,
    grant,
    make_image,
    make_regions,
    make_shop,
    make_user,
    principal,
    publish,
    read,
)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, s3: ObjectServer
) -> Iterator[Installation]:
    """One whose home is a bucket, and that has another region in directories."""
    with installed(tmp_path_factory.mktemp("buckets")) as found:
        stub = found.client().of(RegionServiceStub)
        stub.CreateRegion(
            region_service_pb2.CreateRegionRequest(
                region_id="eastus",
                region=region_pb2.Region(
                    display_name="East US",
                    slots=[region_pb2.ReplicaSlot(id="slot-0", store_url=s3.url())],
                ),
            )
        )
        make_regions(found, [Place("westus", "West US")])
        yield found


def test_what_lies_in_a_bucket_reaches_readers_by_every_way(
    installation: Installation, tmp_path: Path
) -> None:
    disk = sparse(48, 9, 3)
    shop = make_shop(installation.client())
    # Uploaded into the bucket, copied within it, and out of it into a directory.
    image = make_image(shop.owner, shop.group, disk)
    version = publish(shop, image, {"eastus": 1, "westus": 1})
    user = make_user(installation)
    grant(installation, principal(user), "Reader", shop.group)
    reader = installation.client(user)
    for region in ("eastus", "westus"):
        assert read(reader, version.name, OS, region).digest == disk.digest

    # A mere reader is handed URLs of the bucket, for nothing but what the disk is made of.
    answer = reader.of(ImageDiskServiceStub).OpenDisk(
        image_disk_service_pb2.OpenDiskRequest(name=version.name, location="eastus", disk=OS)
    )
    assert fetch(answer.manifest.url)[:8] == b"STOADISK"
    objects = [fetch(one.url) for one in answer.objects]
    assert [len(data) for data in objects] == [one.length_bytes for one in answer.objects]
    segments = [one for one in answer.segments if one.digest]
    assert segments
    stored = sum(extent.length_bytes for one in segments for extent in one.extents)
    assert stored == sum(map(len, objects))


def test_a_pull_goes_past_the_service_and_around_what_is_bad_in_the_bucket(
    installation: Installation, s3: ObjectServer, tmp_path: Path
) -> None:
    disk = sparse(24, 9, 4)
    shop = make_shop(installation.client())
    version = publish(shop, make_image(shop.owner, shop.group, disk), {"eastus": 1, "westus": 1})
    _, _, _, group, _, gallery, _, image, _, number = version.name.split("/")
    pull = (
        *("image-version", "pull", "-g", group, "-r", gallery, "-i", image, "-e", number),
        *("-l", "eastus", "--subscription", version.name.split("/")[1]),
    )
    installation.stoa(*pull, "-f", str(tmp_path / "good.img"))
    assert (tmp_path / "good.img").read_bytes() == disk.content

    answer = (
        installation.client()
        .of(ImageDiskServiceStub)
        .OpenDisk(
            image_disk_service_pb2.OpenDiskRequest(name=version.name, location="eastus", disk=OS)
        )
    )
    key = urlsplit(answer.objects[0].url).path.removeprefix(f"/{s3.folder.name}/")
    with (s3.folder / key).open("r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 1]))
    # The region has no other replica: what is bad is mended from the other region meanwhile.
    installation.stoa(*pull, "-f", str(tmp_path / "again.img"))
    assert (tmp_path / "again.img").read_bytes() == disk.content
    assert fetch(answer.objects[0].url)[0] == first


class Asked:
    """A stub, and how many bytes it was asked to stream."""

    def __init__(self, stub: ImageDiskServiceStub) -> None:
        self._stub = stub
        self.lengths: list[int] = []
        self.OpenDisk = stub.OpenDisk

    def ReadDisk(self, request: image_disk_service_pb2.ReadDiskRequest) -> Any:
        self.lengths += [one.length_bytes for one in request.ranges]
        return self._stub.ReadDisk(request)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        data: bytes = answer.read()
    return data
