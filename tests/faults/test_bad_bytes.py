"""A bit of every kind of object turns over, or its end is lost: it is mended from a good copy."""

import shutil
import threading
from pathlib import Path

import pytest

from services.replication.content.keys import manifest_key, object_key, version_ref_key
from services.replication.content.segment_io import read_manifest
from services.replication.domain.states import Health, ReplicationState
from services.replication.domain.verification import Target
from services.replication.usecases.healing import Healing, Look
from tests.faults.invariants import assert_invariants, assert_nothing_is_left
from tests.faults.workers import Point, on_sqlite, worker
from tests.integration.replication.sound import assert_sound, cut, flip, path_of
from tests.integration.replication.world import MIB, TENANT, VERSION, World, some_bytes

OLD, NEW = "b" * 32, "a" * 32
OLD_DISK = some_bytes(5 * MIB, 1)
# Three leaves in one segment differ: they lie in a delta pack.
NEW_DISK = OLD_DISK[:MIB] + some_bytes(3 << 16, 2) + OLD_DISK[MIB + (3 << 16) :]
KINDS = ("segment", "leaf page", "manifest", "ref", "delta pack")


def publish(world: World) -> None:
    """Two versions of which the second is a delta in `far`, a region with a slot of its own."""
    world.add_region("home")
    world.add_region("far")
    with world.working():
        for uid, data, number in ((OLD, OLD_DISK, 0), (NEW, NEW_DISK, 1)):
            disks = {"os": world.upload(f"os{number}", data)}
            version = VERSION.replace("1.0.0", f"1.0.{number}")
            wanted = world.desired(disks, {"home": 1, "far": 1}, uid=uid, version=version)
            ended = world.wait_end(world.ensure(wanted).id)
            assert ended.record.state is ReplicationState.COMPLETED


def path_of_kind(world: World, kind: str) -> Path:
    """The file of an object of each kind that the new version needs in `far`."""
    store = world.slot_store("far")
    (content,) = world.rows.read(lambda tx: tx.versions.disks(NEW))
    root = bytes.fromhex(content.root)
    manifest = read_manifest(store, TENANT, root)
    extents = {
        extent.digest: extent.length for one in manifest.segments() for extent in one.extents
    }
    whole = {one.digest for one in manifest.segments()}
    pack = next(digest for digest in extents if digest not in whole)
    key = {
        "segment": object_key(TENANT, next(one for one in extents if one in whole)),
        "leaf page": object_key(TENANT, next(iter(manifest.pages())).digest),
        "manifest": manifest_key(TENANT, root),
        "ref": version_ref_key(NEW),
        "delta pack": object_key(TENANT, pack),
    }[kind]
    return path_of(store, key)


@on_sqlite
@pytest.mark.parametrize("harm", [lambda path: flip(path, 40), cut], ids=["flipped", "cut"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_object_of_every_kind_is_mended(world: World, kind: str, harm) -> None:
    publish(world)
    harm(path_of_kind(world, kind))
    healing = Healing(world.rows, world.stores, world.results)
    for uid in (NEW, OLD):
        found = healing.look(uid, Target("far", "s1", "os"), Look(), threading.Event())
        assert found is not None
        assert found.health is Health.GOOD
    assert_invariants(world, {NEW: {"os": NEW_DISK}, OLD: {"os": OLD_DISK}})


@on_sqlite
def test_a_journal_that_a_killed_worker_left_is_not_believed_where_it_is_bad(
    world: World, database_url: str
) -> None:
    world.add_region("home")
    world.add_region("far")
    disks = {"os": world.upload("os", OLD_DISK)}
    record = world.ensure(world.desired(disks, {"home": 1, "far": 1}, uid=NEW))
    with worker(world, database_url, Point.DURABLE, "far") as process:
        process.wait_held()
        process.kill()
    root = path_of(world.slot_store("far"), "journals")
    (journal,) = [path for path in root.rglob("*") if path.is_file()]
    flip(journal, 30)
    world.claims.take_over(process.place)
    with world.working():
        ended = world.wait_end(record.id)
    assert ended.record.state is ReplicationState.COMPLETED
    assert_invariants(world, {NEW: {"os": OLD_DISK}})


@on_sqlite
@pytest.mark.parametrize("name", ["replica-id", "FORMAT"])
def test_a_store_that_does_not_say_what_it_is_takes_nothing(world: World, name: str) -> None:
    world.add_region("home")
    world.add_region("far")
    identity = world.root / "far" / "1" / name
    kept = identity.read_bytes()
    flip(identity, 3)
    disks = {"os": world.upload("os", OLD_DISK)}
    with world.working():
        wanted = world.desired(disks, {"home": 1, "far": 1}, uid=NEW)
        ended = world.wait_end(world.ensure(wanted).id)
    assert ended.record.state is ReplicationState.FAILED
    assert not any((world.root / "far" / "1" / "objects").rglob("*/*/*"))
    identity.write_bytes(kept)
    assert_sound(world, NEW, {"os": OLD_DISK})
    assert_invariants(world, {NEW: {"os": OLD_DISK}})


@on_sqlite
def test_a_region_that_lost_everything_is_filled_again(world: World) -> None:
    publish(world)
    slot = world.root / "far" / "1"
    for folder in ("objects", "manifests", "refs"):
        shutil.rmtree(slot / folder)
    healing = Healing(world.rows, world.stores, world.results)
    for uid in (NEW, OLD):
        found = healing.look(uid, Target("far", "s1", "os"), Look(), threading.Event())
        assert found is not None
        assert found.health is Health.GOOD
    assert_nothing_is_left(world)
    assert_invariants(world, {NEW: {"os": NEW_DISK}, OLD: {"os": OLD_DISK}})
