"""Uploads and pulls against a server that keeps a disk in memory and breaks off when told to."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from blake3 import blake3
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from stoa.replication.v1 import (
    blob_pb2,
    blob_service_pb2,
    blob_upload_pb2,
    image_disk_pb2,
    image_disk_service_pb2,
)
from stoa.replication.v1 import blob_service_pb2_grpc as blobs
from stoa.replication.v1 import image_disk_service_pb2_grpc as disks
from stoa.type.v1.storage_pb2 import DiskSelector

from cli.errors import CliError
from cli.transfer import retrying
from cli.transfer.progress import Lines
from cli.transfer.pull import Source, open_disk, pull
from cli.transfer.sparse import extents
from cli.transfer.tree import root_digest, segment_digest
from cli.transfer.upload import upload

MIB = 1024 * 1024
LEAF, SEGMENT = 64 * 1024, 4 * MIB
NAME = "subscriptions/s/resourceGroups/r/blobs/b"


def refuse(context: grpc.ServicerContext, code: int, reason: str) -> None:
    packed = Packed()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason))
    status = status_pb2.Status(code=code, message=reason, details=[packed])
    context.abort_with_status(rpc_status.to_status(status))


class Server(blobs.BlobServiceServicer, disks.ImageDiskServiceServicer):
    """One blob and one disk."""

    def __init__(self) -> None:
        self.stored = bytearray()
        self.size = 0
        self.uploads: list[int] = []
        self.data_sent = 0
        # How many messages a call gets before it breaks off; None: all.
        self.limits: list[int | None] = []
        self.content = b""
        self.ranges: list[tuple[int, int]] = []
        self.damage = -1
        # How many reads find as many readers as a shallow version takes.
        self.crowd = 0
        # And how many reads of content, once the disk is opened.
        self.crowded_reads = 0
        self.verified = True

    def GetBlob(
        self, request: blob_service_pb2.GetBlobRequest, context: grpc.ServicerContext
    ) -> blob_pb2.Blob:
        return self.blob()

    def blob(self) -> blob_pb2.Blob:
        return blob_pb2.Blob(name=NAME, uid="u", committed_bytes=len(self.stored))

    def UploadBlob(
        self,
        request: Iterator[blob_upload_pb2.UploadBlobRequest],
        context: grpc.ServicerContext,
    ) -> blob_upload_pb2.UploadBlobResponse:
        limit = self.limits.pop(0) if self.limits else None
        for number, message in enumerate(request):
            if number == limit:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
            match message.WhichOneof("message"):
                case "start":
                    self.uploads.append(message.start.offset_bytes)
                    if message.start.offset_bytes != len(self.stored):
                        refuse(context, code_pb2.FAILED_PRECONDITION, "UPLOAD_OFFSET_MISMATCH")
                case "chunk":
                    self.take(message.chunk)
                case _:
                    assert message.commit.size_bytes == len(self.stored)
                    if message.commit.blake3_digest != blake3(self.stored).digest():
                        refuse(context, code_pb2.INVALID_ARGUMENT, "CONTENT_DIGEST_MISMATCH")
        blob = self.blob()
        blob.state = blob_pb2.Blob.STATE_COMMITTED
        return blob_upload_pb2.UploadBlobResponse(blob=blob)

    def take(self, chunk: blob_upload_pb2.UploadChunk) -> None:
        assert chunk.offset_bytes == len(self.stored)
        if chunk.HasField("zero_bytes"):
            self.stored += bytes(chunk.zero_bytes)
        else:
            assert chunk.blake3_digest == blake3(chunk.data).digest()
            self.stored += chunk.data
            self.data_sent += len(chunk.data)

    def digests(self) -> list[bytes]:
        spans = range(0, len(self.content), SEGMENT)
        return [segment_digest(self.content[at : at + SEGMENT], LEAF) for at in spans]

    def layout(self) -> image_disk_pb2.DiskLayout:
        layout = image_disk_pb2.DiskLayout(
            header=b"header",
            size_bytes=len(self.content),
            leaf_bytes=LEAF,
            segment_bytes=SEGMENT,
        )
        if self.verified:
            layout.root_digest = root_digest(layout, self.digests())
        return layout

    def ReadDisk(
        self,
        request: image_disk_service_pb2.ReadDiskRequest,
        context: grpc.ServicerContext,
    ) -> Iterator[image_disk_service_pb2.ReadDiskResponse]:
        if self.crowd:
            self.crowd -= 1
            refuse(context, code_pb2.RESOURCE_EXHAUSTED, "SHALLOW_READERS_EXCEEDED")
        pb = image_disk_service_pb2
        start = pb.DiskStart(layout=self.layout(), location="eastus", verified=self.verified)
        yield pb.ReadDiskResponse(start=start)
        if request.include_segments:
            if self.verified:
                segments = image_disk_pb2.SegmentDigests(digests=b"".join(self.digests()))
                yield pb.ReadDiskResponse(segments=segments)
            return
        if self.crowded_reads:
            self.crowded_reads -= 1
            refuse(context, code_pb2.RESOURCE_EXHAUSTED, "SHALLOW_READERS_EXCEEDED")
        assert request.expected_root_digest == self.layout().root_digest
        (asked,) = request.ranges
        self.ranges.append((asked.offset_bytes, asked.length_bytes))
        limit = self.limits.pop(0) if self.limits else None
        begin, end = asked.offset_bytes, asked.offset_bytes + asked.length_bytes
        for number, at in enumerate(range(begin, end, MIB)):
            if number == limit:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
            data = self.content[at : min(at + MIB, end)]
            if at == self.damage:
                data = b"\xff" + data[1:]
            piece = pb.DiskPiece(offset_bytes=at)
            if any(data):
                piece.data = data
            else:
                piece.zero_bytes = len(data)
            yield pb.ReadDiskResponse(piece=piece)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST", 0.001)


@pytest.fixture
def server() -> Server:
    return Server()  # type: ignore[abstract]  # the other methods are not called


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    grpc_server = grpc.server(ThreadPoolExecutor(8))
    blobs.add_BlobServiceServicer_to_server(server, grpc_server)
    disks.add_ImageDiskServiceServicer_to_server(server, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as found:
        yield found
    grpc_server.stop(None).wait()


def quiet() -> Lines:
    return Lines(lambda _: None)


def sparse_file(path: Path) -> bytes:
    with path.open("wb") as stream:
        stream.truncate(9 * MIB)
        stream.seek(3 * MIB)
        stream.write(os.urandom(2 * MIB))
        stream.seek(8 * MIB)
        stream.write(b"end")
    return path.read_bytes()


def test_an_upload_sends_the_data_and_tells_the_digest(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    content = sparse_file(tmp_path / "disk")
    stub = blobs.BlobServiceStub(channel)
    done = upload(stub, server.blob(), tmp_path / "disk", quiet())
    assert bytes(server.stored) == content
    assert server.data_sent == 2 * MIB + LEAF
    assert done.digests == {"blake3": blake3(content).hexdigest()}
    assert done.blob.state == blob_pb2.Blob.STATE_COMMITTED


def test_a_broken_upload_goes_on_where_the_service_is(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    content = sparse_file(tmp_path / "disk")
    # The start, the first hole and a piece arrive.
    server.limits = [3, None]
    upload(blobs.BlobServiceStub(channel), server.blob(), tmp_path / "disk", quiet())
    assert server.uploads == [0, 4 * MIB]
    assert bytes(server.stored) == content


def test_an_upload_whose_offset_is_stale_asks_again(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    content = sparse_file(tmp_path / "disk")
    stale = server.blob()
    server.stored += content[: 2 * MIB]
    upload(blobs.BlobServiceStub(channel), stale, tmp_path / "disk", quiet())
    assert server.uploads == [0, 2 * MIB]
    assert bytes(server.stored) == content


def test_a_blob_that_holds_something_else_is_refused(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    sparse_file(tmp_path / "disk")
    server.stored += b"x" * MIB
    with pytest.raises(grpc.RpcError, match="CONTENT_DIGEST_MISMATCH"):
        upload(blobs.BlobServiceStub(channel), server.blob(), tmp_path / "disk", quiet())


def source() -> Source:
    return Source("v", "eastus", DiskSelector(os=True))


def disk() -> bytes:
    """Segments 0, 2, 3 and a short 4 with data, 1 of zeros."""
    content = bytearray(16 * MIB + 5 * MIB // 2)
    for begin, length in ((MIB, 2 * MIB), (8 * MIB, 6 * MIB), (17 * MIB, 1000)):
        content[begin : begin + length] = os.urandom(length)
    return bytes(content)


def test_a_pull_writes_a_verified_sparse_file(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    target = tmp_path / "new" / "os.img"
    found = pull(disks.ImageDiskServiceStub(channel), source(), target, quiet(), sha256=True)
    assert target.read_bytes() == server.content
    with target.open("rb") as file:
        stored = list(extents(file.fileno(), len(server.content)))
    assert stored == [(MIB, 3 * MIB), (8 * MIB, 14 * MIB), (17 * MIB, 17 * MIB + LEAF)]
    assert found.verified
    assert found.digests["blake3"] == blake3(server.content).hexdigest()
    assert sorted(server.ranges) == [(0, SEGMENT), (2 * SEGMENT, 11 * MIB - MIB // 2)]


def test_a_broken_pull_reads_again_only_the_segment_that_it_was_at(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    server.limits = [None, 6, None]
    stub = disks.ImageDiskServiceStub(channel)
    pull(stub, source(), tmp_path / "os.img", quiet(), streams=1)
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert [begin for begin, _ in server.ranges] == [0, 2 * SEGMENT, 3 * SEGMENT]


def test_a_repeated_pull_keeps_what_is_verified(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    half = bytearray(server.content)
    half[3 * SEGMENT :] = bytes(len(half) - 3 * SEGMENT)
    (tmp_path / "os.img.part").write_bytes(half)
    pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert server.ranges == [(3 * SEGMENT, 6 * MIB + MIB // 2)]


def test_bytes_damaged_on_their_way_never_get_the_name_of_the_file(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    server.damage = 8 * MIB
    with pytest.raises(CliError, match="damaged"):
        pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert not (tmp_path / "os.img").exists()


def test_a_pull_waits_its_turn_at_a_shallow_version(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content, server.crowd = disk(), 5
    stub = disks.ImageDiskServiceStub(channel)
    assert open_disk(stub, source()).digests is not None
    assert server.crowd == 0
    # Refused more often in the middle than a pull tries again what fails.
    server.crowded_reads = 12
    pull(stub, source(), tmp_path / "os.img", quiet(), streams=2)
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert server.crowded_reads == 0


def test_a_crowd_that_does_not_go_away_ends_a_pull_before_it_begins(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content, server.crowd = disk(), 1000
    with pytest.raises(grpc.RpcError) as refused:
        pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert retrying.is_crowded(refused.value)
    assert 1000 - server.crowd == retrying.ATTEMPTS


def test_what_nobody_has_hashed_is_pulled_by_one_stream_and_said_to_be_unverified(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content, server.verified = disk(), False
    found = pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert not found.verified
    assert found.digests["blake3"] == blake3(server.content).hexdigest()
    assert server.ranges == sorted(server.ranges)
