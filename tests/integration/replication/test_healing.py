"""Damage of every kind of object, found and mended from a good copy without a human."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.replication.content.keys import manifest_key, object_key, version_ref_key
from services.replication.content.manifest import Extent, build_manifest
from services.replication.content.sealing import put_manifest
from services.replication.content.segment_io import read_manifest
from services.replication.domain.states import CopyState, Health, RegionState
from services.replication.domain.verification import Depth, Finding, Target
from services.replication.usecases.damage import Damage
from services.replication.usecases.healing import Healing, Look
from services.replication.usecases.verifying import VerificationWork
from services.replication.workers.healer import Healer, Scrub
from tests.integration.replication.sound import (
    assert_sound,
    cut,
    flip,
    objects_of,
    path_of,
    quarantined,
)
from tests.integration.replication.world import MIB, TENANT, World, some_bytes

UID = "a" * 32
OS = some_bytes(5 * MIB + 70_000, 1)
DATA = some_bytes(200_000, 2)
DISKS = {"os": OS, "0": DATA}
NOW = threading.Event()
NEVER = datetime.min.replace(tzinfo=UTC)


def publish(world: World, regions: dict[str, int]) -> None:
    for location, slots in regions.items():
        world.add_region(location, slots)
    disks = {"os": world.upload("os", OS), "0": world.upload("data", DATA)}
    with world.working():
        record = world.ensure(world.desired(disks, regions))
        world.wait_end(record.id)


def healing(world: World) -> Healing:
    return Healing(world.rows, world.stores, world.results)


def look(world: World, how: Look | None = None, *, disk: str = "os", slot: str = "s1") -> Finding:
    target = Target("far", slot, disk)
    finding = healing(world).look(UID, target, how or Look(), NOW)
    assert finding is not None
    return finding


def key_of(world: World, kind: str, location: str = "far") -> str:
    """A key of each kind of object that the OS disk has in a slot."""
    store = world.slot_store(location)
    contents = world.rows.read(lambda tx: tx.versions.disks(UID))
    root = bytes.fromhex(next(one.root for one in contents if one.disk == "os"))
    manifest = read_manifest(store, TENANT, root)
    return {
        "segment": object_key(TENANT, manifest.segment(1).digest),
        "leaf page": object_key(TENANT, next(iter(manifest.pages())).digest),
        "manifest": manifest_key(TENANT, root),
        "ref": version_ref_key(UID),
    }[kind]


HARMS: dict[str, Callable[[Path], None]] = {
    "flipped": lambda path: flip(path, 40),
    "cut": cut,
    "deleted": Path.unlink,
}
KINDS = ("segment", "leaf page", "manifest", "ref")


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_every_kind_is_mended_from_another_region(world: World, kind: str, harm: str):
    publish(world, {"home": 1, "far": 1})
    store = world.slot_store("far")
    before = objects_of(store)
    key = key_of(world, kind)
    HARMS[harm](path_of(store, key))
    finding = look(world)
    assert finding.is_damage
    assert (finding.health, finding.cause) == (Health.GOOD, None)
    assert objects_of(store) == before
    assert_sound(world, UID, DISKS)
    # What was bad is kept; what was gone cannot be.
    assert quarantined(store) == ([] if harm == "deleted" else [key.rsplit("/", 1)[1]])
    replica = world.replica("far")
    assert (replica.state, replica.health) == (CopyState.COMPLETED, Health.GOOD)
    assert not look(world).is_damage


def test_a_repair_is_counted_and_told(world: World):
    publish(world, {"home": 1, "far": 1})
    store = world.slot_store("far")
    flip(path_of(store, key_of(world, "segment")), 70_000)
    log, head = world.rows.read(lambda tx: tx.feed.head())
    finding = look(world)
    length = store.length(key_of(world, "segment"))
    assert (finding.damaged_bytes, finding.repaired_bytes) == (length, length)
    rows = world.rows.read(lambda tx: tx.replicas.disks(UID, "far"))
    disk = next(one for one in rows if one.disk == "os")
    assert (disk.healed_bytes, disk.heal_count, disk.damaged_bytes) == (length, 1, 0)
    assert disk.heal_time is not None
    told = [
        item.version_region.region
        for _, item in world.rows.read(lambda tx: tx.feed.after(log, head, 10))
        if item.version_region is not None
    ]
    assert [(one.state, one.good) for one in told] == [
        (RegionState.DEGRADED, 0),
        (RegionState.COMPLETED, 1),
    ]


def test_the_other_slot_of_the_region_is_asked_first(world: World):
    publish(world, {"home": 1, "far": 2})
    key = key_of(world, "segment")
    # The copy in the other region is bad as well: it must not be needed, and stays as it is.
    flip(path_of(world.slot_store("home"), key_of(world, "segment", "home")))
    flip(path_of(world.slot_store("far"), key))
    assert look(world).health is Health.GOOD
    assert world.content(UID, "far", "os") == OS
    assert world.content(UID, "far", "os", "s2") == OS


def test_copies_that_are_bad_at_different_leaves_mend_each_other(world: World):
    publish(world, {"home": 1, "far": 1})
    near, far = world.slot_store("home"), world.slot_store("far")
    key = key_of(world, "segment")
    flip(path_of(near, key), 10)
    flip(path_of(far, key), 70_000)
    assert look(world).health is Health.GOOD
    mended = healing(world).look(UID, Target("home", "s1", "os"), Look(), NOW)
    assert mended is not None
    assert mended.health is Health.GOOD
    assert_sound(world, UID, DISKS)


def test_without_a_good_copy_nothing_is_set_aside_and_the_replica_stays_damaged(world: World):
    publish(world, {"home": 1, "far": 1})
    near, far = world.slot_store("home"), world.slot_store("far")
    key = key_of(world, "segment")
    for store in (near, far):
        flip(path_of(store, key), 10)
    before = objects_of(far)
    finding = look(world)
    assert finding.health is Health.DAMAGED
    assert finding.cause is not None
    assert finding.cause.reason == "DIGEST_MISMATCH"
    assert (objects_of(far), quarantined(far)) == (before, [])
    replica = world.replica("far")
    assert replica.health is Health.DAMAGED
    regions = {one.location: one for one in world.rows.read(lambda tx: tx.versions.regions(UID))}
    assert regions["far"].state is RegionState.DEGRADED
    # It is tried again, later and later, and mended once there is a good copy.
    assert healing(world).due(10) == []
    assert replica.due_time > replica.update_time
    flip(path_of(near, key), 10)
    assert look(world).health is Health.GOOD
    assert world.replica("far").failures == 0
    assert_sound(world, UID, DISKS)


def test_a_segment_whose_leaf_is_bad_in_a_shared_pack_gets_an_object_of_its_own(world: World):
    publish(world, {"home": 1, "far": 1})
    store = world.slot_store("far")
    key = key_of(world, "manifest")
    plain = read_manifest(store, TENANT, bytes.fromhex(key.rsplit("/", 1)[1]))
    first, second = plain.segments()
    pack, name = bytes(65536), bytes(range(32))
    pack += store.read(object_key(TENANT, second.digest), limit=1 << 27)
    with store.begin("pack") as window:
        window.put(object_key(TENANT, name), [memoryview(pack)])
        window.commit()
    packed = replace(second, extents=(Extent(name, 65536, second.packed_length),))
    for gone in (key, object_key(TENANT, second.digest)):
        path_of(store, gone).unlink()
    manifest = build_manifest(plain.header, (first, packed), tuple(plain.pages()))
    put_manifest(store, TENANT, "pack", manifest=manifest)
    assert not look(world).is_damage
    flip(path_of(store, object_key(TENANT, name)), 65536 + 10)
    finding = look(world)
    assert (finding.damaged_bytes, finding.repaired_bytes) == (second.packed_length,) * 2
    assert finding.health is Health.GOOD
    # Others may need what is good of the pack.
    assert store.length(object_key(TENANT, name)) == len(pack)
    assert read_manifest(store, TENANT, plain.root).data == plain.data
    assert_sound(world, UID, DISKS)


def test_a_report_changes_nothing_but_what_is_known(world: World):
    publish(world, {"home": 1, "far": 1})
    store = world.slot_store("far")
    path_of(store, key_of(world, "segment")).unlink()
    before = objects_of(store)
    finding = look(world, Look(repair=False))
    assert (finding.health, finding.repaired_bytes) == (Health.DAMAGED, 0)
    assert objects_of(store) == before
    assert world.replica("far").health is Health.DAMAGED


@pytest.mark.parametrize("kind", ["segment", "leaf page", "manifest"])
def test_what_is_cut_or_gone_shows_without_reading(world: World, kind: str):
    publish(world, {"home": 1, "far": 1})
    path = path_of(world.slot_store("far"), key_of(world, kind))
    flip(path_of(world.slot_store("far"), key_of(world, "segment")), 10)
    presence = Look(Depth.STORE_CHECKSUM)
    assert not look(world, presence).is_damage
    path.unlink()
    assert look(world, presence).is_damage
    assert world.slot_store("far").length(key_of(world, kind, "home")) is not None


def test_a_sample_reads_one_piece_of_a_small_disk(world: World):
    publish(world, {"home": 1, "far": 1})
    finding = look(world, Look(Depth.SAMPLE))
    assert not finding.is_damage
    assert 0 < finding.verified_bytes < len(OS)


def test_a_store_that_is_away_is_no_damage(world: World, tmp_path: Path):
    publish(world, {"home": 1, "far": 1})
    world.stores.close()
    home = path_of(world.slot_store("home"), "").parent.parent
    os.rename(home / "far", home / "elsewhere")
    finding = look(world)
    assert (finding.checked, finding.health) == (False, Health.UNREACHABLE)
    assert finding.cause is not None
    assert world.replica("far").health is Health.GOOD
    world.stores.close()
    os.rename(home / "elsewhere", home / "far")
    assert look(world).checked


def test_what_a_reader_found_is_mended_by_the_duty(world: World):
    publish(world, {"home": 1, "far": 1})
    flip(path_of(world.slot_store("far"), key_of(world, "leaf page")), 40)
    Damage(world.rows, world.results).report(UID, "far", "s1", disk="os", detail="found by reading")
    assert world.replica("far").health is Health.DAMAGED
    healer = Healer(healing(world), VerificationWork(world.rows, healing(world), NoResults()), None)
    assert healer.repair(NOW)
    assert world.replica("far").health is Health.GOOD
    assert not healer.repair(NOW)
    assert_sound(world, UID, DISKS)


def test_a_scrub_reads_what_was_longest_not_read_and_mends_it(world: World):
    publish(world, {"home": 1, "far": 1})
    flip(path_of(world.slot_store("far"), key_of(world, "segment")), 40)
    read: list[int] = []
    never = Scrub(world.rows, healing(world), interval=timedelta(days=1), pace=read.append)
    assert not never.step(NOW)
    assert read == []
    always = Scrub(world.rows, healing(world), interval=timedelta(0), pace=read.append)
    for _ in range(4):
        assert always.step(NOW)
    # Four disks of replicas, each read once: what is read is the newest then.
    assert sum(read) == 2 * (len(OS) + len(DATA))
    assert all(world.replica(location).health is Health.GOOD for location in ("home", "far"))
    assert_sound(world, UID, DISKS)


def test_a_scrub_passes_over_a_store_that_is_away(world: World):
    publish(world, {"home": 1, "far": 1})
    world.stores.close()
    home = path_of(world.slot_store("home"), "").parent.parent
    os.rename(home / "far", home / "elsewhere")
    scrub = Scrub(world.rows, healing(world), interval=timedelta(days=-1), pace=lambda _: None)
    for _ in range(5):
        scrub.step(NOW)
    rows = world.rows.read(lambda tx: tx.replicas.disks(UID))
    verified = {(one.location, one.disk): one.verify_time or NEVER for one in rows}
    assert verified["home", "os"] > verified["far", "os"]
    assert verified["home", "0"] > verified["far", "0"]


def test_a_replica_that_leaves_is_neither_read_nor_given_its_ref_back(world: World):
    publish(world, {"home": 1, "far": 1})
    path_of(world.slot_store("far"), version_ref_key(UID)).unlink()
    world.ensure(world.desired({"os": world.upload("x", OS)}, {"home": 1}, generation=2))
    assert healing(world).look(UID, Target("far", "s1", "os"), Look(), NOW) is None
    with world.working():
        world.wait_state(CopyState.REMOVED, "far")
    assert world.content(UID, "far", "os") is None


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from services.kernel.db.engine import Database
from services.replication.domain.verification import Target
from services.replication.stores.local import LocalStore
from services.replication.usecases.healing import Healing, Look
from tests.integration.replication.world import World

quarantine = LocalStore.quarantine

def die(store, key):
    quarantine(store, key)
    os.kill(os.getpid(), signal.SIGKILL)

LocalStore.quarantine = die
world = World(Database.open(sys.argv[1]), Path(sys.argv[2]))
look = Healing(world.rows, world.stores, world.results).look
look("a" * 32, Target("far", "s1", "os"), Look(), threading.Event())
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_between_quarantine_and_repair_leaves_a_replica_that_is_marked_and_mended(
    world: World, database_url: str, kind: str
):
    publish(world, {"home": 1, "far": 1})
    store = world.slot_store("far")
    before = objects_of(store)
    key = key_of(world, kind)
    flip(path_of(store, key), 40)
    command = [sys.executable, "-c", KILLED, database_url, str(world.root)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert store.length(key) is None
    assert world.replica("far").health is Health.REPAIRING
    assert healing(world).due(10) == [(UID, Target("far", "s1", "os"))]
    assert look(world).health is Health.GOOD
    assert objects_of(store) == before
    assert world.replica("far").health is Health.GOOD
    assert_sound(world, UID, DISKS)


class NoResults:
    """Nobody asks for a verification here."""

    def metadata(self, *_: object, **__: object) -> bytes:
        raise AssertionError

    def response(self, _: object) -> bytes:
        raise AssertionError

    def cancelled(self, _: object) -> bytes:
        raise AssertionError
