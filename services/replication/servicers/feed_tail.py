"""The feed as it is served: the kernel's tail of the log, with the progress in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.replication.v1 import replication_feed_service_pb2 as pb

from services.kernel.feed.log import FeedEntry, FeedHead
from services.kernel.feed.stream import Codec, FeedTail
from services.replication.convert.feed import entry_message, progress_entry
from services.replication.domain.events import FeedItem, RegionOfVersion, ReplicationSummary
from services.replication.domain.progress import Progress
from services.replication.ports.rows import Tx, UnitOfWork

PROGRESS_EVERY: Final = 5.0
_PAGE: Final = 256


def feed_codec(decode: Callable[[bytes], FeedItem]) -> Codec:
    """Answer how entries and heartbeats become messages; `decode` reads a stored entry."""

    def entry(found: FeedEntry) -> bytes:
        message = entry_message(found.position, decode(found.payload))
        return pb.WatchResponse(entry=message).SerializeToString()

    def heartbeat(head: FeedHead) -> bytes:
        now = Timestamp()
        now.FromDatetime(datetime.now(UTC))
        beat = pb.FeedHeartbeat(head_position=head.position, server_time=now)
        return pb.WatchResponse(heartbeat=beat).SerializeToString()

    return Codec(entry, heartbeat)


class FeedSource:
    """Snapshots of everything, and streams of what follows."""

    def __init__(self, tail: FeedTail, rows: UnitOfWork, epoch_of: Callable[[str], int]) -> None:
        """`epoch_of` answers the epoch that a log's identity names, or PositionCompacted."""
        self._tail: Final = tail
        self._rows: Final = rows
        self._epoch_of: Final = epoch_of

    def snapshot(self) -> Iterator[pb.SnapshotResponse]:
        """Answer everything as it is now; blocks.

        Read in pages: an item may be newer than the start, and its position says so.
        """
        log, position = self._rows.read(lambda tx: tx.feed.head())
        start = pb.SnapshotResponse()
        start.start.log_uid, start.start.position = log, position
        yield start
        count = 0
        for found, item in self._items():
            count += 1
            yield pb.SnapshotResponse(item=entry_message(found, item))
        yield pb.SnapshotResponse(end=pb.SnapshotEnd(item_count=count))

    async def watch(self, log: str, after: int) -> AsyncIterator[bytes]:
        """Answer what follows a position, heartbeats, and progress at most every 5 s.

        Raises:
            PositionCompacted, OutOfRange: take a snapshot.
        """
        loop = asyncio.get_running_loop()
        epoch = await loop.run_in_executor(None, self._epoch_of, log)
        told: dict[tuple[str, str], Progress] = {}
        spoke = time.monotonic()
        # Heartbeats come each second, so this is looked at often enough.
        async for message in self._tail.watch(after, epoch):
            yield message
            if time.monotonic() - spoke < PROGRESS_EVERY:
                continue
            spoke = time.monotonic()
            head, moving = await loop.run_in_executor(None, self._moving)
            told = {key: value for key, value in told.items() if key in moving}
            for key, (generation, progress) in moving.items():
                if told.get(key) != progress:
                    told[key] = progress
                    entry = progress_entry(
                        head, datetime.now(UTC), (key[0], generation, key[1], progress)
                    )
                    yield pb.WatchResponse(entry=entry).SerializeToString()

    def _moving(self) -> tuple[int, dict[tuple[str, str], tuple[int, Progress]]]:
        def find(tx: Tx) -> tuple[int, dict[tuple[str, str], tuple[int, Progress]]]:
            _, head = tx.feed.head()
            found = {
                (uid, location): (generation, progress)
                for uid, generation, location, progress in tx.versions.moving()
            }
            return head, found

        return self._rows.read(find)

    def _items(self) -> Iterator[tuple[int, FeedItem]]:
        for region in self._rows.read(lambda tx: tx.regions.all()):
            yield region.feed_position, FeedItem(region.update_time, region=region)
        after: tuple[str, ...] | None = None
        while page := self._replications(after):
            for summary, position, time_ in page:
                yield position, FeedItem(time_, replication=summary)
            after = (page[-1][0].id,)
        after = None
        while regions := self._version_regions(after):
            for found, time_ in regions:
                yield found.region.feed_position, FeedItem(time_, version_region=found)
            after = (regions[-1][0].region.version, regions[-1][0].region.location)

    def _replications(
        self, after: tuple[str, ...] | None
    ) -> Sequence[tuple[ReplicationSummary, int, datetime]]:
        def find(tx: Tx) -> Sequence[tuple[ReplicationSummary, int, datetime]]:
            found: list[tuple[ReplicationSummary, int, datetime]] = []
            for record in tx.replications.feed_page(after, _PAGE):
                end = None
                if not record.is_open:
                    last = tx.replications.events_after(record.id, record.sequence - 1, 1)
                    end = last[0].body.end if last else None
                summary = ReplicationSummary(
                    record.id,
                    record.name,
                    record.version,
                    record.generation,
                    record.state,
                    record.sequence,
                    record.retry,
                    end,
                )
                found.append((summary, record.feed_position, record.update_time))
            return found

        return self._rows.read(find)

    def _version_regions(
        self, after: tuple[str, ...] | None
    ) -> Sequence[tuple[RegionOfVersion, datetime]]:
        def find(tx: Tx) -> Sequence[tuple[RegionOfVersion, datetime]]:
            now = tx.now()
            return [
                (
                    RegionOfVersion(name, region, stored, tuple(tx.versions.disks(region.version))),
                    now,
                )
                for name, region, stored in tx.versions.feed_page(after, _PAGE)
            ]

        return self._rows.read(find)
