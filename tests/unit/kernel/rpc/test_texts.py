"""The character NUL in every place of a message that holds texts."""

from typing import Any

import pytest
from google.protobuf.message import Message
from stoa.authz.v1 import check_pb2
from stoa.catalog.v1 import gallery_pb2, gallery_service_pb2, image_version_requests_pb2
from stoa.replication.v1 import blob_upload_pb2

from services.kernel.errors import InvalidArgument
from services.kernel.rpc import texts

Gallery = gallery_pb2.Gallery


def create(**fields: Any) -> Message:
    return gallery_service_pb2.CreateGalleryRequest(gallery=Gallery(**fields))


def deep() -> Message:
    request = check_pb2.CheckRequest()
    request.context["a"] = {"b": ["c", "d\0"]}
    return request


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (create(description="a\0b"), ["gallery.description"]),
        (create(location="\0", description="\0"), ["gallery.location", "gallery.description"]),
        (create(tags={"a": "b\0"}), ["gallery.tags"]),
        (create(tags={"a\0": "b"}), ["gallery.tags"]),
        (image_version_requests_pb2.DeleteImageVersionRequest(name="x\0"), ["name"]),
        (
            deep(),
            ['context.fields["a"].struct_value.fields["b"].list_value.values[1].string_value'],
        ),
    ],
)
def test_every_text_with_nul_is_named(message: Message, fields: list[str]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        texts.check(message, message.SerializeToString())
    assert [one.field for one in caught.value.violations] == fields


def test_bytes_may_have_any_value() -> None:
    chunk = blob_upload_pb2.UploadChunk(data=bytes(4096), blake3_digest=bytes(32))
    message = blob_upload_pb2.UploadBlobRequest(chunk=chunk)
    texts.check(message, message.SerializeToString())
    plain = create(description="plain", tags={"a": "b"})
    texts.check(plain, plain.SerializeToString())
