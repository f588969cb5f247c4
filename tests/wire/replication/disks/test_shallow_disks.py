"""ReadDisk of shallow versions: the bytes of their sources, for a few readers at once."""

import threading
import uuid
from dataclasses import replace
from typing import Any

import blake3
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import func, select
from stoa.replication.v1 import image_disk_service_pb2 as pb

from services.replication.domain.desired import DiskSource, SourceKind
from services.replication.domain.records import SOURCE_SLOT
from services.replication.domain.states import DiskFormat, Health, ReplicationMode, ReplicationState
from services.replication.store import tables
from tests.integration.replication.world import some_bytes
from tests.vhd import fixed_vhd
from tests.wire.authz.installation import World as People
from tests.wire.replication.disks.conftest import serve
from tests.wire.replication.disks.reading import (
    LEAF,
    MIB,
    OS,
    SEGMENT,
    corrupt,
    leaves_of,
    objects_of,
    read,
    request,
    root_digest,
    segment_digest,
)
from tests.wire.replication.disks.uploading import refusal

Code = grpc.StatusCode
SPARSE = some_bytes(MIB + 5, seed=1) + bytes(3 * MIB + LEAF) + some_bytes(2 * LEAF + 777, seed=2)

# More than flows to a reader who does not read.
LARGE = some_bytes(48 * MIB, seed=3)


@pytest.fixture
def version(people: People) -> str:
    return f"{people.subscription()}/resourceGroups/rg/galleries/g/images/i/versions/1.0.0"


def publish(service, name: str, source: DiskSource, *, form: DiskFormat = DiskFormat.RAW) -> str:
    """Make a shallow version of one disk; answer its uid."""
    world = service.world
    uid = uuid.uuid4().hex
    desired = world.desired({"os": source}, {"home": 1}, uid=uid, form=form)
    record = world.ensure(replace(desired, version=name, mode=ReplicationMode.SHALLOW))
    with world.working():
        assert world.wait_end(record.id).record.state is ReplicationState.COMPLETED
    service.catch_up()
    return uid


def start_of(disks, asked: pb.ReadDiskRequest) -> pb.DiskStart:
    start: pb.DiskStart = next(iter(disks.ReadDisk(asked))).start
    return start


def test_a_blob_is_read_at_its_place_and_proven_leaf_by_leaf(service, version):
    publish(service, version, service.world.upload("os", SPARSE))
    disks = service.user().disks
    assert read(disks, request(version)) == SPARSE
    stream = disks.ReadDisk(request(version, include_leaves=True, include_segments=True))
    messages = list(stream)
    layout = messages[0].start.layout
    assert messages[0].start.verified
    segments = messages[1].segments.digests
    whole = [segments[at : at + 32] for at in range(0, len(segments), 32)]
    assert root_digest(layout.header, whole) == layout.root_digest
    first = next(one.piece for one in messages[2:] if one.piece.HasField("leaves"))
    assert first.leaves.digests == leaves_of(SPARSE[:SEGMENT])
    assert whole[0] == segment_digest(SEGMENT, first.leaves.digests)


def test_a_blob_that_rots_is_not_handed_out(service, version):
    data = some_bytes(MIB)
    publish(service, version, service.world.upload("os", data))
    (path,) = objects_of(service, "home", "s1", data)
    corrupt(path, 3 * LEAF)
    code, info = refusal(service.user().disks.ReadDisk, request(version))
    assert (code, info.reason) == (Code.UNAVAILABLE, "NO_GOOD_REPLICA")


def test_a_file_is_read_where_it_lies_and_told_to_be_unproven(service, version):
    publish(service, version, service.world.file("os.raw", SPARSE))
    disks = service.user().disks
    assert read(disks, request(version)) == SPARSE
    asked = request(version, include_leaves=True, include_segments=True)
    asked.ranges.add(offset_bytes=LEAF - 7, length_bytes=2 * MIB)
    asked.ranges.add(offset_bytes=len(SPARSE) - 100)
    assert read(disks, asked) == SPARSE[LEAF - 7 : 2 * MIB + LEAF - 7] + SPARSE[-100:]
    start = start_of(disks, asked)
    assert not start.verified
    assert (start.layout.root_digest, start.layout.header) == (b"", b"")
    assert (start.layout.size_bytes, start.total_bytes) == (len(SPARSE), 2 * MIB + 100)
    assert (start.layout.leaf_bytes, start.layout.segment_bytes) == (LEAF, SEGMENT)
    code, info = refusal(disks.ReadDisk, request(version, expected_root_digest=b"x" * 32))
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "DISK_REPLACED")


@pytest.mark.parametrize("kind", ["blob", "file"])
def test_of_a_vhd_the_disk_in_it_is_read(service, version, kind):
    data = some_bytes(2 * MIB)
    made = fixed_vhd(data)
    world, form = service.world, DiskFormat.VHD_FIXED
    source = world.file("os.vhd", made) if kind == "file" else world.upload("v", made, form=form)
    publish(service, version, source, form=form)
    disks = service.user().disks
    assert read(disks, request(version)) == data
    assert not start_of(disks, request(version)).verified


def test_a_shallow_version_of_a_version_is_read_from_its_replicas(service, version):
    world = service.world
    data = some_bytes(3 * MIB)
    made = world.desired({"3": world.upload("d", data)}, {"home": 2}, uid=uuid.uuid4().hex)
    made = replace(made, version=version.replace("1.0.0", "0.9.0"))
    record = world.ensure(made)
    with world.working():
        world.wait_end(record.id)
    source = DiskSource(SourceKind.IMAGE_VERSION, made.version, made.uid, "3")
    uid = publish(service, version, source)
    disks = service.user().disks
    assert read(disks, request(version)) == data
    assert start_of(disks, request(version)).verified
    (path,) = objects_of(service, "home", "s1", data)
    corrupt(path, 5)
    assert read(disks, request(version)) == data
    assert world.replica("home", "s1", made.uid).health is Health.DAMAGED
    assert world.replica("home", SOURCE_SLOT, uid).health is Health.GOOD


def test_a_file_that_changed_is_not_handed_out_and_the_version_is_known_to_be_lost(
    service, version
):
    world = service.world
    uid = publish(service, version, world.file("os.raw", SPARSE))
    with (world.root / "files" / "os.raw").open("r+b") as file:
        file.write(b"other")
    code, info = refusal(service.user().disks.ReadDisk, request(version))
    assert (code, info.reason) == (Code.UNAVAILABLE, "NO_GOOD_REPLICA")
    assert world.replica("home", SOURCE_SLOT, uid).health is Health.DAMAGED
    (region,) = world.rows.read(lambda tx: tx.versions.regions(uid))
    assert not region.usable


def test_readers_are_capped_and_told_to_come_later(authz, people, tmp_path, version):
    service = serve(authz, tmp_path, STOA_REPLICATION_SHALLOW_READERS="2")
    try:
        publish(service, version, service.world.file("os.raw", LARGE))
        disks = service.user().disks
        reading = [disks.ReadDisk(request(version)) for _ in range(2)]
        for stream in reading:
            assert next(stream).HasField("start")
        with pytest.raises(grpc.RpcError) as refused:
            next(disks.ReadDisk(request(version)))
        error: Any = refused.value
        status: Any = rpc_status.from_call(error)
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        for detail in status.details:
            assert detail.Unpack(info) or detail.Unpack(retry)
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert (info.reason, dict(info.metadata)) == (
            "SHALLOW_READERS_EXCEEDED",
            {"maximum": "2"},
        )
        assert retry.retry_delay.seconds > 0
        # Who reads to the end, and who goes away, make room for others.
        digest = blake3.blake3()
        for message in reading[0]:
            digest.update(message.piece.data)
        assert digest.digest() == blake3.blake3(LARGE).digest()
        assert read(disks, request(version)) == LARGE
        reading[1].cancel()
        _await_no_readers(service)
        again = [disks.ReadDisk(request(version)) for _ in range(2)]
        assert all(next(stream).HasField("start") for stream in again)
        for stream in again:
            stream.cancel()
    finally:
        service.close()


def _await_no_readers(service) -> None:
    """Wait until the service has noticed that every reader is gone."""
    taken = select(func.count()).where(tables.leases.c.owner != "")
    pause = threading.Event()
    for _ in range(400):
        if service.db.read(lambda tx: tx.execute(taken).scalar_one()) == 0:
            return
        pause.wait(0.05)
    raise AssertionError("a reader keeps its place")


def test_no_urls_are_handed_out(service, version):
    publish(service, version, service.world.upload("os", some_bytes(MIB)))
    asked = pb.OpenDiskRequest(name=version, location="home", disk=OS)
    code, info = refusal(service.user().disks.OpenDisk, asked)
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "DIRECT_READ_UNSUPPORTED")
    assert dict(info.metadata) == {"location": "home"}


def test_strangers_read_no_shallow_version(service, people, version):
    publish(service, version, service.world.upload("os", some_bytes(MIB)))
    stranger = service.user(people.user().rpartition("/")[2]).disks
    code, _ = refusal(stranger.ReadDisk, request(version))
    assert code is Code.PERMISSION_DENIED
