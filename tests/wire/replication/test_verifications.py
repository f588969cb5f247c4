"""VerifyReplicas on the wire: what is found, what is mended, who may ask, what is refused."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2
from stoa.replication.v1 import (
    image_disk_service_pb2_grpc,
    operation_metadata_pb2,
    replica_pb2,
    replication_service_pb2,
)
from stoa.replication.v1 import replica_verification_pb2 as pb
from stoa.type.v1 import storage_pb2

from services.replication.content.keys import OBJECTS
from services.replication.usecases import verifying
from tests.wire.authz.installation import Installation as Authz
from tests.wire.replication.disks.reading import read, request
from tests.wire.replication.service import MIB, Service, World, eventually, refused, told

OS = storage_pb2.DiskSelector(os=True)
GOOD = replica_pb2.REPLICA_HEALTH_GOOD
DAMAGED = replica_pb2.REPLICA_HEALTH_DAMAGED


def some_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def os_bytes(world: World) -> bytes:
    return some_bytes(2 * MIB, 1000 + world.number)


def publish(world: World, regions: dict[str, int]) -> None:
    for name, slots in regions.items():
        world.region(name, slots)
    # Of no other test: what lies in any store of the service is good to mend with.
    disks = {"os": world.blob(os_bytes(world)), "3": world.blob(some_bytes(MIB, -world.number))}
    told(world.watch(world.ensure(world.desired(disks, regions)).replication, 0))


def begin(world: World, **fields: Any) -> operations_pb2.Operation:
    asked = pb.VerifyReplicasRequest(name=world.version, **fields)
    found: operations_pb2.Operation = world.operator.replications.VerifyReplicas(asked)
    return found


def ended(world: World, operation: operations_pb2.Operation) -> operations_pb2.Operation:
    asked = operations_pb2.WaitOperationRequest(name=operation.name)
    asked.timeout.FromSeconds(15)
    found: operations_pb2.Operation = world.operator.operations.WaitOperation(asked)
    assert found.done
    return found


def verify(world: World, **fields: Any) -> pb.VerifyReplicasResponse:
    response = pb.VerifyReplicasResponse()
    assert unpacked(ended(world, begin(world, **fields)).response, response)
    return response


def unpacked(packed: AnyMessage, message: Any) -> bool:
    return packed.Unpack(message)


def metadata(operation: operations_pb2.Operation) -> operation_metadata_pb2.OperationMetadata:
    found = operation_metadata_pb2.OperationMetadata()
    assert operation.metadata.Unpack(found)
    return found


def segment_of(world: World, name: str, number: int = 1) -> Path:
    """The file of the largest object of a slot: two mebibytes of the OS disk."""
    root = Path(world.url(name, number).removeprefix("file://")) / OBJECTS
    return max(
        (one for one in root.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size
    )


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[70_000] ^= 1
    path.write_bytes(data)


def replicas(world: World) -> dict[tuple[str, str], replica_pb2.Replica]:
    asked = replication_service_pb2.ListReplicasRequest(parent=world.version)
    found = world.operator.replications.ListReplicas(asked).replicas
    return {(one.location, one.slot): one for one in found}


def verify_times(world: World) -> dict[tuple[str, str], int]:
    found = replicas(world)
    return {place: one.disks[0].verify_time.ToNanoseconds() for place, one in found.items()}


@pytest.fixture
def quiet(authz: Authz, tmp_path: Path) -> Iterator[Service]:
    """A service of its own, whose workers a test starts and ends."""
    found = Service(authz, tmp_path)
    yield found
    found.close()


def test_good_replicas_are_read_whole(working: Service, world: World):
    publish(world, {"home": 2, "east": 1})
    before = {
        place: one.disks[0].verify_time.ToNanoseconds() for place, one in replicas(world).items()
    }
    operation = ended(world, begin(world))
    found = pb.VerifyReplicasResponse()
    assert operation.response.Unpack(found)
    assert found == pb.VerifyReplicasResponse(
        all_good=True, verified_disk_count=6, verified_bytes=9 * MIB
    )
    told_of = metadata(operation)
    assert (told_of.verb, told_of.target) == ("verify", world.version)
    assert told_of.HasField("end_time")
    assert [
        (one.location, one.progress.bytes.total_bytes, one.progress.bytes.verified_bytes)
        for one in told_of.regions
    ] == [
        (world.location("home"), 6 * MIB, 6 * MIB),
        (world.location("east"), 3 * MIB, 3 * MIB),
    ]
    assert {one.progress.percent for one in told_of.regions} == {100}
    after = replicas(world)
    assert all(
        after[place].disks[0].verify_time.ToNanoseconds() > before[place] for place in before
    )


def test_damage_is_found_by_slot_and_disk_and_repaired(working: Service, world: World):
    publish(world, {"home": 2, "east": 1})
    flip(segment_of(world, "home", 2))
    found = verify(world)
    assert (found.verified_disk_count, found.damaged_disk_count) == (6, 1)
    assert found.all_good
    assert found.repaired_bytes == 2 * MIB
    (finding,) = found.findings
    assert (finding.location, finding.slot, finding.disk) == (world.location("home"), "s2", OS)
    assert (finding.health, finding.damaged_bytes, finding.repaired_bytes) == (
        *(GOOD, 2 * MIB),
        2 * MIB,
    )
    assert finding.HasField("verify_time")
    assert not finding.HasField("cause")
    replica = replicas(world)[world.location("home"), "s2"]
    assert replica.health == GOOD
    disk = replica.disks[0]
    assert (disk.healed_bytes, disk.heal_count, disk.damaged_bytes) == (2 * MIB, 1, 0)
    assert verify(world).damaged_disk_count == 0


def test_a_report_leaves_the_damage_which_the_duty_then_mends(quiet: Service):
    world = World(quiet)
    process = quiet.work()
    publish(world, {"home": 1, "east": 1})
    flip(segment_of(world, "east"))
    found = verify(world, report_only=True, locations=[world.location("east").upper()])
    assert not found.all_good
    assert (found.verified_disk_count, found.damaged_disk_count, found.repaired_bytes) == (2, 1, 0)
    (finding,) = found.findings
    assert (finding.health, finding.damaged_bytes, finding.repaired_bytes) == (
        *(DAMAGED, 2 * MIB),
        0,
    )
    assert finding.cause.status.code == code_pb2.DATA_LOSS
    quiet.end(process)


def test_every_copy_bad_is_a_result_and_no_error(working: Service, world: World):
    publish(world, {"home": 1})
    flip(segment_of(world, "home"))
    found = verify(world)
    assert not found.all_good
    (finding,) = found.findings
    assert (finding.health, finding.repaired_bytes) == (DAMAGED, 0)
    assert replicas(world)[world.location("home"), "s1"].health == DAMAGED
    flip(segment_of(world, "home"))
    assert verify(world).all_good
    assert replicas(world)[world.location("home"), "s1"].health == GOOD


def test_one_disk_and_the_lesser_depths(working: Service, world: World):
    publish(world, {"home": 1, "east": 1})
    flip(segment_of(world, "east"))
    lun = storage_pb2.DiskSelector(lun=3)
    found = verify(world, disk=lun)
    assert (found.verified_disk_count, found.damaged_disk_count) == (2, 0)
    by_length = verify(world, depth=pb.VERIFICATION_DEPTH_STORE_CHECKSUM)
    assert (by_length.verified_disk_count, by_length.damaged_disk_count) == (4, 0)
    segment_of(world, "east").unlink()
    by_length = verify(world, depth=pb.VERIFICATION_DEPTH_STORE_CHECKSUM, disk=OS)
    assert (by_length.damaged_disk_count, by_length.repaired_bytes) == (1, 2 * MIB)
    flip(segment_of(world, "east"))
    sample = verify(world, depth=pb.VERIFICATION_DEPTH_SAMPLE, disk=OS)
    assert (sample.verified_disk_count, sample.damaged_disk_count) == (2, 1)
    assert sample.all_good


def test_what_cannot_be_verified_says_why(working: Service, world: World):
    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        begin(world)
    publish(world, {"home": 1})
    world.region("east")
    with refused(grpc.StatusCode.NOT_FOUND, "NOT_IN_REGION") as refusal:
        begin(world, locations=[world.location("east")])
    assert dict(refusal.info.metadata) == {
        "location": world.location("east"),
        "available": world.location("home"),
    }
    with refused(grpc.StatusCode.NOT_FOUND, "DISK_NOT_FOUND") as refusal:
        begin(world, disk=storage_pb2.DiskSelector(lun=9))
    assert dict(refusal.info.metadata) == {"disk": "9", "luns": "3"}
    home = world.location("home")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REGION_REPEATED") as refusal:
        begin(world, locations=[home, home.upper()])
    assert list(refusal.fields) == ["locations[1]"]
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REGION_UNKNOWN"):
        begin(world, locations=["nowhere"])
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        begin(world, disk=storage_pb2.DiskSelector(lun=64))
    assert list(refusal.fields) == ["disk"]


def test_a_repeat_is_answered_the_same_and_another_call_refused(working: Service, world: World):
    publish(world, {"home": 1})
    request_id = str(uuid.uuid4())
    first = begin(world, request_id=request_id)
    assert begin(world, request_id=request_id).name == first.name
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        begin(world, request_id=request_id, report_only=True)
    ended(world, first)


def test_too_many_at_once_are_refused(
    working: Service, world: World, monkeypatch: pytest.MonkeyPatch
):
    publish(world, {"home": 1})
    monkeypatch.setattr(verifying, "MAX_WAITING", 0)
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS"):
        begin(world)
    monkeypatch.undo()
    assert verify(world).all_good


def test_only_those_who_may_write_the_version_may_ask(working: Service, world: World):
    publish(world, {"home": 1})
    nobody = world.service.user("nobody")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"):
        nobody.replications.VerifyReplicas(pb.VerifyReplicasRequest(name=world.version))
    with refused(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"):
        world.service.nobody().replications.VerifyReplicas(
            pb.VerifyReplicasRequest(name=world.version), timeout=20
        )


def test_a_cancelled_one_stops_and_one_that_waited_is_done_by_the_next_workers(quiet: Service):
    world = World(quiet)
    process = quiet.work()
    publish(world, {"home": 1, "east": 1})
    quiet.kill(process)
    flip(segment_of(world, "east"))
    stopped, kept = begin(world), begin(world)
    world.operator.operations.CancelOperation(
        operations_pb2.CancelOperationRequest(name=stopped.name)
    )
    found = ended(world, stopped)
    assert found.error.code == code_pb2.CANCELLED
    assert metadata(found).cancel_requested
    assert replicas(world)[world.location("east"), "s1"].health == GOOD
    process = quiet.work()
    asked = operations_pb2.GetOperationRequest(name=kept.name)
    eventually(lambda: world.operator.operations.GetOperation(asked).done, "it is done", 40)
    response = pb.VerifyReplicasResponse()
    assert ended(world, kept).response.Unpack(response)
    assert (response.damaged_disk_count, response.all_good) == (1, True)
    quiet.end(process)


def test_the_bad_leaf_that_a_reader_met_is_mended_without_a_human(working: Service, world: World):
    publish(world, {"home": 2})
    flip(segment_of(world, "home"))
    disks = image_disk_service_pb2_grpc.ImageDiskServiceStub(world.operator.channel)
    assert read(disks, request(world.version, world.location("home"))) == os_bytes(world)
    place = world.location("home"), "s1"

    def is_mended() -> bool:
        found = replicas(world)[place]
        return found.health == GOOD and found.disks[0].heal_count == 1

    eventually(is_mended, "the replica is mended")
    assert (Path(world.url("home").removeprefix("file://")) / "quarantine").is_dir()
    assert verify(world).damaged_disk_count == 0


def test_what_lies_at_its_source_is_left_out(world: World, working: Service) -> None:
    world.region("home", 1)
    desired = world.desired({"os": world.blob(os_bytes(world))}, {"home": 1})
    desired.replication_mode = storage_pb2.REPLICATION_MODE_SHALLOW
    told(world.watch(world.ensure(desired).replication, 0))
    found = verify(world)
    assert (found.verified_disk_count, found.damaged_disk_count) == (0, 0)
    assert list(found.findings) == []
