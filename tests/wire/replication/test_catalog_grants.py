"""Grants of the catalog itself, as at the end of a retention: they lower and end, no more."""

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.replication.v1 import desired_replicas_pb2
from stoa.replication.v1 import replication_pb2 as pb

from tests.wire.replication.service import Service, World, refused

ITSELF = "workloads/catalog"


def by_itself(world: World, desired: desired_replicas_pb2.DesiredReplicas) -> bytes:
    return world.sign(world.claims(desired) | {"sub": ITSELF, "demands": []})


def test_the_catalog_itself_lowers_a_count_and_withdraws(service: Service, world: World) -> None:
    world.region("home", 2)
    disks = {"os": world.blob(b"x")}
    world.ensure(world.desired(disks, {"home": 2}))
    lower = world.desired(disks, {"home": 1}, generation=2)
    answer = world.ensure(lower, operation_grant=by_itself(world, lower))
    assert answer.state == pb.Replication.STATE_OPEN
    none = world.desired({}, {}, generation=3)
    answer = world.ensure(none, operation_grant=by_itself(world, none))
    assert answer.state == pb.Replication.STATE_COMPLETED


@pytest.mark.parametrize("more", [{"home": 3}, {"home": 1, "east": 1}])
def test_the_catalog_itself_cannot_have_more_copied(
    service: Service, world: World, more: dict[str, int]
) -> None:
    world.region("home", 3)
    world.region("east")
    disks = {"os": world.blob(b"x")}
    world.ensure(world.desired(disks, {"home": 2}))
    wanted = world.desired(disks, more, generation=2)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "GRANT_MISMATCH") as refusal:
        world.ensure(wanted, operation_grant=by_itself(world, wanted))
    assert refusal.info.metadata["claim"] == "sub"


def test_the_catalog_itself_cannot_begin_a_version(service: Service, world: World) -> None:
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    with refused(grpc.StatusCode.PERMISSION_DENIED, "GRANT_MISMATCH"):
        world.ensure(wanted, operation_grant=by_itself(world, wanted))


def test_the_catalog_itself_cannot_put_off_the_end_of_reading(
    service: Service, world: World
) -> None:
    world.region("home")
    disks = {"os": world.blob(b"x")}
    ending = world.desired(disks, {"home": 1})
    ending.read_end_time.CopyFrom(Timestamp(seconds=2_000_000_000))
    world.ensure(ending)
    for end in (None, 2_000_000_001):
        wanted = world.desired(disks, {"home": 1}, generation=2)
        if end is not None:
            wanted.read_end_time.CopyFrom(Timestamp(seconds=end))
        with refused(grpc.StatusCode.PERMISSION_DENIED, "GRANT_MISMATCH"):
            world.ensure(wanted, operation_grant=by_itself(world, wanted))
