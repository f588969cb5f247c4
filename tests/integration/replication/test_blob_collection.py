"""Blobs without a hold are collected after 24 hours, by the injected clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.errors import NotFound
from services.kernel.names import Name
from services.kernel.violations import Violations
from services.replication.content.progress import CopyOptions
from services.replication.content.refs import read_blob
from services.replication.domain.blobs import UNHELD_FOR, HeldBlob
from services.replication.domain.names import BLOBS, RESOURCE_GROUPS
from services.replication.domain.states import DiskFormat
from services.replication.ports.requests import Request
from services.replication.store.unit_of_work import SqlUnitOfWork
from services.replication.usecases.blob_collection import BlobCollection
from services.replication.usecases.blob_uploads import BlobUploads
from services.replication.usecases.blobs import Blobs, NewBlob
from tests.integration.replication.world import GROUP, World

DAY = UNHELD_FOR.total_seconds()
SOON = 300.0


class Shop:
    """The use cases of blobs over one database, at a time that tests set."""

    def __init__(self, db: Database, root: Path) -> None:
        self.world = World(db, root).create_schema()
        self.region = self.world.add_region("home")
        self.clock = FakeClock()
        self.rows = SqlUnitOfWork(db, self.clock)
        stores = self.world.stores
        self.blobs = Blobs(self.rows, stores)
        self.uploads = BlobUploads(self.rows, stores, CopyOptions())
        self.collection = BlobCollection(self.rows, stores)

    def name(self, blob: str) -> Name:
        return BLOBS.parse(f"{GROUP}/blobs/{blob}")

    def create(self, blob: str) -> None:
        new = NewBlob(RESOURCE_GROUPS.parse(GROUP), blob, "t1", "home", DiskFormat.RAW, None)
        request: Request[HeldBlob] = Request("t1/ann", "create", "", b"", lambda _: b"")
        self.blobs.create(new, request, Violations())

    def upload(self, blob: str, *, commit: bool = True) -> HeldBlob:
        session = self.uploads.begin(self.uploads.admit(self.name(blob), ""), 0)
        try:
            session.write_zeros(0, 8 << 20)
            if commit:
                return session.commit(8 << 20, blake3_digest=b"", sha256_digest=b"")
            return session.finish()
        finally:
            session.close()

    def store(self):
        return self.world.slot_store("home")


@pytest.fixture
def shop(db: Database, tmp_path: Path) -> Iterator[Shop]:
    found = Shop(db, tmp_path / "stores")
    yield found
    found.world.close()


def test_a_blob_goes_a_day_after_its_last_byte(shop):
    shop.create("disk")
    shop.clock.advance(DAY - SOON)
    uid = shop.upload("disk", commit=False).blob.uid
    shop.clock.advance(DAY - SOON)
    assert shop.collection.collect() == 0
    shop.clock.advance(SOON)
    assert shop.collection.collect() == 1
    with pytest.raises(NotFound):
        shop.blobs.get(shop.name("disk"))
    # A stream that is still open must notice first.
    assert shop.collection.clear() == 0
    shop.clock.advance(SOON)
    assert shop.collection.clear() == 1
    assert list(shop.store().list_objects(f"journal/blob-{uid}")) == []


def test_a_held_blob_stays_and_goes_a_day_after_its_last_hold(shop):
    shop.create("disk")
    uid = shop.upload("disk").blob.uid
    name = shop.name("disk")
    shop.blobs.hold(name, uid, "source", f"{GROUP}/disks/d")
    shop.clock.advance(10 * DAY)
    assert shop.collection.collect() == 0
    shop.blobs.release(uid, "source")
    assert shop.collection.collect() == 0
    shop.clock.advance(DAY)
    assert shop.collection.collect() == 1
    assert read_blob(shop.store(), uid) is not None
    assert shop.collection.clear() == 1
    assert read_blob(shop.store(), uid) is None


def test_a_slot_that_is_away_is_emptied_when_it_returns(shop):
    shop.create("disk")
    uid = shop.upload("disk").blob.uid
    shop.clock.advance(DAY)
    shop.collection.collect()
    shop.world.stores.close()
    root = shop.world.root / "home" / "1"
    away = root.rename(root.with_name("away"))
    assert shop.collection.clear() == 0
    away.rename(root)
    assert shop.collection.clear() == 0
    shop.clock.advance(SOON)
    assert shop.collection.clear() == 1
    assert read_blob(shop.store(), uid) is None
