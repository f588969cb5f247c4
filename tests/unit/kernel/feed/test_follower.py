"""A follower takes a snapshot, then every change, and starts over where it must."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import pytest

from services.kernel.feed.follower import Applied, Feed, Follower, Position, SnapshotNeeded


class Lost(grpc.RpcError):
    """What a stub raises when a stream breaks."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code)
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return ""

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Stream:
    """A call that answers scripted messages, and then waits until it is cancelled."""

    def __init__(self, messages: Iterable[Any], *, ends: bool) -> None:
        self._messages = iter(messages)
        self._ends = ends
        self.cancelled = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for message in self._messages:
            if isinstance(message, Exception):
                raise message
            return message
        if not self._ends:
            self.cancelled.wait(10)
            raise Lost(grpc.StatusCode.CANCELLED)
        raise StopIteration

    def cancel(self) -> None:
        self.cancelled.set()


class Source:
    """A server and a consumer: each watch answers the next script of messages."""

    def __init__(self, *scripts: list[Any], applied: Position | None = None) -> None:
        self.scripts = list(scripts)
        self.applied = applied
        self.events: list[Any] = []
        self.heads = 0
        self.snapshots: list[list[Any]] = []
        self.streams: list[Stream] = []

    def cursor(self) -> Position | None:
        return self.applied

    def snapshot(self) -> Stream:
        items = self.snapshots.pop(0) if self.snapshots else [Position("1", 10)]
        return Stream(items, ends=True)

    def load(self, items: Iterable[Any]) -> Position:
        found = list(items)
        self.events.append(("snapshot", len(found)))
        if not isinstance(found[-1], Position):
            raise ValueError("the snapshot is cut off")  # noqa: TRY004 what an adapter raises
        self.applied = found[-1]
        return self.applied

    def watch(self, after: Position) -> Stream:
        self.events.append(("watch", after.epoch, after.position))
        script = self.scripts.pop(0) if self.scripts else []
        self.streams.append(Stream(script, ends=False))
        return self.streams[-1]

    def apply(self, message: Any) -> Applied:
        match message:
            case ("head", head):
                self.heads += 1
                return Applied(head=head)
            case "bug":
                raise ZeroDivisionError
            case "epoch":
                raise SnapshotNeeded("another epoch")
            case position:
                assert self.applied is not None
                self.applied = Position(self.applied.epoch, position)
                self.events.append(position)
                return Applied(self.applied)

    def feed(self) -> Feed[Any, Any]:
        return Feed(self.cursor, self.snapshot, self.load, self.watch, self.apply)


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower[Any, Any]]]:
    started: list[Follower[Any, Any]] = []

    def start(source: Source, **options: Any) -> Follower[Any, Any]:
        follower = Follower("test", source.feed(), **options)
        started.append(follower)
        follower.start()
        return follower

    yield start
    for one in started:
        one.stop()


def until(reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.002)


Follow = Callable[..., Follower[Any, Any]]


def test_it_takes_a_snapshot_and_then_what_follows(follow: Follow) -> None:
    source = Source([11, 12, ("head", 12)])
    follower = follow(source)
    assert follower.wait_ready(20)
    assert source.events == [("snapshot", 1), ("watch", "1", 10), 11, 12]
    assert follower.position == Position("1", 12)
    assert follower.age() < 20


def test_it_goes_on_where_it_was_applied(follow: Follow) -> None:
    source = Source([6, ("head", 6)], applied=Position("1", 5))
    assert follow(source).wait_ready(20)
    assert source.events == [("watch", "1", 5), 6]


def test_a_heartbeat_of_a_head_not_reached_proves_nothing(follow: Follow) -> None:
    source = Source([11, ("head", 12)])
    follower = follow(source)
    until(lambda: source.heads == 1)
    assert follower.age() == float("inf")
    assert not follower.wait_ready(0)


def test_what_never_came_is_asked_for_again_once_a_second_heartbeat_tells_of_it(
    follow: Follow,
) -> None:
    # 13 was lost, and so was 14; in the second stream 14 is only late.
    source = Source(
        [11, 12, ("head", 14), ("head", 14)], [13, ("head", 14), 14, ("head", 15), 15, ("head", 15)]
    )
    assert follow(source).wait_ready(20)
    assert source.events == [
        ("snapshot", 1),
        ("watch", "1", 10),
        11,
        12,
        ("watch", "1", 12),
        13,
        14,
        15,
    ]


def test_it_comes_back_after_the_stream_breaks(follow: Follow) -> None:
    broken = Lost(grpc.StatusCode.UNAVAILABLE)
    source = Source([11, broken], [broken], ["bug"], [12, ("head", 12)])
    assert follow(source).wait_ready(20)
    assert source.events == [
        ("snapshot", 1),
        ("watch", "1", 10),
        11,
        ("watch", "1", 11),
        ("watch", "1", 11),
        ("watch", "1", 11),
        12,
    ]


@pytest.mark.parametrize("reason", [Lost(grpc.StatusCode.OUT_OF_RANGE), "epoch"])
def test_it_takes_a_new_snapshot_where_it_must(follow: Follow, reason: Any) -> None:
    source = Source([11, reason], [("head", 3)])
    source.snapshots = [[Position("1", 10)], ["item", Position("2", 3)]]
    assert follow(source).wait_ready(20)
    assert source.events == [
        ("snapshot", 1),
        ("watch", "1", 10),
        11,
        ("snapshot", 2),
        ("watch", "2", 3),
    ]


def test_a_snapshot_that_is_cut_off_is_taken_again(follow: Follow) -> None:
    source = Source([("head", 10)])
    source.snapshots = [["item"], ["item", Lost(grpc.StatusCode.UNAVAILABLE)]]
    assert follow(source).wait_ready(20)
    # The second one broke before it was loaded.
    assert source.events == [("snapshot", 1), ("snapshot", 1), ("watch", "1", 10)]


def test_a_silent_server_is_called_again(follow: Follow) -> None:
    source = Source([11], [12, ("head", 12)])
    follower = follow(source, silence=0.1)
    assert follower.wait_ready(20)
    assert source.streams[0].cancelled.is_set()


def test_applying_for_long_is_no_silence(follow: Follow) -> None:
    source = Source([11, ("head", 11)])
    applied = source.apply

    def slow(message: Any) -> Applied:
        time.sleep(0.3)
        return applied(message)

    source.apply = slow  # type: ignore[method-assign]
    assert follow(source, silence=0.1).wait_ready(20)
    assert source.events == [("snapshot", 1), ("watch", "1", 10), 11]


def test_stopping_ends_the_stream(follow: Follow) -> None:
    source = Source([("head", 10)])
    follower = follow(source)
    assert follower.wait_ready(20)
    follower.stop()
    assert source.streams[0].cancelled.is_set()
    assert not any(thread.is_alive() for thread in follower._threads)
