"""Reads ranges of a disk straight from the store that holds them, where it hands out URLs.

What cannot be had there, or is not what was hashed, is left to the service, which reads it from
another replica and has the bad one repaired.
"""

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Final

import grpc
from stoa.replication.v1 import image_disk_pb2
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.replication.v1.image_disk_pb2 import DiskSegment, SegmentLeaves
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub

from cli.transfer.disk_file import DiskFile
from cli.transfer.opening import Source
from cli.transfer.progress import Meter
from cli.transfer.proof import Damaged, Proof
from cli.transfer.seeding import Range
from cli.transfer.tree import ZERO_DIGEST

# Seconds without a byte after which a store counts as out of reach from here.
_TIMEOUT: Final = 20.0


class Direct:
    """Reads from object URLs until it is seen that they are of no use here."""

    def __init__(self, stub: ImageDiskServiceStub, source: Source, proof: Proof) -> None:
        self._stub: Final = stub
        self._source: Final = source
        self._proof: Final = proof
        self._off = proof.digests is None

    def read(self, ranges: Sequence[Range], file: DiskFile, meter: Meter) -> list[Range]:
        """Read ranges that begin and end at leaves; answer those that were not to be had.

        Raises:
            CliError: the service's answer does not fit the digests of the disk.
            OSError: the file cannot be written.
        """
        return [part for begin, end in ranges for part in self._read(begin, end, file, meter=meter)]

    def _read(self, begin: int, end: int, file: DiskFile, *, meter: Meter) -> Iterator[Range]:
        """Read a range, of which one answer may hold the beginning; what was not to be had."""
        at = begin
        while at < end:
            answer = self._open(at, end)
            stop = min(answer.next_offset_bytes or end, end) if answer is not None else at
            if answer is None or stop <= at:
                yield at, end
                return
            done = at
            for segment in answer.segments:
                part = (
                    max(at, segment.offset_bytes),
                    min(stop, segment.offset_bytes + segment.length_bytes),
                )
                if part[0] >= part[1]:
                    continue
                if part[0] != done:
                    break
                if not self._take(answer, segment, part, file=file, meter=meter):
                    yield part
                done = part[1]
            if done < stop:
                yield done, stop  # The answer has a gap.
            at = stop

    def _open(self, begin: int, end: int) -> pb.OpenDiskResponse | None:
        if self._off:
            return None
        asked = self._source.request()
        request = pb.OpenDiskRequest(
            name=asked.name,
            location=asked.location,
            disk=asked.disk,
            accept_terms=asked.accept_terms,
            offset_bytes=begin,
            length_bytes=end - begin,
            expected_root_digest=self._proof.layout.root_digest,
        )
        try:
            return self._stub.OpenDisk(request)
        except grpc.RpcError:
            # Stores that hand out no URLs are no failure; what else it is, ReadDisk will tell.
            self._off = True
            return None

    def _take(
        self,
        answer: pb.OpenDiskResponse,
        segment: DiskSegment,
        part: Range,
        *,
        file: DiskFile,
        meter: Meter,
    ) -> bool:
        """Write a part of a segment; False where its bytes were not to be had, or bad."""
        if self._off:
            return False
        begin, end = part
        layout = self._proof.layout
        if not segment.leaf_digests:
            self._proof.check_zeros(begin, end - begin)
            file.clear(begin, end)
            meter.skip(end - begin)
            return True
        index = segment.offset_bytes // layout.segment_bytes
        self._proof.learn(SegmentLeaves(segment=index, digests=segment.leaf_digests))
        leaves = self._proof.leaves(index)
        first = (begin - segment.offset_bytes) // layout.leaf_bytes
        places, packed = [], 0
        low = high = -1
        for number, digest in enumerate(leaves):
            at = segment.offset_bytes + number * layout.leaf_bytes
            length = min(layout.leaf_bytes, segment.offset_bytes + segment.length_bytes - at)
            if number >= first and at < end:
                low = packed if low < 0 else low
                places.append((at, length, digest != ZERO_DIGEST))
            packed += length if digest != ZERO_DIGEST else 0
            if number >= first and at < end:
                high = packed
        try:
            data = memoryview(self._fetch(answer, segment, low, high))
            found = list(self._placed(places, data))
        except (_Unfit, Damaged):
            return False
        written = sum(file.put(at, leaf) for at, leaf in found)
        meter.move(written)
        meter.skip(end - begin - written)
        return True

    def _placed(
        self, places: Sequence[tuple[int, int, bool]], data: memoryview
    ) -> Iterator[tuple[int, memoryview]]:
        """Each leaf, verified, and where it is.

        Raises:
            Damaged: one is not what it must be.
        """
        done = 0
        for at, length, stored in places:
            size = length if stored else 0
            leaf = data[done : done + size] if stored else memoryview(bytes(length))
            yield from self._proof.checked(at, leaf)
            done += size

    def _fetch(
        self, answer: pb.OpenDiskResponse, segment: DiskSegment, low: int, high: int
    ) -> bytes:
        """The bytes [low, high) of a segment without its zero leaves.

        Raises:
            _Unfit: they cannot be had.
        """
        found, at = bytearray(), 0
        for extent in segment.extents:
            begin, end = max(low, at), min(high, at + extent.length_bytes)
            if begin < end:
                offset = extent.offset_bytes + begin - at
                found += self._get(answer.objects[extent.object_index], offset, end - begin)
            at += extent.length_bytes
        if len(found) != high - low:
            raise _Unfit
        return bytes(found)

    def _get(self, place: image_disk_pb2.SignedObject, offset: int, length: int) -> bytes:
        if not place.url.startswith(("http://", "https://")):
            self._off = True
            raise _Unfit
        span = f"bytes={offset}-{offset + length - 1}"
        headers = {**place.headers, "Range": span}
        request = urllib.request.Request(place.url, headers=headers)  # noqa: S310 - looked at above
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
                return bytes(response.read(length))
        except urllib.error.HTTPError as error:
            # The object is gone, or the URL is too old: another one may do.
            error.close()
            raise _Unfit from error
        except OSError as error:
            # Its address leads nowhere from here.
            self._off = True
            raise _Unfit from error


class _Unfit(Exception):
    """Bytes cannot be had by a URL."""
