"""Regions from replicas, replications from regions."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.replication.domain.aggregate import aggregate_region, end_of
from services.replication.domain.progress import Cause, Counters, Progress
from services.replication.domain.records import VersionRegion
from services.replication.domain.states import (
    AggregatedState,
    CopyState,
    Health,
    RegionState,
    ReplicationState,
)
from tests.unit.replication.domain.test_placement import replica

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = replica("a", CopyState.COMPLETED, Health.GOOD)
CAUSE = Cause(14, "STORE_UNAVAILABLE", "away", True, NOW)


def region(wanted: int = 1, **more) -> VersionRegion:
    return VersionRegion("v", "r", 0, 1, "x", RegionState.PENDING, wanted, **more)


def state_of(*replicas, wanted: int = 1, **more) -> RegionState:
    return aggregate_region(region(wanted, **more), replicas, NOW).state


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([CopyState.PENDING], RegionState.PENDING),
        ([CopyState.PLANNING], RegionState.REPLICATING),
        ([CopyState.PAUSED], RegionState.REPLICATING),
        ([CopyState.CANCELLING], RegionState.REPLICATING),
        ([CopyState.FAILED], RegionState.FAILED),
        ([CopyState.CANCELLED], RegionState.CANCELLED),
        ([CopyState.FAILED, CopyState.CANCELLED], RegionState.FAILED),
        ([CopyState.FAILED, CopyState.COPYING], RegionState.REPLICATING),
    ],
)
def test_a_region_follows_its_replicas(states, expected):
    replicas = [replica(str(n), state) for n, state in enumerate(states)]
    assert state_of(*replicas, wanted=len(states)) is expected


def test_a_region_is_completed_only_with_all_its_replicas():
    other = replace(GOOD, slot="b")
    assert state_of(GOOD, wanted=2) is RegionState.FAILED
    assert state_of(GOOD, replica("b", CopyState.COPYING), wanted=2) is RegionState.REPLICATING
    assert state_of(GOOD, other, wanted=2) is RegionState.COMPLETED


def test_damage_degrades_and_the_region_stays_usable_while_one_is_good():
    bad = replace(GOOD, slot="b", health=Health.DAMAGED)
    found = aggregate_region(region(2, was_completed=True), [GOOD, bad], NOW)
    assert (found.state, found.good, found.usable) == (RegionState.DEGRADED, 1, True)


def test_a_failed_higher_count_leaves_the_region_usable():
    failed = replace(replica("b", CopyState.FAILED), cause=CAUSE)
    found = aggregate_region(region(2, was_completed=True), [GOOD, failed], NOW)
    assert (found.state, found.usable, found.cause) == (RegionState.FAILED, True, CAUSE)
    never = aggregate_region(region(2), [GOOD, failed], NOW)
    assert not never.usable


def test_what_is_being_removed_counts_for_nothing():
    leaving = replica("b", CopyState.REMOVING)
    assert state_of(GOOD, leaving) is RegionState.COMPLETED
    assert state_of(leaving, wanted=0) is RegionState.REMOVED


def test_a_shortage_keeps_its_cause():
    found = aggregate_region(region(3, cause=CAUSE), [GOOD], NOW)
    assert (found.state, found.cause) == (RegionState.FAILED, CAUSE)


def test_the_percentage_of_a_region_never_falls():
    half = replace(
        replica("a", CopyState.COPYING),
        progress=Progress(Counters(total=100, copied=20, verified=20), 20),
    )
    found = aggregate_region(region(progress=Progress(percent=45)), [half], NOW)
    assert found.progress.percent == 45


def test_a_replication_ends_when_every_region_is_done():
    done = replace(region(), state=RegionState.COMPLETED)
    failed = replace(done, location="f", state=RegionState.FAILED, cause=CAUSE)
    cancelled = replace(done, location="c", state=RegionState.CANCELLED)
    assert end_of([done, region()]) is None
    whole = end_of([done])
    assert whole is not None
    assert (whole.state, whole.aggregated) == (
        ReplicationState.COMPLETED,
        AggregatedState.COMPLETED,
    )
    stopped = end_of([done, cancelled])
    assert stopped is not None
    assert (stopped.state, stopped.cancelled) == (ReplicationState.CANCELLED, ("c",))
    broken = end_of([done, cancelled, failed])
    assert broken is not None
    assert broken.state is ReplicationState.FAILED
    assert broken.aggregated is AggregatedState.FAILED
    assert [one.cause for one in broken.failed] == [CAUSE]
