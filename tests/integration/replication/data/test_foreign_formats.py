"""Files of disks as another program makes and reads them."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from services.replication.content.errors import SourceFormatInvalid
from services.replication.content.source import FileSource
from services.replication.content.vhd import FixedVhd
from services.replication.domain.states import DiskFormat
from services.replication.usecases.source_formats import find_format
from tests.vhd import write_fixed_vhd

MIB = 1 << 20


@pytest.fixture
def qemu_img(needs_tool: Callable[[str], str]) -> Callable[..., str]:
    program = needs_tool("qemu-img")

    def run(*arguments: object) -> str:
        command = [program, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A disk of 5 MiB of data and 3 MiB of nothing."""
    path = tmp_path / "disk.raw"
    path.write_bytes(random.Random(1).randbytes(5 * MIB) + bytes(3 * MIB))
    return path


def test_a_fixed_vhd_of_qemu_is_read(qemu_img: Callable[..., str], raw: Path, tmp_path: Path):
    vhd = tmp_path / "disk.vhd"
    options = "subformat=fixed,force_size=on"
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", options, raw, vhd)
    file = FileSource(str(vhd))
    assert find_format(file).format is DiskFormat.VHD_FIXED
    disk = FixedVhd(file)
    found = bytearray(disk.size)
    disk.read_into(0, memoryview(found))
    file.close()
    assert found == raw.read_bytes()


def test_qemu_reads_the_fixed_vhds_of_these_tests(
    qemu_img: Callable[..., str], raw: Path, tmp_path: Path
):
    vhd = tmp_path / "disk.vhd"
    write_fixed_vhd(vhd, raw.read_bytes())
    told = json.loads(qemu_img("info", "--output=json", "-f", "vpc", vhd))
    assert told["format"] == "vpc"
    assert vhd.stat().st_size == raw.stat().st_size + 512
    # qemu sizes a disk by its geometry unless its maker is one that it knows for exact sizes.
    assert "identical" in qemu_img("compare", "-f", "vpc", "-F", "raw", vhd, raw)


def test_a_size_that_qemu_rounded_is_refused(
    qemu_img: Callable[..., str], raw: Path, tmp_path: Path
):
    vhd = tmp_path / "disk.vhd"
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed", raw, vhd)
    file = FileSource(str(vhd))
    with pytest.raises(SourceFormatInvalid, match="not a multiple of 1 MiB"):
        FixedVhd(file)
    file.close()


@pytest.mark.parametrize(
    ("output", "form"),
    [
        ("vpc", DiskFormat.VHD_DYNAMIC),
        ("vhdx", DiskFormat.VHDX),
        ("qcow2", DiskFormat.QCOW2),
        ("vmdk", DiskFormat.VMDK),
        ("raw", DiskFormat.RAW),
    ],
)
def test_other_formats_are_known_by_their_bytes(
    qemu_img: Callable[..., str], raw: Path, tmp_path: Path, output: str, form: DiskFormat
):
    made = tmp_path / "disk"
    qemu_img("convert", "-f", "raw", "-O", output, raw, made)
    file = FileSource(str(made))
    found = find_format(file)
    file.close()
    assert found.format is form
    assert found.reason == ("" if form is DiskFormat.RAW else "SOURCE_FORMAT_INVALID")
