"""Which process claims a task, and who takes over from one that is gone."""

from services.replication.usecases.claims import Claims
from tests.integration.replication.world import World


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
