from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status
from stoa.replication.v1 import copy_state_pb2 as states
from stoa.replication.v1 import replication_pb2 as replications
from stoa.replication.v1 import replication_watch_pb2 as pb
from stoa.type.v1.replication_progress_pb2 import ReplicationProgress
from stoa.type.v1.replication_state_pb2 import RegionalReplicationState as State

from cli.transfer.progress import Line
from cli.verbs.region_progress import RegionBoard


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def snapshot() -> pb.WatchReplicationResponse:
    regions = [
        replications.RegionReplication(
            location=location,
            state=State.REGIONAL_REPLICATION_STATE_PENDING,
            wanted_replica_count=wanted,
        )
        for location, wanted in (("eastus", 2), ("westus", 1))
    ]
    whole = replications.Replication(name="replications/r", regions=regions)
    return pb.WatchReplicationResponse(snapshot=pb.ReplicationSnapshot(replication=whole))


def progress(location: str, **counts: int) -> pb.WatchReplicationResponse:
    found = states.CopyProgress(bytes=ReplicationProgress(**counts))
    return pb.WatchReplicationResponse(
        progress=pb.ProgressUpdate(location=location, progress=found)
    )


def entered(location: str, state: State.ValueType, *, at: int = 0) -> pb.WatchReplicationResponse:
    return pb.WatchReplicationResponse(
        event_time=Timestamp(seconds=at),
        transition=pb.StateTransition(location=location, region_state=state, good_replica_count=1),
    )


def only(lines: list[Line]) -> Line:
    assert len(lines) == 1
    return lines[0]


def test_a_snapshot_shows_every_region() -> None:
    lines = RegionBoard().apply(snapshot())
    assert [(line.label, line.state, line.note) for line in lines] == [
        ("eastus", "Pending", "0/2 replicas"),
        ("westus", "Pending", "0/1 replicas"),
    ]


def test_bytes_that_need_no_copy_count_as_done_and_not_for_the_rate() -> None:
    clock = Clock()
    board = RegionBoard(clock)
    board.apply(snapshot())
    clock.now = 2.0
    line = only(
        board.apply(
            progress(
                "eastus",
                total_bytes=1000,
                copied_bytes=100,
                zero_bytes=500,
                deduplicated_bytes=200,
                verified_bytes=50,
            )
        )
    )
    assert (line.done, line.total, line.rate, line.remaining) == (800, 1000, 50.0, 4.0)
    assert line.note == "0/2 replicas, zero 500 B, deduplicated 200 B, verified 50 B"


def test_the_rate_and_time_of_the_service_come_first() -> None:
    board = RegionBoard(Clock())
    event = progress("eastus", total_bytes=1000, copied_bytes=100)
    event.progress.progress.bytes_per_second = 7
    event.progress.progress.remaining_duration.CopyFrom(Duration(seconds=9))
    line = only(board.apply(event))
    assert (line.rate, line.remaining) == (7.0, 9.0)


def test_a_region_that_is_over_is_finished_with_its_mean_rate() -> None:
    board = RegionBoard(Clock())
    board.apply(snapshot())
    board.apply(entered("eastus", State.REGIONAL_REPLICATION_STATE_REPLICATING, at=10))
    board.apply(progress("eastus", total_bytes=1000, copied_bytes=1000))
    line = only(board.apply(entered("eastus", State.REGIONAL_REPLICATION_STATE_COMPLETED, at=14)))
    assert (line.state, line.finished, line.rate) == ("Completed", True, 250.0)


def test_a_snapshot_of_a_region_that_is_over_has_its_rate() -> None:
    event = snapshot()
    region = event.snapshot.replication.regions[0]
    region.state = State.REGIONAL_REPLICATION_STATE_COMPLETED
    region.start_time.FromSeconds(10)
    region.end_time.FromSeconds(12)
    region.progress.bytes.copied_bytes = 100
    assert RegionBoard(Clock()).apply(event)[0].rate == 50.0


def test_what_stops_a_replica_is_told_until_it_goes_on() -> None:
    board = RegionBoard(Clock())
    board.apply(snapshot())
    cause = states.FailureCause(status=Status(message="the store is full"))
    paused = pb.StateTransition(
        location="eastus", slot="a", copy_state=states.COPY_STATE_PAUSED, cause=cause
    )
    told = only(board.apply(pb.WatchReplicationResponse(transition=paused)))
    assert "the store is full" in told.note
    again = pb.StateTransition(location="eastus", slot="a", copy_state=states.COPY_STATE_COPYING)
    told = only(board.apply(pb.WatchReplicationResponse(transition=again)))
    assert "the store is full" not in told.note


def test_the_end_tells_why_regions_failed() -> None:
    board = RegionBoard(Clock())
    board.apply(snapshot())
    failure = pb.RegionFailure(
        location="westus",
        cause=states.FailureCause(status=Status(message="no room")),
    )
    end = pb.ReplicationEnd(failed_regions=[failure])
    lines = board.apply(pb.WatchReplicationResponse(end=end))
    assert {line.label: "no room" in line.note for line in lines} == {
        "eastus": False,
        "westus": True,
    }
