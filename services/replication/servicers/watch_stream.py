"""One WatchReplication stream."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.replication.v1 import replication_watch_pb2 as pb

from services.kernel.clock import Clock
from services.kernel.errors import PositionCompacted
from services.kernel.names import Name
from services.replication.convert.replications import (
    event_message,
    progress_updates,
    snapshot_parts,
)
from services.replication.domain.names import replication_name
from services.replication.domain.records import ReplicationRecord
from services.replication.domain.snapshots import ReplicationView
from services.replication.ports.rows import UnitOfWork
from services.replication.servicers.watch_hub import BATCH, Watcher, WatchHub
from services.replication.usecases.reading import Replications

BOOKMARK_EVERY: Final = 10.0


# Of the time between bookmarks: how much earlier one may come, so that many go out at once.
_TOGETHER: Final = 0.1


def bookmark_time(spoke: float, every: float) -> float:
    """Answer when a stream that spoke last at `spoke` is due, in seconds of the monotonic clock.

    The moments are the same ones for all streams, `every` / 10 apart: thousands of idle ones wake
    the process once a second and not each by itself.
    """
    step = every * _TOGETHER
    return math.floor((spoke + every) / step) * step


class WatchStream:
    """What one watcher is told, from its first message to the last."""

    def __init__(
        self,
        hub: WatchHub,
        rows: UnitOfWork,
        replications: Replications,
        clock: Clock,
        *,
        follow: bool,
        bookmark_every: float = BOOKMARK_EVERY,
    ) -> None:
        self._hub: Final = hub
        self._rows: Final = rows
        self._replications: Final = replications
        self._clock: Final = clock
        self._follow: Final = follow
        self._bookmark_every: Final = bookmark_every
        self._replication = ""
        self._sequence = 0
        self._spoke = time.monotonic()

    async def of_version(
        self, name: Name, *, uid: str, generation: int
    ) -> AsyncIterator[pb.WatchReplicationResponse]:
        """Wait for a replication of a version, then tell of it."""
        watcher = Watcher()
        try:
            while True:
                self._hub.wait_for_change(name.key, watcher)
                record = await self._hub.read(
                    lambda: self._replications.newest(name.key, uid=uid, generation=generation)
                )
                if record is not None:
                    break
                async for bookmark in self._pause(watcher):
                    yield bookmark
        finally:
            self._hub.forget(name.key, watcher)
        async for message in self.of_replication(record, None):
            yield message

    async def of_replication(
        self, record: ReplicationRecord, after: int | None
    ) -> AsyncIterator[pb.WatchReplicationResponse]:
        """Tell of a replication: a snapshot, or what follows a sequence number.

        Raises:
            PositionCompacted: what follows is no longer held.
            ResourceExhausted: WATCHER_TOO_SLOW.
        """
        found: ReplicationRecord | None = record
        while found is not None:
            successor = ""
            async for message in self._one(found, after):
                yield message
                if message.WhichOneof("event") == "end":
                    successor = message.end.successor
                elif message.WhichOneof("event") == "snapshot":
                    successor = message.snapshot.replication.successor or successor
            if not (self._follow and successor):
                return
            following = successor.rpartition("/")[2]
            found = await self._hub.read(lambda: self._replications.get(following))  # noqa: B023
            after = None

    async def _one(
        self, record: ReplicationRecord, after: int | None
    ) -> AsyncIterator[pb.WatchReplicationResponse]:
        self._replication, self._sequence = record.id, after or 0
        shown: ReplicationView | None = None
        if after is None:
            shown = await self._hub.read(lambda: self._replications.view(record.id))
            self._sequence = shown.record.sequence
            for part in snapshot_parts(shown):
                yield self._snapshot(part)
            if not shown.record.is_open:
                return
        elif after < record.horizon or after > record.sequence:
            raise PositionCompacted(record.horizon)
        watcher = Watcher()
        # What was there before is read by the stream itself, piece by piece, however much it is.
        told = self._hub.join(record.id, watcher, max(self._sequence, record.sequence))
        try:
            async for message in self._stored(record.id, told):
                yield message
                if message.WhichOneof("event") == "end":
                    return
            if not record.is_open and self._sequence >= record.sequence:
                return
            async for message in self._live(watcher, shown):
                yield message
        finally:
            self._hub.leave(record.id, watcher)

    async def _stored(
        self, replication: str, until: int
    ) -> AsyncIterator[pb.WatchReplicationResponse]:
        """Tell of events that were told to others before this watcher came."""
        while self._sequence < until:
            events = await self._hub.read(
                lambda: self._rows.read(
                    lambda tx: tx.replications.events_after(replication, self._sequence, BATCH)
                )
            )
            if not events:
                return
            for event in events:
                self._sequence = event.sequence
                yield event_message(event)

    async def _live(
        self, watcher: Watcher, shown: ReplicationView | None
    ) -> AsyncIterator[pb.WatchReplicationResponse]:
        while True:
            while watcher.events:
                event = watcher.events.popleft()
                if event.sequence <= self._sequence:
                    continue
                self._sequence = event.sequence
                self._spoke = time.monotonic()
                yield event_message(event)
                if event.body.end is not None:
                    return
            watcher.check(self._sequence)
            if watcher.view is not None:
                view, watcher.view = watcher.view, None
                for update in progress_updates(shown, view, self._now()):
                    update.sequence = self._sequence
                    self._spoke = time.monotonic()
                    yield update
                shown = view
            async for bookmark in self._pause(watcher):
                yield bookmark

    async def _pause(self, watcher: Watcher) -> AsyncIterator[pb.WatchReplicationResponse]:
        """Wait until there is news, with a bookmark where nothing was said for long."""
        while True:
            try:
                async with asyncio.timeout_at(bookmark_time(self._spoke, self._bookmark_every)):
                    await watcher.ready.wait()
            except TimeoutError:
                self._spoke = time.monotonic()
                yield self._bookmark()
                continue
            watcher.ready.clear()
            return

    def _snapshot(self, part: pb.ReplicationSnapshot) -> pb.WatchReplicationResponse:
        return pb.WatchReplicationResponse(
            replication=replication_name(self._replication),
            sequence=self._sequence,
            event_time=self._now(),
            snapshot=part,
        )

    def _bookmark(self) -> pb.WatchReplicationResponse:
        now = self._now()
        return pb.WatchReplicationResponse(
            replication=replication_name(self._replication),
            sequence=self._sequence,
            event_time=now,
            bookmark=pb.Bookmark(server_time=now),
        )

    def _now(self) -> Timestamp:
        message = Timestamp()
        message.FromDatetime(self._clock.now())
        return message
