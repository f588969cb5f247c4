"""Keeps a replica up with authz's log: the kernel's follower over the policy feed."""

from collections.abc import Iterable
from datetime import UTC
from typing import Final

from stoa.authz.v1 import policy_feed_service_pb2 as pb
from stoa.authz.v1.policy_feed_service_pb2_grpc import PolicyFeedServiceStub

from services.kernel.errors import InvalidArgument
from services.kernel.feed.follower import Applied, Feed, Follower, Position, SnapshotNeeded
from services.policy.consistency import ConsistencyToken, LogPosition
from services.policy.convert import ChangeReader, transaction_from_pb
from services.policy.model import Change
from services.policy.replica import PolicyReplica, RevisionGap

SERVICE: Final = pb.DESCRIPTOR.services_by_name["PolicyFeedService"].full_name

PolicyFollower = Follower[pb.SnapshotResponse, pb.WatchResponse]


class PolicyFeed:
    """What a follower needs to bring a replica what authz has."""

    def __init__(self, stub: PolicyFeedServiceStub, replica: PolicyReplica) -> None:
        self._stub: Final = stub
        self._replica: Final = replica

    def follower(self) -> PolicyFollower:
        """Make the follower; it begins when it is started."""
        feed = Feed(self._cursor, self._snapshot, self.load, self._watch, self.apply)
        return Follower("policy", feed)

    def load(self, messages: Iterable[pb.SnapshotResponse]) -> Position:
        """Apply a whole snapshot at once.

        Raises:
            SnapshotNeeded: it is not whole, or older than what is held.
            UnknownChange: it holds what this release does not know.
        """
        # A snapshot does not say when its entries were written: before everything to come.
        reader = ChangeReader(0)
        changes: list[Change] = []
        received = 0
        for message in messages:
            if message.HasField("end"):
                return self._loaded(message.end, changes, received)
            for change in message.chunk.changes:
                changes += reader.read(change)
            received += len(message.chunk.changes)
        raise SnapshotNeeded("the snapshot broke off before its end")

    def apply(self, message: pb.WatchResponse) -> Applied:
        """Apply one message of the watch.

        Raises:
            SnapshotNeeded: it does not follow what is held.
            UnknownChange: it holds what this release does not know.
        """
        if message.HasField("heartbeat"):
            beat = message.heartbeat
            sent = beat.server_time.ToDatetime(tzinfo=UTC)
            self._replica.heartbeat(beat.head_revision, sent)
            return Applied(head=beat.head_revision)
        try:
            self._replica.apply(transaction_from_pb(message.transaction))
        except RevisionGap as gap:
            raise SnapshotNeeded(str(gap)) from gap
        return Applied(position=self._cursor())

    def _loaded(self, end: pb.SnapshotEnd, changes: list[Change], received: int) -> Position:
        if received != end.change_count:
            raise SnapshotNeeded(f"{received} of {end.change_count} changes arrived")
        position = LogPosition(end.epoch, end.revision)
        try:
            installation = ConsistencyToken.decode(end.consistency_token).installation
            self._replica.load(position, changes, installation=installation)
        except (RevisionGap, InvalidArgument) as error:
            raise SnapshotNeeded(str(error)) from error
        return Position(str(position.epoch), position.revision)

    def _cursor(self) -> Position | None:
        held = self._replica.position
        return None if held is None else Position(str(held.epoch), held.revision)

    def _snapshot(self) -> Iterable[pb.SnapshotResponse]:
        return self._stub.Snapshot(pb.SnapshotRequest())

    def _watch(self, after: Position) -> Iterable[pb.WatchResponse]:
        self._replica.connected()
        request = pb.WatchRequest(epoch=int(after.epoch), after_revision=after.position)
        return self._stub.Watch(request)
