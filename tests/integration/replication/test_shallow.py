"""Shallow versions: nothing is copied, until they are promoted; then everything is."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from services.kernel.db.engine import Database
from services.kernel.errors import InvalidArgument
from services.replication.content.refs import read_version
from services.replication.domain.desired import DesiredReplicas, DiskSource, SourceKind
from services.replication.domain.records import SOURCE_SLOT, VersionDisk
from services.replication.domain.states import (
    CopyState,
    Health,
    RegionState,
    ReplicationMode,
    ReplicationState,
)
from services.replication.store import tables
from services.replication.store.reader_seats import LeasedSeats
from services.replication.usecases.retry import Retry
from services.replication.usecases.settings import EngineSettings
from tests.integration.replication.world import MIB, World, some_bytes
from tests.large_files import large_files

UID = "a" * 32
TIB = 1 << 40


def shallow(
    world: World,
    disks: Mapping[str, DiskSource],
    regions: Mapping[str, int] | None = None,
    *,
    generation: int = 1,
    uid: str = UID,
) -> DesiredReplicas:
    wanted = world.desired(disks, regions or {"home": 1}, generation=generation, uid=uid)
    return replace(wanted, mode=ReplicationMode.SHALLOW)


def promoted(desired: DesiredReplicas) -> DesiredReplicas:
    generation = desired.generation + 1
    return replace(desired, mode=ReplicationMode.FULL, generation=generation)


def reach(world: World, desired: DesiredReplicas) -> ReplicationState:
    """Want something, and work until it is there or has failed."""
    record = world.ensure(desired)
    with world.working():
        return world.wait_end(record.id).record.state


def region(world: World, uid: str = UID):
    (found,) = world.rows.read(lambda tx: tx.versions.regions(uid))
    return found


def contents(world: World, uid: str = UID) -> list[VersionDisk]:
    return list(world.rows.read(lambda tx: tx.versions.disks(uid)))


def test_a_shallow_version_of_blobs_is_there_without_a_byte(world: World):
    world.add_region("home", slots=1)
    data = some_bytes(2 * MIB)
    sources = {"os": world.upload("os", data), "0": world.upload("data", data[:MIB])}
    assert reach(world, shallow(world, sources)) is ReplicationState.COMPLETED
    replica = world.replica("home", SOURCE_SLOT)
    assert (replica.state, replica.health) == (CopyState.COMPLETED, Health.GOOD)
    assert (replica.progress.counters.copied, replica.progress.counters.total) == (0, 0)
    assert replica.progress.percent == 100
    found = region(world)
    assert (found.state, found.good, found.usable) == (RegionState.COMPLETED, 1, True)
    assert read_version(world.slot_store("home"), UID) is None
    disks = world.rows.read(lambda tx: tx.replicas.disks(UID))
    assert [(one.stored_bytes, one.verify_time) for one in disks] == [(0, None), (0, None)]
    assert [(one.disk, one.size_bytes, bool(one.root)) for one in contents(world)] == [
        ("os", 2 * MIB, True),
        ("0", MIB, True),
    ]


def test_a_file_of_a_shallow_version_is_not_hashed(world: World):
    world.add_region("home")
    source = world.file("os.raw", some_bytes(3 * MIB))
    assert reach(world, shallow(world, {"os": source})) is ReplicationState.COMPLETED
    assert contents(world) == [VersionDisk(UID, "os", "", 3 * MIB, 3 * MIB)]


def test_promotion_copies_in_full_under_the_same_uid_and_lets_go_of_the_source(world: World):
    world.add_region("home", slots=2)
    data = some_bytes(3 * MIB)
    wanted = shallow(world, {"os": world.file("os.raw", data)})
    reach(world, wanted)
    assert reach(world, promoted(wanted)) is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os") == data
    with world.working():
        world.wait_state(CopyState.REMOVED, "home", SOURCE_SLOT)
    found = region(world)
    assert (found.state, found.good, found.usable) == (RegionState.COMPLETED, 1, True)
    (disk,) = contents(world)
    assert (len(disk.root), disk.size_bytes) == (64, 3 * MIB)
    copies = world.rows.read(lambda tx: tx.replicas.of_version(UID))
    assert {one.slot: one.is_shallow for one in copies if one.is_good} == {"s1": False}
    (world.root / "files" / "os.raw").unlink()
    raised = replace(promoted(promoted(wanted)), regions=world.desired({}, {"home": 2}).regions)
    assert reach(world, raised) is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os", "s2") == data


def test_a_version_stays_readable_at_its_source_while_it_is_promoted_and_when_that_fails(
    world: World,
):
    world.add_region("home")
    source = world.file("os.raw", some_bytes(MIB))
    wanted = shallow(world, {"os": source})
    reach(world, wanted)
    world.ensure(promoted(wanted))
    under_way = region(world)
    assert (under_way.state, under_way.usable) == (RegionState.PENDING, True)
    path = world.root / "files" / "os.raw"
    original = path.stat()
    hidden = path.rename(path.with_suffix(".away"))
    with world.working():
        record = world.rows.read(lambda tx: tx.versions.get(UID))
        assert record is not None
        ended = world.wait_end(record.replication)
    assert ended.record.state is ReplicationState.FAILED
    failed = region(world)
    assert (failed.state, failed.usable) == (RegionState.FAILED, True)
    assert failed.cause is not None
    assert failed.cause.reason == "SOURCE_NOT_FOUND"
    hidden.rename(path)
    assert path.stat().st_ino == original.st_ino
    # The name changed what the file system tells of the file: it is pinned by that too.
    version = world.rows.read(lambda tx: tx.versions.get(UID))
    assert version is not None
    again = world.ensure(version.desired, retry=Retry("again"))
    with world.working():
        assert world.wait_end(again.id).record.state is ReplicationState.FAILED
    assert region(world).usable


def test_a_shallow_version_of_a_shallow_version_is_what_that_is_made_from(world: World):
    world.add_region("home")
    data = some_bytes(MIB)
    first = shallow(world, {"os": world.file("os.raw", data)})
    reach(world, first)
    other = "b" * 32
    source = DiskSource(SourceKind.IMAGE_VERSION, first.version, first.uid, "os")
    second = replace(
        shallow(world, {"os": source}, uid=other), version=f"{first.version[:-5]}2.0.0"
    )
    assert reach(world, second) is ReplicationState.COMPLETED
    assert [one.size_bytes for one in contents(world, other)] == [MIB]
    full = replace(
        world.desired({"os": source}, {"home": 1}, uid="c" * 32),
        version=f"{first.version[:-5]}3.0.0",
    )
    assert reach(world, full) is ReplicationState.COMPLETED
    assert world.content("c" * 32, "home", "os") == data


@pytest.mark.parametrize(
    "regions", [{"home": 2}, {"west": 1}, {"home": 1, "west": 1}], ids=["two", "away", "both"]
)
def test_only_once_at_home_is_a_version_shallow(world: World, regions: Mapping[str, int]):
    world.add_region("home", slots=2)
    world.add_region("west")
    source = world.upload("os", some_bytes(MIB))
    with pytest.raises(InvalidArgument):
        world.ensure(shallow(world, {"os": source}, regions))


def test_a_full_version_does_not_become_shallow(world: World):
    world.add_region("home")
    source = world.upload("os", some_bytes(MIB))
    world.ensure(world.desired({"os": source}, {"home": 1}))
    with pytest.raises(InvalidArgument):
        world.ensure(shallow(world, {"os": source}, generation=2))


def test_a_withdrawn_shallow_version_leaves_its_source_as_it_was(world: World):
    world.add_region("home")
    data = some_bytes(MIB)
    wanted = shallow(world, {"os": world.file("os.raw", data)})
    reach(world, wanted)
    gone = replace(wanted, generation=2, regions=(), disks=())
    assert reach(world, gone) is ReplicationState.COMPLETED
    with world.working():
        world.wait_state(CopyState.REMOVED, "home", SOURCE_SLOT)
    assert (world.root / "files" / "os.raw").read_bytes() == data


def test_a_source_that_is_gone_fails_and_is_there_again_for_a_retry(world: World):
    world.add_region("home")
    source = world.file("os.raw", some_bytes(MIB))
    wrong = replace(source, path="gone.raw")
    assert reach(world, shallow(world, {"os": wrong})) is ReplicationState.FAILED
    assert not region(world).usable
    os.link(world.root / "files" / "os.raw", world.root / "files" / "gone.raw")
    again = world.files.open("vhds", "gone.raw")
    again.close()
    wanted = shallow(world, {"os": replace(wrong, etag=again.pin)}, generation=2)
    assert reach(world, wanted) is ReplicationState.COMPLETED
    assert region(world).usable


def test_replicas_at_their_sources_are_not_read_back(world: World):
    world.add_region("home")
    reach(world, shallow(world, {"os": world.upload("os", some_bytes(MIB))}))
    now = world.rows.read(lambda tx: tx.now()) + timedelta(days=365)
    assert world.rows.read(lambda tx: tx.replicas.unverified(now, 10, ())) == []


def test_a_soft_deleted_shallow_version_is_kept_at_its_source_and_had_back(world: World):
    world.add_region("home")
    wanted = shallow(world, {"os": world.upload("os", some_bytes(MIB))})
    reach(world, wanted)
    end = world.rows.read(lambda tx: tx.now()) + timedelta(days=7)
    for generation, read_end in ((2, end), (3, None)):
        changed = replace(wanted, generation=generation, read_end=read_end)
        assert reach(world, changed) is ReplicationState.COMPLETED
        replica = world.replica("home", SOURCE_SLOT)
        assert (replica.state, replica.generation) == (CopyState.COMPLETED, generation)
        assert region(world).usable


def seats_of(world: World) -> dict[str, str]:
    leases = tables.leases.c
    rows = world.db.read(lambda c: c.execute(select(leases.duty, leases.owner)).all())
    return {row.duty: row.owner for row in rows}


def test_a_silent_reader_loses_its_place_when_another_one_comes(world: World):
    seats = LeasedSeats(world.db, seats=1)
    first = seats.take(UID)
    assert first is not None
    assert seats.take(UID) is None
    assert seats.take("b" * 32) is not None
    assert first.keep()
    past = world.rows.read(lambda tx: tx.now()) - timedelta(seconds=1)
    world.db.transact(lambda c: c.execute(update(tables.leases).values(expire_time=past)))
    assert first.keep()
    assert seats.take(UID) is None
    world.db.transact(lambda c: c.execute(update(tables.leases).values(expire_time=past)))
    second = seats.take(UID)
    assert second is not None
    assert not first.keep()
    # What is not its own any more it cannot give away.
    first.leave()
    assert seats.take(UID) is None
    second.leave()
    assert seats.take(UID) is not None


def test_the_places_of_readers_go_with_the_version(world: World):
    world.add_region("home")
    wanted = shallow(world, {"os": world.upload("os", some_bytes(MIB))})
    reach(world, wanted)
    seats = LeasedSeats(world.db, seats=2)
    for uid in (UID, "b" * 32):
        seat = seats.take(uid)
        assert seat is not None
        seat.leave()
    gone = replace(wanted, generation=2, regions=(), disks=())
    reach(world, gone)
    with world.working():
        world.wait_state(CopyState.REMOVED, "home", SOURCE_SLOT)
    later = world.rows.read(lambda tx: tx.now()) + timedelta(seconds=60)
    assert world.rows.transact(lambda tx: tx.versions.forget(later, 10)) == 1
    assert [one.split("/")[1] for one in seats_of(world)] == ["b" * 32]


@pytest.fixture
def sparse(db: Database, tmp_path: Path) -> Iterator[World]:
    """A world whose source files may be larger than what most file systems take."""
    with large_files(tmp_path) as folder:
        found = World(db, tmp_path).create_schema()
        (tmp_path / "files").symlink_to(folder)
        found.add_region("home")
        yield found
        found.close()


def huge(world: World, size: int) -> DiskSource:
    source = world.file("huge.raw", b"")
    path = world.root / "files" / "huge.raw"
    with path.open("r+b") as file:
        file.write(b"boot")
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"last")
    opened = world.files.open("vhds", "huge.raw")
    opened.close()
    return replace(source, etag=opened.pin)


def test_32_tib_are_a_shallow_version_at_once_and_no_full_one(sparse: World):
    source = huge(sparse, 32 * TIB)
    assert reach(sparse, shallow(sparse, {"os": source})) is ReplicationState.COMPLETED
    replica = sparse.replica("home", SOURCE_SLOT)
    assert replica.progress.counters.copied == 0
    (disk,) = contents(sparse)
    assert disk.size_bytes == 32 * TIB
    full = replace(
        sparse.desired({"os": source}, {"home": 1}, uid="b" * 32),
        version=f"{shallow(sparse, {}).version[:-5]}2.0.0",
    )
    assert reach(sparse, full) is ReplicationState.FAILED
    found = region(sparse, "b" * 32)
    assert found.cause is not None
    assert found.cause.reason == "SOURCE_TOO_LARGE"
    copied = sparse.replica("home", uid="b" * 32)
    assert (copied.progress.counters.copied, copied.attempt) == (0, 1)
    objects = sparse.root / "home" / "1" / "objects"
    assert [one for one in objects.rglob("*") if one.is_file()] == []


def test_33_tib_are_too_many(sparse: World):
    source = huge(sparse, 33 * TIB)
    assert reach(sparse, shallow(sparse, {"os": source})) is ReplicationState.FAILED
    found = region(sparse)
    assert found.cause is not None
    assert found.cause.reason == "SOURCE_TOO_LARGE"


def test_the_limits_are_settings():
    settings = EngineSettings()
    assert (settings.full_disk_bytes, settings.shallow_disk_bytes) == (2 * TIB, 32 * TIB)
