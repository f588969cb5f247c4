"""Files of disks as another program makes and reads them."""

import json
import random
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from services.replication.content.errors import SourceFormatInvalid
from services.replication.content.source import FileSource
from services.replication.content.vhd import FixedVhd
from services.replication.domain.states import DiskFormat
from services.replication.usecases.source_formats import find_format, open_disk
from tests.disk_files import dynamic_vhd, qcow2, sparse_vmdk, stream_vmdk, vhdx
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


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A sparse disk of 70 MiB: noise, one sector, text that can be compressed, and an end."""
    path = tmp_path / "guest.raw"
    noise = random.Random(3)
    with path.open("wb") as file:
        file.truncate(70 * MIB)
        places = ((0, 3 * MIB), (5 * MIB, 70_000), (20 * MIB, 512), (70 * MIB - 1024, 1024))
        for at, length in (*places, (33 * MIB + 4096, 5 * MIB)):
            file.seek(at)
            file.write(noise.randbytes(length))
        file.seek(50 * MIB)
        file.write(b"hello world " * 400_000)
    return path


@pytest.mark.parametrize(
    ("output", "options", "form"),
    [
        ("qcow2", "compat=1.1", DiskFormat.QCOW2),
        ("qcow2", "compat=0.10", DiskFormat.QCOW2),
        ("qcow2", "cluster_size=512", DiskFormat.QCOW2),
        ("qcow2", "cluster_size=2M", DiskFormat.QCOW2),
        ("qcow2 -c", "cluster_size=64K", DiskFormat.QCOW2),
        ("qcow2 -c", "cluster_size=2M", DiskFormat.QCOW2),
        ("qcow2", "preallocation=metadata", DiskFormat.QCOW2),
        ("vpc", "subformat=dynamic", DiskFormat.VHD_DYNAMIC),
        ("vpc", "subformat=dynamic,force_size=on", DiskFormat.VHD_DYNAMIC),
        ("vpc", "subformat=fixed,force_size=on", DiskFormat.VHD_FIXED),
        ("vhdx", "subformat=dynamic", DiskFormat.VHDX),
        ("vhdx", "block_size=1M", DiskFormat.VHDX),
        ("vhdx", "subformat=fixed", DiskFormat.VHDX),
        ("vmdk", "subformat=monolithicSparse", DiskFormat.VMDK),
        ("vmdk", "subformat=streamOptimized", DiskFormat.VMDK),
    ],
)
def test_what_qemu_makes_is_read_as_qemu_reads_it(
    qemu_img: Callable[..., str],
    guest: Path,
    tmp_path: Path,
    output: str,
    options: str,
    form: DiskFormat,
):
    name, *more = output.split()
    made, back = tmp_path / "made", tmp_path / "back.raw"
    qemu_img("convert", "-f", "raw", "-O", name, "-o", options, *more, guest, made)
    qemu_img("convert", "-f", name, "-O", "raw", made, back)
    file = FileSource(str(made))
    found = find_format(file)
    assert (found.format, found.reason) == (form, "")
    assert found.size_bytes == back.stat().st_size
    disk = open_disk(file, form)
    read = bytearray(disk.size)
    for begin, end in disk.extents(0):
        disk.read_into(begin, memoryview(read)[begin:end])
    file.close()
    assert read == back.read_bytes()
    # qemu may round a size up; the disk is in it.
    assert read[: 70 * MIB] == guest.read_bytes()


@pytest.mark.parametrize(
    ("output", "options"),
    [
        ("qcow2", "backing_file=base.qcow2,backing_fmt=qcow2"),
        ("qcow2", "data_file=data.raw"),
        ("vmdk", "subformat=monolithicFlat"),
        ("vmdk", "subformat=twoGbMaxExtentSparse"),
        ("vmdk", "backing_file=base.vmdk,backing_fmt=vmdk"),
    ],
)
def test_files_that_name_others_are_refused(
    qemu_img: Callable[..., str], tmp_path: Path, output: str, options: str
):
    for form in ("qcow2", "vmdk"):
        qemu_img("create", "-f", form, tmp_path / f"base.{form}", "64M")
    # The names are relative to the new file, and a backing file says the size.
    options = options.replace("data_file=", f"data_file={tmp_path}/")
    size = () if "backing" in options else ("64M",)
    made = tmp_path / "made"
    qemu_img("create", "-f", output, "-o", options, made, *size)
    file = FileSource(str(made))
    found = find_format(file)
    file.close()
    assert found.reason == "SOURCE_REFERENCE_REFUSED"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("compression_type=zstd", "another method than deflate"),
        ("extended_l2=on", "extended L2"),
        ("encrypt.format=luks,encrypt.key-secret=key", "encrypted"),
    ],
)
def test_what_is_not_read_of_qcow2_is_said(
    qemu_img: Callable[..., str], tmp_path: Path, options: str, message: str
):
    made = tmp_path / "made"
    secret = ("--object", "secret,id=key,data=secret") if "encrypt" in options else ()
    qemu_img("create", "-f", "qcow2", *secret, "-o", options, made, "1M")
    file = FileSource(str(made))
    found = find_format(file)
    file.close()
    assert found.reason == "SOURCE_FORMAT_INVALID"
    assert message in found.message


def test_the_state_of_now_is_read_and_no_snapshot(qemu_img: Callable[..., str], tmp_path: Path):
    raw, made, back = tmp_path / "one.raw", tmp_path / "made", tmp_path / "back.raw"
    raw.write_bytes(random.Random(6).randbytes(2 * MIB))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, made)
    qemu_img("snapshot", "-c", "before", made)
    raw.write_bytes(random.Random(7).randbytes(2 * MIB))
    qemu_img("convert", "-n", "-f", "raw", "-O", "qcow2", raw, made)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", made, back)
    file = FileSource(str(made))
    disk = open_disk(file, DiskFormat.QCOW2)
    read = bytearray(disk.size)
    disk.read_into(0, memoryview(read))
    file.close()
    assert read == back.read_bytes() == raw.read_bytes()


@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("qcow2", qcow2),
        ("qcow2", partial(qcow2, version=2, cluster_bits=12)),
        ("qcow2", partial(qcow2, compressed=True)),
        ("vpc", dynamic_vhd),
        ("vhdx", vhdx),
        ("vmdk", sparse_vmdk),
        ("vmdk", stream_vmdk),
    ],
)
def test_qemu_reads_the_files_of_these_tests(
    qemu_img: Callable[..., str],
    raw: Path,
    tmp_path: Path,
    form: str,
    make: Callable[[bytes], bytes],
):
    made = tmp_path / "made"
    made.write_bytes(make(raw.read_bytes()))
    assert "identical" in qemu_img("compare", "-f", form, "-F", "raw", made, raw)
    if form != "vpc":
        qemu_img("check", "-f", form, made)
