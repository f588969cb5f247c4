"""What is asked of a disk before its bytes: its layout, and the digests that prove it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import grpc
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.replication.v1.image_disk_pb2 import DiskLayout
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.type.v1.storage_pb2 import DiskSelector

from cli.errors import CliError
from cli.transfer.proof import Proof
from cli.transfer.retrying import ATTEMPTS, is_crowded, is_transient, pause
from cli.transfer.tree import DIGEST_BYTES, root_digest, segment_count

# As many ranges as one call takes.
_RANGES: Final = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """What to read: an exact version by a private or a view's name, where, and which disk."""

    name: str
    location: str
    disk: DiskSelector
    accept_terms: bool = False

    def request(self) -> pb.ReadDiskRequest:
        """A request for the whole disk."""
        return pb.ReadDiskRequest(
            name=self.name,
            location=self.location,
            disk=self.disk,
            accept_terms=self.accept_terms,
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A disk before its bytes: layout, region and the digest of each segment.

    `digests` is None of a disk that nothing is known to verify with.
    """

    layout: DiskLayout
    location: str
    digests: list[bytes] | None


def open_disk(stub: ImageDiskServiceStub, source: Source) -> Opened:
    """Ask for a disk's layout and the digests of its segments, which must make up its root.

    Raises:
        CliError: they do not.
        grpc.RpcError: the service refuses.
    """
    request = source.request()
    request.include_segments = True
    # One byte, because no range means the whole disk.
    request.ranges.add(offset_bytes=0, length_bytes=1)
    start = pb.DiskStart()
    found = b""
    for message in _in_turn(stub, request):
        if message.HasField("start"):
            start = message.start
        elif message.HasField("segments"):
            found += message.segments.digests
    layout = start.layout
    if not start.verified:
        return Opened(layout, start.location, None)
    digests = [found[at : at + DIGEST_BYTES] for at in range(0, len(found), DIGEST_BYTES)]
    if len(digests) != segment_count(layout) or root_digest(layout, digests) != layout.root_digest:
        raise CliError(
            "The disk cannot be verified.",
            why=("the digests of its segments do not make up its root digest",),
            todo="Try again; if it stays so, tell the operator of the installation.",
        )
    return Opened(layout, start.location, digests)


def learn_leaves(
    stub: ImageDiskServiceStub, source: Source, segments: Sequence[int], proof: Proof
) -> None:
    """Ask for the leaves of segments; what is sent for each is one byte and they.

    Raises:
        CliError: they do not make up the digests of the segments.
        grpc.RpcError: the service refuses.
    """
    for first in range(0, len(segments), _RANGES):
        request = source.request()
        request.include_leaves = True
        request.expected_root_digest = proof.layout.root_digest
        for index in segments[first : first + _RANGES]:
            at = index * proof.layout.segment_bytes
            request.ranges.add(offset_bytes=at, length_bytes=1)
        for message in _in_turn(stub, request):
            if message.HasField("piece") and message.piece.HasField("leaves"):
                proof.learn(message.piece.leaves)


def _in_turn(
    stub: ImageDiskServiceStub, request: pb.ReadDiskRequest
) -> Sequence[pb.ReadDiskResponse]:
    """Answer a short stream, after a while if others are reading a shallow version now."""
    failures = 0
    while True:
        try:
            return list(stub.ReadDisk(request))
        except grpc.RpcError as error:
            failures += 1
            if not (is_crowded(error) or is_transient(error)) or failures == ATTEMPTS:
                raise
            pause(ATTEMPTS if is_crowded(error) else failures)
