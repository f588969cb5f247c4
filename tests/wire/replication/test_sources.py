"""Sources on the wire: what InspectSource answers, and what EnsureReplicas takes."""

import random
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from stoa.replication.v1 import (
    copy_state_pb2,
    replica_pb2,
    replication_pb2,
    replication_plan_pb2,
    replication_service_pb2,
)
from stoa.replication.v1 import desired_replicas_pb2 as pb
from stoa.type.v1 import storage_pb2

from tests.vhd import DYNAMIC, fixed_vhd, vhd_footer
from tests.wire.replication.service import MIB, Service, World, refused, told

FIXED = storage_pb2.DISK_FORMAT_VHD_FIXED


def store_file(path: str, store: str = "vhds", etag: str = "") -> pb.DiskSource:
    return pb.DiskSource(store_file=pb.StoreFileSource(store=store, path=path, etag=etag))


def inspect(world: World, source: pb.DiskSource) -> replication_plan_pb2.InspectSourceResponse:
    return world.catalog.replications.InspectSource(
        replication_plan_pb2.InspectSourceRequest(source=source)
    )


def reason_of(cause: copy_state_pb2.FailureCause) -> str:
    info = error_details_pb2.ErrorInfo()
    assert cause.status.details[0].Unpack(info)
    return info.reason


@pytest.fixture
def folder(service: Service) -> Path:
    """The directory behind the entry `vhds`."""
    found = service.folder / "vhds"
    found.mkdir(exist_ok=True)
    return found


def test_a_vhd_in_a_store_is_inspected(world: World, folder: Path):
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images/os.vhd").write_bytes(fixed_vhd(random.Random(1).randbytes(3 * MIB)))
    found = inspect(world, store_file("images/os.vhd"))
    assert (found.exists, found.location, found.format) == (True, "eastus", FIXED)
    assert (found.size_bytes, found.file_bytes) == (3 * MIB, 3 * MIB + 512)
    assert found.etag
    assert (found.uid, found.root_digest) == ("", b"")
    assert not found.HasField("problem")
    assert inspect(world, store_file("images/os.vhd")).etag == found.etag
    (folder / "images/os.vhd").write_bytes(fixed_vhd(bytes(3 * MIB)))
    assert inspect(world, store_file("images/os.vhd")).etag != found.etag


def test_what_cannot_be_read_in_a_store_says_why(world: World, folder: Path):
    broken = bytearray(fixed_vhd(bytes(MIB)))
    broken[-20] ^= 4
    (folder / "broken.vhd").write_bytes(broken)
    dynamic = vhd_footer(8 * MIB, DYNAMIC)
    (folder / "dynamic.vhd").write_bytes(dynamic + bytes(MIB) + dynamic)
    (folder / "disk.raw").write_bytes(bytes(MIB))
    found = inspect(world, store_file("broken.vhd"))
    assert (found.exists, found.format) == (True, FIXED)
    assert reason_of(found.problem) == "SOURCE_FORMAT_INVALID"
    found = inspect(world, store_file("dynamic.vhd"))
    assert found.format == storage_pb2.DISK_FORMAT_VHD_DYNAMIC
    assert reason_of(found.problem) == "SOURCE_FORMAT_INVALID"
    found = inspect(world, store_file("disk.raw"))
    assert (found.format, found.size_bytes) == (storage_pb2.DISK_FORMAT_RAW, MIB)
    assert not found.HasField("problem")


@pytest.mark.parametrize("path", ["missing.vhd", "out.vhd", "out/secret.vhd"])
def test_a_file_that_is_not_in_the_store_does_not_exist(world: World, folder: Path, path: str):
    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret.vhd").write_bytes(fixed_vhd(bytes(MIB)))
    for name, target in (("out.vhd", outside / "secret.vhd"), ("out", outside)):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    found = inspect(world, store_file(path))
    assert found == replication_plan_pb2.InspectSourceResponse()


def test_a_path_with_the_character_nul_is_malformed(world: World):
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        inspect(world, store_file("nul\0.vhd"))


def test_a_store_itself_is_inspected_where_no_path_is_given(world: World, folder: Path):
    found = inspect(world, store_file(""))
    assert found == replication_plan_pb2.InspectSourceResponse(exists=True, location="eastus")
    assert not inspect(world, store_file("", "nowhere")).exists
    assert not inspect(world, store_file("os.vhd", "nowhere")).exists


def test_a_store_that_is_away_is_unavailable(world: World):
    for path in ("", "os.vhd"):
        with refused(grpc.StatusCode.UNAVAILABLE, "SOURCE_UNAVAILABLE") as refusal:
            inspect(world, store_file(path, "away"))
    assert refusal.info.metadata["source"] == "away/os.vhd"


def test_an_uploaded_vhd_is_inspected(world: World):
    world.region("home")
    found = inspect(world, world.blob(fixed_vhd(bytes(2 * MIB)), form="VHD_FIXED"))
    assert (found.exists, found.format, found.location) == (True, FIXED, world.location("home"))
    assert (found.size_bytes, found.file_bytes) == (2 * MIB, 2 * MIB + 512)
    assert found.root_digest == b""
    assert not found.HasField("problem")
    found = inspect(world, world.blob(bytes(2 * MIB), form="VHD_FIXED"))
    assert reason_of(found.problem) == "SOURCE_FORMAT_INVALID"
    found = inspect(world, world.blob(bytes(2 * MIB), form="QCOW2"))
    assert reason_of(found.problem) == "SOURCE_FORMAT_INVALID"


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (store_file("../os.vhd"), "source.store_file.path"),
        (store_file("/os.vhd"), "source.store_file.path"),
        (store_file("a//b"), "source.store_file.path"),
        (store_file("x" * 1025), "source.store_file.path"),
        (store_file("os.vhd", "file:///etc"), "source.store_file.store"),
        (pb.DiskSource(), "source.source"),
    ],
    ids=["parent", "slash", "empty part", "long", "store", "none"],
)
def test_a_source_that_is_none_is_refused(world: World, source: pb.DiskSource, field: str):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        inspect(world, source)
    assert set(refusal.fields) == {field}


@pytest.mark.parametrize(
    "source",
    [
        store_file("os.vhd"),
        store_file("", etag="e"),
        pb.DiskSource(blob=pb.BlobSource(blob="subscriptions/s/resourceGroups/g/blobs/b")),
    ],
    ids=["no ETag", "no path", "no uid"],
)
def test_a_source_that_is_not_pinned_is_not_wanted(world: World, source: pb.DiskSource):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.ensure(world.desired({"os": source}, {"home": 1}))
    assert set(refusal.fields) == {"desired.disks[0]"}


@pytest.mark.parametrize("regions", [{"home": 2}, {"west": 1}, {"home": 1, "west": 1}])
def test_a_shallow_version_is_wanted_once_in_its_home_region(world: World, regions: dict[str, int]):
    world.region("home", slots=2)
    world.region("west")
    desired = world.desired({"os": world.blob(bytes(MIB))}, regions)
    desired.replication_mode = storage_pb2.REPLICATION_MODE_SHALLOW
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.ensure(desired)
    assert set(refusal.fields) == {"desired.regions"}


def test_a_shallow_version_becomes_a_full_one_and_never_the_other_way(world: World, working):
    world.region("home")
    desired = world.desired({"os": world.blob(random.Random(2).randbytes(MIB))}, {"home": 1})
    desired.replication_mode = storage_pb2.REPLICATION_MODE_SHALLOW
    first = _ended(world, desired)
    assert first.replication_mode == storage_pb2.REPLICATION_MODE_SHALLOW
    assert (first.progress.percent, first.progress.bytes.copied_bytes) == (100, 0)
    (replica,) = _replicas(world)
    assert replica.replication_mode == storage_pb2.REPLICATION_MODE_SHALLOW
    assert (replica.slot, replica.health) == ("@source", replica_pb2.REPLICA_HEALTH_GOOD)
    (disk,) = replica.disks
    assert (disk.stored_bytes, disk.size_bytes, len(disk.root_digest)) == (0, MIB, 32)
    assert not disk.HasField("verify_time")
    desired.generation, desired.replication_mode = 2, storage_pb2.REPLICATION_MODE_FULL
    assert _ended(world, desired).state == replication_pb2.Replication.STATE_COMPLETED
    copies = {one.slot: one for one in _replicas(world)}
    assert copies["s1"].replication_mode == storage_pb2.REPLICATION_MODE_FULL
    assert copies["s1"].disks[0].root_digest == disk.root_digest
    desired.generation, desired.replication_mode = 3, storage_pb2.REPLICATION_MODE_SHALLOW
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.ensure(desired)
    assert set(refusal.fields) == {"desired.replication_mode"}


def _ended(world: World, desired: pb.DesiredReplicas) -> replication_pb2.Replication:
    name = world.ensure(desired).replication
    told(world.watch(name))
    found: replication_pb2.Replication = world.get(name)
    return found


def _replicas(world: World) -> list[replica_pb2.Replica]:
    request = replication_service_pb2.ListReplicasRequest(parent=world.version)
    return list(world.operator.replications.ListReplicas(request).replicas)
