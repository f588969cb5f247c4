"""What a version takes, and what crosses for it (gallery-semantics 3.13)."""

import random

from stoa.replication.v1 import replication_feed_pb2

from tests.wire.replication.service import MIB, Service, World
from tests.wire.replication.test_feed import COMPLETED, entries_until, follow, snapshot


def test_holes_take_nothing_and_a_region_is_crossed_into_once(
    working: Service, world: World
) -> None:
    start, _ = snapshot(world)
    world.region("home", slots=2)
    world.region("east", slots=2)
    data = random.Random(7).randbytes(2 * MIB)
    disks = {"os": world.blob(data[:MIB] + bytes(6 * MIB) + data[MIB:])}
    name = world.ensure(world.desired(disks, {"home": 2, "east": 2})).replication
    entries = entries_until(
        follow(world, start.log_uid, start.position),
        lambda one: one.replication.name == name and one.replication.HasField("end"),
    )
    told: dict[str, replication_feed_pb2.VersionRegion] = {
        one.version_region.location: one.version_region
        for one in entries
        if one.version_region.image_version_uid == world.uid
    }
    home, east = (told[world.location(one)] for one in ("home", "east"))
    for region in (home, east):
        assert (region.state, region.good_replica_count) == (COMPLETED, 2)
        assert [one.size_bytes for one in region.disks] == [8 * MIB]
    # In a slot of the home region the blob itself lies, and is kept once.
    assert (home.stored_bytes, east.stored_bytes) == (len(data), 2 * len(data))
    assert east.crossed_bytes == len(data)
    assert home.crossed_bytes == 0
