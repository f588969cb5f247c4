"""Which process claims a task, and who takes over from one that is gone."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from services.replication.domain.names import storage_id
from services.replication.usecases.claims import Claims, Task
from tests.integration.replication.world import VERSION, World


def publish(world: World) -> None:
    """Want a version in two regions besides the one that it comes from."""
    for location in ("home", "near", "far"):
        world.add_region(location)
    disks = {"os": world.upload("os", b"x" * 9)}
    world.ensure(world.desired(disks, {"near": 1, "far": 1}))


def claims_of(world: World, *locations: str) -> Claims:
    return Claims(world.rows, world.origins, world.results, world.settings, locations=locations)


def test_a_process_of_some_regions_claims_their_tasks_alone(world: World) -> None:
    publish(world)
    far = claims_of(world, "far")
    assert [task.replica.location for task in far.claim("a", 8)] == ["far"]
    assert far.claim("b", 8) == []
    assert [task.replica.location for task in claims_of(world).claim("c", 8)] == ["near"]


def test_what_a_dead_process_held_is_claimed_at_once_by_the_next_in_its_place(
    world: World,
) -> None:
    publish(world)
    old = world.claims.claim("host/life/workers/1/old", 1)
    other = world.claims.claim("host/life/workers/10/other", 1)
    assert len(old) == len(other) == 1
    assert world.claims.claim("new", 8) == []

    assert world.claims.take_over("host/life/workers/1") == 1

    (again,) = world.claims.claim("host/life/workers/1/new", 8)
    assert again.key == old[0].key
    assert again.fence == old[0].fence + 1


def test_a_place_is_no_pattern(world: World) -> None:
    publish(world)
    world.claims.claim("host/life/workers/0/old", 8)
    assert world.claims.take_over("host/l_fe/workers/%") == 0


def queue(world: World, tenant: str, count: int, *regions: str) -> None:
    """Publish many versions of one tenant, which nobody works on yet."""
    disks = {"os": world.upload(f"os-{tenant}", b"x" * 9, tenant=storage_id(tenant))}
    for number in range(count):
        world.ensure(
            world.desired(
                disks,
                dict.fromkeys(regions, 1),
                uid=f"{tenant}{number:031x}",
                version=f"{VERSION.replace('/g/', f'/{tenant}/')}{number}",
                tenant=storage_id(tenant),
            )
        )


def tenants_of(tasks: Sequence[Task]) -> str:
    return "".join(task.version.uid[0] for task in tasks)


def test_the_second_of_two_tenants_does_not_wait_for_two_hundred_of_the_first(
    world: World,
) -> None:
    world.add_region("home")
    queue(world, "a", 197, "home")
    queue(world, "b", 3, "home")
    # Four at once is what a region takes: each has half of it, although the first came long before.
    first = world.claims.claim("one", 8)
    assert tenants_of(first) == "abab"
    assert world.claims.claim("two", 8) == []

    # What becomes free goes to whoever has less.
    claimed = ""
    running = list(first)
    for _ in range(4):
        world.claims.release(running.pop(0))
        (again,) = world.claims.claim("two", 8)
        claimed += tenants_of([again])
        running.append(again)
    assert claimed == "abab"


def test_what_waits_for_a_busy_region_keeps_nobody_from_another(world: World) -> None:
    for location in ("home", "far"):
        world.add_region(location)
    queue(world, "a", 60, "home")
    assert len(world.claims.claim("one", 64)) == 4
    queue(world, "b", 1, "home")
    disks = {"os": world.upload("os", b"y" * 9, location="far", tenant=storage_id("c"))}
    wanted = world.desired(disks, {"far": 1}, uid="c" * 32, version=f"{VERSION}9")
    world.ensure(replace(wanted, home="far", tenant=storage_id("c")))
    assert tenants_of(world.claims.claim("two", 64)) == "c"


def test_processes_that_claim_at_once_keep_to_the_limit_of_a_region_together(
    world: World,
) -> None:
    world.add_region("home")
    queue(world, "a", 12, "home")
    processes = [claims_of(world) for _ in range(6)]
    barrier = threading.Barrier(len(processes))

    def claim(number: int) -> list[Task]:
        barrier.wait()
        return processes[number].claim(f"process{number}", 4)

    with ThreadPoolExecutor(len(processes)) as pool:
        claimed = list(pool.map(claim, range(len(processes))))
    assert sum(len(tasks) for tasks in claimed) == world.settings.region_copies
    assert len({task.key for tasks in claimed for task in tasks}) == world.settings.region_copies
