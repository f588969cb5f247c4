"""All that is written into a region keeps its limit in total, whoever writes, on both databases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.replication.domain.records import Replica
from services.replication.domain.states import CopyState, ReplicationState
from services.replication.ports.room import Holder
from services.replication.usecases.room import NoRoom, promise
from tests.integration.replication.sound import assert_sound
from tests.integration.replication.world import MIB, VERSION, World, some_bytes

FIRST, SECOND = "a" * 32, "b" * 32


def occupied(world: World, location: str) -> int:
    return world.rows.read(lambda tx: tx.room.occupied(location))


def until(world: World, holds: Callable[[Replica], bool], location: str = "east") -> Replica:
    """Wait until something holds of the second version in a region."""
    pause = threading.Event()
    for _ in range(1000):
        replica = world.replica(location, uid=SECOND)
        if holds(replica):
            return replica
        pause.wait(0.01)
    raise AssertionError(replica)


def desired(world: World, uid: str, data: bytes, generation: int = 1, **regions: int):
    blob = world.upload(f"os{uid[:1]}{generation}", data)
    version = VERSION.replace("1.0.0", f"1.0.{int(uid[:1], 16)}")
    regions = {"home": 1} | regions
    return world.desired({"os": blob}, regions, uid=uid, version=version, generation=generation)


def test_holders_who_ask_at_once_are_never_promised_more_than_there_is(world: World):
    world.add_region("east")
    world.limit("east", 100)
    barrier = threading.Barrier(8)

    def ask(number: int) -> bool:
        holder = Holder("east", "s1", f"{number:032x}", "os")
        barrier.wait()
        try:
            world.rows.transact(lambda tx: promise(tx, holder, 30, 30))
        except NoRoom:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [False] * 5 + [True] * 3
    assert occupied(world, "east") == 90


def test_whoever_asks_again_asks_for_all_and_gets_what_is_left_at_most(world: World):
    world.add_region("east")
    world.limit("east", 100)
    mine, other = Holder("east", "s1", FIRST, "os"), Holder("east", "s1", SECOND)

    def ask(holder: Holder, least: int, most: int) -> int:
        return world.rows.transact(lambda tx: promise(tx, holder, least, most))

    assert ask(mine, 60, 60) == 60
    assert ask(mine, 80, 80) == 80
    assert ask(other, 5, 1000) == 20
    with pytest.raises(NoRoom) as refused:
        ask(mine, 81, 81)
    assert refused.value.metadata == {
        "location": "east",
        "needed_bytes": "81",
        "free_bytes": "80",
    }
    world.rows.transact(lambda tx: tx.room.release(other))
    assert ask(mine, 100, 100) == 100


def test_a_copy_waits_for_room_and_goes_on_by_itself_once_there_is_some(world: World):
    world.add_region("home")
    world.add_region("east")
    world.limit("east", 5 * MIB)
    first, second = some_bytes(3 * MIB, 1), some_bytes(3 * MIB, 2)
    with world.working():
        ended = world.wait_end(world.ensure(desired(world, FIRST, first, east=1)).id)
        assert ended.record.state is ReplicationState.COMPLETED
        assert occupied(world, "east") == 3 * MIB
        waiting = world.ensure(desired(world, SECOND, second, east=1))
        replica = until(world, lambda one: one.cause is not None and one.attempt > 2)
        assert replica.cause is not None
        # Tried again and again, and no attempt counts as a failure.
        assert (replica.cause.reason, replica.failures) == ("STORE_FULL", 0)
        assert replica.cause.metadata["free_bytes"] == str(2 * MIB)
        until(world, lambda one: one.state is CopyState.COMPLETED, "home")
        # Nothing of it was written.
        assert sum(one.length for one in world.slot_store("east").list_objects("objects")) < 4 * MIB
        world.ensure(desired(world, FIRST, first, 2))
        ended = world.wait_end(waiting.id)
    assert ended.record.state is ReplicationState.COMPLETED
    assert occupied(world, "east") == 3 * MIB
    assert_sound(world, SECOND, {"os": second})


def test_a_limit_that_is_raised_lets_go_on_what_waited(world: World):
    world.add_region("home")
    world.add_region("east")
    world.limit("east", MIB)
    with world.working():
        record = world.ensure(desired(world, FIRST, some_bytes(2 * MIB), east=1))
        world.wait_state(CopyState.PAUSED, "east")
        world.limit("east", 2 * MIB)
        ended = world.wait_end(record.id)
    assert ended.record.state is ReplicationState.COMPLETED
    assert occupied(world, "east") == 2 * MIB


def test_what_a_killed_worker_was_promised_is_its_successors(world: World):
    world.add_region("home")
    world.add_region("east")
    world.limit("east", 2 * MIB)
    record = world.ensure(desired(world, FIRST, some_bytes(2 * MIB), east=1))
    (task,) = [one for one in world.claims.claim("here/dead", 2) if one.key[1] == "east"]
    world.tasks.promise(task, "os", 2 * MIB)
    assert occupied(world, "east") == 2 * MIB
    assert world.claims.take_over("here") == 2
    with world.working():
        ended = world.wait_end(record.id)
    assert ended.record.state is ReplicationState.COMPLETED
    assert occupied(world, "east") == 2 * MIB


def test_a_copy_that_is_not_wanted_any_more_leaves_its_room(world: World):
    world.add_region("home")
    world.add_region("east")
    world.limit("east", 4 * MIB)
    data = some_bytes(2 * MIB)
    world.ensure(desired(world, FIRST, data, east=1))
    (task,) = [one for one in world.claims.claim("here/dead", 2) if one.key[1] == "east"]
    world.tasks.promise(task, "os", 2 * MIB)
    record = world.ensure(desired(world, FIRST, data, 2))
    world.claims.take_over("here")
    with world.working():
        world.wait_end(record.id)
        world.wait_state(CopyState.REMOVED, "east")
    assert occupied(world, "east") == 0
