"""Pulls a disk of a version into a sparse file, every byte verified before it is written."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

import grpc
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.replication.v1.image_disk_pb2 import DiskLayout
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.type.v1.storage_pb2 import DiskSelector

from cli.errors import CliError
from cli.transfer.file_format import FileFormat
from cli.transfer.partial import PartialFile
from cli.transfer.progress import Meter, View
from cli.transfer.qcow2_file import write_qcow2
from cli.transfer.retrying import ATTEMPTS, is_crowded, is_transient, pause
from cli.transfer.segments import Segments
from cli.transfer.sparse import Zeros, digests_of
from cli.transfer.tree import (
    DIGEST_BYTES,
    root_digest,
    segment_count,
    segment_span,
)
from cli.transfer.vhd_footer import vhd_footer

# One call asks for at most so many segments of 4 MiB that follow one another; it is what a
# broken stream may have to move again, less what was verified.
_RUN_SEGMENTS: Final = 8
STREAMS: Final = 4


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


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file that holds a disk."""

    path: Path
    size: int
    location: str
    root_digest: bytes
    digests: dict[str, str]
    verified: bool


def pull(
    stub: ImageDiskServiceStub,
    source: Source,
    path: Path,
    shown: View,
    *,
    sha256: bool = False,
    streams: int = STREAMS,
    form: FileFormat = FileFormat.RAW,
) -> Pulled:
    """Read a disk into `path`; what an interrupted pull left beside it is verified and kept.

    Size and digests are those of the disk, whatever the format of the file.

    Raises:
        CliError: what the service said does not fit together, the bytes do not fit it, or the
            disk does not fit the format.
        grpc.RpcError: it refuses, or went away for long.
        OSError: the file cannot be written.
    """
    opened = open_disk(stub, source)
    layout = opened.layout
    form.check(layout.size_bytes)
    meter = Meter(shown, path.name, layout.size_bytes)
    with PartialFile(path, layout, opened.digests) as file:
        meter.state("Checking")
        missing = file.missing()
        wanted = sum(end - begin for begin, end in (segment_span(layout, i) for i in missing))
        meter.skip(layout.size_bytes - wanted)
        # What nobody has hashed is shallow, and takes few readers: one is enough of this pull's.
        several = streams if opened.digests is not None else 1
        _read_all(stub, source, opened, _Work(file, meter, missing, several))
        meter.state("Verifying")
        file.sync()
        digests = digests_of(file.fd, layout.size_bytes, sha256=sha256)
        match form:
            case FileFormat.RAW:
                pass
            case FileFormat.VHD:
                file.append(vhd_footer(layout.size_bytes, layout.root_digest))
            case FileFormat.QCOW2:
                meter.state("Writing")
                file.rewrite(write_qcow2)
            case _:
                assert_never(form)
        file.finish()
    meter.state("Verified" if opened.digests is not None else "Unverified", finished=True)
    return Pulled(
        path=path,
        size=layout.size_bytes,
        location=opened.location,
        root_digest=layout.root_digest,
        digests=digests.named(),
        verified=opened.digests is not None,
    )


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
            if not is_crowded(error) or failures == ATTEMPTS:
                raise
            pause(ATTEMPTS)


@dataclass(frozen=True, slots=True)
class _Work:
    file: PartialFile
    meter: Meter
    missing: list[int]
    streams: int


def _read_all(stub: ImageDiskServiceStub, source: Source, opened: Opened, work: _Work) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=work.streams, thread_name_prefix="pull") as pool:
        futures = [
            pool.submit(_read_run, stub, _Run(source, opened, work, stop, run))
            for run in runs(work.missing)
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            # On a failure and on Ctrl-C the others end after the message that they are at.
            stop.set()
            for future in futures:
                future.cancel()
            raise


@dataclass(frozen=True, slots=True)
class _Run:
    source: Source
    opened: Opened
    work: _Work
    stop: threading.Event
    segments: range


def _read_run(stub: ImageDiskServiceStub, run: _Run) -> None:
    """Read the segments of a run, from the first that is missing again after each failure."""
    todo = run.segments
    failures = 0
    while todo and not run.stop.is_set():
        try:
            for index, data in _segments(stub, run, todo):
                written = run.work.file.write(index, data)
                run.work.meter.move(written)
                run.work.meter.skip(len(data) - written)
                todo = range(index + 1, todo.stop)
                failures = 0
            if todo and not run.stop.is_set():
                raise CliError("The service ended a stream before all was sent.")
        except grpc.RpcError as error:
            if is_crowded(error):
                # Others read, this pull's own streams among them: it is its turn when they end.
                pause(ATTEMPTS, run.stop)
                continue
            if not is_transient(error) or failures + 1 >= ATTEMPTS:
                raise
            failures += 1
            pause(failures, run.stop)


def _segments(
    stub: ImageDiskServiceStub, run: _Run, todo: range
) -> Iterator[tuple[int, memoryview]]:
    """The whole segments of a stream, in order."""
    layout = run.opened.layout
    begin, _ = segment_span(layout, todo.start)
    _, end = segment_span(layout, todo.stop - 1)
    request = run.source.request()
    request.ranges.add(offset_bytes=begin, length_bytes=end - begin)
    request.expected_root_digest = layout.root_digest
    segments = Segments(layout, begin)
    call = stub.ReadDisk(request)
    try:
        for message in call:
            if run.stop.is_set():
                return
            if not message.HasField("piece"):
                continue
            piece = message.piece
            if piece.HasField("zero_bytes"):
                yield from segments.add(Zeros(piece.offset_bytes, piece.zero_bytes))
            else:
                yield from segments.add_data(piece.offset_bytes, piece.data)
    finally:
        call.cancel()


def runs(segments: list[int]) -> list[range]:
    """Ascending indexes as ranges of neighbours, each short enough for one stream."""
    found: list[range] = []
    for index in segments:
        if found and found[-1].stop == index and len(found[-1]) < _RUN_SEGMENTS:
            found[-1] = range(found[-1].start, index + 1)
        else:
            found.append(range(index, index + 1))
    return found


def selected(disk: str) -> DiskSelector:
    """The disk that `os` or a LUN means.

    Raises:
        CliError: it means none.
    """
    if disk == "os":
        return DiskSelector(os=True)
    if disk.isdecimal() and int(disk) < 64:
        return DiskSelector(lun=int(disk))
    raise CliError(f"{disk} is no disk.", todo="Say os, or a LUN from 0 to 63.")
