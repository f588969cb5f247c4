"""Versions made from the disks of other versions, on both databases."""

import threading
from pathlib import Path

from services.replication.domain.desired import DiskSource, SourceKind
from services.replication.domain.names import storage_id
from services.replication.domain.states import CopyState, ReplicationState
from tests.integration.replication.world import GROUP, MIB, TENANT, World, some_bytes

UID, COPY = "a" * 32, "b" * 32
OTHER = storage_id("t2")
SOURCE_NAME = f"{GROUP}/galleries/g/images/i/versions/1.0.0"
COPY_NAME = "subscriptions/s2/resourceGroups/rg/galleries/h/images/i/versions/2.0.0"


def disk_of(version: str = UID, disk: str = "os") -> DiskSource:
    return DiskSource(SourceKind.IMAGE_VERSION, SOURCE_NAME, version, disk)


def objects_of(world: World, location: str, tenant: str = TENANT) -> dict[Path, int]:
    root = world.root / location / "1" / "objects" / tenant
    return {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()}


def publish(world: World, data: bytes, regions: dict[str, int]) -> None:
    desired = world.desired({"os": world.upload("os", data)}, regions)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    assert view.record.state is ReplicationState.COMPLETED


def test_within_a_tenant_a_copy_shares_the_objects_of_its_source(world: World):
    world.add_region("home")
    data = some_bytes(6 * MIB)
    publish(world, data, {"home": 1})
    before = objects_of(world, "home")
    desired = world.desired({"os": disk_of()}, {"home": 1}, uid=COPY, version=COPY_NAME)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(COPY, "home", "os") == data
    assert objects_of(world, "home") == before
    counters = view.regions[0].region.progress.counters
    assert (counters.copied, counters.deduplicated) == (0, 6 * MIB)


def test_across_tenants_a_copy_has_bytes_of_its_own(world: World):
    world.add_region("home")
    data = some_bytes(6 * MIB)
    publish(world, data, {"home": 1})
    desired = world.desired(
        {"os": disk_of()}, {"home": 1}, uid=COPY, version=COPY_NAME, tenant=OTHER
    )
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    assert view.record.state is ReplicationState.COMPLETED
    counters = view.regions[0].region.progress.counters
    assert (counters.copied, counters.deduplicated) == (6 * MIB, 0)
    theirs, ours = objects_of(world, "home"), objects_of(world, "home", OTHER)
    assert len(theirs) == len(ours)
    assert not set(theirs.values()) & set(ours.values())
    for path in theirs:
        path.unlink()
    assert world.content(COPY, "home", "os") == data


def test_a_disk_is_taken_by_its_lun(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(MIB)), "7": world.upload("d", some_bytes(MIB, 2))}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 1})).id)
        copy = world.desired(
            {"os": disk_of(disk="7"), "0": disk_of()}, {"home": 1}, uid=COPY, version=COPY_NAME
        )
        world.wait_end(world.ensure(copy).id)
    assert world.content(COPY, "home", "os") == some_bytes(MIB, 2)
    assert world.content(COPY, "home", "0") == some_bytes(MIB)
    found = world.inspection.inspect(disk_of(disk="7"))
    assert found is not None
    assert (found.location, found.size_bytes, found.uid) == ("home", MIB, UID)
    assert found.root
    assert world.inspection.inspect(disk_of(disk="8")) is None
    assert world.inspection.inspect(disk_of("c" * 32)) is None


def test_a_version_that_is_not_in_the_home_region_is_read_from_another_one(world: World):
    world.add_region("home")
    world.add_region("east")
    data = some_bytes(2 * MIB)
    publish(world, data, {"home": 1, "east": 1})
    with world.working():
        world.ensure(world.desired({"os": disk_of()}, {"east": 1}, generation=2))
        world.wait_state(CopyState.REMOVED, "home")
        copy = world.desired(
            {"os": disk_of()}, {"home": 1}, uid=COPY, version=COPY_NAME, tenant=OTHER
        )
        view = world.wait_end(world.ensure(copy).id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(COPY, "home", "os") == data
    assert view.regions[0].region.source_location == "east"
    assert view.regions[0].region.crossed_bytes == 2 * MIB


def test_a_damaged_replica_of_the_source_is_not_the_only_one_tried(world: World):
    world.add_region("home", 2)
    data = some_bytes(5 * MIB)
    publish(world, data, {"home": 2})
    largest = max(objects_of(world, "home"), key=lambda path: path.stat().st_size)
    largest.write_bytes(bytes(largest.stat().st_size))
    copy = world.desired({"os": disk_of()}, {"home": 1}, uid=COPY, version=COPY_NAME, tenant=OTHER)
    with world.working():
        view = world.wait_end(world.ensure(copy).id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.replica("home", uid=COPY).failures == 1
    assert world.content(COPY, "home", "os") == data


def test_a_source_version_that_was_deleted_fails_the_copy_with_its_reason(world: World):
    world.add_region("home")
    publish(world, some_bytes(MIB), {"home": 1})
    copy = world.desired({"os": disk_of()}, {"home": 1}, uid=COPY, version=COPY_NAME)
    record = world.ensure(copy)
    world.ensure(world.desired({}, {}, generation=2))
    assert world.inspection.inspect(disk_of()) is None
    with world.working():
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.FAILED
    cause = view.regions[0].region.cause
    assert cause is not None
    assert (cause.reason, cause.retryable) == ("SOURCE_NOT_FOUND", False)
    assert cause.metadata["source"] == SOURCE_NAME
    assert world.content(COPY, "home", "os") is None


def test_a_copy_that_has_begun_outlives_the_deletion_of_its_source(world: World):
    """In mid-copy by what it has opened, and from its first replica on by itself."""
    world.add_region("home", bandwidth=8 * MIB)
    world.add_region("east")
    data = some_bytes(24 * MIB)
    publish(world, data, {"home": 1})
    copy = world.desired(
        {"os": disk_of()}, {"home": 1, "east": 1}, uid=COPY, version=COPY_NAME, tenant=OTHER
    )
    record = world.ensure(copy)
    with world.working():
        wait_copying(world)
        world.ensure(world.desired({}, {}, generation=2))
        world.wait_state(CopyState.REMOVED, "home")
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    for location in ("home", "east"):
        assert world.content(COPY, location, "os") == data


def wait_copying(world: World) -> None:
    """Wait until both regions have opened the source and are copying."""
    pause = threading.Event()
    for _ in range(1000):
        states = {world.replica(one, uid=COPY).state for one in ("home", "east")}
        if states <= {CopyState.COPYING, CopyState.VERIFYING, CopyState.COMPLETED}:
            return
        pause.wait(0.01)
    raise AssertionError(states)
