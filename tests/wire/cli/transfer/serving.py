"""A server that keeps a blob and a disk in memory, and breaks off when told to."""

import os
from collections.abc import Iterator

import grpc
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

from cli.transfer.opening import Source
from cli.transfer.progress import Lines
from cli.transfer.tree import leaf_digest, root_digest, segment_digest

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
        # Where the store of the disk is; empty: it hands out no URLs.
        self.store_url = ""

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
        asked = [(one.offset_bytes, one.length_bytes) for one in request.ranges]
        self.ranges += [one for one in asked if one[1] > 1]
        limit = self.limits.pop(0) if self.limits else None
        told: set[int] = set()
        for number, (at, end) in enumerate(cut(asked)):
            if number == limit:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
            data = self.content[at:end]
            if at == self.damage:
                data = b"\xff" + data[1:]
            piece = pb.DiskPiece(offset_bytes=at)
            if any(data):
                piece.data = data
            else:
                piece.zero_bytes = len(data)
            index = at // SEGMENT
            if request.include_leaves and index not in told:
                told.add(index)
                piece.leaves.segment = index
                segment = self.content[index * SEGMENT : (index + 1) * SEGMENT]
                leaves = range(0, len(segment), LEAF)
                piece.leaves.digests = b"".join(leaf_digest(segment[i : i + LEAF]) for i in leaves)
            yield pb.ReadDiskResponse(piece=piece)

    def OpenDisk(
        self,
        request: image_disk_service_pb2.OpenDiskRequest,
        context: grpc.ServicerContext,
    ) -> image_disk_service_pb2.OpenDiskResponse:
        """Each segment is an object of its leaves that are not zero, in two extents."""
        if not self.store_url:
            refuse(context, code_pb2.FAILED_PRECONDITION, "DIRECT_READ_UNSUPPORTED")
        assert request.expected_root_digest == self.layout().root_digest
        found = image_disk_service_pb2.OpenDiskResponse(layout=self.layout(), location="eastus")
        end = request.offset_bytes + request.length_bytes
        first = request.offset_bytes // SEGMENT
        for index in range(first, min(first + 2, -(-end // SEGMENT))):
            data, leaves = self.packed(index)
            segment = found.segments.add(
                offset_bytes=index * SEGMENT,
                length_bytes=min(SEGMENT, len(self.content) - index * SEGMENT),
                leaf_digests=leaves if data else b"",
            )
            for begin, length in ((0, LEAF), (LEAF, len(data) - LEAF)):
                if data and length > 0:
                    segment.extents.add(
                        object_index=len(found.objects), offset_bytes=begin, length_bytes=length
                    )
            found.objects.add(url=f"{self.store_url}/{index}", length_bytes=len(data))
            if (index + 1) * SEGMENT < end:
                found.next_offset_bytes = (index + 1) * SEGMENT
            else:
                found.next_offset_bytes = 0
        return found

    def packed(self, index: int) -> tuple[bytes, bytes]:
        """The leaves of a segment that are not zero, and the digests of all."""
        segment = self.content[index * SEGMENT : (index + 1) * SEGMENT]
        leaves = [segment[at : at + LEAF] for at in range(0, len(segment), LEAF)]
        data = b"".join(leaf for leaf in leaves if any(leaf))
        return data, b"".join(leaf_digest(leaf) for leaf in leaves)


def cut(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Where each message begins and ends."""
    for offset, length in ranges:
        at = offset
        while at < offset + length:
            end = min(offset + length, at - at % MIB + MIB)
            yield at, end
            at = end


def quiet() -> Lines:
    return Lines(lambda _: None)


def source() -> Source:
    return Source("v", "eastus", DiskSelector(os=True))


def disk() -> bytes:
    """Segments 0, 2, 3 and a short 4 with data, 1 of zeros."""
    content = bytearray(16 * MIB + 5 * MIB // 2)
    for begin, length in ((MIB, 2 * MIB), (8 * MIB, 6 * MIB), (17 * MIB, 1000)):
        content[begin : begin + length] = os.urandom(length)
    return bytes(content)
