"""PolicyFeedService: what the replicas of the policy are fed with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol

from stoa.authz.v1 import policy_feed_service_pb2 as pb

from services.authz.convert.changes import built_in, change_messages
from services.authz.convert.entries import Watched
from services.authz.convert.filtering import Matter
from services.authz.convert.times import timestamp
from services.authz.domain.changes import Change
from services.authz.ports.replicas import ReplicaStore
from services.kernel.clock import Clock
from services.kernel.errors import OutOfRange
from services.kernel.feed.log import FeedHead
from services.kernel.feed.stream import Codec, FeedTail, Log
from services.kernel.rpc.call import Call
from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.consistency import LogPosition

# What a message of a snapshot holds, in bytes.
_CHUNK: Final = 1024 * 1024


class Feed(Log, Protocol):
    """The log, and snapshots of what it led to."""

    def snapshot(self, take: Callable[[Change], object]) -> tuple[FeedHead, object]:
        """Hand every fact to `take`, all as of one revision, and answer that."""


class PolicyFeedServicer:
    """Serves the log of this database; `feed` reads it, `token` answers consistency tokens."""

    def __init__(
        self,
        feed: Feed,
        replicas: ReplicaStore,
        token: Callable[[LogPosition], str],
        clock: Clock,
    ) -> None:
        self._feed: Final = feed
        self._replicas: Final = replicas
        self._token: Final = token
        self._clock: Final = clock
        self._tail: FeedTail | None = None
        self._epoch = 0

    def GetHead(self, request: pb.GetHeadRequest, call: Call) -> pb.GetHeadResponse:
        head = self._feed.head()
        return pb.GetHeadResponse(
            epoch=head.epoch,
            revision=head.position,
            consistency_token=self._token(LogPosition(head.epoch, head.position)),
        )

    def Report(self, request: pb.ReportRequest, call: Call) -> pb.ReportResponse:
        call.violations.raise_if_any()
        self._replicas.report(
            request.replica_id,
            call.caller.workload,
            LogPosition(request.epoch, request.revision),
            leaving=request.leaving,
        )
        return pb.ReportResponse()

    def Snapshot(
        self, request: pb.SnapshotRequest, call: Call
    ) -> Iterator[pb.SnapshotResponse | bytes]:
        call.violations.raise_if_any()
        matter = Matter(request.subscriptions)
        chunks = _Chunks(matter)
        chunks.take_all(built_in(role) for role in BUILT_IN_ROLES)

        def take(change: Change) -> None:
            chunks.take_all(change_messages(change))

        head, _ = self._feed.snapshot(take)
        yield from chunks.responses()
        yield pb.SnapshotResponse(
            end=pb.SnapshotEnd(
                epoch=head.epoch,
                revision=head.position,
                consistency_token=self._token(LogPosition(head.epoch, head.position)),
                change_count=chunks.count,
            )
        )

    async def Watch(self, request: pb.WatchRequest, call: Call) -> AsyncIterator[bytes]:
        call.violations.raise_if_any()
        head = await asyncio.to_thread(self._feed.head)
        refuse_position(request.epoch, request.after_revision, head)
        self._epoch = head.epoch
        matter = Matter(request.subscriptions)
        # Not only in the next second: a replica is not ready before its first heartbeat.
        yield self._heartbeat(head)
        watching = self._tailing().watch(request.after_revision, request.epoch)
        async for message in watching:
            yield matter.of_watch(message)

    def close(self) -> None:
        """End the reading of the log."""
        if self._tail is not None:
            self._tail.close()

    def _tailing(self) -> FeedTail:
        if self._tail is None:
            # Made on the loop that serves the streams.
            watched = Watched(lambda revision: self._token(LogPosition(self._epoch, revision)))
            self._tail = FeedTail(self._feed, Codec(watched.response, self._heartbeat))
        return self._tail

    def _heartbeat(self, head: FeedHead) -> bytes:
        return pb.WatchResponse(
            heartbeat=pb.Heartbeat(
                head_revision=head.position, server_time=timestamp(self._clock.now())
            )
        ).SerializeToString()


def refuse_position(epoch: int, revision: int, head: FeedHead) -> None:
    """Refuse to resume from what this log does not have.

    Raises:
        OutOfRange: EPOCH_CHANGED, REVISION_UNKNOWN.
    """
    if epoch != head.epoch:
        raise OutOfRange(
            "the log has been restored from a backup since",
            reason="EPOCH_CHANGED",
            metadata={"epoch": str(head.epoch)},
        )
    if revision > head.position:
        raise OutOfRange(
            f"the newest revision is {head.position}",
            reason="REVISION_UNKNOWN",
            metadata={"head": str(head.position)},
        )


class _Chunks:
    """Changes serialized into messages of about 1 MiB."""

    def __init__(self, matter: Matter) -> None:
        self.count = 0
        self._matter: Final = matter
        self._open = pb.SnapshotChunk()
        self._size = 0
        self._full: Final[list[bytes]] = []

    def take_all(self, changes: Any) -> None:
        """Add changes, those that matter."""
        for change in changes:
            if not self._matter.matters(change):
                continue
            self._open.changes.append(change)
            self.count += 1
            self._size += change.ByteSize() + 8
            if self._size >= _CHUNK:
                self._close()

    def responses(self) -> Iterator[bytes]:
        """Answer the messages, serialized."""
        if self._size:
            self._close()
        yield from self._full

    def _close(self) -> None:
        self._full.append(pb.SnapshotResponse(chunk=self._open).SerializeToString())
        self._open, self._size = pb.SnapshotChunk(), 0
