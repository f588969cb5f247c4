"""Watchers that are slow, come back again and again, or ask for what is no longer held."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from stoa.replication.v1.replication_watch_pb2 import WatchReplicationResponse as Response

from services.kernel.clock import SystemClock
from services.kernel.errors import PositionCompacted, ResourceExhausted
from services.replication.domain.events import Event, EventBody
from services.replication.domain.records import ReplicationRecord
from services.replication.domain.states import CopyState
from services.replication.servicers import watch_hub
from services.replication.servicers.watch_hub import Watcher, WatchHub
from services.replication.servicers.watch_stream import WatchStream
from services.replication.usecases.reading import Replications
from tests.faults.workers import Halt, Point, halting, on_sqlite
from tests.integration.replication.test_watch import NAME, watching
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DISKS = {"os": some_bytes(MIB, 1), "0": some_bytes(MIB, 2)}
NUMBERED = frozenset({"transition", "end"})
# What a watcher may leave unread in these tests.
FEW = 16


def begin(world: World) -> tuple[ReplicationRecord, Halt]:
    """Want a version whose copy into the second region stops once it is planned."""
    world.add_region("home")
    world.add_region("east")
    disks = {name: world.upload(name, data) for name, data in DISKS.items()}
    halt = halting(world, Point.PLANNING)
    return world.ensure(world.desired(disks, {"home": 1, "east": 1})), halt


def newest(world: World, record: ReplicationRecord) -> ReplicationRecord:
    """The replication as it is when a stream begins."""
    found = world.rows.read(lambda tx: tx.replications.get(record.id))
    assert found is not None
    return found


async def all_of(stream: WatchStream, record: ReplicationRecord, after: int) -> list[int]:
    messages = stream.of_replication(record, after)
    return [one.sequence async for one in messages if one.WhichOneof("event") in NUMBERED]


async def read_on(messages: AsyncIterator[Response], seen: list[int]) -> None:
    async for one in messages:
        seen.append(one.sequence)  # noqa: PERF401 - what came before an error counts


def test_one_that_does_not_read_is_sent_away_and_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_hub, "QUEUED", FEW)
    record, halt = begin(world)
    seen: list[int] = []

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        messages = stream.of_replication(record, 0)
        # It is listed among the watchers, and reads no more until all is over.
        seen.append((await anext(messages)).sequence)
        with world.working():
            halt.go.set()
            # Nobody who copies waits for it.
            await hub.read(world.wait_end, record.id)
        with pytest.raises(ResourceExhausted) as refused:
            await read_on(messages, seen)
        assert refused.value.reason == "WATCHER_TOO_SLOW"
        # However much it is, whoever reads what comes is told all of it.
        told = await all_of(stream, newest(world, record), 0)
        last = int(refused.value.metadata["sequence"])
        assert last == seen[-1] < told[-1]
        seen.extend(await all_of(stream, newest(world, record), last))
        assert len(told) > FEW
        assert seen == told == list(range(1, told[-1] + 1))

    watching(world, body)


def test_after_what_was_dropped_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_hub, "QUEUED", FEW)
    numbers = range(1, FEW + 3)
    events = [Event("r", number, SystemClock().now(), EventBody()) for number in numbers]
    watcher = asyncio.run(asyncio.to_thread(Watcher))
    watcher.push(events[: FEW - 1], None)
    watcher.push(events[FEW - 1 : FEW + 1], None)
    # It would fit, and be taken for what follows.
    watcher.push(events[FEW + 1 :], None)
    assert [one.sequence for one in watcher.events] == [*numbers][: FEW - 1]
    with pytest.raises(ResourceExhausted):
        watcher.check(FEW - 1)


@on_sqlite
def test_one_that_comes_back_after_every_word_misses_nothing(world: World) -> None:
    record, halt = begin(world)

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        halt.go.set()
        seen: list[int] = []
        ended = False
        with world.working():
            while not ended:
                last = seen[-1] if seen else 0
                messages = stream.of_replication(newest(world, record), last)
                async for one in messages:
                    if one.WhichOneof("event") in NUMBERED:
                        seen.append(one.sequence)
                        ended = one.HasField("end")
                        break
                await messages.aclose()  # type: ignore[attr-defined]
        assert seen == [one.sequence for one in world.events(record.id)]
        assert seen == list(range(1, len(seen) + 1))

    watching(world, body)


def test_one_that_comes_between_two_commits_is_told_of_the_last(world: World) -> None:
    record, halt = begin(world)
    halt.go.set()
    with world.working():
        last = world.wait_end(record.id).record.sequence

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        # The hub has looked, and nothing is committed from here on.
        waiting = stream.of_version(NAME, uid="", generation=2)
        for _ in range(3):
            assert (await anext(waiting)).HasField("bookmark")
        # What this one knows of the replication is older than that.
        (other,) = new_streams(world, hub, 1)
        assert await all_of(other, record, record.sequence) == [
            *range(record.sequence + 1, last + 1)
        ]
        await waiting.aclose()  # type: ignore[attr-defined]

    watching(world, body)


@on_sqlite
def test_one_that_asks_for_what_is_no_longer_held_begins_with_the_state(world: World) -> None:
    record, halt = begin(world)
    halt.go.set()
    with world.working():
        last = world.wait_end(record.id).record.sequence
    later = SystemClock().now() + timedelta(minutes=1)
    world.rows.transact(lambda tx: tx.replications.forget_events(later, 1000))

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        kept = newest(world, record)
        with pytest.raises(PositionCompacted) as refused:
            await anext(stream.of_replication(kept, 1))
        assert refused.value.metadata["oldest"] == str(last)
        (whole,) = [one async for one in stream.of_replication(kept, None)]
        assert whole.sequence == last
        assert {one.state for one in world.rows.read(lambda tx: tx.replicas.of_version(UID))} == {
            CopyState.COMPLETED
        }

    watching(world, body)


@on_sqlite
def test_many_that_end_at_once_leave_nothing_behind(world: World) -> None:
    record, halt = begin(world)

    async def follow(stream: WatchStream, heard: asyncio.Semaphore) -> None:
        async for _ in stream.of_replication(record, None):
            heard.release()

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        heard = asyncio.Semaphore(0)
        streams = [follow(one, heard) for one in new_streams(world, hub, 200)]
        tasks = [asyncio.create_task(one) for one in streams]
        for _ in tasks:
            await heard.acquire()
        staying = asyncio.create_task(follow(stream, asyncio.Semaphore(0)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        halt.go.set()
        with world.working():
            await staying
        assert not hub._topics

    watching(world, body)


def new_streams(world: World, hub: WatchHub, count: int) -> list[WatchStream]:
    reading = Replications(world.rows)
    return [
        WatchStream(hub, world.rows, reading, SystemClock(), follow=False) for _ in range(count)
    ]
