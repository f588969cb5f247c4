from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from stoa.replication.v1 import replication_service_pb2_grpc as services
from stoa.replication.v1 import replication_watch_pb2 as pb
from stoa.replication.v1.replication_pb2 import Replication

from cli.transfer import retrying
from cli.verbs.watching import Watch

VERSION = "subscriptions/s/resourceGroups/r/galleries/g/images/i/versions/1.0.0"
Stub = services.ReplicationServiceStub


class Replications(services.ReplicationServiceServicer):
    """Plays a script for each call: events, then a code to break off with."""

    def __init__(self) -> None:
        self.scripts: list[tuple[list[pb.WatchReplicationResponse], grpc.StatusCode | None]] = []
        self.requests: list[pb.WatchReplicationRequest] = []

    def WatchReplication(
        self, request: pb.WatchReplicationRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchReplicationResponse]:
        self.requests.append(request)
        events, code = self.scripts.pop(0)
        yield from events
        if code is not None:
            context.abort(code, "broken off")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST", 0.001)


@pytest.fixture
def served() -> Iterator[tuple[Replications, Stub]]:
    servicer = Replications()  # type: ignore[abstract]  # the other methods are not called
    server = grpc.server(ThreadPoolExecutor(2))
    services.add_ReplicationServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield servicer, Stub(channel)
    server.stop(None).wait()


def event(sequence: int, **what: Any) -> pb.WatchReplicationResponse:
    return pb.WatchReplicationResponse(
        replication="replications/r", sequence=sequence, **(what or {"bookmark": pb.Bookmark()})
    )


def snapshot(sequence: int, *, partial: bool = False) -> pb.WatchReplicationResponse:
    return event(sequence, snapshot=pb.ReplicationSnapshot(partial=partial))


def transition(sequence: int) -> pb.WatchReplicationResponse:
    return event(sequence, transition=pb.StateTransition(location="eastus"))


def end(sequence: int, state: Replication.State.ValueType) -> pb.WatchReplicationResponse:
    return event(sequence, end=pb.ReplicationEnd(state=state))


Served = tuple[Replications, Stub]
Code = grpc.StatusCode
DONE = end(5, Replication.STATE_COMPLETED)


def followed(served: Served, **options: int) -> list[int]:
    _, stub = served
    return [one.sequence for one in Watch(stub, VERSION, **options)]


def test_a_version_is_watched_from_its_generation_on(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [([snapshot(4), DONE], None)]
    assert followed(served, generation=3) == [4, 5]
    request = servicer.requests[0]
    assert (request.name, request.minimum_generation) == (VERSION, 3)
    assert request.follow_successors
    assert not request.HasField("after_sequence")


def test_after_a_break_it_goes_on_after_the_last_event(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [
        ([snapshot(1), transition(2), transition(3)], Code.UNAVAILABLE),
        ([transition(4), DONE], None),
    ]
    assert followed(served, generation=3) == [1, 2, 3, 4, 5]
    again = servicer.requests[1]
    assert (again.name, again.after_sequence) == ("replications/r", 3)
    assert again.minimum_generation == 0


def test_of_a_replication_that_is_over_the_snapshot_is_all(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [([snapshot(5)], None)]
    assert followed(served) == [5]
    assert len(servicer.requests) == 1


def test_a_break_before_there_is_a_replication_asks_for_the_version_again(served: Served) -> None:
    servicer, _ = served
    waiting = pb.WatchReplicationResponse(bookmark=pb.Bookmark())
    servicer.scripts = [([waiting], Code.UNAVAILABLE), ([snapshot(1), DONE], None)]
    assert followed(served, generation=2) == [0, 1, 5]
    assert servicer.requests[1].name == VERSION
    assert servicer.requests[1].minimum_generation == 2


def test_a_snapshot_in_parts_that_broke_off_is_begun_anew(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [
        ([snapshot(4, partial=True)], Code.UNAVAILABLE),
        ([snapshot(4, partial=True), snapshot(4), DONE], None),
    ]
    assert followed(served) == [4, 4, 4, 5]
    assert not servicer.requests[1].HasField("after_sequence")


def test_events_that_are_no_longer_held_are_replaced_by_a_snapshot(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [
        ([snapshot(1)], Code.UNAVAILABLE),
        ([], Code.OUT_OF_RANGE),
        ([snapshot(4), DONE], None),
    ]
    assert followed(served) == [1, 4, 5]
    assert [one.HasField("after_sequence") for one in servicer.requests] == [False, True, False]


def test_it_goes_on_in_the_successor(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [
        ([snapshot(1), end(2, Replication.STATE_SUPERSEDED), snapshot(1), DONE], None)
    ]
    assert followed(served) == [1, 2, 1, 5]


def test_a_refusal_is_not_repeated(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [([], Code.PERMISSION_DENIED)]
    with pytest.raises(grpc.RpcError, match="broken off"):
        followed(served)
    assert len(servicer.requests) == 1


def test_one_that_stays_away_is_given_up(served: Served) -> None:
    servicer, _ = served
    servicer.scripts = [([], Code.UNAVAILABLE)] * retrying.ATTEMPTS
    with pytest.raises(grpc.RpcError, match="broken off"):
        followed(served)
    assert len(servicer.requests) == retrying.ATTEMPTS


def test_cancelling_ends_it(served: Served) -> None:
    servicer, stub = served
    servicer.scripts = [([snapshot(1), transition(2)], Code.UNAVAILABLE)]
    watch = Watch(stub, VERSION)
    seen = []
    for one in watch:
        seen.append(one.sequence)
        watch.cancel()
    assert seen[0] == 1
    assert len(servicer.requests) == 1
