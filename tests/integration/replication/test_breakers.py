"""Slots that do not answer, one after the other and all at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.replication.content.errors import StoreUnavailable
from services.replication.domain.states import ReplicationState
from services.replication.usecases.claims import Claims, Task
from services.replication.usecases.target_store import of_target
from services.replication.usecases.tasks import Tasks
from tests.integration.replication.world import MIB, VERSION, World, some_bytes


def publish(world: World, count: int, *regions: str) -> list[str]:
    """Want many versions in some regions; answer their replications."""
    disks = {"os": world.upload("os", some_bytes(MIB))}
    return [
        world.ensure(
            world.desired(
                disks,
                dict.fromkeys(regions, 1),
                uid=f"{number:032x}",
                version=f"{VERSION}{number}",
            )
        ).id
        for number in range(count)
    ]


def fail(world: World, task: Task, *, of_its_target: bool = True) -> None:
    error = StoreUnavailable("it is away")
    error.of_target = of_its_target
    world.tasks.failed(task, error)


def test_a_slot_that_failed_three_times_is_tried_by_one_copy_at_a_time(world: World) -> None:
    world.add_region("home")
    publish(world, 12, "home")
    tasks = world.claims.claim("one", 4)
    assert len(tasks) == 4
    for task in tasks[:3]:
        fail(world, task)
    # The fourth is still on its way: as long as it is, nobody else tries.
    assert world.claims.claim("two", 8) == []
    fail(world, tasks[3])
    while not (probe := world.claims.claim("two", 8)):
        # The pause is of milliseconds here.
        continue
    assert len(probe) == 1
    assert world.claims.claim("three", 8) == []

    world.tasks.complete(probe[0], {}, verified=False)
    assert world.rows.read(lambda tx: tx.breakers.all()) == {}
    assert len(world.claims.claim("three", 8)) == 4


def test_while_a_slot_is_left_alone_others_are_not(world: World) -> None:
    for location in ("home", "east"):
        world.add_region(location)
    publish(world, 6, "home")
    # Long pauses, which do not end while the test runs.
    settings = replace(world.settings, retry_base=3600.0, retry_cap=3600.0)
    tasks = Tasks(world.rows, world.results, settings)
    for task in world.claims.claim("one", 3):
        error = StoreUnavailable("it is away")
        error.of_target = True
        tasks.failed(task, error)
    disks = {"os": world.upload("east", b"x" * 9, location="east")}
    wanted = world.desired(disks, {"east": 1}, uid="e" * 32, version=f"{VERSION}99")
    world.ensure(replace(wanted, home="east"))
    claims = Claims(world.rows, world.origins, world.results, settings)
    assert [task.replica.location for task in claims.claim("two", 8)] == ["east"]


def test_a_source_that_is_away_is_not_held_against_the_target(world: World) -> None:
    world.add_region("home")
    publish(world, 8, "home")
    for task in world.claims.claim("one", 4):
        fail(world, task, of_its_target=False)
    assert world.rows.read(lambda tx: tx.breakers.all()) == {}


def test_what_a_target_does_not_answer_is_marked() -> None:
    with pytest.raises(StoreUnavailable) as caught, of_target():
        raise StoreUnavailable("it is away")
    assert caught.value.of_target


def test_everything_arrives_once_a_slot_is_back(world: World) -> None:
    for location in ("home", "east"):
        world.add_region(location)
    root = world.root / "east" / "1"
    away = Path(f"{root}.away")
    root.rename(away)
    replications = publish(world, 6, "home", "east")
    with world.working():
        while world.rows.read(lambda tx: tx.breakers.all()).get(("east", "s1"), (0, 0))[0] < 4:
            assert world.rows.read(lambda tx: tx.breakers.all()).keys() <= {("east", "s1")}
        away.rename(root)
        for replication in replications:
            assert world.wait_end(replication).record.state is ReplicationState.COMPLETED
    assert world.rows.read(lambda tx: tx.breakers.all()) == {}
