"""Deletions in the databases: what is due, what goes together, and who goes last."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from services.catalog.domain.definition import Definition, Identifier
from services.catalog.domain.desired import CATALOG_ITSELF
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.hardware import OsState, OsType
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.version import TargetRegion, Version, VersionState
from services.catalog.store import tables
from services.catalog.store.schema import MIGRATIONS
from services.catalog.store.transaction import Stores, Transaction
from services.catalog.usecases import deletes, version_delete
from services.catalog.workers.expiry import Expiry
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.ids import new_uid
from services.kernel.names import key

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GALLERY = "subscriptions/S/resourceGroups/Rg/galleries/G"
DEFINITION = f"{GALLERY}/images/I"
HOUR = 3600


class Store:
    """A definition in a gallery, with a clock that stands still."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = FakeClock(NOW)
        self.stores = Stores(
            OperationStore(db, tables.operations, self.clock),
            Outbox(tables.outbox, self.clock),
            self.clock,
        )
        self.expiry = Expiry(self.run, self.clock)
        self.run(self._fill)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        return self.db.transact(lambda connection: self.stores.run(connection, work))

    def _fill(self, tx: Transaction) -> None:
        tx.galleries.insert(Gallery(**common(GALLERY), shared_id=new_uid()))
        tx.definitions.insert(definition(DEFINITION))

    def put(self, patch: int, **more: Any) -> Version:
        name = f"{DEFINITION}/versions/1.0.{patch}"
        version = Version(
            **common(name),
            number=(1, 0, patch),
            tenant="tenants/t",
            source=None,
            disks=(),
            target_regions=(TargetRegion("eastus"),),
            publish_time=NOW,
            **more,
        )
        done = RegionStatus("eastus", 0, 1, 1, RegionState.COMPLETED, usable=True, observed=1)

        def work(tx: Transaction) -> None:
            tx.versions.insert(version)
            tx.versions.put_regions(version, [done])

        self.run(work)
        return version

    def put_deleted(self, patch: int, *, retention: float, grace: float = 0) -> Version:
        """Put a version that was just soft-deleted; the times are in hours."""
        end = self.clock.now() + timedelta(hours=retention)
        return self.put(
            patch,
            version_state=VersionState.SOFT_DELETED,
            delete_time=self.clock.now(),
            consumption_end_time=end,
            purge_time=end + timedelta(hours=grace),
        )

    def get(self, version: Version) -> Version:
        found: Version = self.run(lambda tx: tx.versions.by_uid(version.uid))
        return found

    def is_usable(self, version: Version) -> bool:
        return bool(self.run(lambda tx: tx.versions.is_usable(version.uid, "eastus")))

    def messages(self, kind: str) -> int:
        statement = select(func.count()).where(tables.outbox.c.kind == kind)
        return self.db.read(lambda c: c.execute(statement).scalar_one())


def common(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "uid": new_uid(),
        "location": "eastus",
        "create_time": NOW,
        "update_time": NOW,
    }


def definition(name: str) -> Definition:
    return Definition(
        **common(name),
        os_type=OsType.LINUX,
        os_state=OsState.GENERALIZED,
        identifier=Identifier("P", "O", name.rpartition("/")[2]),
    )


@pytest.fixture
def store(database_url: str, open_database: Callable[..., Database]) -> Store:
    migrate(database_url, MIGRATIONS)
    return Store(open_database(database_url))


def expiring(store: Store, now: datetime, last: Version | None) -> list[Version]:
    """Answer a page of two, of what comes after the last one of the page before."""
    after = None
    if last is not None:
        assert last.expiry_time is not None
        after = (last.expiry_time, last.key)
    return list(store.run(lambda tx: tx.versions.expiring(now, after, 2)))


def test_what_is_due_comes_in_pages_by_its_time(store: Store) -> None:
    store.put(0)
    due = [store.put_deleted(patch, retention=1 + patch % 2) for patch in range(1, 6)]
    later = store.put_deleted(9, retention=100)
    now = NOW + timedelta(hours=3)
    seen: list[Version] = []
    while page := expiring(store, now, seen[-1] if seen else None):
        seen += page
    assert {one.uid for one in seen} == {one.uid for one in due}
    assert seen == sorted(seen, key=lambda one: (one.expiry_time, one.key))
    assert later.uid not in {one.uid for one in seen}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lives=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=4),
    steps=st.lists(st.integers(0, 5), min_size=1, max_size=6),
)
def test_nothing_is_used_after_its_retention_nor_kept_after_its_grace(
    store: Store, lives: list[tuple[int, int]], steps: list[int]
) -> None:
    store.run(remove_all)
    versions = [
        store.put_deleted(patch, retention=retention, grace=grace)
        for patch, (retention, grace) in enumerate(lives)
    ]
    for step in steps:
        store.clock.advance(step * HOUR)
        now = store.clock.now()
        store.expiry.run_once()
        # What is done already is not done again.
        assert store.expiry.run_once() == 0
        for version in versions:
            assert version.consumption_end_time is not None
            assert version.purge_time is not None
            found = store.get(version)
            assert store.is_usable(found) == (now < version.consumption_end_time)
            assert found.deleting == (now >= version.purge_time)


def remove_all(tx: Transaction) -> None:
    for version in tx.versions.within(key(DEFINITION)):
        version_delete.finish(tx, version.uid)


def test_a_purge_is_an_operation_of_the_catalog_itself(store: Store) -> None:
    version = store.put_deleted(1, retention=1)
    store.clock.advance(2 * HOUR)
    assert store.expiry.run_once() == 1
    found = store.get(version)
    assert (found.state, found.generation) == (ProvisioningState.DELETING, 2)
    under_way = store.run(lambda tx: tx.operations.unfinished_delete(version.name))
    operation = store.db.read(lambda c: store.stores.operations.require(c, under_way.name))
    assert operation.owner == CATALOG_ITSELF
    assert store.messages("delete_version") == 1


def test_what_another_version_needs_is_not_purged_before_it_is_not_needed(store: Store) -> None:
    needed = store.put_deleted(1, retention=1)
    due = store.put_deleted(2, retention=1)
    user = f"{DEFINITION}/versions/2.0.0"
    store.run(lambda tx: tx.uses.add(needed.key, user))
    store.clock.advance(2 * HOUR)
    store.expiry.run_once()
    assert not store.is_usable(needed)
    assert not store.get(needed).deleting
    assert store.get(due).deleting
    store.run(lambda tx: tx.uses.remove(key(user)))
    store.expiry.run_once()
    assert store.get(needed).deleting


def test_only_what_is_below_a_scope_goes_with_it(store: Store) -> None:
    versions = [store.put(patch) for patch in range(3)]
    beside = f"{DEFINITION}-beside"
    store.run(lambda tx: tx.definitions.insert(definition(beside)))
    below = store.run(lambda tx: tx.versions.within(key(GALLERY)))
    assert [one.uid for one in below] == [one.uid for one in versions]
    held = store.run(lambda tx: tx.definitions.within(key(GALLERY)))
    assert [one.name for one in held] == [DEFINITION, beside]
    assert store.run(lambda tx: tx.definitions.within(key(DEFINITION))) == []


def test_uses_within_a_scope_are_not_told_with_those_from_outside(store: Store) -> None:
    first, second = store.put(1), store.put(2)
    outside = "subscriptions/S/resourceGroups/Rg/galleries/Other/images/I/versions/1.0.0"

    def use(tx: Transaction) -> None:
        tx.uses.add(first.key, second.name)
        tx.uses.add(first.key, outside)

    store.run(use)
    assert store.run(lambda tx: tx.uses.from_outside(key(GALLERY), 9)) == [(first.key, outside)]
    assert len(store.run(lambda tx: tx.uses.from_outside(first.key, 9))) == 2


def test_of_the_last_children_at_once_one_sends_their_parent_after_them(store: Store) -> None:
    versions = [store.put(patch) for patch in range(8)]
    going = [replace(one, state=ProvisioningState.DELETING) for one in versions]

    def mark(tx: Transaction) -> None:
        for one in going:
            tx.versions.update(one)
        found = tx.definitions.get(key(DEFINITION), lock=True)
        assert found is not None
        deletes.begin(tx, deletes.DEFINITION, found)

    store.run(mark)
    assert store.messages(deletes.DELETE_RESOURCE) == 0
    start = threading.Barrier(len(going))

    def finish(uid: str) -> None:
        start.wait()
        store.run(lambda tx: version_delete.finish(tx, uid))

    threads = [threading.Thread(target=finish, args=(one.uid,)) for one in going]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.messages(deletes.DELETE_RESOURCE) == 1
