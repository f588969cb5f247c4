"""How many parts a request may have, wherever they are."""

import pytest
from google.protobuf.message import Message
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_version_pb2,
    image_version_requests_pb2,
)
from stoa.replication.v1 import blob_upload_pb2

from services.kernel.errors import InvalidArgument
from services.kernel.rpc.sizes import MAX_IN_FIELD, MAX_IN_REQUEST, check


def masked(count: int) -> Message:
    request = gallery_service_pb2.UpdateGalleryRequest()
    request.update_mask.paths.extend("tags.a" for _ in range(count))
    return request


def tagged(count: int) -> Message:
    tags = {f"k{number}": "v" for number in range(count)}
    return gallery_service_pb2.CreateGalleryRequest(gallery=gallery_pb2.Gallery(tags=tags))


def nested(regions: int, entries: int) -> Message:
    version = image_version_pb2.ImageVersion()
    for _ in range(regions):
        encryption = version.target_regions.add().encryption
        for lun in range(entries):
            encryption.data_disk_images.add(lun=lun)
    return image_version_requests_pb2.CreateImageVersionRequest(image_version=version)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (masked(MAX_IN_FIELD + 1), "update_mask.paths"),
        (tagged(MAX_IN_FIELD + 1), "gallery.tags"),
        (nested(8, MAX_IN_FIELD), "image_version.target_regions.encryption.data_disk_images"),
        (nested(1, MAX_IN_FIELD + 1), "image_version.target_regions.encryption.data_disk_images"),
    ],
    ids=["mask", "map", "in all", "within"],
)
def test_too_many_parts_are_refused_at_the_field_that_has_them(
    message: Message, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(message, message.SerializeToString())
    assert [one.field for one in caught.value.violations] == [field]


def test_what_the_contract_allows_is_never_too_much() -> None:
    # 256 regions with an entry for each of the 64 data disks.
    assert MAX_IN_REQUEST > 256 * 64
    for message in (masked(MAX_IN_FIELD), tagged(MAX_IN_FIELD), nested(256, 64)):
        check(message, message.SerializeToString())


def test_bytes_are_one_part_however_long() -> None:
    chunk = blob_upload_pb2.UploadChunk(data=bytes(1024 * 1024))
    message = blob_upload_pb2.UploadBlobRequest(chunk=chunk)
    check(message, message.SerializeToString())
