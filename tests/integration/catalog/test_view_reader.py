"""Views are read the same way from SQLite and from PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.catalog.domain.definition import Definition, Identifier
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.gallery import (
    CommunityTexts,
    Consumers,
    Gallery,
    PendingShare,
    ShareChange,
    ShareOperation,
    Sharing,
)
from services.catalog.domain.hardware import OsState, OsType
from services.catalog.domain.region import Region
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.version import TargetRegion, Version, VersionState
from services.catalog.ports.views import Sought, ViewId, ViewQuery
from services.catalog.store import tables
from services.catalog.store.schema import MIGRATIONS
from services.catalog.store.transaction import Stores, Transaction
from services.catalog.store.views import ViewReader
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.filter import Kind, Order, parse_filter
from services.kernel.names import key

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GROUP = "subscriptions/S/resourceGroups/Rg"
Place = tuple[str, str, str]


def _common(name: str, uid: str) -> dict[str, Any]:
    return {
        "name": name,
        "uid": uid,
        "location": "eastus",
        "create_time": NOW,
        "update_time": NOW,
    }


class Store:
    """Two galleries, `g1` with the higher id in views; images `A` and `b`; versions in regions."""

    def __init__(self, db: Database) -> None:
        clock = FakeClock(NOW)
        operations = OperationStore(db, tables.operations, clock)
        self.db = db
        self.stores = Stores(operations, Outbox(tables.outbox, clock), clock)
        self.views = ViewReader(db)
        self.run(self._fill)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        return self.db.transact(lambda connection: work(self.stores.bind(connection)))

    def _fill(self, tx: Transaction) -> None:
        for position, region in enumerate(("eastus", "westus")):
            tx.regions.put(Region(region, f"r{position}", region), position)
        for gallery, shared_id in (("g1", "z"), ("g2", "a")):
            name = f"{GROUP}/galleries/{gallery}"
            tx.galleries.insert(Gallery(**_common(name, gallery), shared_id=shared_id))
            for image, end in (("A", NOW + timedelta(days=9)), ("b", None)):
                definition = Definition(
                    **_common(f"{name}/images/{image}", f"{gallery}{image}"),
                    os_type=OsType.LINUX,
                    os_state=OsState.GENERALIZED,
                    identifier=Identifier(f"P{image}", "O", gallery),
                    end_of_life_time=end,
                )
                tx.definitions.insert(definition)
                for number in ((1, 9, 0), (1, 10, 0)):
                    self.publish(tx, definition, number)

    def publish(
        self,
        tx: Transaction,
        definition: Definition,
        number: tuple[int, int, int],
        *regions: str,
        **more: Any,
    ) -> None:
        text = ".".join(map(str, number))
        wanted = regions or ("eastus", "westus")
        version = Version(
            **_common(f"{definition.name}/versions/{text}", f"{definition.uid}{text}"),
            number=number,
            tenant="tenants/t",
            source=None,
            disks=(SourceDisk("os", ByteSource(SourceKind.BLOB, "b", "u"), 5),),
            target_regions=tuple(map(TargetRegion, wanted)),
            publish_time=NOW + timedelta(hours=number[1]),
            **more,
        )
        tx.versions.insert(version)
        statuses = [
            RegionStatus(one, at, 1, 1, RegionState.COMPLETED, usable=True, observed=1)
            for at, one in enumerate(wanted)
        ]
        tx.versions.put_regions(version, statuses)

    def galleries(self, **more: Any) -> list[tuple[str, str]]:
        return [(one.gallery.uid, one.location) for one in self.views.galleries(_query(**more))]

    def images(self, **more: Any) -> list[Place]:
        found = self.views.definitions(_query(**more))
        return [(one.gallery.uid, one.definition.name[-1], one.location) for one in found]

    def versions(self, **more: Any) -> list[str]:
        found = self.views.versions(_query(**more))
        return [f"{one.definition.uid}/{one.version.number[1]}@{one.location}" for one in found]


def _query(**more: Any) -> ViewQuery:
    fields: dict[str, Any] = {"galleries": ["g1"], "location": "eastus", "limit": 100}
    return ViewQuery(ViewId.SHARED, **(fields | more))


@pytest.fixture
def store(database_url: str, open_database: Callable[..., Database]) -> Store:
    migrate(database_url, MIGRATIONS)
    return Store(open_database(database_url))


def test_galleries_exist_where_something_can_be_used(store: Store) -> None:
    both = {"galleries": ["g2", "g1", "gone"], "location": ""}
    assert store.galleries(**both) == [
        (gallery, region) for gallery in ("g2", "g1") for region in ("eastus", "westus")
    ]
    by_region = (Order("location", descending=True), Order("name"))
    assert store.galleries(**both, order=by_region) == [
        (gallery, region) for region in ("westus", "eastus") for gallery in ("g2", "g1")
    ]
    assert store.galleries(location="westus") == [("g1", "westus")]
    assert store.galleries(location="mars") == []
    assert store.galleries(galleries=[]) == []


def test_galleries_come_in_pages(store: Store) -> None:
    everything = {"galleries": ["g1", "g2"], "location": ""}
    seen: list[tuple[str, str]] = []
    after = None
    while rows := store.views.galleries(_query(**everything, limit=1, after=after)):
        seen += [(row.gallery.uid, row.location) for row in rows]
        after = rows[-1].position
    assert seen == store.galleries(**everything)


@pytest.mark.parametrize(
    ("words", "condition", "found"),
    [
        ((), "", ["A", "b"]),
        (("pa",), "", ["A"]),
        (("PA", "g1"), "", ["A"]),
        (("pa", "b"), "", []),
        (("o", "p"), "", ["A", "b"]),
        (("100%",), "", []),
        ((), "identifier.publisher = pB", ["b"]),
        ((), "identifier.publisher != PB", ["A"]),
        ((), "os_type = LINUX", ["A", "b"]),
        ((), "os_type = WINDOWS", []),
        (("p",), "identifier.sku = G1 AND os_type != WINDOWS", ["A", "b"]),
    ],
)
def test_images_are_sought_by_what_they_say(
    store: Store, words: tuple[str, ...], condition: str, found: list[str]
) -> None:
    fields: dict[str, Any] = dict.fromkeys(
        ("identifier.publisher", "identifier.sku", "os_type"), Kind.STRING
    )
    sought = Sought(words, parse_filter(condition, fields))
    assert [image for _, image, _ in store.images(sought=sought)] == found


def test_images_are_sought_by_what_their_publisher_says(store: Store) -> None:
    texts = CommunityTexts("https://Example.org/A_b", "mail@example.org", "Be kind.")

    def tell(tx: Transaction) -> None:
        gallery = tx.galleries.get(key(f"{GROUP}/galleries/g1"))
        assert gallery is not None
        tx.galleries.update(replace(gallery, sharing=replace(gallery.sharing, texts=texts)))

    store.run(tell)
    for word in ("example.org/a_b", "MAIL@", "a_b"):
        assert len(store.images(sought=Sought((word,)))) == 2
    # Neither the terms nor the private name, and no wildcard of the database.
    for word in ("kind", "galleries", "a%b", "axb"):
        assert store.images(sought=Sought((word,))) == []


def test_any_number_of_galleries_is_one_statement(store: Store) -> None:
    many = [f"gone{number}" for number in range(40_000)]
    with store.db.statements() as statements:
        assert len(store.galleries(galleries=[*many, "g1"])) == 1
        assert len(store.images(galleries=[*many, "g1"])) == 2
        assert len(statements) == 2


def test_images_are_ordered_by_what_their_consumers_see(store: Store) -> None:
    everything = {"galleries": ["g1", "g2"], "location": "", "across": True}
    assert store.images(**everything) == [
        (gallery, image, region)
        for gallery in ("g2", "g1")
        for image in ("A", "b")
        for region in ("eastus", "westus")
    ]
    assert store.images(image="a") == [("g1", "A", "eastus")]
    by_publisher = (Order("identifier.publisher", descending=True),)
    assert [image for _, image, _ in store.images(order=by_publisher)] == ["b", "A"]
    by_end = (Order("end_of_life_time"),)
    assert [image for _, image, _ in store.images(order=by_end)] == ["A", "b"]


@pytest.mark.parametrize(
    "order",
    [
        (),
        (Order("name", descending=True),),
        (Order("identifier.sku"), Order("name", descending=True)),
        (Order("end_of_life_time", descending=True),),
    ],
)
def test_images_of_all_galleries_come_in_pages(store: Store, order: tuple[Order, ...]) -> None:
    everything: dict[str, Any] = {
        "galleries": ["g1", "g2"],
        "location": "",
        "across": True,
        "order": order,
    }
    expected = store.images(**everything)
    assert len(expected) == len(set(expected)) == 8

    seen: list[Place] = []
    after = None
    for _ in expected:
        (row,) = store.views.definitions(_query(**everything | {"limit": 1, "after": after}))
        seen.append((row.gallery.uid, row.definition.name[-1], row.location))
        after = row.position
        assert not [one for one in row.position if isinstance(one, str) and "resource" in one]
    assert seen == expected
    assert not store.views.definitions(_query(**everything | {"after": after}))


def test_versions_are_ordered_by_number(store: Store) -> None:
    assert store.versions(image="a") == ["g1A/9@eastus", "g1A/10@eastus"]
    newest = (Order("publish_time", descending=True),)
    assert store.versions(image="a", order=newest, limit=1) == ["g1A/10@eastus"]
    assert store.versions(image="a", number=(1, 9, 0), location="westus") == ["g1A/9@westus"]
    assert store.versions(image="a", number=(2, 0, 0)) == []
    assert len(store.versions(galleries=["g1", "g2"], location="", across=True)) == 16


def test_what_was_deleted_softly_is_seen_by_its_number_alone(store: Store) -> None:
    def delete(tx: Transaction) -> None:
        version = tx.versions.get(key(f"{GROUP}/galleries/g1/images/A/versions/1.9.0"))
        assert version is not None
        tx.versions.update(
            replace(version, version_state=VersionState.SOFT_DELETED, delete_time=NOW)
        )

    store.run(delete)
    assert store.versions(image="a") == ["g1A/10@eastus"]
    assert store.versions(image="a", number=(1, 9, 0), with_deleted=True) == ["g1A/9@eastus"]


def test_latest_passes_over_what_is_excluded(store: Store) -> None:
    def exclude(tx: Transaction) -> None:
        definition = tx.definitions.get(key(f"{GROUP}/galleries/g1/images/A"))
        assert definition is not None
        store.publish(tx, definition, (9, 0, 0), "eastus", exclude_from_latest=True)

    store.run(exclude)
    highest = (Order("name", descending=True),)
    assert store.versions(image="a", selectable=True, order=highest, limit=1) == ["g1A/10@eastus"]


def test_the_contents_of_a_gallery_are_counted(store: Store) -> None:
    gallery = f"{GROUP}/galleries/g1"
    found = store.run(lambda tx: tx.galleries.contents(key(gallery), 1))
    (first,) = found.definitions
    assert (first.name, first.versions) == (f"{gallery}/images/A", 2)
    assert first.locations == ("eastus", "westus")
    assert (found.definition_count, found.version_count) == (2, 4)


def test_changes_that_are_pending_too_long_are_found(store: Store) -> None:
    change = ShareChange(ShareOperation.ADD, Consumers(("subscriptions/c",)))
    pending = PendingShare("id", change, Sharing(sequence=1), NOW)

    def begin(tx: Transaction) -> None:
        gallery = tx.galleries.get(key(f"{GROUP}/galleries/g1"), lock=True)
        assert gallery is not None
        tx.galleries.update(replace(gallery, pending=pending))

    store.run(begin)

    def found(before: datetime) -> list[Any]:
        rows = store.run(lambda tx: tx.galleries.pending_shares(before, 10))
        return [one.pending for one in rows]

    assert found(NOW + timedelta(seconds=1)) == [pending]
    assert found(NOW) == []


def test_each_view_is_read_by_one_statement(store: Store) -> None:
    with store.db.statements() as statements:
        store.images(galleries=["g1", "g2"], location="", across=True)
        assert len(statements) == 1
        store.versions(image="a", number=(1, 9, 0))
        assert len(statements) == 2
