"""A corrupt replica that others are copied from: found, named, mended; what waits goes on.

Other systems keep the corrupt bytes at the target, report the image as active and fail every
retry until somebody deletes what was left; here nobody has to do anything.
"""

from pathlib import Path

import grpc
from google.longrunning import operations_pb2
from stoa.replication.v1 import (
    desired_replicas_pb2,
    image_disk_service_pb2_grpc,
    region_pb2,
    region_service_pb2,
    replica_pb2,
    replication_service_pb2,
)
from stoa.replication.v1 import replication_pb2 as pb

from services.replication.content.keys import OBJECTS
from tests.wire.replication.disks.reading import read, request
from tests.wire.replication.service import MIB, Service, World, eventually, refused, told
from tests.wire.replication.test_verifications import (
    flip,
    os_bytes,
    replicas,
    segment_of,
    some_bytes,
    verify,
)

GOOD = replica_pb2.REPLICA_HEALTH_GOOD
DAMAGED = replica_pb2.REPLICA_HEALTH_DAMAGED


def start(world: World, regions: dict[str, int]) -> dict[str, desired_replicas_pb2.DiskSource]:
    disks = {"os": world.blob(os_bytes(world)), "3": world.blob(some_bytes(MIB, -world.number))}
    told(world.watch(world.ensure(world.desired(disks, regions)).replication, 0))
    return disks


def objects(world: World, name: str) -> list[tuple[str, int]]:
    root = Path(world.url(name).removeprefix("file://")) / OBJECTS
    return sorted((one.name, one.stat().st_size) for one in root.rglob("*") if one.is_file())


def test_a_copy_from_a_corrupt_replica_is_made_once_it_is_mended_from_another(
    working: Service, world: World
):
    for name in ("home", "east", "west"):
        world.region(name)
    disks = start(world, {"home": 1, "east": 1})
    flip(segment_of(world, "home"))
    wanted = world.desired(disks, {"home": 1, "east": 1, "west": 1}, generation=2)
    events = told(world.watch(world.ensure(wanted).replication, 0))
    assert events[-1].end.state == pb.Replication.STATE_COMPLETED
    place = world.location("home"), "s1"

    def is_mended() -> bool:
        found = replicas(world)[place]
        return found.health == GOOD and found.disks[0].heal_count == 1

    eventually(is_mended, "the origin is mended")
    assert objects(world, "west") == objects(world, "east") == objects(world, "home")
    found = verify(world)
    assert (found.all_good, found.damaged_disk_count, found.verified_disk_count) == (True, 0, 6)


def test_where_the_only_copy_is_corrupt_it_is_named_and_a_retry_succeeds_once_it_is_back(
    working: Service, world: World
):
    for name in ("home", "west"):
        world.region(name)
    disks = start(world, {"home": 1})
    flip(segment_of(world, "home"))
    wanted = world.desired(disks, {"home": 1, "west": 1}, generation=2)
    name = world.ensure(wanted).replication
    place = world.location("home"), "s1"
    eventually(lambda: replicas(world)[place].health == DAMAGED, "the bad replica is named")
    assert "DIGEST_MISMATCH" in str(replicas(world)[place].cause)
    # Nothing of it can be read at the target, now or when it has given up.
    reader = image_disk_service_pb2_grpc.ImageDiskServiceStub(world.operator.channel)
    with refused(grpc.StatusCode.NOT_FOUND, "NOT_IN_REGION"):
        read(reader, request(world.version, world.location("west")))
    world.operator.replications.CancelReplication(
        replication_service_pb2.CancelReplicationRequest(
            name=name, locations=[world.location("west")]
        )
    )
    eventually(lambda: world.get(name).HasField("end_time"), "the copy has stopped")
    flip(segment_of(world, "home"))
    assert verify(world).all_good
    operation = world.operator.replications.RetryReplication(
        replication_service_pb2.RetryReplicationRequest(name=world.version)
    )
    waiting = operations_pb2.WaitOperationRequest(name=operation.name)
    waiting.timeout.FromSeconds(15)
    ended = world.operator.operations.WaitOperation(waiting)
    assert ended.WhichOneof("result") == "response"
    assert read(reader, request(world.version, world.location("west"))) == os_bytes(world)
    assert objects(world, "west") == objects(world, "home")


def test_a_store_that_is_replaced_gets_its_replicas_from_another_region(
    working: Service, world: World
):
    for name in ("home", "west"):
        world.region(name)
    start(world, {"home": 1, "west": 1})
    root = Path(world.url("west").removeprefix("file://"))
    root.rename(root.with_name("broken"))
    region = region_pb2.Region(name=f"regions/{world.location('west')}")
    world.operator.regions.UpdateRegion(
        region_service_pb2.UpdateRegionRequest(region=region, replaced_slots=["s1"])
    )
    found = verify(world)
    assert (found.damaged_disk_count, found.verified_disk_count) == (2, 4)
    # Only with both disks there is a ref.
    eventually(lambda: verify(world).all_good, "all disks are back")
    assert objects(world, "west") == objects(world, "home")
