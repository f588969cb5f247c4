"""Objects that nothing refers to go, in two phases; nothing else ever does."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete

from services.replication.content.collection import Collected, SweepRefused
from services.replication.content.errors import DataError, ReplicaMismatch, StoreBusy
from services.replication.content.keys import TOMBSTONES, object_key, version_ref_key
from services.replication.content.manifest import Extent, build_manifest
from services.replication.content.reader import Data, DiskReader
from services.replication.content.refs import VersionRef, commit_version
from services.replication.content.sealing import put_manifest
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store
from services.replication.content.tombstones import (
    State,
    keep,
    keep_content,
    read_tombstones,
    store_now,
)
from services.replication.domain.region import Slot
from services.replication.domain.states import CopyState, Health
from services.replication.domain.verification import Target
from services.replication.store import tables
from services.replication.usecases.collecting import CollectionSettings, ObjectCollection
from services.replication.usecases.damage import Damage
from services.replication.usecases.healing import Healing, Look
from tests.integration.replication.sound import (
    assert_sound,
    check_refs,
    flip,
    objects_of,
    path_of,
    quarantined,
)
from tests.integration.replication.world import MIB, TENANT, World, some_bytes

FIRST, SECOND = "a" * 32, "b" * 32
SHARED = some_bytes(4 * MIB, 1)
OLD = SHARED + some_bytes(3 * MIB, 2)
NEW = SHARED + some_bytes(5 * MIB, 3)
GRACE = timedelta(hours=1)
NOW = threading.Event()


def publish(world: World, uid: str, data: bytes, *, generation: int = 1) -> None:
    """Publish a version of one disk into `far`; the source lies in `home`."""
    name = f"b{uid[0]}{generation}"
    disks = {"os": world.upload(name, data)}
    desired = world.desired(disks, {"far": 1}, uid=uid, generation=generation)
    desired = replace(desired, version=desired.version.replace("1.0.0", f"{ord(uid[0])}.0.0"))
    with world.working():
        world.wait_end(world.ensure(desired).id)


def withdraw(world: World, uid: str, generation: int = 2) -> None:
    desired = world.desired({}, {}, uid=uid, generation=generation)
    desired = replace(desired, version=desired.version.replace("1.0.0", f"{ord(uid[0])}.0.0"))
    world.ensure(desired)
    with world.working():
        wait_removed(world, uid)


def wait_removed(world: World, uid: str) -> None:
    for _ in range(1000):
        if world.replica("far", uid=uid).state is CopyState.REMOVED:
            return
        NOW.wait(0.01)
    raise AssertionError(world.replica("far", uid=uid))


@pytest.fixture
def far(world: World) -> Store:
    """The store of a slot with two versions that share a segment."""
    world.add_region("home")
    world.add_region("far")
    publish(world, FIRST, OLD)
    publish(world, SECOND, NEW)
    return world.slot_store("far")


def slot_of(world: World) -> Slot:
    region = world.rows.read(lambda tx: tx.regions.get("far"))
    assert region is not None
    return region.slots[0]


def collect(world: World, most_percent: int = 50) -> Collected | None:
    damage = Damage(world.rows, world.results)
    settings = CollectionSettings(GRACE, most_percent)
    collection = ObjectCollection(world.rows, world.stores, damage, settings)
    return collection.collect("far", slot_of(world), NOW)


def age(store: Store, *prefixes: str) -> None:
    """Let a grace pass, as the store's clock tells it."""
    for prefix in prefixes or ("objects", "manifests", TOMBSTONES, "journals", "tmp"):
        for path in path_of(store, prefix).rglob("*"):
            time = path.stat().st_mtime - 2 * GRACE.total_seconds()
            os.utime(path, (time, time))


def states(store: Store) -> list[State]:
    return [one.content.state for one in read_tombstones(store)]


def test_what_nothing_refers_to_goes_after_two_graces_and_the_rest_stays(world: World, far: Store):
    both = objects_of(far)
    withdraw(world, FIRST)
    # Nothing is old enough: not even a list is made.
    assert collect(world) == Collected()
    age(far)
    found = collect(world)
    assert found is not None
    # A segment, a leaf page and a manifest; the shared segment is still led to.
    assert found.buried == 3
    assert objects_of(far) == both
    assert collect(world) == Collected()
    assert objects_of(far) == both
    age(far)
    found = collect(world)
    assert found is not None
    assert found.deleted == 3
    assert found.deleted_bytes == sum(both.values()) - sum(objects_of(far).values())
    assert_sound(world, SECOND, {"os": NEW})
    assert states(far) == [State.DELETED]
    age(far)
    assert collect(world) == Collected()
    assert states(far) == []
    # What is left is what publishing the second alone makes.
    withdraw(world, SECOND)
    age(far)
    collect(world, 100)
    age(far)
    collect(world, 100)
    assert objects_of(far) == {}
    publish(world, SECOND, NEW, generation=3)
    assert_sound(world, SECOND, {"os": NEW})


def test_age_is_that_of_the_stores_clock(world: World, far: Store):
    before = store_now(far)
    clock = path_of(far, "clock/now")
    assert before.timestamp() == pytest.approx(clock.stat().st_mtime)
    # Nothing is remembered: the store is asked again.
    os.utime(clock, (0, 0))
    assert store_now(far) >= before


def test_more_than_half_of_a_store_is_not_swept(world: World, far: Store):
    before = objects_of(far)
    for uid in (FIRST, SECOND):
        withdraw(world, uid)
    age(far)
    with pytest.raises(SweepRefused, match="more than 50 %"):
        collect(world)
    assert (objects_of(far), states(far)) == (before, [])
    assert collect(world, 100) is not None
    age(far)
    # Nor is it deleted where the rule is tightened again.
    with pytest.raises(SweepRefused):
        collect(world)
    assert objects_of(far) == before


def test_a_store_that_is_another_one_is_not_swept(world: World, far: Store):
    withdraw(world, FIRST)
    age(far)
    collect(world)
    age(far)
    before = objects_of(far)
    root = path_of(far, "").parent / "1"
    os.rename(root, root.with_name("away"))
    world.stores.initialise(slot_of(world).address)
    with pytest.raises(ReplicaMismatch):
        collect(world)
    for path in (*root.iterdir(),):
        path.unlink()
    root.rmdir()
    os.rename(root.with_name("away"), root)
    assert objects_of(far) == before


def test_a_lost_ref_stops_the_sweep_until_it_is_mended(world: World, far: Store):
    withdraw(world, FIRST)
    age(far)
    before = objects_of(far)
    path_of(far, version_ref_key(SECOND)).unlink()
    assert collect(world, 100) is None
    assert (objects_of(far), states(far)) == (before, [])
    assert world.replica("far", uid=SECOND).health is Health.DAMAGED
    heal(world)
    found = collect(world)
    assert found is not None
    assert found.buried == 3
    assert_sound(world, SECOND, {"os": NEW})


@pytest.mark.parametrize("offset", [2, 200])
def test_a_bad_ref_stops_the_sweep_until_it_is_mended(world: World, far: Store, offset: int):
    withdraw(world, FIRST)
    age(far)
    before = objects_of(far)
    flip(path_of(far, version_ref_key(SECOND)), offset)
    assert collect(world, 100) is None
    assert (objects_of(far), states(far)) == (before, [])
    heal(world)
    assert collect(world) is not None
    assert_sound(world, SECOND, {"os": NEW})


def test_a_bad_manifest_stops_the_sweep_until_it_is_mended(world: World, far: Store):
    withdraw(world, FIRST)
    age(far)
    contents = world.rows.read(lambda tx: tx.versions.disks(SECOND))
    manifest = f"manifests/{TENANT}/{contents[0].root}"
    flip(path_of(far, manifest), 30)
    before = objects_of(far)
    with pytest.raises(DataError):
        collect(world, 100)
    assert (objects_of(far), states(far)) == (before, [])
    heal(world)
    assert collect(world) is not None
    assert_sound(world, SECOND, {"os": NEW})
    assert quarantined(far) == [contents[0].root]


def heal(world: World) -> None:
    healing = Healing(world.rows, world.stores, world.results)
    assert healing.due(10) == [(SECOND, Target("far", "s1", "os"))]
    finding = healing.look(SECOND, Target("far", "s1", "os"), Look(), NOW)
    assert finding is not None
    assert finding.health is Health.GOOD


def test_a_database_that_is_older_than_the_store_stops_the_sweep(world: World, far: Store):
    age(far)
    before = objects_of(far)
    # As a backup would have it that was made before the second version was.
    version = world.rows.read(lambda tx: tx.versions.get(SECOND))
    assert version is not None
    of_version = (
        *(tables.replica_disks, tables.replicas, tables.version_regions, tables.version_disks),
        tables.replications,
    )
    statements = [
        delete(tables.events).where(tables.events.c.replication == version.replication),
        *(delete(table).where(table.c.version == SECOND) for table in of_version),
        delete(tables.versions).where(tables.versions.c.uid == SECOND),
    ]

    def forget(tx: Connection) -> None:
        for statement in statements:
            tx.execute(statement)

    world.db.transact(forget)
    assert collect(world, 100) is None
    assert (objects_of(far), states(far)) == (before, [])


def test_a_writer_that_wants_what_is_on_a_list_gets_it(world: World, far: Store):
    withdraw(world, FIRST)
    age(far)
    collect(world)
    (listed,) = read_tombstones(far)
    third = "c" * 32
    publish(world, third, OLD)
    assert all(not one.content.keys for one in read_tombstones(far))
    age(far)
    found = collect(world)
    assert found is not None
    assert found.deleted == 0
    assert set(listed.content.keys) <= set(objects_of(far))
    assert_sound(world, third, {"os": OLD})


def test_what_is_being_deleted_is_refused_to_writers_until_it_is_gone(world: World, far: Store):
    withdraw(world, FIRST)
    age(far)
    collect(world)
    (listed,) = read_tombstones(far)
    doomed = listed.content.keys
    deleting = replace(listed.content, state=State.DELETING)
    far.put_ref(listed.key, deleting.encode(), expected=listed.tag)
    with pytest.raises(StoreBusy, match="is being collected"):
        keep(far, [doomed[0]])
    keep(far, set(objects_of(far)) - set(doomed))
    found = collect(world)
    assert found is not None
    assert found.deleted == 3
    # A writer that looked just before it went must look again.
    with pytest.raises(StoreBusy, match="was collected just now"):
        keep(far, [doomed[0]])
    third = "c" * 32
    publish(world, third, OLD)
    keep(far, doomed)
    assert_sound(world, third, {"os": OLD})


def test_a_job_that_could_have_seen_an_object_holds_its_deletion_up(world: World, far: Store):
    withdraw(world, FIRST)
    # Wanted, and worked on by nobody.
    disks = {"os": world.upload("waiting", some_bytes(MIB, 9))}
    waiting = "d" * 32
    desired = world.desired(disks, {"far": 1}, uid=waiting)
    record = world.ensure(replace(desired, version=desired.version.replace("1.0.0", "9.0.0")))
    age(far)
    collect(world)
    age(far)
    assert collect(world) == Collected()
    assert states(far) == [State.WAITING]
    with world.working():
        world.wait_end(record.id)
    found = collect(world)
    assert found is not None
    assert found.deleted == 3


def test_a_reader_finishes_after_the_version_is_deleted(world: World, far: Store):
    reader = reader_of(world, far, OLD)
    assert next(reader)
    withdraw(world, FIRST)
    assert far.get_ref(version_ref_key(FIRST)) is None
    age(far, "objects", "manifests")
    collect(world)
    collect(world)
    # The grace of the list is the time that readers have.
    assert sum(1 for _ in reader) > 0


def reader_of(world: World, store: Store, data: bytes) -> Iterator[int]:
    contents = world.rows.read(lambda tx: tx.versions.disks(FIRST))
    manifest = read_manifest(store, TENANT, bytes.fromhex(contents[0].root))
    at = 0
    for piece in DiskReader(store, TENANT, manifest).read(0, len(data)):
        assert isinstance(piece, Data)
        assert bytes(piece.data) == data[at : at + piece.length]
        at += piece.length
        yield at
    assert at == len(data)


def test_segments_that_lie_in_objects_of_others_keep_those(world: World, far: Store):
    """As delta packs have it: what a manifest leads to counts, not the names of its segments."""
    contents = world.rows.read(lambda tx: tx.versions.disks(FIRST))
    plain = read_manifest(far, TENANT, bytes.fromhex(contents[0].root))
    shared, own = plain.segments()
    pack = bytes(65536) + far.read(object_key(TENANT, own.digest), limit=1 << 27)
    name = bytes(range(32))
    with far.begin("pack") as window:
        window.put(object_key(TENANT, name), [memoryview(pack)])
        window.commit()
    packed = replace(own, extents=(Extent(name, 65536, own.packed_length),))
    root = plain.root
    path_of(far, f"manifests/{TENANT}/{root.hex()}").unlink()
    manifest = build_manifest(plain.header, (shared, packed), tuple(plain.pages()))
    assert put_manifest(far, TENANT, "pack", manifest=manifest).root == root
    assert_sound(world, FIRST, {"os": OLD})
    age(far)
    found = collect(world)
    assert found is not None
    # The plain object of that segment is led to by nothing any more; the pack is.
    (listed,) = read_tombstones(far)
    assert listed.content.keys == (object_key(TENANT, own.digest),)
    age(far)
    collect(world)
    assert far.length(object_key(TENANT, own.digest)) is None
    assert_sound(world, FIRST, {"os": OLD})
    # And a ref that is committed takes from the lists all that its manifest leads to.
    ref = VersionRef("e" * 32, TENANT, 1, "r", 1, {"os": root})
    commit_version(far, ref)
    keep_content(far, TENANT, root)


def test_scratch_files_of_nobody_go_and_those_of_a_task_stay(world: World, far: Store):
    for task in ("nobody.os", f"{'d' * 32}.os"):
        folder = path_of(far, "tmp") / task / "attempt"
        folder.mkdir(parents=True)
        (folder / "1").write_bytes(b"half")
    disks = {"os": world.upload("waiting", some_bytes(MIB, 9))}
    desired = world.desired(disks, {"far": 1}, uid="d" * 32)
    world.ensure(replace(desired, version=desired.version.replace("1.0.0", "9.0.0")))
    age(far, "tmp")
    assert collect(world) is not None
    assert [path.name for path in path_of(far, "tmp").iterdir() if path.is_dir()] == [
        f"{'d' * 32}.os"
    ]


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from services.kernel.db.engine import Database
from services.replication.content import collection
from services.replication.stores.local import LocalStore
from tests.integration.replication import test_collection
from tests.integration.replication.world import World

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

delete, put_ref, bury = LocalStore.delete, LocalStore.put_ref, collection.bury

def delete_one(store, keys):
    delete(store, list(keys)[:1])
    die()

def delete_all(store, keys):
    delete(store, keys)
    die()

def bury_and_die(*args):
    bury(*args)
    die()

match sys.argv[3]:
    case "before a list is made":
        collection.bury = die
    case "after a list is made":
        collection.bury = bury_and_die
    case "before anything is deleted":
        LocalStore.delete = die
    case "after the first is deleted":
        LocalStore.delete = delete_one
    case "before the end is recorded":
        LocalStore.delete = delete_all
world = World(Database.open(sys.argv[1]), Path(sys.argv[2]))
test_collection.collect(world)
"""


@pytest.mark.parametrize(
    ("moment", "rounds"),
    [
        ("before a list is made", 0),
        ("after a list is made", 0),
        ("before anything is deleted", 1),
        ("after the first is deleted", 1),
        ("before the end is recorded", 1),
    ],
)
def test_a_collection_that_was_killed_is_gone_on_with(
    world: World, far: Store, database_url: str, moment: str, rounds: int
):
    withdraw(world, FIRST)
    age(far)
    for _ in range(rounds):
        collect(world)
        age(far)
    command: Sequence[str] = [sys.executable, "-c", KILLED, database_url, str(world.root), moment]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    check_refs(far)
    assert_sound(world, SECOND, {"os": NEW})
    for _ in range(3):
        assert collect(world) is not None
        age(far)
        check_refs(far)
    assert states(far) in ([], [State.DELETED])
    assert sum(objects_of(far).values()) < len(NEW) + 65536
    assert_sound(world, SECOND, {"os": NEW})
    publish(world, FIRST, OLD, generation=3)
    assert_sound(world, FIRST, {"os": OLD})
