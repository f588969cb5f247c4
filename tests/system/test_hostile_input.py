"""Names that become paths, bytes that do not fit, far too much of everything."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
import pytest
from blake3 import blake3
from stoa.catalog.v1 import (
    gallery_service_pb2,
)
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.replication.v1 import (
    blob_pb2,
    blob_service_pb2,
    blob_upload_pb2,
    image_disk_service_pb2,
    region_pb2,
    region_service_pb2,
    replication_service_pb2,
    replication_watch_pb2,
)
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from tests.system.disks import MIB, noise
from tests.system.errors import Refusal, refusal
from tests.system.installation import Installation, eventually
from tests.system.publishing import (
    HOME,
    OS,
    make_group,
    unique,
)
from tests.system.victims import Victim, make_victim

pytestmark = pytest.mark.timeout(300)

INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def victim(installation: Installation) -> Victim:
    return make_victim(installation)


PATHS: Final = ("..", ".", "a/b", "../a", "%2e%2e", "a\0b", "a\\b", "~", "-", "é", "a" * 300)


@pytest.mark.parametrize("id", PATHS, ids=lambda one: repr(one[:10]))
def test_an_id_that_plays_with_paths_is_no_id(installation: Installation, id: str) -> None:
    owner = installation.client()
    region = region_pb2.Region(display_name=unique("Nowhere"))
    region.slots.add(id="a", store_url=(installation.layout.stores / unique("x")).as_uri())
    found = refusal(
        owner.of(RegionServiceStub).CreateRegion,
        region_service_pb2.CreateRegionRequest(region_id=id, region=region),
    )
    assert found.code is INVALID
    assert "region_id" in found.fields
    group = make_group(owner)
    found = refusal(
        owner.of(BlobServiceStub).CreateBlob,
        blob_service_pb2.CreateBlobRequest(
            parent=group, blob_id=id, blob=blob_pb2.Blob(location=HOME)
        ),
    )
    assert found.code is INVALID
    assert "blob_id" in found.fields


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc", grpc.StatusCode.FAILED_PRECONDITION),
        ("file:///proc/self/root/etc", grpc.StatusCode.FAILED_PRECONDITION),
        ("file://{stores}", grpc.StatusCode.FAILED_PRECONDITION),
        ("file://{stores}/eastus-0", grpc.StatusCode.FAILED_PRECONDITION),
        ("file://{stores}/%65astus-0", grpc.StatusCode.FAILED_PRECONDITION),
        ("file://{stores}/eastus-0/objects/x", grpc.StatusCode.FAILED_PRECONDITION),
        ("file://{stores}/../x", INVALID),
        ("file://{stores}/%2e%2e/x", INVALID),
        ("file://{stores}/a%00b", INVALID),
        ("file://{stores}/" + "a" * 300, INVALID),
        ("file://example.org/x", INVALID),
        ("http://169.254.169.254/latest", INVALID),
        ("/etc", INVALID),
    ],
    ids=lambda one: one[-16:] if isinstance(one, str) else one.name,
)
def test_a_slot_lies_in_a_directory_of_its_own_below_those_for_stores(
    installation: Installation, url: str, code: grpc.StatusCode
) -> None:
    before = sorted(installation.layout.stores.iterdir())
    region = region_pb2.Region(display_name=unique("Nowhere"))
    region.slots.add(id="a", store_url=url.replace("{stores}", str(installation.layout.stores)))
    request = region_service_pb2.CreateRegionRequest(region_id=unique("r"), region=region)
    found = refusal(installation.client().of(RegionServiceStub).CreateRegion, request)
    assert found.code is code
    assert sorted(installation.layout.stores.iterdir()) == before


def test_a_message_beyond_four_mebibytes_is_not_read(installation: Installation) -> None:
    owner = installation.client()
    request = gallery_service_pb2.GetGalleryRequest(name="a" * (5 * MIB))
    found = refusal(owner.of(GalleryServiceStub).GetGallery, request)
    assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    again = gallery_service_pb2.GetGalleryRequest(name="a" * (3 * MIB))
    found = refusal(owner.of(GalleryServiceStub).GetGallery, again)
    assert found.code is INVALID
    assert len(found.message) < 2000


@pytest.mark.parametrize(
    ("size", "expected"),
    [(9_000, set()), (70_000, {grpc.StatusCode.RESOURCE_EXHAUSTED})],
)
def test_t32_metadata_are_taken_always_or_never_and_harm_nobody(
    victim: Victim, size: int, expected: set[grpc.StatusCode]
) -> None:
    stub = victim.owner.of(GalleryServiceStub)
    request = gallery_service_pb2.GetGalleryRequest(name=victim.private.gallery)
    codes = set()
    for _ in range(20):
        try:
            stub.GetGallery(request, metadata=(("x-padding", "a" * size),))
        except grpc.RpcError as error:
            codes.add(Refusal(error).code)
    assert codes == expected
    assert stub.GetGallery(request).name == victim.private.gallery


def _start(name: str, offset: int = 0, uid: str = "") -> blob_upload_pb2.UploadBlobRequest:
    start = blob_upload_pb2.UploadStart(name=name, offset_bytes=offset, blob_uid=uid)
    return blob_upload_pb2.UploadBlobRequest(start=start)


def _chunk(
    at: int, data: bytes = b"", digest: bytes | None = None, zeros: int = 0
) -> blob_upload_pb2.UploadBlobRequest:
    chunk = blob_upload_pb2.UploadChunk(offset_bytes=at)
    if zeros:
        chunk.zero_bytes = zeros
    else:
        chunk.data = data
        chunk.blake3_digest = blake3(data).digest() if digest is None else digest
    return blob_upload_pb2.UploadBlobRequest(chunk=chunk)


def _commit(size: int, digest: bytes = b"") -> blob_upload_pb2.UploadBlobRequest:
    commit = blob_upload_pb2.UploadCommit(size_bytes=size)
    if digest:
        commit.blake3_digest = digest
    return blob_upload_pb2.UploadBlobRequest(commit=commit)


PIECE: Final = noise(1, 7).content
SEQUENCE: Final = "UPLOAD_SEQUENCE_INVALID"
FIELDS: Final = "INVALID_FIELDS"
WRONG_UPLOADS: Final[Mapping[str, tuple[str, Callable[[str], list[Any]]]]] = {
    "nothing": (FIELDS, lambda _: []),
    "a commit first": (FIELDS, lambda _: [_commit(1)]),
    "two starts": (SEQUENCE, lambda name: [_start(name), _start(name)]),
    "a digest of other bytes": (
        "CHUNK_DIGEST_MISMATCH",
        lambda name: [_start(name), _chunk(0, PIECE, bytes(32))],
    ),
    "a short digest": (FIELDS, lambda name: [_start(name), _chunk(0, PIECE, bytes(3))]),
    "a gap": (SEQUENCE, lambda name: [_start(name), _chunk(0, PIECE), _chunk(MIB + 512, PIECE)]),
    "an overlap": (SEQUENCE, lambda name: [_start(name), _chunk(0, PIECE), _chunk(512, PIECE)]),
    "a negative offset": (FIELDS, lambda name: [_start(name), _chunk(-1, PIECE)]),
    "a start beyond the end": ("UPLOAD_OFFSET_MISMATCH", lambda name: [_start(name, 4096)]),
    "a start in another blob of the name": (
        "RESOURCE_NOT_FOUND",
        lambda name: [_start(name, 0, "0" * 32)],
    ),
    "zeros without end": (FIELDS, lambda name: [_start(name), _chunk(0, zeros=2**63 - 1)]),
    "a piece of two MiB": (FIELDS, lambda name: [_start(name), _chunk(0, PIECE * 2)]),
    "a commit of another size": (
        "UPLOAD_SIZE_MISMATCH",
        lambda name: [_start(name), _chunk(0, PIECE), _commit(5)],
    ),
    "a commit of other bytes": (
        "CONTENT_DIGEST_MISMATCH",
        lambda name: [_start(name), _chunk(0, PIECE), _commit(MIB, b"\1" * 32)],
    ),
    "a commit of nothing": (FIELDS, lambda name: [_start(name), _commit(0)]),
    "bytes after the commit": (
        SEQUENCE,
        lambda name: [_start(name), _chunk(0, PIECE), _commit(MIB), _chunk(MIB, PIECE)],
    ),
}


@pytest.mark.parametrize("upload", WRONG_UPLOADS)
def test_an_upload_that_does_not_fit_is_refused_and_another_one_is_not(
    victim: Victim, upload: str
) -> None:
    reason, messages = WRONG_UPLOADS[upload]
    stub = victim.owner.of(BlobServiceStub)
    blob = stub.CreateBlob(
        blob_service_pb2.CreateBlobRequest(
            parent=victim.private.group,
            blob_id=unique("odd"),
            blob=blob_pb2.Blob(location=HOME),
        )
    )
    with pytest.raises(grpc.RpcError) as caught:
        stub.UploadBlob(iter(messages(blob.name)))
    assert Refusal(caught.value).info.reason == reason
    if reason == "CONTENT_DIGEST_MISMATCH":
        return  # What was sent is not what was meant: only another blob helps.
    kept = stub.GetBlob(blob_service_pb2.GetBlobRequest(name=blob.name)).committed_bytes
    left = [_chunk(kept, PIECE[kept:])] if kept < MIB else []
    digest = blake3(PIECE).digest()
    done = stub.UploadBlob(iter([_start(blob.name, kept), *left, _commit(MIB, digest)]))
    assert done.blob.state == blob_pb2.Blob.STATE_COMMITTED


@pytest.mark.parametrize(
    ("offset", "length", "code"),
    [
        (-1, 1, INVALID),
        (0, -1, INVALID),
        (-(2**63), 2**63 - 1, INVALID),
        (MIB, 1, grpc.StatusCode.OUT_OF_RANGE),
        (MIB + 1, 0, grpc.StatusCode.OUT_OF_RANGE),
        (0, MIB + 1, grpc.StatusCode.OUT_OF_RANGE),
        (2**63 - 1, 2**63 - 1, grpc.StatusCode.OUT_OF_RANGE),
    ],
)
def test_a_range_that_the_disk_does_not_have_is_refused(
    victim: Victim, offset: int, length: int, code: grpc.StatusCode
) -> None:
    request = image_disk_service_pb2.ReadDiskRequest(name=victim.version, location=HOME, disk=OS)
    request.ranges.add(offset_bytes=offset, length_bytes=length)
    assert refusal(victim.owner.of(ImageDiskServiceStub).ReadDisk, request).code is code


def test_hundreds_of_idle_watches_of_one_caller_keep_nobody_else_out(
    installation: Installation, victim: Victim
) -> None:
    address = installation.view.endpoints["replication"]
    metadata = (("authorization", f"Bearer {installation.token()}"),)

    def connect() -> grpc.Channel:
        # Its own connection, as another machine's would be.
        return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])

    request = replication_watch_pb2.WatchReplicationRequest(
        name=victim.version, minimum_generation=1000
    )
    channels = [connect() for _ in range(5)]
    watches: list[Any] = [
        ReplicationServiceStub(channels[number % 5]).WatchReplication(
            request, timeout=120, metadata=metadata
        )
        for number in range(300)
    ]
    try:
        with connect() as other:
            asked = replication_service_pb2.GetReplicationRequest(name=victim.name("Replication"))
            stub = ReplicationServiceStub(other)
            found = [
                stub.GetReplication(asked, timeout=30, metadata=metadata).name for _ in range(10)
            ]
        assert set(found) == {victim.name("Replication")}
        assert all(watch.is_active() for watch in watches)
    finally:
        for watch in watches:
            watch.cancel()
        eventually(lambda: all(watch.done() for watch in watches), "the watches end")
        for channel in channels:
            channel.close()
