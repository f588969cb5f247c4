"""The disks of the demo: file systems made on the spot of files of this machine."""

import os
import shutil
import struct
import subprocess
import sysconfig
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.errors import CliError, UsageProblem
from cli.transfer.sparse import Data, Digests, pieces

MIB: Final = 1024 * 1024
OS_DISK_BYTES: Final = 512 * MIB
DATA_DISK_BYTES: Final = 96 * MIB

_OS_CONTENT: Final = 112 * MIB
_DATA_CONTENT: Final = 24 * MIB
# Ten thousand small files would take longer to collect than everything else.
_SMALLEST_FILE: Final = 32 * 1024
_LARGEST_FILE: Final = 16 * MIB
# Where partitioning tools put the first partition.
_PARTITION_OFFSET: Final = MIB
_SECTOR: Final = 512
_LINUX: Final = 0x83
_MKE2FS_TIMEOUT: Final = 120
# Distributions keep it where only administrators look.
_ADMIN_PATHS: Final = os.pathsep.join(("/usr/sbin", "/sbin", "/usr/local/sbin"))
_NOT_RAW: Final = {
    b"QFI\xfb": "qcow2",
    b"vhdxfile": "VHDX",
    b"KDMV": "VMDK",
    b"conectix": "dynamic VHD",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk in a file: what it is, its size, the bytes of it that are not zero, its digest."""

    path: Path
    what: str
    size: int
    data: int
    blake3: str


def described(path: Path, what: str) -> Disk:
    """Read a disk and tell about it.

    Raises:
        UsageProblem: it cannot be read or is no raw image.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read.", why=(str(error),)) from error
    with closing(os.fdopen(fd, "rb")) as stream:
        beginning = stream.read(8)
        for magic, name in _NOT_RAW.items():
            if beginning.startswith(magic):
                raise UsageProblem(
                    f"{path} is a {name} image.",
                    todo=f"Make a raw one of it: qemu-img convert -O raw {path} disk.img",
                )
        size = stream.seek(0, os.SEEK_END)
        if not size:
            raise UsageProblem(f"{path} is empty.")
        digests = Digests()
        data = 0
        for piece in pieces(fd, size):
            digests.add(piece)
            data += len(piece.data) if isinstance(piece, Data) else 0
    return Disk(path, what, size, data, digests.named()["blake3"])


def make_os_disk(path: Path) -> Disk:
    """Make an ext4 file system of files of this machine; without mke2fs, a partitioned disk."""
    mke2fs = shutil.which("mke2fs") or shutil.which("mke2fs", path=_ADMIN_PATHS)
    reason = "there is no mke2fs here"
    if mke2fs is not None:
        try:
            _ext4(mke2fs, path)
            return described(path, "an ext4 file system made by mke2fs of files of this machine")
        except (OSError, subprocess.SubprocessError) as error:
            reason = f"mke2fs failed: {error}"
            path.unlink(missing_ok=True)
    make_partitioned(path, OS_DISK_BYTES, _OS_CONTENT)
    return described(path, f"a partition table and an archive of files ({reason})")


def make_data_disk(path: Path) -> Disk:
    """Make a smaller disk: a partition table, and in the partition an archive of files."""
    make_partitioned(path, DATA_DISK_BYTES, _DATA_CONTENT)
    return described(path, "a partition table and an archive of files of this machine")


def _ext4(mke2fs: str, path: Path) -> None:
    staging = path.with_name(path.name + ".files")
    try:
        for source in files(_OS_CONTENT):
            target = staging / source.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        command = [mke2fs, "-q", "-F", "-t", "ext4", "-L", "stoa-demo", "-d", str(staging)]
        subprocess.run(
            [*command, str(path), f"{OS_DISK_BYTES // 1024}k"],
            capture_output=True,
            check=True,
            timeout=_MKE2FS_TIMEOUT,
        )
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def make_partitioned(path: Path, size: int, content: int) -> None:
    """Write a disk with an MBR and one partition that begins with a tar archive of files."""
    with path.open("wb") as stream:
        stream.truncate(size)
        first = _PARTITION_OFFSET // _SECTOR
        entry = struct.pack(
            "<B3sB3sII", 0x80, b"\xfe" * 3, _LINUX, b"\xfe" * 3, first, size // _SECTOR - first
        )
        stream.seek(446)
        stream.write(entry + bytes(48) + b"\x55\xaa")
        stream.seek(_PARTITION_OFFSET)
        with tarfile.open(fileobj=stream, mode="w|", dereference=True) as archive:
            for source in files(content):
                archive.add(source, recursive=False)


def files(total: int) -> Iterator[Path]:
    """Files of this machine that may be read, until they have about `total` bytes.

    Raises:
        CliError: there are none.
    """
    taken = 0
    seen: set[Path] = set()
    for source in _candidates():
        real = source.resolve()
        if real in seen:
            continue
        seen.add(real)
        taken += real.stat().st_size
        yield real
        if taken >= total:
            return
    if not taken:
        raise CliError("No file of this machine can be read for the demo's disks.")


def _candidates() -> Iterator[Path]:
    """Files of Python, which is here for sure, and then of the system."""
    paths = sysconfig.get_paths()
    for root in (paths["stdlib"], paths["platlib"], "/usr/share", "/usr/lib"):
        for folder, subfolders, names in os.walk(root):
            subfolders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if _is_usable(path):
                    yield path


def _is_usable(path: Path) -> bool:
    try:
        return (
            path.is_file()
            and _SMALLEST_FILE <= path.stat().st_size <= _LARGEST_FILE
            and os.access(path, os.R_OK)
        )
    except OSError:
        return False
