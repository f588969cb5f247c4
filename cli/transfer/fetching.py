"""Reads ranges of a disk from the service, several streams at once, each leaf verified."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

import grpc
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub

from cli.errors import CliError
from cli.transfer.direct import Direct
from cli.transfer.disk_file import DiskFile
from cli.transfer.opening import Source
from cli.transfer.progress import Meter
from cli.transfer.proof import Proof
from cli.transfer.retrying import ATTEMPTS, is_crowded, is_transient, pause
from cli.transfer.seeding import Range

# One call asks for at most so many bytes, in at most so many ranges; it is what a broken stream
# may have to begin again, less what was written.
_CALL_BYTES: Final = 32 << 20
_CALL_RANGES: Final = 512


@dataclass(frozen=True, slots=True)
class Fetch:
    """Where bytes come from, and where they go."""

    stub: ImageDiskServiceStub
    source: Source
    file: DiskFile
    proof: Proof
    meter: Meter
    direct: Direct

    def read(self, ranges: Sequence[Range], streams: int) -> None:
        """Read ranges that begin and end at leaves.

        Raises:
            CliError: the bytes are not what they must be.
            grpc.RpcError: the service refuses, or went away for long.
            OSError: the file cannot be written.
        """
        stop = threading.Event()
        with ThreadPoolExecutor(max_workers=streams, thread_name_prefix="pull") as pool:
            futures = [pool.submit(self._read_call, call, stop) for call in calls(ranges)]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                # On a failure and on Ctrl-C the others end after the message that they are at.
                stop.set()
                for future in futures:
                    future.cancel()
                raise

    def _read_call(self, todo: list[Range], stop: threading.Event) -> None:
        """Read the ranges of one call, from where it broke after each failure."""
        todo = self.direct.read(todo, self.file, self.meter)
        failures = 0
        while todo and not stop.is_set():
            try:
                for end in self._pieces(todo, stop):
                    todo = behind(todo, end)
                    failures = 0
                if todo and not stop.is_set():
                    raise CliError("The service ended a stream before all was sent.")
            except grpc.RpcError as error:
                if is_crowded(error):
                    # Others read, this pull's own streams among them: it is its turn later.
                    pause(ATTEMPTS, stop)
                    continue
                if not is_transient(error) or failures + 1 >= ATTEMPTS:
                    raise
                failures += 1
                pause(failures, stop)

    def _pieces(self, todo: list[Range], stop: threading.Event) -> Iterator[int]:
        """Write piece after piece; yields where each ends."""
        request = self.source.request()
        for begin, end in todo:
            request.ranges.add(offset_bytes=begin, length_bytes=end - begin)
        request.expected_root_digest = self.proof.layout.root_digest
        request.include_leaves = self.proof.digests is not None
        expected = _Expected(todo)
        call = self.stub.ReadDisk(request)
        try:
            for message in call:
                if stop.is_set():
                    return
                if message.HasField("piece"):
                    yield self._take(message.piece, expected)
        finally:
            call.cancel()

    def _take(self, piece: pb.DiskPiece, expected: "_Expected") -> int:
        zeros = piece.HasField("zero_bytes")
        length = piece.zero_bytes if zeros else len(piece.data)
        expected.take(piece.offset_bytes, length)
        if piece.HasField("leaves"):
            self.proof.learn(piece.leaves)
        written = 0
        if zeros:
            self.proof.check_zeros(piece.offset_bytes, length)
            self.file.clear(piece.offset_bytes, piece.offset_bytes + length)
        else:
            for offset, leaf in self.proof.checked(piece.offset_bytes, memoryview(piece.data)):
                written += self.file.put(offset, leaf)
        self.meter.move(written)
        self.meter.skip(length - written)
        return piece.offset_bytes + length


class _Expected:
    """What the next piece of a stream must be."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges = list(ranges)

    def take(self, offset: int, length: int) -> None:
        """Take a piece.

        Raises:
            CliError: it does not follow the one before.
        """
        begin, end = self._ranges[0] if self._ranges else (-1, -1)
        if offset != begin or length <= 0 or offset + length > end:
            raise CliError(f"The service sent a piece at {offset} in place of {begin}.")
        self._ranges = behind(self._ranges, offset + length)


def behind(ranges: list[Range], at: int) -> list[Range]:
    """What is left of ascending ranges behind `at`."""
    return [(max(begin, at), end) for begin, end in ranges if end > at]


def calls(ranges: Sequence[Range]) -> list[list[Range]]:
    """Ascending ranges, cut and put together so that one call asks for each list."""
    found: list[list[Range]] = []
    room = 0
    for begin, end in ranges:
        at = begin
        while at < end:
            if room == 0 or len(found[-1]) == _CALL_RANGES:
                found.append([])
                room = _CALL_BYTES
            stop = min(end, at + room)
            found[-1].append((at, stop))
            room -= stop - at
            at = stop
    return found
