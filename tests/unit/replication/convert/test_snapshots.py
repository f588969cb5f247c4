"""Replications that are too large for one message."""

from dataclasses import replace
from datetime import UTC, datetime

from services.replication.convert import replications
from services.replication.convert.replications import replication_message, snapshot_parts
from services.replication.domain.progress import Cause
from services.replication.domain.records import ReplicaDisk, ReplicationRecord, VersionRegion
from services.replication.domain.snapshots import ReplicationView, view_of
from services.replication.domain.states import (
    CopyState,
    RegionState,
    ReplicationMode,
    ReplicationState,
)
from tests.unit.replication.domain.test_placement import replica

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def large(regions: int, slots: int) -> ReplicationView:
    """A replication with a long cause in each replica."""
    locations = tuple(f"r{number}" for number in range(regions))
    cause = Cause(14, "STORE_UNAVAILABLE", "x" * 900, True, NOW)
    record = ReplicationRecord(
        "id", "v", "n", "n", 1, ReplicationMode.FULL, ReplicationState.OPEN, "", locations, NOW, NOW
    )
    rows = [
        replace(replica(f"s{slot}", CopyState.PAUSED), location=location, cause=cause)
        for location in locations
        for slot in range(slots)
    ]
    disks = [ReplicaDisk("v", one.location, one.slot, "os", CopyState.PENDING) for one in rows]
    wanted = [
        VersionRegion("v", location, 0, 1, "id", RegionState.REPLICATING, slots)
        for location in locations
    ]
    return view_of(record, tuple(wanted), tuple(rows), tuple(disks))


def test_a_small_replication_is_one_part():
    (part,) = snapshot_parts(large(2, 2))
    assert not part.partial
    assert len(part.replication.regions) == 2


def test_a_large_one_comes_in_parts_that_append_to_the_whole():
    view = large(30, 100)
    parts = list(snapshot_parts(view))
    assert len(parts) > 1
    assert [one.partial for one in parts] == [True] * (len(parts) - 1) + [False]
    assert all(one.ByteSize() <= replications.SNAPSHOT_LIMIT + 10_000 for one in parts)
    found: dict[str, list[str]] = {}
    for part in parts:
        for region in part.replication.regions:
            found.setdefault(region.location, []).extend(one.slot for one in region.replicas)
    assert list(found) == [f"r{number}" for number in range(30)]
    assert all(slots == [f"s{number}" for number in range(100)] for slots in found.values())


def test_one_too_large_for_a_reply_is_answered_without_its_replicas():
    message = replication_message(large(40, 100), full=True)
    assert (
        message.view
        == message.DESCRIPTOR.file.enum_types_by_name["ReplicationView"]
        .values_by_name["REPLICATION_VIEW_BASIC"]
        .number
    )
    assert not message.regions[0].replicas
    assert replication_message(large(1, 2), full=True).regions[0].replicas
