"""Watch streams over real rows, without a listener."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.clock import SystemClock
from services.kernel.errors import ResourceExhausted
from services.kernel.names import Name
from services.replication.domain.events import Event, EventBody
from services.replication.domain.names import IMAGE_VERSIONS
from services.replication.domain.records import ReplicationRecord
from services.replication.servicers.watch_hub import QUEUED, Watcher, WatchHub
from services.replication.servicers.watch_stream import WatchStream, bookmark_time
from services.replication.usecases.reading import Replications
from tests.integration.replication.world import VERSION, World, some_bytes

NAME = IMAGE_VERSIONS.parse(VERSION)


def watching(world: World, body: Callable[[WatchHub, WatchStream], Awaitable[None]]) -> None:
    """Run a coroutine with a hub, and a stream that is often silent."""

    async def run() -> None:
        hub = WatchHub(world.rows, world.db.data_version, interval=0.01)
        stream = WatchStream(
            hub,
            world.rows,
            Replications(world.rows),
            SystemClock(),
            follow=True,
            bookmark_every=0.05,
        )
        try:
            async with asyncio.timeout(30):
                await body(hub, stream)
        finally:
            hub.close()

    asyncio.run(run())


def test_a_watcher_of_nothing_gets_bookmarks_until_there_is_something(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(9))}

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        kinds: list[str | None] = []
        async for message in stream.of_version(NAME, uid="", generation=0):
            kinds.append(message.WhichOneof("event"))
            if len(kinds) == 2:
                await hub.read(lambda: world.ensure(world.desired(disks, {"home": 1})))
            if kinds[-1] == "snapshot":
                break
        assert kinds[:2] == ["bookmark", "bookmark"]
        assert message.replication
        assert message.sequence > 0

    watching(world, body)


def test_those_who_wait_for_another_version_read_nothing_for_themselves(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(9))}

    class Counted(Replications):
        reads = 0

        def newest(self, name_key: str, **more: Any) -> ReplicationRecord | None:
            self.reads += name_key == NAME.key
            return super().newest(name_key, **more)

    async def body(hub: WatchHub, _: WatchStream) -> None:
        counted = Counted(world.rows)

        def of_version(name: Name) -> AsyncIterator[Any]:
            stream = WatchStream(
                hub, world.rows, counted, SystemClock(), follow=False, bookmark_every=0.05
            )
            return stream.of_version(name, uid="", generation=0)

        idle = [of_version(NAME) for _ in range(20)]
        for one in idle:
            await anext(one)
        seen: list[int] = []
        for number in range(3):
            version = VERSION.replace("1.0.0", f"2.0.{number}")
            other = of_version(IMAGE_VERSIONS.parse(version))
            await anext(other)
            wanted = world.desired(disks, {"home": 1}, uid=f"{number:032x}", version=version)
            await hub.read(world.ensure, wanted)
            async for message in other:
                if message.HasField("snapshot"):
                    break
            for one in idle:
                await anext(one)
            seen.append(counted.reads)
        # Once for each in the beginning, and once when the hub first looked.
        assert seen[-1] <= 40
        assert seen[0] == seen[-1]

    watching(world, body)


def test_an_open_replication_without_news_is_kept_alive_by_bookmarks(world: World):
    world.add_region("home")
    record = world.ensure(world.desired({"os": world.upload("os", some_bytes(9))}, {"home": 1}))

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        found = []
        async for message in stream.of_replication(record, record.sequence):
            if message.WhichOneof("event") == "bookmark":
                found.append(message)
            if len(found) == 3:
                break
        assert {one.sequence for one in found} == {record.sequence}

    watching(world, body)


@given(spoke=st.floats(0, 1e7), later=st.floats(0, 0.5))
def test_bookmarks_of_many_streams_are_due_together_and_never_late(spoke: float, later: float):
    due, other = bookmark_time(spoke, 10), bookmark_time(spoke + later, 10)
    assert spoke + 9 - 1e-6 < due <= spoke + 10
    assert other - due in {0, 1}


def test_a_watcher_follows_the_successor(world: World):
    world.add_region("home")
    disks = {"os": world.upload("os", some_bytes(9))}
    first = world.ensure(world.desired(disks, {"home": 1}))

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        seen: list[tuple[str, str | None]] = []
        second = ""
        async for message in stream.of_replication(first, None):
            seen.append((message.replication, message.WhichOneof("event")))
            if len(seen) == 1:
                wanted = world.desired(disks, {"home": 1}, generation=2)
                second = (await hub.read(world.ensure, wanted)).id
            if seen[-1] == (f"replications/{second}", "snapshot"):
                break
        assert (f"replications/{first.id}", "end") in seen

    watching(world, body)


def test_two_watchers_who_come_at_different_times_see_the_same(world: World):
    world.add_region("home")
    record = world.ensure(world.desired({"os": world.upload("os", some_bytes(9))}, {"home": 1}))

    async def follow(stream: WatchStream, after: int) -> list[int]:
        return [
            message.sequence
            async for message in stream.of_replication(record, after)
            if message.WhichOneof("event") in {"transition", "end"}
        ]

    async def body(hub: WatchHub, stream: WatchStream) -> None:
        other = WatchStream(hub, world.rows, Replications(world.rows), SystemClock(), follow=False)
        early = asyncio.create_task(follow(stream, 0))
        with world.working():
            await asyncio.sleep(0.05)
            late = asyncio.create_task(follow(other, 1))
            first, second = await asyncio.gather(early, late)
        assert first == list(range(1, first[-1] + 1))
        assert second == first[1:]

    watching(world, body)


def test_a_watcher_that_cannot_keep_up_is_told_where_to_go_on():
    async def run() -> None:
        watcher = Watcher()
        now = SystemClock().now()
        event = Event("r", 1, now, EventBody())
        watcher.push([event] * QUEUED, None)
        watcher.check(7)
        watcher.push([event], None)
        with pytest.raises(ResourceExhausted) as refused:
            watcher.check(7)
        assert refused.value.reason == "WATCHER_TOO_SLOW"
        assert refused.value.metadata["sequence"] == "7"

    asyncio.run(run())
