"""stoa.replication.v1.ReplicationFeedService."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from stoa.replication.v1 import replication_feed_service_pb2 as pb

from services.kernel.rpc.call import Call
from services.replication.servicers.dependencies import Dependencies


class ReplicationFeedServicer:
    """One ordered feed for the catalog."""

    def __init__(self, parts: Dependencies) -> None:
        self._feed: Final = parts.feed

    def Snapshot(self, request: pb.SnapshotRequest, call: Call) -> Iterator[pb.SnapshotResponse]:
        call.violations.raise_if_any()
        return self._feed.snapshot()

    async def Watch(self, request: pb.WatchRequest, call: Call) -> AsyncIterator[bytes]:
        call.violations.raise_if_any()
        async for message in self._feed.watch(request.log_uid, request.after_position):
            yield message
