"""The wall clock jumps by an hour, forwards or backwards, at any moment."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.kernel.clock import SystemClock
from services.kernel.db.engine import Database
from services.kernel.db.leases import Leases
from services.replication.domain.states import CopyState, ReplicationState
from services.replication.store import tables
from services.replication.store.flows import Flows
from services.replication.usecases.claims import Claims, Task
from tests.faults.invariants import assert_invariants
from tests.faults.test_cancel_against_commit import cancel
from tests.faults.workers import Halt, Point, halted_by, halting, on_sqlite, wait_rest, wait_until
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DATA = some_bytes(5 * MIB, 1)
HOUR = timedelta(hours=1)
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["on", "back"])


class JumpingClock(SystemClock):
    """The clock of the machine, which somebody sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


class NoticingClaims(Claims):
    """Knows which claims were given back, by their fences."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.released: list[int] = []

    def release(self, task: Task) -> None:
        super().release(task)
        self.released.append(task.fence)


class Both(Halt):
    """Stops the first copy at one halt, and the next one at another."""

    def __init__(self, first: Halt, second: Halt) -> None:
        super().__init__(Point.UNDECIDED, "home")
        self._halts = first, second

    def at(self, point: Point, location: str, version: str) -> None:
        first, second = self._halts
        (second if first.held.is_set() else first).at(point, location, version)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def world(db: Database, tmp_path: Path, clock: JumpingClock) -> Iterator[World]:
    made = World(db, tmp_path / "stores", clock=clock).create_schema()
    made.add_region("home")
    yield made
    if made.rows.read(lambda tx: tx.versions.get(UID)) is not None:
        assert_invariants(made, {UID: {"os": DATA}})
    made.close()


def begin(world: World, *locations: str) -> str:
    disks = {"os": world.upload("os", DATA)}
    return world.ensure(world.desired(disks, dict.fromkeys(("home", *locations), 1))).id


def assert_completed(world: World, name: str) -> None:
    view = world.wait_end(name)
    assert view.record.state is ReplicationState.COMPLETED


@on_sqlite
@JUMPS
def test_a_copy_under_way_is_done_once_and_ends(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    world.add_region("east")
    halt = halting(world, Point.COPYING)
    name = begin(world, "east")
    with world.working():
        halt.wait_held()
        clock.ahead = jump
        halt.go.set()
        assert_completed(world, name)
    replica = world.replica("east")
    assert (replica.state, replica.failures) == (CopyState.COMPLETED, 0)


@on_sqlite
@JUMPS
def test_a_copy_under_way_is_cancelled_as_ever(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    world.add_region("east")
    halt = halting(world, Point.UNDECIDED)
    name = begin(world, "east")
    with world.working():
        halt.wait_held()
        clock.ahead = jump
        cancel(world)
        halt.go.set()
        assert world.wait_end(name).record.state is ReplicationState.CANCELLED
        wait_rest(world, UID)


@JUMPS
def test_what_waits_for_a_worker_is_begun(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    name = begin(world)
    clock.ahead = jump
    with world.working():
        assert_completed(world, name)


@JUMPS
def test_what_a_dead_worker_held_is_taken_over(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    name = begin(world)
    assert len(world.claims.claim("dead", 1)) == 1
    clock.ahead = jump
    with world.working():
        assert_completed(world, name)
    assert world.replica("home").attempt == 2


@on_sqlite
@JUMPS
def test_a_store_that_comes_back_is_tried_again(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    world.add_region("east")
    root = world.root / "east" / "1"
    away = root.rename(root.with_name("away"))
    name = begin(world, "east")
    with world.working():
        world.wait_state(CopyState.PAUSED, "east")
        clock.ahead = jump
        away.rename(root)
        assert_completed(world, name)


@on_sqlite
@JUMPS
def test_a_copy_that_its_own_process_claims_again_is_looked_after(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    """Its lease is over, or looks as if it were, before it could be renewed."""
    first, second = Halt(Point.UNDECIDED, "home"), Halt(Point.UNDECIDED, "home")
    halted_by(world, Both(first, second))
    world.claims = claims = NoticingClaims(world.rows, world.origins, world.results, world.settings)
    name = begin(world)
    with world.working() as engine:
        first.wait_held()
        clock.ahead = jump
        second.wait_held()
        assert world.replica("home").fence == 2
        first.go.set()
        wait_until(lambda: 1 in claims.released)
        assert engine.busy == 1
        second.go.set()
        assert_completed(world, name)


@on_sqlite
@JUMPS
def test_a_region_of_limited_bandwidth_takes_no_break(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    flow = Flows(world.db, clock)
    assert 0 < flow.take("east", 10.0) <= 10.0
    clock.ahead = jump
    # What was let pass before has still to pass, or has passed meanwhile.
    assert 0 < flow.take("east", 10.0) <= 20.0
    assert 10.0 < flow.take("east", 10.0) <= 30.0


@JUMPS
def test_a_duty_of_a_process_that_died_is_done_by_the_next(
    world: World, clock: JumpingClock, jump: timedelta
) -> None:
    leases = Leases(world.db, tables.leases, clock)
    dead = leases.acquire("sweep", "dead", 10.0)
    assert dead is not None
    assert leases.acquire("sweep", "next", 10.0) is None
    clock.ahead = jump
    following = leases.acquire("sweep", "next", 10.0)
    assert following is not None
    assert following.fence == dead.fence + 1
    assert not leases.renew(dead, 10.0)
