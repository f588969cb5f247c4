"""What must hold after every fault (replication.md, section 8), whatever it was.

I1 and I2 are read from the files of the stores, I3 and I4 from the rows and the stores, I5 from the
kernel, and I6 from the rows of the regions that nothing was done to.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from services.replication.content.refs import read_version
from services.replication.content.store import Store
from services.replication.domain.states import UNFINISHED, CopyState, Health, ReplicationState
from services.replication.usecases.collecting import CollectionSettings, ObjectCollection
from services.replication.usecases.damage import Damage
from tests.integration.replication.sound import assert_sound, path_of
from tests.integration.replication.world import World

GRACE: Final = timedelta(hours=1)
# Of a process that copies, beyond what it had before: 4 disks at once, each with its buffers of
# 4 MiB (2 that copy, 2 more, and those that read back), and what Python makes of it.
MEMORY_BOUND: Final = 192 << 20

Disks = Mapping[str, bytes]


def assert_invariants(
    world: World, versions: Mapping[str, Disks], *, healthy: Sequence[str] = ("home",)
) -> None:
    """Check all of them once nothing more is to be done.

    `versions` are the disks of each version as their sources have them, and `healthy` the regions
    that nothing was done to.
    """
    for uid, disks in versions.items():
        # I1, I2
        assert_sound(world, uid, disks)
        assert_committed_where_it_is_said(world, uid)
        assert_events_are_dense(world, uid)
        assert_unaffected(world, uid, healthy)
    assert_nothing_is_left(world)


def assert_committed_where_it_is_said(world: World, uid: str) -> None:
    """A ref is in a slot if and only if the rows have a replica there (I1)."""
    said = {
        (one.location, one.slot)
        for one in world.rows.read(lambda tx: tx.replicas.of_version(uid))
        if one.state is CopyState.COMPLETED and not one.is_shallow
    }
    found = {
        (region.id, slot.id)
        for region in world.rows.read(lambda tx: tx.regions.all())
        for slot in region.slots
        if read_version(world.stores.open(region.id, slot), uid) is not None
    }
    assert found == said


def assert_events_are_dense(world: World, uid: str) -> None:
    """Each replication has numbered its events without a gap, and told its end once, last (I3)."""
    version = world.rows.read(lambda tx: tx.versions.get(uid))
    assert version is not None
    name: str = version.replication
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        record = world.rows.read(lambda tx, name=name: tx.replications.get(name))  # type: ignore[misc]
        assert record is not None
        events = world.events(name)
        assert [one.sequence for one in events] == [*range(record.horizon + 1, record.sequence + 1)]
        assert record.state not in {ReplicationState.OPEN, ReplicationState.CANCELLING}
        if record.sequence > record.horizon:
            ends = [one.sequence for one in events if one.body.end is not None]
            assert ends == [record.sequence]
        name = record.predecessor


def assert_unaffected(world: World, uid: str, healthy: Sequence[str]) -> None:
    """What is wanted of a healthy region is there, and no attempt failed on the way (I6)."""
    version = world.rows.read(lambda tx: tx.versions.get(uid))
    assert version is not None
    wanted = {one.location: one.count for one in version.desired.regions}
    for location in healthy:
        replicas = world.rows.read(
            lambda tx, location=location: tx.replicas.of_region(uid, location)  # type: ignore[misc]
        )
        good = [one for one in replicas if one.is_good]
        count = 0 if version.withdrawn else wanted.get(location, 0)
        assert len(good) == count, f"{location}: {replicas}"
        assert {(one.failures, one.health) for one in good} <= {(0, Health.GOOD)}


def assert_nothing_is_left(world: World) -> None:
    """No task is held, and no scratch file or journal outlives what it was for (I4)."""
    for region in world.rows.read(lambda tx: tx.regions.all()):
        for slot in region.slots:
            held = world.rows.read(
                lambda tx, at=(region.id, slot.id): tx.replicas.in_slot(*at)  # type: ignore[misc]
            )
            assert not [one for one in held if one.owner or one.state in UNFINISHED]
            store = world.stores.open(region.id, slot)
            _grow_old(store)
            done = collection(world).collect(region.id, slot, threading.Event())
            assert done is not None, f"{region.id}/{slot.id} is not what the rows say"
            assert not [*_files(store, "tmp"), *_files(store, "journals")]


def collection(world: World) -> ObjectCollection:
    """What sweeps slots after a grace, and refuses where a store and the rows disagree."""
    settings = CollectionSettings(GRACE, most_percent=100)
    damage = Damage(world.rows, world.results)
    return ObjectCollection(world.rows, world.stores, damage, settings)


def memory_of(pid: int) -> int:
    """The most bytes of memory that a process has had at once."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [one for one in status.splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


def _files(store: Store, folder: str) -> list[Path]:
    return [path for path in path_of(store, folder).rglob("*") if path.is_file()]


def _grow_old(store: Store) -> None:
    """Let twice the time pass that scratch files are kept for."""
    for folder in ("tmp", "journals"):
        for path in path_of(store, folder).rglob("*"):
            time = path.stat().st_mtime - 2 * GRACE.total_seconds()
            os.utime(path, (time, time))
