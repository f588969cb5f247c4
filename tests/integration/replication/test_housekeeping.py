"""What is forgotten, and when; what a trace holds."""

from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import func, select

from services.kernel.errors import PositionCompacted
from services.kernel.telemetry.telemetry import Telemetry
from services.kernel.telemetry.trace import TraceContext
from services.kernel.telemetry.tracer import Tracer
from services.replication.domain.region import SlotHealth
from services.replication.domain.states import CopyState
from services.replication.store import tables
from services.replication.usecases.reachability import Reachability
from services.replication.workers.housekeeping import Housekeeping
from tests.integration.replication.world import World, some_bytes

NEVER = timedelta(days=1)
AT_ONCE = timedelta(seconds=-60)
UID = "a" * 32


def keep_house(world: World, retention: timedelta) -> None:
    reachability = Reachability(world.rows, world.stores, world.results)
    Housekeeping(world.rows, world.stores, reachability, lambda: None, retention=retention).once()


def rows_of(world: World, table) -> int:
    return int(
        world.db.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())
    )


def test_events_of_an_ended_replication_are_compacted_and_the_rest_stays(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(70_000))}
    record = world.ensure(world.desired(disks, {"home": 1}))
    log, _ = world.rows.read(lambda tx: tx.feed.head())
    keep_house(world, AT_ONCE)
    assert world.events(record.id)
    with world.working():
        world.wait_end(record.id)
    keep_house(world, NEVER)
    count = len(world.events(record.id))
    assert count > 0
    keep_house(world, AT_ONCE)
    assert world.events(record.id) == []
    found = world.rows.read(lambda tx: tx.replications.get(record.id))
    assert found is not None
    assert (found.horizon, found.sequence) == (count, count)
    assert world.rows.read(lambda tx: tx.replications.final(record.id)) is not None
    with pytest.raises(PositionCompacted):
        world.rows.read(lambda tx: tx.feed.after(log, 0, 10))


def test_a_withdrawn_version_is_forgotten_once_it_lies_nowhere(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(70_000))}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 1})).id)
    world.ensure(world.desired({}, {}, generation=2))
    keep_house(world, AT_ONCE)
    assert rows_of(world, tables.versions) == 1
    with world.working():
        world.wait_state(CopyState.REMOVED, "home")
    keep_house(world, NEVER)
    assert rows_of(world, tables.versions) == 1
    keep_house(world, AT_ONCE)
    for table in (tables.versions, tables.replications, tables.replicas, tables.events):
        assert rows_of(world, table) == 0


def test_stores_are_looked_at(world: World):
    world.add_region("home")
    keep_house(world, NEVER)
    (region,) = world.rows.read(lambda tx: tx.regions.all())
    assert region.slots[0].probe.health is SlotHealth.AVAILABLE
    (world.root / "home" / "1" / "replica-id").write_text("0" * 32)
    keep_house(world, NEVER)
    (region,) = world.rows.read(lambda tx: tx.regions.all())
    assert region.slots[0].probe.health is SlotHealth.WRONG_ROOT


def test_each_copy_continues_the_trace_that_asked_for_it(world: World):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    world.telemetry = Telemetry(Tracer(provider.get_tracer("test"), 0.0))
    for location in ("home", "east"):
        world.add_region(location)
    asked = TraceContext.fresh(sampled=True)
    desired = world.desired({"os": world.upload("os", some_bytes(9))}, {"home": 1, "east": 1})
    world.trace_context = asked.header()
    record = world.ensure(desired)
    with world.working():
        world.wait_end(record.id)
    spans = exporter.get_finished_spans()
    provider.shutdown()
    assert {one.attributes["stoa.location"] for one in spans} == {"home", "east"}  # type: ignore[index]
    assert {f"{one.context.trace_id:032x}" for one in spans} == {asked.trace_id}
