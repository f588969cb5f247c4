"""The store of the catalog does the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url
from stoa.catalog.v1 import gallery_pb2, image_version_pb2

from services.catalog.domain.definition import Definition, Identifier
from services.catalog.domain.disk_encryption_set import DiskEncryptionSet
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.gallery import Gallery, Sharing, SharingMode
from services.catalog.domain.hardware import OsState, OsType
from services.catalog.domain.names import DEFINITIONS
from services.catalog.domain.region import Region, TierCapacity
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.domain.uefi import UefiKey, UefiKeyType, UefiSettings
from services.catalog.domain.version import Number, TargetRegion, Version
from services.catalog.ports.reading import ListQuery, Visible
from services.catalog.ports.transaction import FeedCursor
from services.catalog.store import tables
from services.catalog.store.cursor import read_cursor
from services.catalog.store.reading import StoreReaders
from services.catalog.store.regions import StoredRegions
from services.catalog.store.schema import MIGRATIONS, REVISION
from services.catalog.store.transaction import Stores, Transaction
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import check_schema, migrate, newest_revision
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.errors import AlreadyExists
from services.kernel.filter import Kind, Order, parse_filter
from services.kernel.ids import new_uid
from services.kernel.names import Name, key

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GROUP = "subscriptions/S/resourceGroups/Rg"
GALLERY = f"{GROUP}/galleries/G"
DEFINITION = f"{GALLERY}/images/I"


class Store:
    def __init__(self, db: Database) -> None:
        clock = FakeClock(NOW)
        self.db = db
        self.stores = Stores(
            OperationStore(db, tables.operations, clock), Outbox(tables.outbox, clock), clock
        )
        self.readers = StoreReaders.of(db)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        return self.db.transact(lambda connection: work(self.stores.bind(connection)))

    def page(self, reader: Any, parent: Name, limit: int = 10, **more: Any) -> list[str]:
        rows = reader.page(ListQuery(parent=parent, limit=limit, **more))
        return [row.key.rpartition("/")[2] for row in rows]


@pytest.fixture
def store(database_url: str, open_database: Callable[..., Database]) -> Store:
    migrate(database_url, MIGRATIONS)
    db = open_database(database_url)
    check_schema(db, REVISION)
    return Store(db)


def _common(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "uid": new_uid(),
        "location": "eastus",
        "create_time": NOW,
        "update_time": NOW,
    } | more


def _group(name: str, **more: Any) -> ResourceGroup:
    return ResourceGroup(**_common(name, **more))


def _gallery(name: str = GALLERY) -> Gallery:
    return Gallery(**_common(name), shared_id=new_uid())


def _definition(name: str = DEFINITION, **more: Any) -> Definition:
    fields = {
        "os_type": OsType.LINUX,
        "os_state": OsState.GENERALIZED,
        "identifier": Identifier("P", "O", name.rpartition("/")[2]),
    }
    return Definition(**(_common(name) | fields | more))


def _version(number: tuple[int, int, int], **more: Any) -> Version:
    text = ".".join(map(str, number))
    fields = {
        "number": number,
        "tenant": "tenants/t",
        "source": None,
        "disks": (SourceDisk("os", ByteSource(SourceKind.BLOB, "b", "u"), 5),),
        "target_regions": (TargetRegion("eastus"), TargetRegion("westus")),
        "publish_time": NOW,
    }
    return Version(**(_common(f"{DEFINITION}/versions/{text}") | fields | more))


def _statuses(*usable: bool) -> list[RegionStatus]:
    return [
        RegionStatus(location, index, 1, 1, RegionState.COMPLETED, usable=one, observed=1)
        for index, (location, one) in enumerate(zip(("eastus", "westus"), usable, strict=True))
    ]


def _put(store: Store, version: Version, *usable: bool) -> Version:
    def work(tx: Transaction) -> None:
        tx.versions.insert(version)
        tx.versions.put_regions(version, _statuses(*usable))

    store.run(work)
    return version


def _mirror(store: Store, *locations: str) -> None:
    def work(tx: Transaction) -> None:
        for location in locations:
            tx.regions.put(Region(location, f"u-{location}", location), 1)

    store.run(work)


@pytest.fixture
def published(store: Store) -> Store:
    """A store with a definition, to put versions into."""

    def work(tx: Transaction) -> None:
        tx.groups.insert(_group(GROUP))
        tx.galleries.insert(_gallery())
        tx.definitions.insert(_definition())

    store.run(work)
    return store


def test_the_migrations_make_exactly_the_tables(database_url: str) -> None:
    migrate(database_url, MIGRATIONS)
    assert newest_revision(MIGRATIONS) == REVISION
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def test_what_is_written_is_read_and_replaced_and_removed(store: Store) -> None:
    group = _group(GROUP, tags={"a": "b"})
    store.run(lambda tx: tx.groups.insert(group))
    assert store.run(lambda tx: tx.groups.get(key(GROUP), lock=True)) == group
    changed = replace(group, revision=2, policy_revision=7)
    store.run(lambda tx: tx.groups.update(changed))
    assert store.run(lambda tx: tx.groups.get(key(GROUP), share=True)) == changed
    stored = store.readers.groups.get(key(GROUP))
    assert stored is not None
    assert stored.policy_revision == 7
    store.run(lambda tx: tx.groups.delete(key(GROUP)))
    assert store.readers.groups.get(key(GROUP)) is None


def test_a_name_that_is_taken_at_the_same_moment_is_refused(store: Store) -> None:
    store.run(lambda tx: tx.groups.insert(_group(GROUP)))
    with pytest.raises(AlreadyExists):
        store.run(lambda tx: tx.groups.insert(_group(GROUP.upper())))


def test_a_gallery_is_found_by_its_id_in_the_subscription(published: Store) -> None:
    find = lambda tx: tx.galleries.named("subscriptions/s", "g")  # noqa: E731
    assert published.run(find) == GALLERY
    reserve = lambda tx: tx.galleries.reserve_public_name("Prefix-1", "u")  # noqa: E731
    assert published.run(reserve)
    assert not published.run(reserve)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", ["a", "b", "c"]),
        ("location = westus", ["b"]),
        ("tags.env = prod", ["a"]),
        ('tags."odd.key" = x', ["c"]),
        ("tags:env", ["a", "b"]),
        ("tags.env != prod", ["b", "c"]),
        ('name = "subscriptions/S/resourceGroups/B"', ["b"]),
        ('create_time > "2026-11-22T00:00:30Z"', ["b", "c"]),
        ("provisioning_state = FAILED", []),
    ],
)
def test_lists_are_filtered_alike(store: Store, condition: str, expected: list[str]) -> None:
    tags: dict[str, dict[str, str]] = {
        "a": {"env": "prod"},
        "b": {"env": "test"},
        "c": {"odd.key": "x"},
    }

    def work(tx: Transaction) -> None:
        for minute, (one, found) in enumerate(tags.items()):
            tx.groups.insert(
                _group(
                    f"subscriptions/S/resourceGroups/{one.upper()}",
                    tags=found,
                    location="westus" if one == "b" else "eastus",
                    create_time=NOW + timedelta(minutes=minute),
                )
            )

    store.run(work)
    fields: dict[str, Any] = {
        "name": Kind.STRING,
        "location": Kind.STRING,
        "tags": Kind.MAP,
        "create_time": Kind.TIME,
        "provisioning_state": frozenset({"FAILED"}),
    }
    parent = Name("subscriptions/S", "subscriptions/s", {"subscription": "S"}, "")
    found = store.page(store.readers.groups, parent, comparisons=parse_filter(condition, fields))
    assert found == expected


@pytest.mark.parametrize("field", ["name", "create_time", "location"])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_any_order_hold_every_row_once(store: Store, field: str, descending: bool) -> None:
    names = [f"subscriptions/s{i % 2}/resourceGroups/g{i}" for i in range(7)]

    def work(tx: Transaction) -> None:
        for index, name in enumerate(names):
            tx.groups.insert(
                _group(name, location="ab"[index % 2], create_time=NOW + timedelta(index // 3))
            )

    store.run(work)
    parent = Name("subscriptions/-", "subscriptions/-", {"subscription": "-"}, "")
    order = (Order(field, descending),)
    seen: list[str] = []
    after = None
    while rows := store.readers.groups.page(
        ListQuery(parent=parent, limit=3, order=order, after=after)
    ):
        seen += [row.key for row in rows]
        after = rows[-1].position
    assert sorted(seen) == sorted(map(key, names))


def test_a_list_shows_what_is_visible_and_not_what_is_denied_below_it(store: Store) -> None:
    def work(tx: Transaction) -> None:
        for name in ("a/resourceGroups/x", "a/resourceGroups/y", "ab/resourceGroups/z"):
            tx.groups.insert(_group(f"subscriptions/{name}"))

    store.run(work)
    parent = Name("subscriptions/-", "subscriptions/-", {"subscription": "-"}, "")
    visible = Visible(("subscriptions/a",), ("subscriptions/a/resourcegroups/y",))
    assert store.page(store.readers.groups, parent, visible=visible) == ["x"]


def test_a_wildcard_in_the_middle_matches_one_id_alone(published: Store) -> None:
    pattern = "subscriptions/S/resourceGroups/-/galleries/{}/images/-"
    parent = DEFINITIONS.parse(pattern.format("G"), wildcards=True).parent()
    assert published.page(published.readers.definitions, parent) == ["i"]
    other = DEFINITIONS.parse(pattern.format("_"), wildcards=True).parent()
    assert published.page(published.readers.definitions, other) == []


def test_latest_is_the_highest_number_as_numbers_where_it_is_usable(published: Store) -> None:
    _mirror(published, "eastus", "westus")
    _put(published, _version((1, 0, 9)), True, True)
    ten = _put(published, _version((1, 0, 10)), True, False)
    excluded = _version((2, 0, 0), exclude_from_latest=True)
    _put(published, excluded, True, True)
    reader = published.readers.versions
    definition = key(DEFINITION)
    east, west = reader.latest(definition, "eastus"), reader.latest(definition, "westus")
    assert east is not None
    assert west is not None
    assert (east.name, west.name.rpartition("/")[2]) == (ten.name, "1.0.9")
    assert reader.latest_locations(definition) == ["eastus", "westus"]
    assert reader.usable_locations(ten.key) == ["eastus"]
    assert reader.usable(excluded.key, "westus") is not None
    assert reader.usable(ten.key, "westus") is None


def test_a_get_joins_the_parts_of_a_message(published: Store) -> None:
    end = NOW + timedelta(days=9)
    published.run(lambda tx: tx.definitions.update(_definition(end_of_life_time=end)))
    version = _put(published, _version((1, 0, 0)), True, False)
    stored = published.readers.versions.get(version.key, "status")
    assert stored is not None
    message = image_version_pb2.ImageVersion.FromString(stored.body)
    assert message.effective_end_of_life_time.ToDatetime(UTC) == end
    assert [one.usable for one in message.replication_status.summary] == [True, False]
    assert message.etag == version.etag


def test_a_forgotten_version_leaves_nothing_but_the_time_of_its_end(published: Store) -> None:
    version = _put(published, _version((1, 0, 0)), True, True)
    published.run(lambda tx: tx.versions.forget(version))
    reader = published.readers.versions
    assert reader.get(version.key) is None
    assert reader.deleted(version.key) == NOW
    assert reader.latest(key(DEFINITION), "eastus") is None
    assert not published.run(lambda tx: tx.versions.regions(version.uid))


def test_regions_are_found_by_any_spelling_and_the_newest_position_wins(store: Store) -> None:
    region = Region("eastus2", "u", "East US 2", capacities={"STANDARD": TierCapacity(3)})
    store.run(lambda tx: tx.regions.put(region, 5))
    store.run(lambda tx: tx.regions.put(replace(region, display_name="Old"), 4))
    rows = StoredRegions(store.db)
    found = rows.spelled(["East US 2", "EASTUS2", "nowhere"])
    assert found == {"East US 2": region, "EASTUS2": region}
    assert rows.known() == ["eastus2"]
    store.run(lambda tx: tx.regions.keep_only([]))
    assert rows.known() == []


def test_what_is_needed_names_who_needs_it(store: Store) -> None:
    store.run(lambda tx: tx.uses.add("images/i", "Versions/V"))
    assert store.run(lambda tx: tx.uses.users("images/i", 5)) == ["Versions/V"]
    store.run(lambda tx: tx.uses.remove("versions/v"))
    assert store.run(lambda tx: tx.uses.users("images/i", 5)) == []


def test_the_cursor_of_the_feed_is_kept(store: Store) -> None:
    assert store.db.read(read_cursor) is None
    store.run(lambda tx: tx.set_cursor(FeedCursor("log", 1)))
    store.run(lambda tx: tx.set_cursor(FeedCursor("log", 2)))
    assert store.db.read(read_cursor) == FeedCursor("log", 2)


def test_the_first_version_of_a_range_of_numbers_is_found_as_numbers(published: Store) -> None:
    for number in ((1, 9, 0), (1, 10, 0), (2, 0, 0)):
        _put(published, _version(number), True, True)

    def first(low: Number, high: Number | None = None) -> str | None:
        found: str | None = published.run(
            lambda tx: tx.versions.numbered(key(DEFINITION), low, high)
        )
        return found and found.rpartition("/")[2]

    assert first((0, 0, 0)) == "1.9.0"
    assert first((1, 9, 1)) == "1.10.0"
    assert first((1, 10, 1), (2, 0, 0)) is None
    assert first((1, 10, 1)) == "2.0.0"
    assert first((2, 0, 1)) is None


def test_versions_with_keys_of_a_customer_are_told_from_those_with_sources(
    published: Store,
) -> None:
    found = DiskEncryptionSet(
        **_common(f"{GROUP}/diskEncryptionSets/D"), key_uri="https://example.org/key"
    )
    published.run(lambda tx: tx.encryption_sets.insert(found))
    encrypted, plain = (_put(published, _version((1, n, 0)), True, True) for n in (1, 2))
    used = {encrypted.name: (found.key,), plain.name: (key(f"{GROUP}/disks/d"),)}
    for name, keys in used.items():
        published.run(lambda tx, name=name, keys=keys: tx.uses.replace(name, keys))  # type: ignore[misc]
    names = published.run(lambda tx: tx.versions.encrypted(key(GALLERY), 9))
    assert names == [encrypted.name]
    published.run(lambda tx: tx.uses.replace(encrypted.name, ()))
    assert published.run(lambda tx: tx.versions.encrypted(key(GALLERY), 9)) == []
    assert published.run(lambda tx: tx.uses.users(found.key, 9)) == []


def test_uefi_settings_stay_through_every_later_write(published: Store) -> None:
    settings = UefiSettings(db=(UefiKey(UefiKeyType.SHA256, (b"1" * 32,)),))
    version = _version((1, 0, 0), uefi_digest=settings.digest)
    published.run(lambda tx: tx.versions.insert(version, uefi=settings))
    published.run(
        lambda tx: tx.versions.write(replace(version, generation=2), _statuses(True, True))
    )
    stored = published.readers.versions.get(version.key, "full")
    assert stored is not None
    read = image_version_pb2.ImageVersion.FromString(stored.body)
    assert read.generation == 2
    assert list(read.uefi_settings.additional_signatures.db[0].values) == [b"1" * 32]


def test_a_shared_gallery_tells_the_regions_of_its_views_by_one_statement(
    published: Store,
) -> None:
    _mirror(published, "eastus", "westus")
    _put(published, _version((1, 0, 0)), True, False)

    def status() -> Any:
        stored = published.readers.galleries.get(key(GALLERY))
        assert stored is not None
        return gallery_pb2.Gallery.FromString(stored.body)

    assert not status().HasField("sharing_status")

    def share(tx: Transaction) -> None:
        gallery = tx.galleries.get(key(GALLERY))
        assert gallery is not None
        tx.galleries.update(replace(gallery, sharing=Sharing(mode=SharingMode.GROUPS)))

    published.run(share)
    assert [one.location for one in status().sharing_status.summary] == ["eastus"]
    assert published.run(lambda tx: tx.galleries.view_locations(key(GALLERY))) == ["eastus"]
