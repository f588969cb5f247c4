"""stoa.replication.v1.ImageDiskService."""

import contextlib
from collections.abc import Iterator
from typing import Final

from stoa.replication.v1 import image_disk_pb2
from stoa.replication.v1 import image_disk_service_pb2 as pb

from services.kernel.errors import OutOfRange
from services.kernel.rpc.call import Call
from services.replication.content.digests import DIGEST_BYTES, SEGMENT_BYTES, segment_count
from services.replication.content.reader import Data, Piece, Zeros
from services.replication.convert.disks import layout_message, leaves_message, unhashed_layout
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.disk_access import DiskAccess
from services.replication.servicers.disk_opening import direct_unsupported, open_response
from services.replication.usecases.damage import Damage
from services.replication.usecases.disk_finding import DiskFinding, FoundDisk
from services.replication.usecases.origins import Origins
from services.replication.usecases.shallow_reading import OpenedDisk, ShallowReads, SourceDisk
from services.replication.usecases.verified_disk import VerifiedDisk

# Digests in one message: 1 MiB of them.
_DIGESTS: Final = 32_768


class DiskServicer:
    """Handing out the bytes of versions, verified, to whoever may read them."""

    def __init__(self, parts: Dependencies) -> None:
        self._stores: Final = parts.stores
        self._clock: Final = parts.clock
        self._damage: Final = Damage(parts.rows, parts.results)
        self._access: Final = DiskAccess(DiskFinding(parts.rows), parts.control, parts.audit)
        self._shallow: Final = ShallowReads(
            Origins(parts.rows, parts.blobs),
            parts.stores,
            parts.files,
            damage=self._damage,
            seats=parts.seats,
        )

    def ReadDisk(self, request: pb.ReadDiskRequest, call: Call) -> Iterator[pb.ReadDiskResponse]:
        found = self._access.find(request, call)
        ranges = _ranges(request, found.content.size_bytes)
        with self._opened(found) as opened:
            disk = opened.disk
            verified = isinstance(disk, VerifiedDisk)
            yield pb.ReadDiskResponse(
                start=pb.DiskStart(
                    layout=layout_message(disk.manifest)
                    if isinstance(disk, VerifiedDisk)
                    else unhashed_layout(found.content.size_bytes),
                    location=found.location,
                    verified=verified,
                    total_bytes=sum(length for _, length in ranges),
                )
            )
            if request.include_segments and isinstance(disk, VerifiedDisk):
                for part in _segment_parts(disk):
                    call.check()
                    yield pb.ReadDiskResponse(segments=part)
            for offset, length in ranges:
                for piece in _pieces(disk, offset, length, leaves=request.include_leaves):
                    call.check()
                    opened.keep()
                    yield pb.ReadDiskResponse(piece=piece)

    @contextlib.contextmanager
    def _opened(self, found: FoundDisk) -> Iterator[OpenedDisk]:
        if found.shallow is None:
            yield OpenedDisk(VerifiedDisk(found, self._stores, self._damage), _go_on)
            return
        with self._shallow.opened(found, found.shallow) as opened:
            yield opened

    def OpenDisk(self, request: pb.OpenDiskRequest, call: Call) -> pb.OpenDiskResponse:
        found = self._access.find(request, call)
        size = found.content.size_bytes
        if request.offset_bytes > size or request.offset_bytes + request.length_bytes > size:
            raise _beyond(size)
        if found.shallow is not None:
            raise direct_unsupported(found.location, "the version is shallow; ReadDisk works")
        disk = VerifiedDisk(found, self._stores, self._damage)
        end = request.offset_bytes + request.length_bytes if request.length_bytes else size
        return open_response(disk, found, request.offset_bytes, end, now=self._clock.now())


def _ranges(request: pb.ReadDiskRequest, size: int) -> list[tuple[int, int]]:
    """Answer (offset, length) of what is read, in order.

    Raises:
        OutOfRange: RANGE_BEYOND_END.
    """
    found: list[tuple[int, int]] = []
    for one in request.ranges:
        if one.offset_bytes > size or one.offset_bytes + one.length_bytes > size:
            raise _beyond(size)
        found.append((one.offset_bytes, one.length_bytes or size - one.offset_bytes))
    return found or [(0, size)]


def _beyond(size: int) -> OutOfRange:
    return OutOfRange(
        f"the disk has {size} bytes",
        reason="RANGE_BEYOND_END",
        metadata={"size_bytes": str(size)},
    )


def _segment_parts(disk: VerifiedDisk) -> Iterator[image_disk_pb2.SegmentDigests]:
    """Yield the digests of all segments, those of zeros included."""
    count = segment_count(disk.manifest.header.logical_size)
    segments = disk.manifest.segments()
    following = next(segments, None)
    for first in range(0, count, _DIGESTS):
        part = bytearray(min(_DIGESTS, count - first) * DIGEST_BYTES)
        while following is not None and following.index < first + _DIGESTS:
            at = (following.index - first) * DIGEST_BYTES
            part[at : at + DIGEST_BYTES] = following.digest
            following = next(segments, None)
        yield image_disk_pb2.SegmentDigests(first_segment=first, digests=bytes(part))


def _go_on() -> None:
    """Let a reader of copies read for as long as it likes."""


def _pieces(
    disk: VerifiedDisk | SourceDisk, offset: int, length: int, *, leaves: bool
) -> Iterator[pb.DiskPiece]:
    """Yield a range as messages, with the leaves of each segment in its first piece if asked."""
    told = -1
    hashed = disk if leaves and isinstance(disk, VerifiedDisk) else None
    for piece in disk.read(offset, length):
        parts = _cut(hashed, piece) if hashed else [piece]
        for part in parts:
            message = pb.DiskPiece(offset_bytes=part.offset)
            if isinstance(part, Data):
                message.data = bytes(part.data)
            else:
                message.zero_bytes = part.length
            segment = part.offset // SEGMENT_BYTES
            if hashed and segment > told:
                told = segment
                found = leaves_message(segment, hashed.leaves(segment))
                if found is not None:
                    message.leaves.CopyFrom(found)
            yield message


def _cut(disk: VerifiedDisk, piece: Piece) -> Iterator[Piece]:
    """Cut zeros where a segment begins or ends that is not all zero."""
    if isinstance(piece, Data):
        yield piece
        return
    at, end = piece.offset, piece.offset + piece.length
    for segment in disk.manifest.segments(at // SEGMENT_BYTES):
        begin = segment.index * SEGMENT_BYTES
        if begin >= end:
            break
        if begin > at:
            yield Zeros(at, begin - at)
            at = begin
        stop = min(begin + SEGMENT_BYTES, end)
        if stop > at:
            yield Zeros(at, stop - at)
            at = stop
    if at < end:
        yield Zeros(at, end - at)
