"""Streams of a feed get every entry once, in order, however far behind they are."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from services.kernel.clock import SystemClock
from services.kernel.db import tables
from services.kernel.db.engine import Database
from services.kernel.errors import OutOfRange, PositionCompacted
from services.kernel.feed.log import FeedEntry, FeedHead, FeedLog
from services.kernel.feed.probe import ChangeProbe
from services.kernel.feed.stream import Codec, FeedTail


class Entries:
    """A log in a database, with a count of how often it is read."""

    def __init__(self, db: Database) -> None:
        metadata = tables.new_metadata()
        self.feed = FeedLog(tables.add_feed(metadata, "test"), SystemClock())
        self.db = db
        db.transact(metadata.create_all)
        self.changes = ChangeProbe(db, self.feed)
        self.reads = 0
        self.broken = False

    def append(self, *payloads: bytes) -> int:
        position: int = self.db.transact(lambda tx: self.feed.append_all(tx, payloads))
        return position

    def compact(self, horizon: int) -> None:
        def drop(tx: Connection) -> None:
            head = self.feed._head
            tx.execute(head.update().values(horizon=horizon))
            tx.execute(self.feed._log.delete().where(self.feed._log.c.position <= horizon))

        self.db.transact(drop)

    def probe(self) -> object:
        return self.changes.current()

    def head(self) -> FeedHead:
        if self.broken:
            raise OSError("the disk is gone")
        return self.db.read(self.feed.head)

    def read_after(self, position: int, limit: int, epoch: int | None) -> Sequence[FeedEntry]:
        self.reads += 1
        return self.db.read(lambda c: self.feed.read_after(c, position, limit, epoch=epoch))


CODEC = Codec(
    entry=lambda entry: b"%d:" % entry.position + entry.payload,
    heartbeat=lambda head: b"head %d/%d" % (head.epoch, head.position),
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Entries]:
    with Database.open(f"sqlite:///{tmp_path}/feed.db") as db:
        yield Entries(db)


def run(
    log: Entries,
    scenario: Callable[[FeedTail], Awaitable[None]],
    codec: Codec = CODEC,
    **options: Any,
) -> None:
    async def main() -> None:
        options.setdefault("interval", 0.002)
        options.setdefault("heartbeat_every", 1000.0)
        tail = FeedTail(log, codec, **options)
        try:
            async with asyncio.timeout(20):
                await scenario(tail)
        finally:
            tail.close()

    asyncio.run(main())


async def take(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await anext(stream) for _ in range(count)]


def entries(first: int, last: int) -> list[bytes]:
    return [b"%d:x" % position for position in range(first, last + 1)]


def test_a_stream_gets_what_was_and_what_comes(log: Entries) -> None:
    log.append(b"x", b"x", b"x")

    async def scenario(tail: FeedTail) -> None:
        stream = tail.watch(1)
        assert await take_entries(stream, 2) == entries(2, 3)
        log.append(b"x")
        assert await take_entries(stream, 1) == entries(4, 4)
        log.append(b"x", b"x")
        assert await take_entries(stream, 2) == entries(5, 6)

    run(log, scenario)


async def take_entries(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    """Take entries and skip the heartbeats between them."""
    found: list[bytes] = []
    while len(found) < count:
        message = await anext(stream)
        if not message.startswith(b"head"):
            found.append(message)
    return found


def test_one_reader_serves_all_streams(log: Entries) -> None:
    async def scenario(tail: FeedTail) -> None:
        streams = [tail.watch(0) for _ in range(50)]
        waiting = [asyncio.create_task(take_entries(stream, 5)) for stream in streams]
        # Each reads twice by itself that there is nothing yet, and the shared reader once.
        for _ in range(1000):
            if log.reads >= 101:
                break
            await asyncio.sleep(0.01)
        assert tail.streams == 50
        before = log.reads
        log.append(*[b"x"] * 5)
        assert await asyncio.gather(*waiting) == [entries(1, 5)] * 50
        # The shared reader reads the five, and once more to see that there is nothing behind.
        assert log.reads - before <= 4

    run(log, scenario)


def test_a_slow_stream_loses_nothing_and_keeps_little(log: Entries) -> None:
    async def scenario(tail: FeedTail) -> None:
        slow = tail.watch(0)
        fast = tail.watch(0)
        log.append(b"x")
        assert await take_entries(slow, 1) == entries(1, 1)
        for _ in range(30):
            log.append(*[b"x"] * 10)
        assert await take_entries(fast, 301) == entries(1, 301)
        kept = [len(subscriber.messages) for subscriber in tail._subscribers]
        assert max(kept) <= 16
        assert await take_entries(slow, 300) == entries(2, 301)

    run(log, scenario, queued=16, batch=8)


def test_a_heartbeat_follows_everything_up_to_its_position(log: Entries) -> None:
    log.append(b"x", b"x")

    async def scenario(tail: FeedTail) -> None:
        stream = tail.watch(0)
        seen = 0
        beats = 0
        for number in range(200):
            if number % 10 == 0:
                log.append(b"x")
            message = await anext(stream)
            if message.startswith(b"head 1/"):
                beats += 1
                assert seen >= int(message.rpartition(b"/")[2])
            else:
                seen += 1
                assert message == b"%d:x" % seen
            if beats >= 5 and seen >= 5:
                return
        raise AssertionError("heartbeats or entries are missing")

    run(log, scenario, heartbeat_every=0.005)


def test_entries_that_later_ones_make_meaningless_are_left_out(log: Entries) -> None:
    def last_of_each(found: Sequence[FeedEntry]) -> Sequence[FeedEntry]:
        newest = {entry.payload: entry for entry in found}
        return sorted(newest.values(), key=lambda entry: entry.position)

    log.append(b"a", b"b", b"a", b"a", b"b")

    async def scenario(tail: FeedTail) -> None:
        stream = tail.watch(0)
        assert await take_entries(stream, 2) == [b"4:a", b"5:b"]
        log.append(b"c")
        assert await take_entries(stream, 1) == [b"6:c"]

    run(log, scenario, Codec(CODEC.entry, CODEC.heartbeat, last_of_each))


def test_a_position_that_is_gone_or_never_was_is_refused(log: Entries) -> None:
    log.append(b"x", b"x", b"x")
    log.compact(2)

    async def scenario(tail: FeedTail) -> None:
        with pytest.raises(PositionCompacted):
            await anext(tail.watch(1))
        with pytest.raises(OutOfRange):
            await anext(tail.watch(9))
        with pytest.raises(PositionCompacted):
            await anext(tail.watch(3, epoch=2))
        assert await take_entries(tail.watch(2, epoch=1), 1) == entries(3, 3)

    run(log, scenario)


def test_a_log_that_cannot_be_read_sends_no_heartbeat(log: Entries) -> None:
    log.append(b"x")

    async def scenario(tail: FeedTail) -> None:
        stream = tail.watch(0)
        assert await take_entries(stream, 1) == entries(1, 1)
        log.broken = True
        await asyncio.sleep(0.1)
        (subscriber,) = tail._subscribers
        subscriber.heartbeat = None
        await asyncio.sleep(0.1)
        assert subscriber.heartbeat is None

    run(log, scenario, heartbeat_every=0.005)


def test_a_closed_stream_is_forgotten(log: Entries) -> None:
    log.append(b"x")

    async def scenario(tail: FeedTail) -> None:
        stream = tail.watch(0)
        await anext(stream)
        assert tail.streams == 1
        await stream.aclose()
        assert tail.streams == 0

    run(log, scenario)


def test_an_entry_between_a_streams_first_read_and_the_first_look_is_not_lost(log: Entries) -> None:
    """The tail begins at the head that it finds, which the stream may not have seen."""
    log.append(b"a")
    plain = log.head

    def head() -> FeedHead:
        # The tail looks once the stream has read "a", and nothing after it.
        while log.reads < 2:
            time.sleep(0.001)
        if plain().position == 1:
            log.append(b"b")
        return plain()

    log.head = head  # type: ignore[method-assign]

    async def scenario(tail: FeedTail) -> None:
        stream = tail.watch(0)
        assert await take(stream, 2) == [b"1:a", b"2:b"]
        await stream.aclose()

    run(log, scenario)
