"""Processes that die in the middle of a copy, and what their successors make of it."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from stoa.replication.v1 import replication_pb2 as pb

from services.replication.content.refs import read_version
from services.replication.store import tables
from services.replication.stores.opening import open_store
from tests.wire.authz.installation import Installation as Authz
from tests.wire.replication.service import MIB, Service, World, eventually, told

SLOW: dict[str, Any] = {"limits": {"bandwidth_bytes_per_second": 16 * MIB}}


@pytest.fixture
def own(authz: Authz, tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, whose processes may be killed."""
    found = Service(authz, tmp_path)
    yield found
    found.close()


def checkpoint(own: Service, world: World, name: str, disk: str) -> int:
    """How many segments of a disk are recorded as durable in a region."""
    d = tables.replica_disks.c
    statement = select(d.checkpoint).where(
        d.version == world.uid, d.location == world.location(name), d.disk == disk
    )
    return int(own.db.read(lambda c: c.execute(statement).scalar_one()))


def objects(world: World, name: str) -> dict[str, tuple[int, int]]:
    """The objects of a store: what a rewritten one could not keep."""
    root = Path(world.url(name).removeprefix("file://")) / "objects"
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def has_ref(world: World, name: str) -> bool:
    store = open_store(world.url(name))
    try:
        return read_version(store, world.uid) is not None
    finally:
        store.close()


def test_a_copy_goes_on_after_kill_9_where_it_was(own: Service):
    world = World(own)
    world.region("home")
    world.region("east", **SLOW)
    size = 64 * MIB
    disks = {"os": world.blob(random.Random(1).randbytes(size))}
    name = world.ensure(world.desired(disks, {"home": 1, "east": 1})).replication
    whole: list[object] = []
    watcher = threading.Thread(target=lambda: whole.extend(told(world.watch(name, 0))))
    process = own.work()
    eventually(lambda: checkpoint(own, world, "east", "os") >= 4, "windows are durable")
    own.kill(process)
    done = checkpoint(own, world, "east", "os")
    assert done < size // (4 * MIB), "it was killed too late to prove anything"
    before = objects(world, "east")
    assert len(before) >= done
    assert not has_ref(world, "east")
    seen = []
    for message in world.watch(name, 0):
        if message.WhichOneof("event") == "transition":
            seen.append(message)
        if len(seen) == 6:
            break
    # The listeners go too: a watch lives in the database alone.
    own.restart()
    world = _again(world, own)
    watcher.start()
    own.work()
    seen += told(world.watch(name, seen[-1].sequence))
    watcher.join()
    assert seen == whole
    assert [one.sequence for one in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].end.state == pb.Replication.STATE_COMPLETED
    after = objects(world, "east")
    kept = [key for key, identity in before.items() if after.get(key) == identity]
    assert len(kept) >= done
    counted = world.get(name).regions[1].progress.bytes
    # What was copied twice raised the total: never what a checkpoint had recorded.
    again = counted.total_bytes - size
    assert counted.copied_bytes + counted.deduplicated_bytes == size + again
    assert again <= size - done * 4 * MIB
    attempts = {one.transition.attempt for one in seen if one.transition.slot}
    assert max(attempts) >= 2
    assert has_ref(world, "east")


def test_a_version_killed_between_two_disks_is_in_no_slot(own: Service):
    world = World(own)
    world.region("home")
    world.region("east", **SLOW)
    disks = {
        "os": world.blob(random.Random(1).randbytes(8 * MIB)),
        "5": world.blob(random.Random(2).randbytes(48 * MIB)),
    }
    name = world.ensure(world.desired(disks, {"home": 1, "east": 1})).replication
    process = own.work()
    eventually(lambda: checkpoint(own, world, "east", "5") >= 1, "the second disk has begun")
    own.kill(process)
    assert checkpoint(own, world, "east", "os") == 2
    assert not has_ref(world, "east")
    found = world.get(name)
    assert found.regions[1].good_replica_count == 0
    own.work()
    assert told(world.watch(name, 0))[-1].end.state == pb.Replication.STATE_COMPLETED
    assert has_ref(world, "east")


def test_an_admitted_state_outlives_every_process(own: Service):
    world = World(own)
    world.region("home")
    disks = {"os": world.blob(random.Random(1).randbytes(MIB))}
    name = world.ensure(world.desired(disks, {"home": 1})).replication
    own.restart()
    world = _again(world, own)
    assert world.get(name).state == pb.Replication.STATE_OPEN
    own.work()
    assert told(world.watch(name, 0))[-1].end.state == pb.Replication.STATE_COMPLETED


def _again(world: World, own: Service) -> World:
    """The same names, called at the listeners that serve now."""
    found = World(own)
    found.number, found.version, found.uid = world.number, world.version, world.uid
    return found
