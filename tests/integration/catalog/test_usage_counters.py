"""Counters are what their rows are, and never beyond a limit, on SQLite and on PostgreSQL."""

import importlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Select, func, select, text

from services.catalog.domain.definition import Definition, Identifier
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.hardware import OsState, OsType
from services.catalog.domain.region_status import Progress, RegionState, RegionStatus
from services.catalog.domain.usage import UsageLimits, month_of
from services.catalog.domain.version import TargetRegion, Version
from services.catalog.ports.transaction import FeedCursor
from services.catalog.ports.usage import UsageQuery
from services.catalog.store import tables
from services.catalog.store.cursor import read_cursor
from services.catalog.store.schema import MIGRATIONS
from services.catalog.store.transaction import Stores, Transaction
from services.catalog.store.usage import StoredUsage, purge_crossed
from services.catalog.usecases import region_events
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.errors import AlreadyExists, ResourceExhausted
from services.kernel.ids import new_uid

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LOCATIONS = ("eastus", "westus")
_numbers = itertools.count(1)


class Store:
    """The stores of a database with limits that are soon reached."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = FakeClock(NOW)
        operations = OperationStore(db, tables.operations, self.clock)
        limits = UsageLimits(galleries=20, image_definitions=4, image_versions=3)
        self.stores = Stores(operations, Outbox(tables.outbox, self.clock), self.clock, limits)
        self.usage = StoredUsage(db)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        return self.db.transact(lambda connection: self.stores.run(connection, work))

    def counted(self, subscription: str) -> Mapping[tuple[str, str], int]:
        """Answer what the counters of a subscription say, but for those that say 0."""
        u = tables.usage_counters.c
        statement = select(u.location, u.counter, u.value).where(
            u.subscription_key == subscription, u.value != 0
        )
        return {(location, counter): value for location, counter, value in self._all(statement)}

    def rows(self, subscription: str) -> Mapping[tuple[str, str], int]:
        """Answer what the rows of a subscription say."""
        found: Counter[tuple[str, str]] = Counter()
        for table, counter in (
            (tables.galleries, "galleries"),
            (tables.image_definitions, "imageDefinitions"),
            (tables.image_versions, "imageVersions"),
        ):
            counts = (
                select(table.c.location, func.count())
                .where(table.c.subscription_key == subscription)
                .group_by(table.c.location)
            )
            for location, count in self._all(counts):
                found[location, counter] += count
        v, r = tables.image_versions.c, tables.version_regions.c
        regions = select(r.location, r.stored_bytes, r.document).where(
            v.subscription_key == subscription, v.uid == r.version_uid
        )
        for location, stored, document in self._all(regions):
            found[location, "replicas"] += document.get("good", 0)
            found[location, "storedBytes"] += stored
        return {place: count for place, count in found.items() if count}

    def _all(self, statement: Select[Any]) -> Sequence[Any]:
        return self.db.read(lambda connection: connection.execute(statement).all())


@pytest.fixture
def store(database_url: str, open_database: Callable[..., Database]) -> Store:
    migrate(database_url, MIGRATIONS)
    return Store(open_database(database_url))


def subscription() -> str:
    return f"subscriptions/s{next(_numbers)}"


def common(name: str, location: str) -> dict[str, Any]:
    return {
        "name": name,
        "uid": new_uid(),
        "location": location,
        "create_time": NOW,
        "update_time": NOW,
    }


def gallery(name: str, location: str = "eastus") -> Gallery:
    return Gallery(**common(name, location), shared_id=new_uid())


def definition(name: str, location: str = "eastus") -> Definition:
    return Definition(
        **common(name, location),
        os_type=OsType.LINUX,
        os_state=OsState.GENERALIZED,
        identifier=Identifier("P", "O", name.rpartition("/")[2]),
    )


def version(subscription: str, number: int, location: str = "eastus") -> Version:
    parent = f"{subscription}/resourceGroups/g/galleries/g/images/i"
    return Version(
        **common(f"{parent}/versions/{number}.0.0", location),
        number=(number, 0, 0),
        tenant="tenants/t",
        source=None,
        disks=(SourceDisk("os", ByteSource(SourceKind.BLOB, "b", "u"), 5),),
        target_regions=tuple(map(TargetRegion, LOCATIONS)),
        publish_time=NOW,
    )


def put(store: Store, made: Version) -> Version:
    def work(tx: Transaction) -> None:
        tx.versions.insert(made)
        tx.versions.put_regions(
            made, [RegionStatus(one, at, 1, 1) for at, one in enumerate(LOCATIONS)]
        )

    store.run(work)
    return made


def event(of: Version, location: str, **more: Any) -> region_events.RegionEvent:
    fields: dict[str, Any] = {
        "version_uid": of.uid,
        "generation": 1,
        "location": location,
        "replication": "replications/r",
        "state": RegionState.COMPLETED,
        "usable": True,
        "wanted": 1,
        "good": 1,
        "progress": Progress(),
        "cause": None,
        "stored_bytes": 0,
        "crossed_bytes": 0,
        "time": NOW,
    }
    return region_events.RegionEvent(**(fields | more))


def apply(store: Store, told: region_events.RegionEvent) -> None:
    store.run(lambda tx: region_events.apply(tx, told))


_STEPS = st.one_of(
    st.tuples(st.just("gallery"), st.integers(0, 2), st.sampled_from(LOCATIONS)),
    st.tuples(st.just("definition"), st.integers(0, 5), st.sampled_from(LOCATIONS)),
    st.tuples(st.just("version"), st.integers(1, 5), st.sampled_from(LOCATIONS)),
    st.tuples(st.just("delete"), st.integers(0, 20)),
    st.tuples(
        st.just("event"),
        st.integers(1, 5),
        st.sampled_from(LOCATIONS),
        st.sampled_from([RegionState.COMPLETED, RegionState.REMOVED, RegionState.DEGRADED]),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    st.tuples(st.just("leave"), st.integers(1, 5), st.sampled_from(LOCATIONS)),
)


class _Model:
    """What is there, and the bytes that each region of each version has told of."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.subscription = subscription()
        self.there: dict[str, Gallery | Definition | Version] = {}
        self.told: Counter[tuple[str, str]] = Counter()
        self.crossed: Counter[tuple[str, str]] = Counter()

    def do(self, step: tuple[Any, ...]) -> None:
        kind, number, *rest = step
        group = f"{self.subscription}/resourceGroups/g"
        try:
            match kind:
                case "gallery":
                    self._add(gallery(f"{group}/galleries/g{number}", rest[0]))
                case "definition":
                    self._add(definition(f"{group}/galleries/g/images/i{number}", rest[0]))
                case "version":
                    found = put(self.store, version(self.subscription, number, rest[0]))
                    self.there[found.key] = found
                case "delete":
                    self._delete(number)
                case "event":
                    self._tell(number, *rest)
                case "leave":
                    self._leave(number, rest[0])
                case _:
                    raise AssertionError(step)
        except (AlreadyExists, ResourceExhausted):
            # All of it is undone.
            pass

    def expected(self) -> Mapping[tuple[str, str], int]:
        crossed = {
            (location, f"crossedBytes/2026-11/{home}"): count
            for (location, home), count in self.crossed.items()
            if count
        }
        return {**self.store.rows(self.subscription), **crossed}

    def _add(self, made: Gallery | Definition) -> None:
        def work(tx: Transaction) -> None:
            rows: Any = tx.galleries if isinstance(made, Gallery) else tx.definitions
            rows.insert(made)

        self.store.run(work)
        self.there[made.key] = made

    def _delete(self, number: int) -> None:
        if not self.there:
            return
        found = self.there.pop(sorted(self.there)[number % len(self.there)])

        def work(tx: Transaction) -> None:
            match found:
                case Version():
                    tx.versions.forget(found)
                case Gallery():
                    tx.galleries.delete(found.key)
                case Definition():
                    tx.definitions.delete(found.key)

        self.store.run(work)

    def _version(self, number: int) -> Version | None:
        found = self.there.get(version(self.subscription, number).key)
        return found if isinstance(found, Version) else None

    def _tell(
        self, number: int, location: str, state: RegionState, good: int, crossed: int
    ) -> None:
        found = self._version(number)
        if found is None:
            return
        apply(
            self.store,
            event(
                found,
                location,
                state=state,
                good=good,
                stored_bytes=3 * good,
                crossed_bytes=crossed,
            ),
        )
        before = self.told[found.uid, location]
        self.told[found.uid, location] = max(before, crossed)
        self.crossed[location, found.location] += max(0, crossed - before)

    def _leave(self, number: int, location: str) -> None:
        """Remove a region from what is wanted; or, where it is gone, want it again."""
        found = self._version(number)
        if found is None:
            return

        def work(tx: Transaction) -> None:
            stored = tx.versions.by_uid(found.uid)
            assert stored is not None
            there = {one.location: one for one in tx.versions.regions(found.uid)}
            if location in there:
                there[location] = replace(there[location], position=None)
            else:
                there[location] = RegionStatus(location, 1, 1, 1)
            tx.versions.write(stored, list(there.values()))

        self.store.run(work)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(_STEPS, max_size=40))
def test_counters_are_what_the_rows_are_whatever_comes_and_goes(
    store: Store, steps: list[tuple[Any, ...]]
) -> None:
    model = _Model(store)
    for step in steps:
        model.do(step)
    assert store.counted(model.subscription) == model.expected()


def test_of_eight_writers_who_race_for_the_last_places_as_many_as_there_are_get_one(
    store: Store,
) -> None:
    place = subscription()
    start = Barrier(8)
    told: list[tuple[str, str]] = []

    def insert(name: str) -> None:
        store.run(lambda tx: tx.galleries.insert(gallery(name)))

    def write(writer: int) -> int:
        start.wait()
        admitted = 0
        for number in range(6):
            try:
                insert(f"{place}/resourceGroups/g/galleries/w{writer}x{number}")
            except ResourceExhausted as error:
                told.append((error.metadata["limit"], error.metadata["used"]))
            else:
                admitted += 1
        return admitted

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(write, range(8))) == 20
    assert told == [("20", "20")] * 28
    assert store.counted(place) == {("eastus", "galleries"): 20}
    assert store.rows(place) == store.counted(place)


def test_those_who_come_and_go_at_once_leave_the_counters_right(store: Store) -> None:
    place = subscription()

    def write_one(made: Gallery, *, stays: bool) -> None:
        store.run(lambda tx: tx.galleries.insert(made))
        if not stays:
            store.run(lambda tx: tx.galleries.delete(made.key))

    def write(writer: int) -> None:
        for number in range(5):
            # Some insert first what others insert last: their counters are in one order.
            for location in LOCATIONS if writer % 2 else LOCATIONS[::-1]:
                name = f"{place}/resourceGroups/g/galleries/w{writer}{location}{number}"
                write_one(gallery(name, location), stays=number % 2 == 0)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    expected = {(location, "galleries"): 18 for location in LOCATIONS}
    assert store.counted(place) == store.rows(place) == expected


def test_transactions_that_count_in_any_order_never_wait_in_a_circle(
    postgresql_url: str, open_database: Callable[..., Database]
) -> None:
    migrate(postgresql_url, MIGRATIONS)
    store, place = Store(open_database(postgresql_url)), subscription()

    def write(writer: int) -> None:
        def work(tx: Transaction) -> None:
            for location in LOCATIONS if writer % 2 else LOCATIONS[::-1]:
                tx.usage.add(place, location, "replicas", 1)
                tx.usage.add(place, location, "storedBytes", 2)

        for _ in range(30):
            store.run(work)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    assert store.counted(place) == {
        (location, counter): value
        for location in LOCATIONS
        for counter, value in (("replicas", 180), ("storedBytes", 360))
    }
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert store.db.read(lambda c: c.execute(text(deadlocks)).scalar_one()) == 0


def test_a_create_asks_one_statement_of_the_counters(store: Store) -> None:
    place = subscription()
    with store.db.statements() as statements:
        store.run(lambda tx: tx.galleries.insert(gallery(f"{place}/resourceGroups/g/galleries/g")))
    assert len([one for one in statements if "usage_counters" in one]) == 1, statements
    made = put(store, version(place, 1))
    with store.db.statements() as statements:
        apply(store, event(made, "westus", stored_bytes=5, crossed_bytes=5))
    # Replicas, stored bytes, crossed bytes.
    assert len([one for one in statements if "usage_counters" in one]) == 3, statements
    with store.db.statements() as statements:
        apply(store, event(made, "westus", stored_bytes=5, crossed_bytes=5))
    assert not [one for one in statements if "usage_counters" in one]


def test_what_crossed_begins_anew_with_each_month(store: Store) -> None:
    place = subscription()
    made = put(store, version(place, 1))
    apply(store, event(made, "westus", stored_bytes=5, crossed_bytes=5))
    december = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
    assert store.usage.of(place, "westus", month_of(NOW)).homes == {"eastus": 5}
    assert store.usage.of(place, "westus", month_of(december)).homes == {}
    apply(store, event(made, "westus", stored_bytes=5, crossed_bytes=7, time=december))
    assert store.usage.of(place, "westus", month_of(NOW)).homes == {"eastus": 5}
    assert store.usage.of(place, "westus", month_of(december)).homes == {"eastus": 2}

    purge = lambda: store.db.transact(lambda tx: purge_crossed(tx, store.clock))  # noqa: E731
    assert purge() == 0
    store.clock.advance(timedelta(days=20).total_seconds())
    assert purge() == 1
    assert purge() == 0
    assert store.usage.of(place, "westus", month_of(december)).homes == {"eastus": 2}
    assert store.usage.of(place, "westus", month_of(december)).counters["storedBytes"] == 5


def test_places_come_in_pages_in_the_order_of_their_names(store: Store) -> None:
    places = [(f"subscriptions/{one}", at) for one in ("p", "p-q") for at in LOCATIONS]

    def work(tx: Transaction) -> None:
        for place, location in places:
            tx.usage.add(place, location, "replicas", 1)
        tx.usage.add("subscriptions/empty", "eastus", "replicas", 0)

    store.run(work)
    everything = UsageQuery(None, None, month_of(NOW))

    def found(**more: Any) -> list[tuple[str, str]]:
        page = store.usage.page(replace(everything, **more))
        assert page.last is None
        return [(one.subscription, one.location) for one in page.places]

    assert found() == places
    assert found(descending=True) == places[::-1]
    assert found(start=places[2]) == places[2:]
    assert found(start=places[1], descending=True) == places[1::-1]
    assert found(location="westus") == places[1::2]
    assert found(subscription="subscriptions/p-q") == places[2:]
    assert found(allowed=["subscriptions/p"]) == places[:2]
    assert found(allowed=[]) == []


def test_the_migration_counts_what_is_there_already(store: Store) -> None:
    place = subscription()
    group = f"{place}/resourceGroups/g"
    complete = datetime.now(UTC)

    def work(tx: Transaction) -> None:
        tx.galleries.insert(gallery(f"{group}/galleries/a"))
        tx.galleries.insert(gallery(f"{group}/galleries/b", "westus"))
        tx.definitions.insert(definition(f"{group}/galleries/a/images/i"))

    store.run(work)
    made = put(store, version(place, 1))
    apply(store, event(made, "eastus", good=2, stored_bytes=20, time=complete))
    apply(store, event(made, "westus", stored_bytes=10, crossed_bytes=10, time=complete))
    old = put(store, version(place, 2))
    past = datetime(2020, 1, 1, tzinfo=UTC)
    apply(store, event(old, "westus", stored_bytes=7, crossed_bytes=7, time=past))
    store.run(lambda tx: tx.set_cursor(FeedCursor("log", 1)))
    expected = {
        place: value for place, value in store.counted(place).items() if "2020" not in place[1]
    }
    assert len(expected) == 9
    wrong = tables.usage_counters.insert().values(
        subscription_key=place, location="eastus", counter="galleries/x", value=9
    )
    store.db.transact(lambda tx: tx.execute(wrong))

    migration = importlib.import_module("services.catalog.store.migrations.versions.0004_usage")

    def count(connection: Any) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            migration.upgrade()

    store.db.transact(count)
    assert store.counted(place) == expected
    # The snapshot that is taken next brings the prices of the regions.
    assert store.db.read(read_cursor) is None
    # What is told again is counted already.
    apply(store, event(made, "westus", stored_bytes=10, crossed_bytes=10, time=complete))
    assert store.counted(place) == expected
