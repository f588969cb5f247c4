"""Copies that meet what goes wrong, on both databases."""

import threading
from pathlib import Path

import pytest

from services.kernel.db.tables import from_microseconds
from services.kernel.errors import Unavailable
from services.replication.content.errors import Cancelled, FenceLost
from services.replication.domain.desired import DiskSource, SourceKind
from services.replication.domain.grants import Demand, Grant
from services.replication.domain.states import (
    CopyState,
    Health,
    RegionState,
    ReplicationState,
)
from services.replication.usecases.cancelling import cancel_regions
from services.replication.usecases.claims import Claims
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.settings import EngineSettings
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32


def test_a_swapped_store_fails_its_region_and_no_other(world: World):
    world.add_region("home")
    world.add_region("east")
    root = world.root / "east" / "1"
    (root / "replica-id").write_text("0" * 32)
    disks = {"os": world.upload("os", some_bytes(MIB))}
    with world.working():
        view = world.wait_end(world.ensure(world.desired(disks, {"home": 1, "east": 1})).id)
    assert view.record.state is ReplicationState.FAILED
    assert [one.region.state for one in view.regions] == [
        RegionState.COMPLETED,
        RegionState.FAILED,
    ]
    cause = view.regions[1].region.cause
    assert cause is not None
    assert (cause.reason, cause.retryable) == ("REPLICA_MISMATCH", False)
    assert not (root / "refs").exists() or not list((root / "refs").iterdir())


def test_a_store_that_is_away_is_waited_for(world: World):
    world.add_region("home")
    world.add_region("east")
    root = world.root / "east" / "1"
    away = Path(f"{root}.away")
    root.rename(away)
    disks = {"os": world.upload("os", some_bytes(MIB))}
    record = world.ensure(world.desired(disks, {"home": 1, "east": 1}))
    with world.working():
        paused = world.wait_state(CopyState.PAUSED, "east")
        assert paused.cause is not None
        assert paused.cause.reason == "STORE_UNAVAILABLE"
        away.rename(root)
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.replica("east").failures == 0


def test_a_subject_who_lost_access_ends_the_copy(world: World):
    world.add_region("home")
    world.rights.missing = Demand("write", "there")
    record = world.ensure(world.desired({"os": world.upload("os", b"x" * 9)}, {"home": 1}))
    with world.working():
        view = world.wait_end(record.id)
    cause = view.regions[0].region.cause
    assert cause is not None
    assert cause.reason == "AUTHORIZATION_REVOKED"
    assert cause.metadata["permission"] == "write"


def test_rights_that_cannot_be_decided_are_waited_for(world: World, monkeypatch):
    world.add_region("home")
    asked = threading.Event()

    def silent(grant: Grant) -> None:
        asked.set()
        raise Unavailable("the policy is not known")

    monkeypatch.setattr(world.rights, "lost", silent)
    record = world.ensure(world.desired({"os": world.upload("os", b"x" * 9)}, {"home": 1}))
    with world.working():
        world.wait_state(CopyState.PAUSED, "home")
        monkeypatch.undo()
        view = world.wait_end(record.id)
    assert asked.is_set()
    assert view.record.state is ReplicationState.COMPLETED


def test_a_bad_object_in_one_replica_is_read_from_another(world: World):
    world.add_region("home", 2)
    world.add_region("east")
    data = some_bytes(5 * MIB)
    disks = {"os": world.upload("os", data)}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 2})).id)
    objects = [p for p in (world.root / "home" / "1" / "objects").rglob("*") if p.is_file()]
    largest = max(objects, key=lambda path: path.stat().st_size)
    largest.write_bytes(bytes(largest.stat().st_size))
    record = world.ensure(world.desired(disks, {"home": 2, "east": 1}, generation=2))
    with world.working():
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.replica("east").failures == 1
    assert world.content(UID, "east", "os") == data


def test_a_source_that_is_gone_fails_for_good(world: World):
    world.add_region("home")
    gone = DiskSource(SourceKind.BLOB, "subscriptions/s1/resourceGroups/rg/blobs/b", "f" * 32)
    with world.working():
        view = world.wait_end(world.ensure(world.desired({"os": gone}, {"home": 1})).id)
    cause = view.regions[0].region.cause
    assert cause is not None
    assert (cause.reason, cause.retryable) == ("SOURCE_NOT_FOUND", False)


def test_a_file_is_hashed_once_and_copied_from_its_first_replica(world: World):
    world.add_region("home", 2)
    world.add_region("east")
    data = some_bytes(6 * MIB) + bytes(4 * MIB)
    source = world.file("disk.img", data)
    with world.working():
        record = world.ensure(world.desired({"os": source}, {"east": 1, "home": 2}))
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.replica("east").source_location == "home"
    for location, slot in (("home", "s1"), ("home", "s2"), ("east", "s1")):
        assert world.content(UID, location, "os", slot) == data


def test_a_disk_of_another_version_is_a_source(world: World):
    world.add_region("home")
    world.add_region("east")
    data = some_bytes(2 * MIB)
    with world.working():
        first = world.ensure(world.desired({"os": world.upload("os", data)}, {"home": 1}))
        world.wait_end(first.id)
        source = DiskSource(SourceKind.IMAGE_VERSION, "any", UID, "os")
        second = world.ensure(world.desired({"os": source}, {"east": 1}, uid="b" * 32))
        view = world.wait_end(second.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content("b" * 32, "east", "os") == data


def test_a_worker_that_was_replaced_writes_nothing_more(world: World):
    world.add_region("home")
    world.ensure(world.desired({"os": world.upload("os", b"x" * 9)}, {"home": 1}))
    (old,) = world.claims.claim("one", 4)
    assert world.claims.claim("two", 4) == []
    world.claims.release(old)
    (new,) = world.claims.claim("two", 4)
    assert new.fence == old.fence + 1
    with pytest.raises(FenceLost):
        world.tasks.enter(old, "os", CopyState.COPYING)
    with pytest.raises(FenceLost):
        world.tasks.commit(old)
    world.claims.release(old)
    assert world.replica("home").owner == "two"
    world.tasks.enter(new, "os", CopyState.COPYING)


def test_who_commits_first_wins_over_a_cancellation(world: World):
    world.add_region("home")
    world.add_region("east")
    disks = {"os": world.upload("os", b"x" * 9)}
    record = world.ensure(world.desired(disks, {"home": 1, "east": 1}))
    tasks = {task.replica.location: task for task in world.claims.claim("one", 4)}
    for task in tasks.values():
        world.tasks.enter(task, "os", CopyState.COMMITTING)
    world.tasks.commit(tasks["home"])

    def cancel(tx):
        version = tx.versions.lock(UID)
        ledger = Ledger(tx, version, world.results)
        cancel_regions(ledger, ())
        ledger.finish()

    world.rows.transact(cancel)
    with pytest.raises(Cancelled):
        world.tasks.commit(tasks["east"])
    world.tasks.complete(tasks["home"], {}, verified=True)
    world.tasks.cancelled(tasks["east"])
    view = world.wait_end(record.id)
    assert [one.region.state for one in view.regions] == [
        RegionState.COMPLETED,
        RegionState.CANCELLED,
    ]
    assert view.record.state is ReplicationState.CANCELLED
    assert world.replica("home").health is Health.GOOD


def test_the_lease_of_a_silent_process_runs_out(world: World):
    world.add_region("home")
    world.ensure(world.desired({"os": world.upload("os", b"x" * 9)}, {"home": 1}))
    assert len(world.claims.claim("one", 4)) == 1
    world.rows.transact(lambda tx: tx.replicas.extend("one", from_microseconds(0)))
    (taken,) = world.claims.claim("two", 4)
    assert taken.replica.attempt == 2


def test_no_more_is_copied_into_a_region_at_once_than_it_takes(world: World):
    world.add_region("home", 3)
    settings = EngineSettings(region_copies=2)
    claims = Claims(world.rows, world.origins, world.results, settings)
    world.ensure(world.desired({"os": world.upload("os", b"x" * 9)}, {"home": 3}))
    assert len(claims.claim("one", 9)) == 2
    assert claims.claim("two", 9) == []
