"""The answer of OpenDisk: segments, and URLs at which their bytes can be read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from stoa.replication.v1 import image_disk_pb2
from stoa.replication.v1 import image_disk_service_pb2 as pb

from services.kernel.errors import FailedPrecondition, PreconditionViolation
from services.replication.content.digests import SEGMENT_BYTES, segment_length
from services.replication.content.direct import SigningStore
from services.replication.content.errors import DataError
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.manifest import Segment
from services.replication.content.store import Store
from services.replication.convert.common import timestamp
from services.replication.convert.disks import layout_message
from services.replication.usecases.disk_finding import FoundDisk
from services.replication.usecases.verified_disk import VerifiedDisk

URL_SECONDS: Final = 60
_MAX_SEGMENTS: Final = 1024
_MAX_BYTES: Final = 3 << 20
# What one more object, extent or segment adds to the answer beside its URL and its digests.
_OVERHEAD: Final = 64


def open_response(
    disk: VerifiedDisk, found: FoundDisk, offset: int, end: int, *, now: datetime
) -> pb.OpenDiskResponse:
    """Answer the segments from that of `offset` on, as far as `end` or one answer goes.

    Raises:
        FailedPrecondition: DIRECT_READ_UNSUPPORTED.
        Unavailable: NO_GOOD_REPLICA.
    """
    signer = _signer(disk, found)
    answer = _Answer(disk, found, signer)
    next_offset = answer.fill(offset - offset % SEGMENT_BYTES, end)
    expire = timestamp(now + timedelta(seconds=URL_SECONDS))
    urls = signer.sign(answer.keys, seconds=URL_SECONDS)
    objects = [
        image_disk_pb2.SignedObject(url=url, length_bytes=length, expire_time=expire)
        for url, length in zip(urls, answer.lengths, strict=True)
    ]
    return pb.OpenDiskResponse(
        layout=layout_message(disk.manifest),
        location=found.location,
        segments=answer.segments,
        objects=objects[1:],
        manifest=objects[0],
        next_offset_bytes=next_offset,
    )


class _SigningSlot:
    """A store that signs; its URLs were seen to be had."""

    def __init__(self, store: Store, signer: SigningStore, url_bytes: int) -> None:
        self.store: Final = store
        self._signer: Final = signer
        self.url_bytes: Final = url_bytes

    def sign(self, keys: Sequence[str], *, seconds: int) -> Sequence[str]:
        return self._signer.sign(keys, seconds=seconds)


def _signer(disk: VerifiedDisk, found: FoundDisk) -> _SigningSlot:
    key = manifest_key(found.version.tenant, found.root)
    for _, store in disk.stores:
        if isinstance(store, SigningStore):
            try:
                (url,) = store.sign([key], seconds=URL_SECONDS)
            except DataError:
                continue
            return _SigningSlot(store, store, len(url))
    message = f"no store in {found.location} hands out URLs; ReadDisk works"
    raise direct_unsupported(found.location, message)


def direct_unsupported(location: str, message: str) -> FailedPrecondition:
    """Build the error for a disk that is read through the service alone."""
    return FailedPrecondition(
        message,
        reason="DIRECT_READ_UNSUPPORTED",
        metadata={"location": location},
        precondition=(PreconditionViolation("DIRECT_READ_UNSUPPORTED", location, message),),
    )


class _Answer:
    """The parts of an answer while it grows; the first object is the manifest."""

    def __init__(self, disk: VerifiedDisk, found: FoundDisk, slot: _SigningSlot) -> None:
        self._disk: Final = disk
        self._tenant: Final = found.version.tenant
        self._slot: Final = slot
        self._numbers: Final[dict[str, int]] = {}
        self._bytes = 0
        self.keys: Final[list[str]] = [manifest_key(self._tenant, found.root)]
        self.lengths: Final[list[int]] = [len(disk.manifest.data)]
        self.segments: Final[list[image_disk_pb2.DiskSegment]] = []

    def fill(self, at: int, end: int) -> int:
        """Add segments from `at` on; answer where the next answer goes on, 0 at the end."""
        size = self._disk.manifest.header.logical_size
        end = min(size, -(-end // SEGMENT_BYTES) * SEGMENT_BYTES)
        for count, segment in enumerate(self._disk.manifest.segments(at // SEGMENT_BYTES)):
            begin = segment.index * SEGMENT_BYTES
            if begin >= end:
                break
            self._add_zeros(at, begin)
            if count == _MAX_SEGMENTS or self._bytes > _MAX_BYTES:
                return begin
            self._add(segment, begin, segment_length(size, segment.index))
            at = begin + segment_length(size, segment.index)
        self._add_zeros(at, end)
        return 0

    def _add_zeros(self, at: int, end: int) -> None:
        if end > at:
            self.segments.append(image_disk_pb2.DiskSegment(offset_bytes=at, length_bytes=end - at))
            self._bytes += _OVERHEAD

    def _add(self, segment: Segment, begin: int, length: int) -> None:
        leaves = self._disk.leaves(segment.index)
        if leaves is None:
            raise RuntimeError("a segment of the manifest has leaves")
        message = image_disk_pb2.DiskSegment(
            offset_bytes=begin,
            length_bytes=length,
            digest=segment.digest,
            leaf_digests=leaves.leaves,
        )
        for extent in segment.extents:
            message.extents.add(
                object_index=self._number(segment, object_key(self._tenant, extent.digest)),
                offset_bytes=extent.offset,
                length_bytes=extent.length,
            )
        self._bytes += message.ByteSize() + _OVERHEAD
        self.segments.append(message)

    def _number(self, segment: Segment, key: str) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers)
            self.keys.append(key)
            # A plain segment is a whole object; for a part of another one the store is asked.
            length = (
                segment.packed_length if segment.is_plain else self._slot.store.length(key) or 0
            )
            self.lengths.append(length)
            self._bytes += self._slot.url_bytes + len(key) + _OVERHEAD
        return number
