"""Disks written as QCOW2 and as VHD, read by the project's reader and by QEMU's."""

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.errors import CliError
from cli.transfer.file_format import FileFormat
from cli.transfer.partial import PartialFile
from cli.transfer.qcow2_file import CLUSTER_BYTES, write_qcow2
from cli.transfer.vhd_footer import FOOTER_BYTES, vhd_footer
from services.replication.content.qcow2 import Qcow2
from services.replication.content.source import FileSource
from services.replication.content.vhd import FixedVhd
from tests.disk_files.memory import MemoryFile

MIB = 1 << 20
IDENTITY = bytes(range(32))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """700 MiB, so that it takes two tables: data in both, and at the very end."""
    path = tmp_path / "disk.raw"
    noise = random.Random(1)
    with path.open("wb") as file:
        for at, length in ((0, 300_000), (511 * MIB, 2 * MIB), (700 * MIB - 512, 512)):
            file.seek(at)
            file.write(noise.randbytes(length))
    return path


def as_qcow2(raw: Path, made: Path) -> Path:
    with raw.open("rb") as source, made.open("wb") as target:
        write_qcow2(source.fileno(), raw.stat().st_size, target.fileno())
    return made


def test_a_qcow2_holds_the_disk_and_nothing_that_is_zero(raw: Path, tmp_path: Path) -> None:
    made = as_qcow2(raw, tmp_path / "disk.qcow2")
    file = FileSource(str(made))
    disk = Qcow2(file)
    assert disk.size == 700 * MIB
    extents = list(disk.extents(0))
    assert sum(end - begin for begin, end in extents) == 327_680 + 2 * MIB + CLUSTER_BYTES
    with raw.open("rb") as source:
        for begin, end in extents:
            found = bytearray(end - begin)
            disk.read_into(begin, memoryview(found))
            assert found == os.pread(source.fileno(), end - begin, begin)
    file.close()
    assert made.stat().st_size < 4 * MIB


def test_a_sector_that_is_cut_short_is_filled_up(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(b"x" * 1_000)
    file = FileSource(str(as_qcow2(raw, tmp_path / "disk.qcow2")))
    disk = Qcow2(file)
    found = bytearray(disk.size)
    disk.read_into(0, memoryview(found))
    file.close()
    assert found == b"x" * 1_000 + bytes(24)


@pytest.mark.parametrize("size", [MIB, 3 * MIB, 700 * MIB, 40 << 30, 2 << 40])
def test_a_vhd_is_the_disk_and_a_footer_that_is_always_the_same(size: int) -> None:
    footer = vhd_footer(size, IDENTITY)
    assert len(footer) == FOOTER_BYTES
    assert footer == vhd_footer(size, IDENTITY) != vhd_footer(size, IDENTITY[1:])
    assert FixedVhd(EndOfFile(footer, size)).size == size


class EndOfFile(MemoryFile):
    """A file of which nothing but its end is at hand."""

    def __init__(self, end: bytes, before: int) -> None:
        super().__init__(end)
        self._before = before
        self.size = before + len(end)

    def read_into(self, offset: int, target: memoryview) -> None:
        assert offset >= self._before
        target[:] = self._data[offset - self._before :][: len(target)]


def test_qemu_finds_no_fault_with_a_qcow2(
    raw: Path, tmp_path: Path, needs_tool: Callable[[str], str]
) -> None:
    made = as_qcow2(raw, tmp_path / "disk.qcow2")
    qemu_img(needs_tool, "check", "-f", "qcow2", made)
    told = qemu_img(needs_tool, "compare", "-f", "qcow2", "-F", "raw", made, raw)
    assert told == "Images are identical.\n"


def test_qemu_reads_a_vhd_in_its_exact_size(
    tmp_path: Path, needs_tool: Callable[[str], str]
) -> None:
    raw, made = tmp_path / "disk.raw", tmp_path / "disk.vhd"
    # With data at the very end, which a size by the geometry would cut off.
    raw.write_bytes(bytes(20 * MIB) + random.Random(2).randbytes(MIB))
    made.write_bytes(raw.read_bytes() + vhd_footer(21 * MIB, IDENTITY))
    told = qemu_img(needs_tool, "compare", "-f", "vpc", "-F", "raw", made, raw)
    # Of another size it would say that too.
    assert told == "Images are identical.\n"


def test_a_disk_that_no_vhd_can_hold_is_refused() -> None:
    FileFormat.VHD.check(5 * MIB)
    FileFormat.QCOW2.check(5 * MIB + 512)
    with pytest.raises(CliError, match="No VHD"):
        FileFormat.VHD.check(5 * MIB + 512)


def test_a_pull_goes_on_whatever_format_it_was_to_become(tmp_path: Path) -> None:
    """A footer that was appended, and a file that was half made, are no part of the disk."""
    layout = DiskLayout(size_bytes=MIB, leaf_bytes=65_536, segment_bytes=MIB)
    path = tmp_path / "os.vhd"
    data = random.Random(3).randbytes(MIB)
    with PartialFile(path, layout, None) as file:
        file.put(0, memoryview(data))
        file.append(vhd_footer(MIB, IDENTITY))
    with PartialFile(path, layout, None) as file:
        assert os.fstat(file.fd).st_size == MIB
        file.put(0, memoryview(data))
        (tmp_path / "os.vhd.new").write_bytes(b"half" * MIB)
        file.rewrite(write_qcow2)
        assert not path.exists()
        file.finish()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["os.vhd"]
    source = FileSource(str(path))
    disk = Qcow2(source)
    found = bytearray(disk.size)
    disk.read_into(0, memoryview(found))
    source.close()
    assert found == data


def qemu_img(needs_tool: Callable[[str], str], *arguments: object) -> str:
    command = [needs_tool("qemu-img"), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
