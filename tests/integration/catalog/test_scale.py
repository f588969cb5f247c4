"""What a read costs does not depend on how much there is: counted in steps of SQLite, not timed."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from stoa.catalog.v1 import image_version_pb2

from benchmarks.catalog_rows import Numbered, multiply
from services.catalog.domain.names import VERSIONS, ordered_key
from services.catalog.domain.region import Region
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.version import Version, VersionState
from services.catalog.ports.reading import ListQuery, Visible
from services.catalog.ports.views import ViewId, ViewQuery
from services.catalog.store.documents import load
from services.catalog.store.reading import StoreReaders
from services.catalog.store.schema import MIGRATIONS
from services.catalog.store.transaction import Transaction
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.db.sqlite import SqliteDatabase
from services.kernel.db.sqlite_writer import raw_connection
from services.kernel.filter import Order, parse_filter
from services.kernel.names import Name
from tests.integration.catalog.test_wildcard_lists import NOW, Tree

DEFINITION = "subscriptions/s1/resourceGroups/A/galleries/A1/images/A"
SMALL, LARGE = 1_000, 20_000
PAGE = 51
# Tables that grow; the regions of an installation and the scopes of a question are few.
GROWING = ("image_versions", "version_regions", "image_definitions", "galleries")


@dataclass
class Scale:
    """A database with so many versions of one definition."""

    db: SqliteDatabase
    readers: StoreReaders
    count: int
    gallery_uid: str

    def key(self, index: int) -> str:
        return Numbered(DEFINITION, index).name.lower()

    def page(self, **more: Any) -> Sequence[Any]:
        fields: dict[str, Any] = {"parent": _parent(DEFINITION), "limit": PAGE} | more
        return self.readers.versions.page(ListQuery(**fields))

    def everywhere(self, *scopes: str, **more: Any) -> Sequence[Any]:
        parent = _parent("subscriptions/-/resourceGroups/-/galleries/-/images/-")
        return self.page(parent=parent, visible=Visible(scopes), **more)

    def named(self, index: int, **more: Any) -> Sequence[Any]:
        return self.page(after=(ordered_key(self.key(index)),), **more)

    def dated(self, field: str, index: int, *, descending: bool = False) -> Sequence[Any]:
        time = Numbered(DEFINITION, index).seconds * 1_000_000
        order = (Order(field, descending),)
        return self.page(order=order, after=(time, self.key(index)))

    def view(self, location: str, **more: Any) -> Sequence[Any]:
        fields: dict[str, Any] = {"limit": PAGE, "image": "a"} | more
        query = ViewQuery(ViewId.SHARED, [self.gallery_uid], location, **fields)
        return self.readers.views.versions(query)

    def view_after(self, location: str, index: int) -> Sequence[Any]:
        number = Numbered(DEFINITION, index).number
        return self.view(location, after=number if location else (*number, "eastus"))

    def steps(self, read: Callable[["Scale"], Any]) -> tuple[int, list[str]]:
        """How many steps of SQLite's machine a read takes, and how it finds its rows."""
        held = self.db._thread_connection()
        raw = held.raw
        texts: list[str] = []
        held.rows.clear()
        raw.set_trace_callback(texts.append)
        read(self)
        raw.set_trace_callback(None)
        counted = [0]

        def step() -> int:
            counted[0] += 1
            return 0

        # What was found before is remembered.
        held.rows.clear()
        raw.set_progress_handler(step, 1)
        found = read(self)
        raw.set_progress_handler(None, 0)
        assert found, "a read that finds nothing shows nothing"
        selects = [text for text in texts if text.startswith(("SELECT", "WITH"))]
        assert len(selects) == 1
        return counted[0], _plan(raw, selects[0])


def _parent(definition: str) -> Name:
    return VERSIONS.parse(f"{definition}/versions/-", wildcards=True).parent()


def _plan(raw: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")]


def _scale(path: Path, count: int) -> Scale:
    url = f"sqlite:///{path}"
    migrate(url, MIGRATIONS)
    db = Database.open(url)
    assert isinstance(db, SqliteDatabase)
    tree = Tree(db)
    name = f"{DEFINITION}/versions/1.0.9"

    def publish(tx: Transaction) -> None:
        for number in range(5):
            location = "eastus" if number == 0 else f"region{number}"
            tx.regions.put(Region(location, f"u{number}", f"Region {number}"), 1)
        version = tx.versions.get(name.lower())
        assert version is not None
        deleted = tx.versions.get(f"{DEFINITION}/versions/2.0.0".lower())
        assert deleted is not None
        tx.versions.update(replace(deleted, version_state=VersionState.SOFT_DELETED))
        status = RegionStatus("eastus", 0, 1, 1, RegionState.COMPLETED, usable=True, observed=1)
        tx.versions.put_regions(version, [status])

    tree.run(publish)
    multiply(path, name, count)
    gallery = _parent(DEFINITION).parent()
    uid = tree.run(lambda tx: tx.galleries.get(gallery.key)).uid
    return Scale(db, StoreReaders.of(db), count, uid)


@pytest.fixture(scope="module")
def scales(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scale, Scale]]:
    folder = tmp_path_factory.mktemp("scale")
    small, large = _scale(folder / "small.db", SMALL), _scale(folder / "large.db", LARGE)
    yield small, large
    small.db.close()
    large.db.close()


def _desc(field: str) -> tuple[Order, ...]:
    return (Order(field, descending=True),)


_STATES = {"state": frozenset({"ACTIVE", "SOFT_DELETED"})}
_ACTIVE = parse_filter("state = ACTIVE", _STATES)
_SOFT_DELETED = parse_filter("state = SOFT_DELETED", _STATES)
READS: dict[str, Callable[[Scale], Any]] = {
    "get": lambda s: s.readers.versions.get(s.key(s.count // 2), "full"),
    "list": lambda s: s.page(),
    "list, middle": lambda s: s.named(s.count // 2),
    "list, end": lambda s: s.named(s.count - PAGE - 1),
    "list, reversed": lambda s: s.page(order=_desc("name")),
    "list, reversed, end": lambda s: s.named(PAGE, order=_desc("name")),
    "list, with status": lambda s: s.page(view="status"),
    "list, with deleted ones": lambda s: s.page(show_deleted=True),
    "list, by filter": lambda s: s.page(comparisons=_ACTIVE),
    "soft-deleted": lambda s: s.page(comparisons=_SOFT_DELETED, show_deleted=True),
    "soft-deleted everywhere": lambda s: s.everywhere(
        "subscriptions/s1", comparisons=_SOFT_DELETED, show_deleted=True
    ),
    "recent": lambda s: s.page(order=_desc("publish_time")),
    "recent, end": lambda s: s.dated("publish_time", PAGE, descending=True),
    "by creation": lambda s: s.page(order=(Order("create_time"),)),
    "by creation, end": lambda s: s.dated("create_time", s.count - PAGE),
    "everywhere": lambda s: s.everywhere("subscriptions/s1", "subscriptions/s2"),
    "everywhere, end": lambda s: s.everywhere(
        "subscriptions/s1", after=(ordered_key(s.key(s.count - PAGE)),)
    ),
    "everywhere, reversed": lambda s: s.everywhere("subscriptions/s1", order=_desc("name")),
    "latest": lambda s: s.readers.versions.latest(DEFINITION.lower(), "eastus"),
    "latest, where": lambda s: s.readers.versions.latest_locations(DEFINITION.lower()),
    "usable": lambda s: s.readers.versions.usable(s.key(5), "eastus"),
    "usable, where": lambda s: s.readers.versions.usable_locations(s.key(5)),
    "deployable, latest": lambda s: s.readers.deployments.latest(DEFINITION.lower(), "eastus"),
    "view": lambda s: s.view("eastus", number=(1000, 1500, 0)),
    "views": lambda s: s.view("eastus"),
    "views, end": lambda s: s.view_after("eastus", s.count - PAGE),
    "views, reversed": lambda s: s.view("eastus", order=_desc("name")),
    "views of all regions": lambda s: s.view(""),
    "views of all regions, end": lambda s: s.view_after("", s.count - PAGE),
    "recent views": lambda s: s.view("eastus", order=_desc("publish_time")),
    "recent views of all regions": lambda s: s.view("", order=_desc("publish_time")),
    "view, latest": lambda s: s.view("eastus", selectable=True, order=_desc("name"), limit=1),
    "view, galleries": lambda s: s.readers.views.galleries(
        ViewQuery(ViewId.SHARED, [s.gallery_uid], "", PAGE)
    ),
    "view, images": lambda s: s.readers.views.definitions(
        ViewQuery(ViewId.SHARED, [s.gallery_uid], "eastus", PAGE)
    ),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_takes_as_many_steps_among_many_rows_as_among_few(
    scales: tuple[Scale, Scale], name: str
) -> None:
    small, large = (scale.steps(READS[name])[0] for scale in scales)
    assert large <= small * 1.05


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (name, later)
        for name in READS
        for later in (f"{name}, middle", f"{name}, end")
        if later in READS
    ],
)
def test_a_later_page_takes_as_many_steps_as_the_first_one(
    scales: tuple[Scale, Scale], first: str, later: str
) -> None:
    steps, further = (scales[1].steps(READS[name])[0] for name in (first, later))
    # What is compared with the last row of the page before is a handful for each row.
    assert further <= steps * 1.35


@pytest.mark.parametrize("name", READS)
def test_no_read_looks_through_a_table(scales: tuple[Scale, Scale], name: str) -> None:
    _, plan = scales[1].steps(READS[name])
    through = [step for step in plan for table in GROWING if re.match(rf"SCAN {table}\b", step)]
    assert through == []


def test_pages_hold_what_they_are_asked_for(scales: tuple[Scale, Scale]) -> None:
    large = scales[1]
    for name in ("list, middle", "recent, end", "by creation, end", "views, end"):
        assert len(READS[name](large)) in {PAGE, PAGE - 1}, name
    # After those that were there before.
    newest = [row.key for row in READS["recent"](large)]
    assert newest.index(large.key(large.count - 1)) == 2
    (deleted,) = READS["soft-deleted"](large)
    assert deleted.key.endswith("/versions/2.0.0")


def test_rows_that_were_multiplied_are_as_the_catalog_writes_them(
    scales: tuple[Scale, Scale],
) -> None:
    small = scales[0]
    one = Numbered(DEFINITION, 777)
    stored = small.readers.versions.get(one.name.lower())
    assert stored is not None
    message = image_version_pb2.ImageVersion.FromString(stored.body)
    assert (message.name, message.uid) == (one.name, one.uid)
    assert message.publish_time.seconds == one.seconds
    raw = small.db.read(raw_connection)
    (text,) = raw.execute("SELECT document FROM image_versions WHERE uid = ?", [one.uid])
    version = load(Version, json.loads(text[0]))
    assert (version.name, version.number, version.uid) == (one.name, one.number, one.uid)
    assert version.publish_time.timestamp() == one.seconds
    assert version.publish_time < NOW
