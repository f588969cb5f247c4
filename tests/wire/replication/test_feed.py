"""The feed of regions and replications on the wire."""

import random
from typing import Any

import grpc
from stoa.replication.v1 import replication_feed_service_pb2 as pb
from stoa.replication.v1 import replication_pb2
from stoa.type.v1 import replication_state_pb2

from tests.wire.replication.service import MIB, Service, World, refused

COMPLETED = replication_state_pb2.REGIONAL_REPLICATION_STATE_COMPLETED
REMOVED = replication_state_pb2.REGIONAL_REPLICATION_STATE_REMOVED


def snapshot(world: World) -> tuple[Any, list[Any]]:
    messages = list(world.catalog.feed.Snapshot(pb.SnapshotRequest(), timeout=20))
    assert messages[-1].end.item_count == len(messages) - 2
    return messages[0].start, [one.item for one in messages[1:-1]]


def follow(world: World, log: str, after: int) -> Any:
    request = pb.WatchRequest(log_uid=log, after_position=after)
    return world.catalog.feed.Watch(request, timeout=40)


def entries_until(stream: Any, done: Any) -> list[Any]:
    """The entries with a position, up to the one that is looked for."""
    found = []
    for message in stream:
        entry = message.entry
        if message.WhichOneof("message") != "entry" or entry.WhichOneof("entry") == "progress":
            continue
        found.append(entry)
        if done(entry):
            stream.cancel()
            return found
    raise AssertionError("the stream ended")


def test_a_follower_learns_everything_in_order(working: Service, world: World):
    start, _ = snapshot(world)
    world.region("home")
    world.region("east")
    disks = {"os": world.blob(random.Random(1).randbytes(2 * MIB))}
    name = world.ensure(world.desired(disks, {"home": 1, "east": 1})).replication
    found = entries_until(
        follow(world, start.log_uid, start.position),
        lambda one: one.replication.name == name and one.replication.HasField("end"),
    )
    assert [one.position for one in found] == list(
        range(start.position + 1, start.position + 1 + len(found))
    )
    regions = [one.region.name for one in found if one.WhichOneof("entry") == "region"]
    assert regions == [f"regions/{world.location(one)}" for one in ("home", "east")]
    assert not [slot.store_url for one in found for slot in one.region.slots if slot.store_url]
    last = {
        one.version_region.location: one.version_region
        for one in found
        # What an earlier test left under way is told of as well.
        if one.version_region.image_version_uid == world.uid
    }
    assert {one.state for one in last.values()} == {COMPLETED}
    assert all(one.usable and one.good_replica_count == 1 for one in last.values())
    assert last[world.location("east")].crossed_bytes == 2 * MIB
    assert [one.size_bytes for one in last[world.location("home")].disks] == [2 * MIB]
    assert found[-1].replication.end.state == replication_pb2.Replication.STATE_COMPLETED


def test_a_snapshot_holds_what_is_and_not_what_was(working: Service, world: World):
    start, _ = snapshot(world)
    world.region("home")
    disks = {"os": world.blob(random.Random(1).randbytes(MIB))}
    name = world.ensure(world.desired(disks, {"home": 1})).replication
    entries_until(
        follow(world, start.log_uid, start.position),
        lambda one: one.replication.name == name and one.replication.HasField("end"),
    )
    _, items = snapshot(world)
    (mine,) = [one for one in items if one.version_region.image_version_uid == world.uid]
    assert mine.version_region.state == COMPLETED
    assert mine.version_region.usable
    (summary,) = [one for one in items if one.replication.name == name]
    assert summary.replication.HasField("end")
    world.ensure(world.desired({}, {}, generation=2))
    after, items = snapshot(world)
    assert not [one for one in items if one.version_region.image_version_uid == world.uid]
    told = entries_until(
        follow(world, start.log_uid, summary.position),
        lambda one: one.replication.generation == 2 and one.replication.HasField("end"),
    )
    states = [
        one.version_region.state
        for one in told
        if one.version_region.image_version_uid == world.uid
    ]
    assert states[-1] == REMOVED
    assert after.log_uid == start.log_uid


def test_positions_that_lead_nowhere_ask_for_a_snapshot(service: Service, world: World):
    start, _ = snapshot(world)
    for log, position in (
        ("another-1", start.position),
        (f"{start.log_uid}0", start.position),
        (start.log_uid, start.position + 1000),
    ):
        with refused(grpc.StatusCode.OUT_OF_RANGE, "POSITION_COMPACTED"):
            list(follow(world, log, position))


def test_heartbeats_say_how_far_it_is(service: Service, world: World):
    start, _ = snapshot(world)
    stream = follow(world, start.log_uid, start.position)
    beat = next(one.heartbeat for one in stream if one.WhichOneof("message") == "heartbeat")
    assert beat.head_position >= start.position
    assert beat.HasField("server_time")
    stream.cancel()


def test_nobody_but_the_catalog_follows(service: Service):
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        list(service.user().feed.Snapshot(pb.SnapshotRequest(), timeout=10))
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        list(service.service("authz").feed.Snapshot(pb.SnapshotRequest(), timeout=10))
