"""Pulls into a block device: a loop device, where this machine lets one be made."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from stoa.replication.v1 import image_disk_service_pb2_grpc as disks

from cli.errors import CliError
from cli.transfer.file_format import FileFormat
from cli.transfer.pull import pull
from tests.wire.cli.transfer.serving import LEAF, MIB, Server, disk, quiet, source

_EXTRA = b"what lies behind the disk"


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A device of 24 MiB full of bytes from before."""
    losetup = shutil.which("losetup")
    if losetup is None or os.geteuid() != 0:
        pytest.skip("only root with losetup can make a loop device")
    backing = tmp_path / "backing"
    backing.write_bytes(os.urandom(24 * MIB - len(_EXTRA)) + _EXTRA)
    made = subprocess.run(
        [losetup, "--find", "--show", str(backing)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop device can be made here: {made.stderr.strip()}")
    yield Path(made.stdout.strip())
    subprocess.run([losetup, "--detach", made.stdout.strip()], check=True)


def test_a_disk_is_pulled_into_a_device_in_place(
    device: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    stub = disks.ImageDiskServiceStub(channel)
    pull(stub, source(), device, quiet())
    found = device.read_bytes()
    assert found[: len(server.content)] == server.content
    assert found.endswith(_EXTRA)
    assert len(found) == 24 * MIB
    # What is there already is not moved again: one leaf of the next version differs.
    server.ranges.clear()
    newer = bytearray(server.content)
    newer[9 * MIB] ^= 1
    server.content = bytes(newer)
    pull(stub, source(), device, quiet())
    assert device.read_bytes()[: len(newer)] == newer
    assert server.ranges == [(9 * MIB, LEAF)]


def test_a_device_that_is_too_small_is_left_alone(
    device: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = os.urandom(25 * MIB)
    before = device.read_bytes()
    with pytest.raises(CliError, match="too small"):
        pull(disks.ImageDiskServiceStub(channel), source(), device, quiet())
    assert device.read_bytes() == before


def test_a_device_that_is_in_use_is_left_alone(
    device: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    before = device.read_bytes()
    user = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        with pytest.raises(CliError, match="in use"):
            pull(disks.ImageDiskServiceStub(channel), source(), device, quiet())
    finally:
        os.close(user)
    assert device.read_bytes() == before


def test_a_device_holds_a_disk_as_it_is(
    device: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    with pytest.raises(CliError, match="block device"):
        pull(
            disks.ImageDiskServiceStub(channel),
            source(),
            device,
            quiet(),
            form=FileFormat.QCOW2,
        )
