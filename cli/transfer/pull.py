"""Pulls a disk of a version into a sparse file or a block device, every leaf verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.type.v1.storage_pb2 import DiskSelector

from cli.errors import CliError
from cli.transfer.device import BlockDevice
from cli.transfer.direct import Direct
from cli.transfer.disk_file import DiskFile
from cli.transfer.fetching import Fetch
from cli.transfer.file_format import FileFormat
from cli.transfer.opening import Opened, Source, learn_leaves, open_disk
from cli.transfer.partial import PartialFile
from cli.transfer.progress import Meter, View
from cli.transfer.proof import Proof
from cli.transfer.qcow2_file import write_qcow2
from cli.transfer.seeding import Range, joined, take_leaves
from cli.transfer.sparse import digests_of
from cli.transfer.tree import segment_span
from cli.transfer.vhd_footer import vhd_footer

STREAMS: Final = 4


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file that holds a disk; `seeded` bytes of it came from older files."""

    path: Path
    size: int
    location: str
    root_digest: bytes
    digests: dict[str, str]
    verified: bool
    seeded: int


def pull(
    stub: ImageDiskServiceStub,
    source: Source,
    path: Path,
    shown: View,
    *,
    sha256: bool = False,
    streams: int = STREAMS,
    form: FileFormat = FileFormat.RAW,
    seeds: Sequence[Path] = (),
) -> Pulled:
    """Read a disk into `path`; what an interrupted pull left there is verified and kept.

    What older files, the `seeds`, have of it is taken from them. Size and digests are those of
    the disk, whatever the format of the file.

    Raises:
        CliError: what the service said does not fit together, the bytes do not fit it, or the
            disk does not fit the format or the device.
        grpc.RpcError: it refuses, or went away for long.
        OSError: the file cannot be written, or a seed not read.
    """
    opened = open_disk(stub, source)
    layout = opened.layout
    form.check(layout.size_bytes)
    meter = Meter(shown, path.name, layout.size_bytes)
    with _target(path, opened, form) as file:
        meter.state("Checking")
        proof = Proof(layout, opened.digests)
        fetch = Fetch(stub, source, file, proof, meter, Direct(stub, source, proof))
        # What nobody has hashed is shallow, and takes few readers: one is enough of this pull's.
        several = streams if opened.digests is not None else 1
        fetch.read(_missing(fetch, seeds), several)
        meter.state("Verifying")
        file.sync()
        digests = digests_of(file.fd, layout.size_bytes, sha256=sha256)
        if isinstance(file, PartialFile):
            _give_form(file, form, opened, meter)
        file.finish()
    meter.state("Verified" if opened.digests is not None else "Unverified", finished=True)
    return Pulled(
        path=path,
        size=layout.size_bytes,
        location=opened.location,
        root_digest=layout.root_digest,
        digests=digests.named(),
        verified=opened.digests is not None,
        seeded=meter.seeded,
    )


def _target(path: Path, opened: Opened, form: FileFormat) -> DiskFile:
    if not path.is_block_device():
        return PartialFile(path, opened.layout, opened.digests)
    if form is not FileFormat.RAW:
        raise CliError(
            f"{path} is a block device, which holds the disk as it is.",
            todo="Leave --format out.",
        )
    return BlockDevice(path, opened.layout, opened.digests)


def _give_form(file: PartialFile, form: FileFormat, opened: Opened, meter: Meter) -> None:
    match form:
        case FileFormat.RAW:
            pass
        case FileFormat.VHD:
            file.append(vhd_footer(opened.layout.size_bytes, opened.layout.root_digest))
        case FileFormat.QCOW2:
            meter.state("Writing")
            file.rewrite(write_qcow2)
        case _:
            assert_never(form)


def _missing(fetch: Fetch, seeds: Sequence[Path]) -> list[Range]:
    """What must be moved: what neither the file itself nor a seed has."""
    layout, digests = fetch.proof.layout, fetch.proof.digests
    missing = fetch.file.missing()
    spans = joined(segment_span(layout, index) for index in missing)
    fetch.meter.skip(layout.size_bytes - sum(end - begin for begin, end in spans))
    if digests is None or not missing or not (seeds or fetch.file.is_begun(missing)):
        return spans
    fetch.meter.state("Seeding")
    learn_leaves(fetch.stub, fetch.source, missing, fetch.proof)
    return take_leaves(fetch.file, seeds, missing, fetch.proof, meter=fetch.meter)


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
