"""Where a replica is copied from, and when it waits."""

from dataclasses import replace

from services.replication.domain.states import CopyState, Health
from services.replication.domain.topology import (
    FromReplica,
    FromSource,
    Lost,
    Situation,
    Wait,
    choose_origin,
)
from tests.unit.replication.domain.test_placement import NOW, replica

ORDER = {"home": 0, "east": 1, "west": 2}


def at(location: str, slot: str = "s1", state: CopyState = CopyState.PENDING, **more):
    return replace(replica(slot, state), location=location, **more)


def good(location: str, slot: str = "s1", health: Health = Health.GOOD):
    return at(location, slot, CopyState.COMPLETED, health=health, commit_time=NOW)


def situation(*, known: bool = True, near: bool = True, local=()) -> Situation:
    return Situation("home", ORDER, known, near, frozenset(local))


def test_a_hashed_local_source_is_read_by_all_at_once():
    all_of_them = [at("home"), at("east"), at("west")]
    for one in all_of_them:
        assert choose_origin(one, all_of_them, situation()) == FromSource()


def test_a_far_source_is_read_by_the_home_region_alone():
    home, east = at("home"), at("east")
    far = situation(near=False)
    assert choose_origin(home, [home, east], far) == FromSource()
    assert choose_origin(east, [home, east], far) == Wait()


def test_another_region_reads_a_far_source_once_home_has_failed():
    home, east = at("home", state=CopyState.FAILED), at("east")
    assert choose_origin(east, [home, east], situation(near=False)) == FromSource()


def test_a_file_is_hashed_by_one_replica_alone():
    first, second, east = at("home"), at("home", "s2"), at("east")
    unknown = situation(known=False)
    assert choose_origin(first, [first, second, east], unknown) == FromSource()
    assert choose_origin(second, [first, second, east], unknown) == Wait()
    assert choose_origin(east, [first, second, east], unknown) == Wait()


def test_the_nearest_committed_replica_is_taken():
    mine = at("east", "s2")
    near, far = good("east"), good("home")
    assert choose_origin(mine, [mine, near, far], situation()) == FromReplica("east", "s1")
    assert choose_origin(mine, [mine, far], situation(local={("home", "s1")})) == FromReplica(
        "home", "s1"
    )


def test_equally_near_replicas_feed_the_rest_in_turn():
    complete = [good("home"), good("east"), good("west")]
    waiting = [at("north", f"s{number}") for number in range(6)]
    all_of_them = [*complete, *waiting]
    everywhere = situation(local={(one.location, one.slot) for one in all_of_them})
    chosen = [choose_origin(one, all_of_them, everywhere) for one in waiting]
    for origin in complete:
        assert chosen.count(FromReplica(origin.location, origin.slot)) == 2


def test_who_is_copied_from_does_not_depend_on_which_others_still_copy():
    mine, before = at("north", "s2"), at("north", "s1")
    complete = [good("home"), good("east")]
    everywhere = situation(local={("home", "s1"), ("east", "s1")})
    running = replace(before, state=CopyState.FAILED)
    assert choose_origin(mine, [*complete, before, mine], everywhere) == choose_origin(
        mine, [*complete, running, mine], everywhere
    )


def test_a_replica_on_this_machine_comes_before_one_behind_a_network():
    mine = at("west")
    far, near = good("home"), good("east")
    beside = situation(local={("east", "s1")})
    assert choose_origin(mine, [mine, far, near], beside) == FromReplica("east", "s1")


def test_after_a_failure_the_others_are_tried_each_once_before_any_again():
    complete = [good("home"), good("east"), good("west")]
    tried = set()
    for failures in range(3):
        mine = at("north", failures=failures)
        tried.add(choose_origin(mine, [*complete, mine], situation()))
    assert len(tried) == 3


def test_a_damaged_replica_comes_after_a_good_one():
    mine = at("east", "s9")
    bad, far = good("east", health=Health.DAMAGED), good("home")
    local = situation(local={("home", "s1"), ("east", "s1")})
    assert choose_origin(mine, [mine, bad, far], local) == FromReplica("east", "s1")
    also = good("east", "s2")
    assert choose_origin(mine, [mine, bad, also], local) == FromReplica("east", "s2")


def test_after_a_failure_the_next_best_is_tried():
    mine = at("east", "s9", failures=1)
    assert choose_origin(
        mine, [mine, good("east"), good("east", "s2")], situation()
    ) == FromReplica("east", "s2")


def test_after_a_failure_no_damaged_one_is_tried_while_others_are_good():
    mine = at("east", "s9", failures=1)
    bad, also = good("east", health=Health.DAMAGED), good("east", "s2")
    assert choose_origin(mine, [mine, bad, also], situation()) == FromReplica("east", "s2")


def test_far_bytes_cross_into_a_region_once():
    first = at("east", state=CopyState.COPYING)
    second = at("east", "s2")
    home = good("home")
    assert choose_origin(second, [first, second, home], situation()) == Wait()
    assert choose_origin(first, [first, second, home], situation()) == FromReplica("home", "s1")
    near = situation(local={("home", "s1")})
    assert choose_origin(second, [first, second, home], near) == FromReplica("home", "s1")
    paused = replace(first, state=CopyState.PAUSED)
    assert choose_origin(second, [paused, second, home], situation()) == FromReplica("home", "s1")


def test_a_version_whose_replicas_are_all_gone_has_no_origin():
    gone = good("home", health=Health.LOST)
    mine = at("east")
    assert choose_origin(mine, [mine, gone], situation()) == Lost()
