"""Follows the feed of the replication service: each event with its cursor in one transaction."""

from collections.abc import Callable, Iterable
from typing import Final

import grpc
from stoa.replication.v1 import replication_feed_pb2 as feed_pb
from stoa.replication.v1 import replication_feed_service_pb2 as pb
from stoa.replication.v1 import replication_feed_service_pb2_grpc

from services.catalog.convert import replication as convert
from services.catalog.ports.transaction import FeedCursor, Transact, Tx
from services.catalog.usecases import region_events
from services.kernel.feed.follower import Applied, Feed, Follower, Position, SnapshotNeeded

ReplicationFollower = Follower[pb.SnapshotResponse, pb.WatchResponse]

# A snapshot is applied in parts, so that calls of users find their turn between them.
_PART: Final = 200


class ReplicationFeed:
    """Applies the feed; what was applied before is applied again without an effect."""

    def __init__(
        self,
        channel: grpc.Channel,
        transact: Transact,
        read_cursor: Callable[[], FeedCursor | None],
    ) -> None:
        self._stub: Final = replication_feed_service_pb2_grpc.ReplicationFeedServiceStub(channel)
        self._transact: Final = transact
        self._read_cursor: Final = read_cursor
        self._log_uid = ""

    def follower(self) -> ReplicationFollower:
        """Make the follower; it begins when it is started."""
        feed = Feed(self._cursor, self._snapshot, self.load, self._watch, self.apply)
        return Follower("replication", feed)

    def load(self, messages: Iterable[pb.SnapshotResponse]) -> Position:
        """Apply a whole snapshot, and only then its position.

        Raises:
            SnapshotNeeded: it broke off before its end.
        """
        start = FeedCursor("", 0)
        regions: list[str] = []
        part: list[feed_pb.FeedEntry] = []
        for message in messages:
            match message.WhichOneof("message"):
                case "start":
                    start = FeedCursor(message.start.log_uid, message.start.position)
                case "item":
                    if message.item.HasField("region"):
                        regions.append(message.item.region.name.rpartition("/")[2])
                    part.append(message.item)
                    if len(part) == _PART:
                        self._apply_part(part)
                        part = []
                case "end":
                    self._apply_part(part)
                    return self._conclude(regions, start)
                case _:
                    pass
        raise SnapshotNeeded("the snapshot broke off before its end")

    def apply(self, message: pb.WatchResponse) -> Applied:
        """Apply one message of the watch, with its cursor, in one transaction."""
        if message.HasField("heartbeat"):
            return Applied(head=message.heartbeat.head_position)
        entry = message.entry
        if entry.HasField("progress"):
            # It has no position of its own, and repeats the newest.
            self._transact(lambda tx: apply_entry(tx, entry))
            return Applied()
        cursor = FeedCursor(self._log_uid, entry.position)

        def work(tx: Tx) -> None:
            apply_entry(tx, entry)
            tx.set_cursor(cursor)

        self._transact(work)
        return Applied(position=Position(cursor.log_uid, cursor.position))

    def _conclude(self, regions: list[str], cursor: FeedCursor) -> Position:
        def work(tx: Tx) -> None:
            tx.regions.keep_only(regions)
            tx.set_cursor(cursor)

        self._transact(work)
        self._log_uid = cursor.log_uid
        return Position(cursor.log_uid, cursor.position)

    def _apply_part(self, part: list[feed_pb.FeedEntry]) -> None:
        def work(tx: Tx) -> None:
            for entry in part:
                apply_entry(tx, entry)

        self._transact(work)

    def _cursor(self) -> Position | None:
        found = self._read_cursor()
        if found is None:
            return None
        self._log_uid = found.log_uid
        return Position(found.log_uid, found.position)

    def _snapshot(self) -> Iterable[pb.SnapshotResponse]:
        return self._stub.Snapshot(pb.SnapshotRequest())

    def _watch(self, position: Position) -> Iterable[pb.WatchResponse]:
        request = pb.WatchRequest(log_uid=position.epoch, after_position=position.position)
        return self._stub.Watch(request)


def apply_entry(tx: Tx, entry: feed_pb.FeedEntry) -> None:
    """Apply one entry of the feed; a kind that a newer service added is passed over."""
    match entry.WhichOneof("entry"):
        case "region":
            tx.regions.put(convert.decode_region(entry.region), entry.position)
        case "region_deletion":
            gone = entry.region_deletion
            tx.regions.remove(gone.name.rpartition("/")[2], gone.uid)
        case "replication":
            region_events.apply(tx, convert.decode_replication(entry.replication))
        case "version_region":
            region_events.apply(tx, convert.decode_version_region(entry))
        case "progress":
            region_events.apply(tx, convert.decode_version_progress(entry.progress))
        case _:
            pass
