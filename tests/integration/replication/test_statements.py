"""How many statements a read takes, whatever it answers."""

import pytest

from services.kernel.clock import SystemClock
from services.kernel.names import key
from services.replication.ports.requests import Listing
from services.replication.usecases.reading import Replications
from services.replication.usecases.regions import Regions
from services.replication.usecases.slot_opening import SlotOpening
from tests.integration.replication.world import VERSION, World


@pytest.fixture
def many(world: World) -> World:
    """Three versions of two regions each; one has ended, one was superseded."""
    for location in ("home", "east"):
        world.add_region(location)
    disks = {"os": world.upload("os", b"x" * 70_000)}
    for uid in ("a", "b", "c"):
        world.ensure(world.desired(disks, {"home": 1, "east": 1}, uid=uid * 32))
    world.ensure(world.desired(disks, {"home": 1}, uid="b" * 32, generation=2))
    world.ensure(world.desired({}, {}, uid="c" * 32, generation=2))
    return world


def test_one_replication_is_read_by_five_statements(many: World):
    found = Replications(many.rows)
    record = found.newest(key(VERSION))
    assert record is not None
    with many.db.statements() as statements:
        found.newest(key(VERSION))
    assert len(statements) == 2
    with many.db.statements() as statements:
        view = found.view(record.id)
    assert len(view.regions) == 2
    # The record, then its regions, replicas and disks; the end of one that has ended instead.
    assert len(statements) == 4


def test_a_page_of_replications_takes_three_statements(many: World):
    listing = Listing(50, ("create_time", "id"), descending=True)
    with many.db.statements() as statements:
        views, last = Replications(many.rows).list(listing, lambda _: True, full=False)
    assert (len(views), last) == (5, None)
    assert len(statements) == 3


def test_a_page_of_replicas_takes_five_statements_and_the_regions(many: World):
    listing = Listing(50, ("name_key", "version", "location", "slot"))
    with many.db.statements() as statements:
        shown, _ = Replications(many.rows).replicas(listing, lambda _: True)
    assert len(shown) == 6
    assert len(statements) == 6


def test_a_page_of_regions_takes_four_statements(many: World):
    regions = Regions(many.rows, SlotOpening(many.rows, many.stores), SystemClock())
    with many.db.statements() as statements:
        found, _ = regions.list(Listing(50, ("id",)), lambda _: True)
    assert [one.region.id for one in found] == ["east", "home"]
    assert len(statements) == 4


def test_nothing_is_written_while_nothing_can_be_claimed(world: World):
    world.add_region("home")
    before = world.db.stats().commits
    assert world.claims.claim("one", 4) == []
    assert world.db.stats().commits == before
