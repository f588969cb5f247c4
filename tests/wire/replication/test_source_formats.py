"""Disks in dynamic VHD, VHDX, qcow2 and VMDK: what is inspected, copied and refused."""

import random
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from google.rpc import error_details_pb2
from stoa.replication.v1 import copy_state_pb2, replication_pb2, replication_plan_pb2
from stoa.replication.v1 import desired_replicas_pb2 as pb
from stoa.type.v1 import storage_pb2

from tests.disk_files import dynamic_vhd, patched, qcow2, sparse_vmdk, stream_vmdk, vhdx
from tests.disk_files.vmdk import descriptor
from tests.vhd import DIFFERENCING
from tests.wire.replication.service import MIB, Service, World, told
from tests.wire.replication.test_feed import COMPLETED, entries_until, follow, snapshot

FAILED = replication_pb2.Replication.STATE_FAILED
Make = Callable[[bytes], bytes]

FORMATS: dict[str, tuple[str, Make]] = {
    "qcow2": ("QCOW2", qcow2),
    "qcow2 compressed": ("QCOW2", lambda disk: qcow2(disk, compressed=True)),
    "dynamic vhd": ("VHD_DYNAMIC", dynamic_vhd),
    "vhdx": ("VHDX", vhdx),
    "vmdk": ("VMDK", sparse_vmdk),
    "vmdk stream": ("VMDK", stream_vmdk),
}


@cache
def disk() -> bytes:
    """5 MiB with noise, text and holes."""
    found = bytearray(5 * MIB)
    found[:300_000] = random.Random(1).randbytes(300_000)
    found[3 * MIB + 100 : 3 * MIB + 5_100] = b"text " * 1_000
    return bytes(found)


# What refers to another file, by the way in which it does.
REFERRING: dict[str, tuple[str, Callable[[], bytes]]] = {
    "backing file": (
        "QCOW2",
        lambda: patched(qcow2(disk()), 8, struct.pack(">QI", 512, 11)),
    ),
    "external data": ("QCOW2", lambda: patched(qcow2(disk()), 72, struct.pack(">Q", 4))),
    "differencing vhd": ("VHD_DYNAMIC", lambda: dynamic_vhd(disk(), kind=DIFFERENCING)),
    "differencing vhdx": ("VHDX", lambda: vhdx(disk(), flags=2)),
    "vmdk of extents": (
        "VMDK",
        lambda: sparse_vmdk(
            disk(),
            text=descriptor(
                10_240,
                "monolithicSparse",
                extents=('RW 5120 SPARSE "a.vmdk"', 'RW 5120 FLAT "/etc/passwd" 0'),
            ),
        ),
    ),
    "vmdk descriptor": (
        "VMDK",
        lambda: descriptor(10_240, "monolithicFlat", extents=('RW 10240 FLAT "/etc/passwd" 0',)),
    ),
    "vmdk child": (
        "VMDK",
        lambda: sparse_vmdk(
            disk(), text=descriptor(10_240, "monolithicSparse", "parentCID=1234abcd")
        ),
    ),
}


def inspect(world: World, source: pb.DiskSource) -> replication_plan_pb2.InspectSourceResponse:
    return world.catalog.replications.InspectSource(
        replication_plan_pb2.InspectSourceRequest(source=source)
    )


def info_of(cause: copy_state_pb2.FailureCause) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert cause.status.details[0].Unpack(info)
    return info


def failure(world: World, desired: pb.DesiredReplicas) -> error_details_pb2.ErrorInfo:
    """Wait until nothing came of it; say why."""
    name = world.ensure(desired).replication
    told(world.watch(name))
    found = world.get(name)
    assert found.state == FAILED
    return info_of(found.regions[0].cause)


@pytest.mark.parametrize(("form", "make"), FORMATS.values(), ids=FORMATS)
def test_an_uploaded_disk_of_another_format_is_inspected(world: World, form: str, make: Make):
    world.region("home")
    file = make(disk())
    found = inspect(world, world.blob(file, form=form))
    assert found.format == storage_pb2.DiskFormat.Value(f"DISK_FORMAT_{form}")
    assert (found.size_bytes, found.file_bytes) == (len(disk()), len(file))
    # What is hashed is the file, not the disk in it.
    assert found.root_digest == b""
    assert not found.HasField("problem")


@pytest.mark.parametrize(("form", "make"), FORMATS.values(), ids=FORMATS)
def test_a_file_of_another_format_is_found_in_its_store(
    service: Service, world: World, form: str, make: Make
):
    folder: Path = service.folder / "vhds"
    folder.mkdir(exist_ok=True)
    (folder / "disk").write_bytes(make(disk()))
    source = pb.DiskSource(store_file=pb.StoreFileSource(store="vhds", path="disk"))
    found = inspect(world, source)
    assert found.format == storage_pb2.DiskFormat.Value(f"DISK_FORMAT_{form}")
    assert found.size_bytes == len(disk())
    assert not found.HasField("problem")


def test_every_format_becomes_the_disk_that_the_guest_sees(working: Service, world: World):
    start, _ = snapshot(world)
    world.region("home")
    world.region("east")
    disks = {"os": world.blob(disk())}
    forms = {"os": "RAW"}
    for lun, (form, make) in enumerate(FORMATS.values()):
        disks[str(lun)] = world.blob(make(disk()), form=form)
        forms[str(lun)] = form
    desired = world.desired(disks, {"home": 1, "east": 1})
    for one in desired.disks:
        name = "os" if one.disk.os else str(one.disk.lun)
        one.format = storage_pb2.DiskFormat.Value(f"DISK_FORMAT_{forms[name]}")
    name = world.ensure(desired).replication
    entries = entries_until(
        follow(world, start.log_uid, start.position),
        lambda one: one.replication.name == name and one.replication.HasField("end"),
    )
    regions = {
        one.version_region.location: one.version_region
        for one in entries
        if one.version_region.image_version_uid == world.uid
    }
    for place in ("home", "east"):
        region = regions[world.location(place)]
        assert region.state == COMPLETED
        assert len(region.disks) == len(FORMATS) + 1
        # One digest: they are the raw disk, byte by byte, and what is a hole there is one here.
        assert len({one.root_digest for one in region.disks}) == 1
        assert {one.size_bytes for one in region.disks} == {len(disk())}
        assert len({one.data_bytes for one in region.disks}) == 1


@pytest.mark.parametrize(("form", "make"), REFERRING.values(), ids=REFERRING)
def test_a_disk_that_refers_to_another_file_is_refused(
    working: Service, world: World, form: str, make: Callable[[], bytes]
):
    world.region("home")
    source = world.blob(make(), form=form)
    problem = info_of(inspect(world, source).problem)
    assert problem.reason == "SOURCE_REFERENCE_REFUSED"
    assert dict(problem.metadata) == {"source": source.blob.blob}
    desired = world.desired({"os": source}, {"home": 1})
    desired.disks[0].format = storage_pb2.DiskFormat.Value(f"DISK_FORMAT_{form}")
    found = failure(world, desired)
    assert (found.reason, found.metadata["source"]) == (
        "SOURCE_REFERENCE_REFUSED",
        source.blob.blob,
    )


@pytest.mark.parametrize("form", ["QCOW2", "VHD_DYNAMIC", "VHDX", "VMDK"])
def test_bytes_that_are_not_of_the_declared_format_are_refused(world: World, form: str):
    world.region("home")
    problem = info_of(inspect(world, world.blob(disk(), form=form)).problem)
    assert problem.reason == "SOURCE_FORMAT_INVALID"
    assert problem.metadata["format"] == form


def test_a_table_that_leads_out_of_the_file_fails_the_region(working: Service, world: World):
    world.region("home")
    file = qcow2(disk())
    # The first entry of the table of tables.
    broken = patched(file, 1 << 16, struct.pack(">Q", 1 << 40 | 1 << 63))
    source = world.blob(broken, form="QCOW2")
    assert not inspect(world, source).HasField("problem")
    desired = world.desired({"os": source}, {"home": 1})
    desired.disks[0].format = storage_pb2.DISK_FORMAT_QCOW2
    found = failure(world, desired)
    assert (found.reason, found.metadata["found"]) == ("SOURCE_FORMAT_INVALID", "QCOW2")


def test_nothing_guesses_that_raw_bytes_are_a_file_of_a_format(working: Service, world: World):
    world.region("home")
    file = qcow2(disk())
    source = world.blob(file)
    found = inspect(world, source)
    assert (found.format, found.size_bytes) == (storage_pb2.DISK_FORMAT_RAW, len(file))
    desired = world.desired({"os": source}, {"home": 1})
    desired.disks[0].format = storage_pb2.DISK_FORMAT_QCOW2
    assert failure(world, desired).reason == "SOURCE_FORMAT_INVALID"
