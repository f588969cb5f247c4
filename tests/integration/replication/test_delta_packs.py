"""Delta packs in directories and in buckets of a real server: read, verified, mended, collected."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from services.kernel.db.engine import Database
from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.keys import TOMBSTONES, manifest_key, object_key
from services.replication.content.manifest import Manifest
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store
from services.replication.domain.states import CopyState, Health
from services.replication.domain.verification import Finding, Target
from services.replication.usecases.collecting import CollectionSettings, ObjectCollection
from services.replication.usecases.damage import Damage
from services.replication.usecases.healing import Healing, Look
from tests.integration.replication.sound import assert_sound, flip, objects_of, quarantined
from tests.integration.replication.world import GROUP, TENANT, World, some_bytes
from tests.object_servers import ObjectServer

FIRST, SECOND = "a" * 32, "b" * 32
NAMES = {FIRST: "1.0.0", SECOND: "1.1.0"}
OLD = some_bytes(3 * SEGMENT_BYTES)
# Of the first segment two leaves are others, of the second one, of the third none.
NEW = bytearray(OLD)
for _at in (3 * LEAF_BYTES, 9 * LEAF_BYTES, SEGMENT_BYTES + 5 * LEAF_BYTES):
    NEW[_at : _at + LEAF_BYTES] = some_bytes(LEAF_BYTES, _at)
PACK = 3 * LEAF_BYTES
GRACE = timedelta(hours=1)
NOW = threading.Event()


@dataclass
class Far:
    """A slot with two versions, the second one in a pack, and the files behind it."""

    world: World
    store: Store
    files: Path

    def withdraw(self, uid: str) -> None:
        version = f"{GROUP}/galleries/g/images/i/versions/{NAMES[uid]}"
        self.world.ensure(self.world.desired({}, {}, uid=uid, generation=2, version=version))
        with self.world.working():
            for _ in range(1000):
                if self.world.replica("far", uid=uid).state is CopyState.REMOVED:
                    return
                NOW.wait(0.01)
        raise AssertionError(self.world.replica("far", uid=uid))

    def manifest(self, uid: str) -> Manifest:
        (disk,) = self.world.rows.read(lambda tx: tx.versions.disks(uid))
        return read_manifest(self.store, TENANT, bytes.fromhex(disk.root))

    def pack(self) -> str:
        """The key of the one object that is no segment of either version."""
        segments = list(self.manifest(SECOND).segments())
        plain = {one.digest for uid in NAMES for one in self.manifest(uid).segments()}
        (name,) = {extent.digest for one in segments for extent in one.extents} - plain
        return object_key(TENANT, name)

    def own(self, uid: str) -> set[str]:
        """The keys of the manifest and the leaf page of a version."""
        manifest = self.manifest(uid)
        pages = {object_key(TENANT, page.digest) for page in manifest.pages()}
        return {manifest_key(TENANT, manifest.root), *pages}

    def look(self, uid: str) -> Finding:
        healing = Healing(self.world.rows, self.world.stores, self.world.results)
        finding = healing.look(uid, Target("far", "s1", "os"), Look(), NOW)
        assert finding is not None
        return finding

    def collect(self) -> set[str]:
        """Let a grace pass and collect, twice; answer what went."""
        before = set(objects_of(self.store))
        region = self.world.rows.read(lambda tx: tx.regions.get("far"))
        assert region is not None
        damage = Damage(self.world.rows, self.world.results)
        settings = CollectionSettings(GRACE, 100)
        collection = ObjectCollection(self.world.rows, self.world.stores, damage, settings)
        for _ in range(2):
            for prefix in ("objects", "manifests", TOMBSTONES, "journals"):
                for path in (self.files / prefix).rglob("*"):
                    time = path.stat().st_mtime - 2 * GRACE.total_seconds()
                    os.utime(path, (time, time))
            assert collection.collect("far", region.slots[0], NOW) is not None
        return before - set(objects_of(self.store))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What lies in stores does not depend on the kind of database."""
    return sqlite_url


@pytest.fixture(params=["directory", "bucket"])
def far(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> Iterator[Far]:
    world = World(db, tmp_path / "stores").create_schema()
    world.add_region("home")
    files = tmp_path / "stores" / "far" / "1"
    if request.param == "directory":
        world.add_region("far")
    else:
        server: ObjectServer = request.getfixturevalue("s3")
        address = server.address()
        files = server.folder / address.url.rpartition("/")[2]
        world.add_region("far", stores=[address])
    with world.working():
        for uid, data in ((FIRST, OLD), (SECOND, bytes(NEW))):
            version = f"{GROUP}/galleries/g/images/i/versions/{NAMES[uid]}"
            disks = {"os": world.upload(f"b{uid[0]}", data)}
            wanted = world.desired(disks, {"home": 1, "far": 1}, uid=uid, version=version)
            view = world.wait_end(world.ensure(wanted).id)
    (copied,) = [
        one.region.progress.counters.copied for one in view.regions if one.region.location == "far"
    ]
    assert copied == PACK
    yield Far(world, world.slot_store("far"), files)
    world.close()


def test_a_pack_is_read_and_verified_and_its_bad_leaf_repaired(far: Far) -> None:
    pack = far.pack()
    assert far.store.length(pack) == PACK
    assert [one.is_plain for one in far.manifest(SECOND).segments()] == [False, False, True]
    assert_sound(far.world, SECOND, {"os": bytes(NEW)})
    assert not far.look(SECOND).is_damage
    # The second changed leaf of the first segment: the leaf of the other segment stays good.
    flip(far.files / pack, LEAF_BYTES + 7)
    finding = far.look(SECOND)
    assert finding.is_damage
    assert finding.health is Health.GOOD
    # The segment with the bad leaf alone is in an object of its own now; the pack stays in use.
    assert [one.is_plain for one in far.manifest(SECOND).segments()] == [True, False, True]
    assert far.pack() == pack
    assert not far.look(SECOND).is_damage
    assert far.world.content(SECOND, "far", "os") == bytes(NEW)
    assert not far.look(FIRST).is_damage
    # Set aside is the manifest that led to the bad leaf, and nothing that others rely on.
    assert quarantined(far.store) == [far.manifest(SECOND).root.hex()]
    # Where the pack is lost, the other segment is written whole as well.
    far.store.delete([pack])
    assert far.look(SECOND).health is Health.GOOD
    assert all(one.is_plain for one in far.manifest(SECOND).segments())
    assert_sound(far.world, SECOND, {"os": bytes(NEW)})


def test_a_bad_leaf_that_two_versions_share_is_repaired_for_both(far: Far) -> None:
    segment = next(iter(far.manifest(FIRST).segments()))
    flip(far.files / object_key(TENANT, segment.digest), 20 * LEAF_BYTES)
    assert far.look(FIRST).is_damage
    assert not far.look(SECOND).is_damage
    assert_sound(far.world, FIRST, {"os": OLD})
    assert_sound(far.world, SECOND, {"os": bytes(NEW)})


def test_what_a_newer_version_refers_to_outlives_the_older_one(far: Far) -> None:
    alone = far.own(FIRST)
    kept = {one.digest for one in far.manifest(FIRST).segments()}
    far.withdraw(FIRST)
    assert far.collect() == alone
    assert all(far.store.length(object_key(TENANT, name)) for name in kept)
    assert_sound(far.world, SECOND, {"os": bytes(NEW)})
    assert not far.look(SECOND).is_damage
    # Once the newer one goes, nothing is left.
    far.withdraw(SECOND)
    far.collect()
    assert objects_of(far.store) == {}


def test_a_pack_that_no_ref_leads_to_is_collected_and_the_older_version_stays(far: Far) -> None:
    gone = {far.pack(), *far.own(SECOND)}
    far.withdraw(SECOND)
    assert far.collect() == gone
    assert_sound(far.world, FIRST, {"os": OLD})
    assert not far.look(FIRST).is_damage
