import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from stoa.authz.v1 import policy_feed_service_pb2 as pb
from stoa.authz.v1 import role_assignment_service_pb2

from services.policy.convert import transaction_from_pb
from services.policy.index import load_index
from tests.wire.authz.installation import refused

Code = grpc.StatusCode


def transactions(watch) -> Iterator[pb.Transaction]:
    return (one.transaction for one in watch if one.WhichOneof("event") == "transaction")


def snapshot(feed) -> tuple[list[Any], pb.SnapshotEnd]:
    *chunks, last = feed.Snapshot(pb.SnapshotRequest())
    assert last.WhichOneof("content") == "end"
    changes = [change for one in chunks for change in one.chunk.changes]
    assert len(changes) == last.end.change_count
    return changes, last.end


def test_the_head_is_that_of_the_last_acknowledged_write(authz, world):
    feed = authz.feed()
    before = feed.GetHead(pb.GetHeadRequest())
    world.user()
    after = feed.GetHead(pb.GetHeadRequest())
    assert (after.epoch, after.revision) == (before.epoch, before.revision + 1)
    assert after.consistency_token != before.consistency_token


def test_a_revocation_is_one_transaction_of_the_feed(authz, world):
    user, subscription = world.user(), world.subscription()
    feed = authz.feed()
    made = world.assign(user, "Reader", subscription)
    head = feed.GetHead(pb.GetHeadRequest())
    watch = feed.Watch(pb.WatchRequest(epoch=head.epoch, after_revision=head.revision))
    assert next(watch).heartbeat.head_revision == head.revision
    _, call = world.owner.assignments.DeleteRoleAssignment.with_call(
        role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=made.name)
    )
    seen = next(transactions(watch))
    watch.cancel()
    assert seen.revision == head.revision + 1
    assert [one.delete_role_assignment for one in seen.changes] == [made.name]
    assert dict(call.trailing_metadata())["x-consistency-token"] == seen.consistency_token


def test_a_snapshot_followed_by_a_watch_misses_nothing_under_concurrent_writes(authz, world):
    subscription = world.subscription()
    users = [world.user() for _ in range(30)]
    feed = authz.feed()
    begun = threading.Barrier(2)

    def write() -> None:
        begun.wait()
        for user in users:
            world.assign(user, "Reader", subscription)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        begun.wait()
        changes, end = snapshot(feed)
        watch = feed.Watch(pb.WatchRequest(epoch=end.epoch, after_revision=end.revision))
        writing.result()
        head = feed.GetHead(pb.GetHeadRequest()).revision
        index = load_index(
            end.epoch,
            end.revision,
            transaction_from_pb(pb.Transaction(revision=end.revision, changes=changes)).changes,
        )
        for transaction in transactions(watch):
            assert transaction.revision == index.revision + 1
            index = index.apply(transaction_from_pb(transaction))
            if index.revision == head:
                break
        watch.cancel()
    (node,) = (index.tree.children[key] for key in index.tree.children if key == subscription)
    assert {one.principal for one in node.held} == set(users)


def test_two_writers_never_share_a_revision(authz, world):
    subscription = world.subscription()
    users = [world.user() for _ in range(24)]
    before = authz.feed().GetHead(pb.GetHeadRequest())

    def assign(user: str) -> str:
        _, call = world.owner.assignments.CreateRoleAssignment.with_call(
            world.assignment(user, "Reader", subscription)
        )
        return str(dict(call.trailing_metadata())["x-consistency-token"])

    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(assign, users))
    assert len(tokens) == len(users)
    after = authz.feed().GetHead(pb.GetHeadRequest())
    assert after.revision == before.revision + len(users)


def test_a_filter_keeps_what_lies_above_and_leaves_out_other_subscriptions(authz, world):
    one, other = world.subscription(), world.subscription()
    kept = world.assign(world.user(), "Reader", one).name
    dropped = world.assign(world.user(), "Reader", f"{other}/resourceGroups/rg").name
    messages = authz.feed().Snapshot(pb.SnapshotRequest(subscriptions=[one.upper()]))
    names = {
        change.put_role_assignment.name
        for message in messages
        for change in message.chunk.changes
        if change.WhichOneof("change") == "put_role_assignment"
    }
    assert kept in names
    assert dropped not in names
    assert any(name.startswith("tenants/default/roleAssignments/") for name in names)


def test_what_cannot_be_resumed_is_out_of_range(authz):
    feed = authz.feed()
    head = feed.GetHead(pb.GetHeadRequest())
    with refused(Code.OUT_OF_RANGE, "EPOCH_CHANGED") as refusal:
        list(feed.Watch(pb.WatchRequest(epoch=head.epoch + 1, after_revision=1)))
    assert refusal.info.metadata["epoch"] == str(head.epoch)
    with refused(Code.OUT_OF_RANGE, "REVISION_UNKNOWN"):
        list(feed.Watch(pb.WatchRequest(epoch=head.epoch, after_revision=head.revision + 1000)))


def test_heartbeats_come_without_writes(authz):
    feed = authz.feed()
    head = feed.GetHead(pb.GetHeadRequest())
    watch = feed.Watch(pb.WatchRequest(epoch=head.epoch, after_revision=head.revision))
    beats = [one.heartbeat.head_revision for one in itertools.islice(watch, 3)]
    watch.cancel()
    assert beats == [head.revision] * 3


def test_a_delete_that_waits_ends_once_every_live_replica_has_it(authz, world):
    made = world.assign(world.user(), "Reader", world.subscription())
    feed = authz.feed("replication")
    head = feed.GetHead(pb.GetHeadRequest())
    feed.Report(pb.ReportRequest(replica_id="quick", epoch=head.epoch, revision=head.revision))
    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(
            world.owner.assignments.DeleteRoleAssignment.with_call,
            role_assignment_service_pb2.DeleteRoleAssignmentRequest(
                name=made.name, wait_for_replicas=True
            ),
        )
        watch = feed.Watch(pb.WatchRequest(epoch=head.epoch, after_revision=head.revision))
        revision = next(transactions(watch)).revision
        watch.cancel()
        feed.Report(pb.ReportRequest(replica_id="quick", epoch=head.epoch, revision=revision))
        _, call = deleting.result()
    feed.Report(pb.ReportRequest(replica_id="quick", epoch=1, revision=1, leaving=True))
    assert "x-lagging-replicas" not in dict(call.trailing_metadata())


def test_a_replica_that_lags_is_named_when_the_patience_ends(authz, world, monkeypatch):
    monkeypatch.setattr("services.authz.servicers.writing.PATIENCE", 0.05)
    made = world.assign(world.user(), "Reader", world.subscription())
    feed = authz.feed("replication")
    head = feed.GetHead(pb.GetHeadRequest())
    feed.Report(pb.ReportRequest(replica_id="slow", epoch=head.epoch, revision=head.revision))
    _, call = world.owner.assignments.DeleteRoleAssignment.with_call(
        role_assignment_service_pb2.DeleteRoleAssignmentRequest(
            name=made.name, wait_for_replicas=True
        )
    )
    feed.Report(pb.ReportRequest(replica_id="slow", epoch=1, revision=1, leaving=True))
    assert dict(call.trailing_metadata())["x-lagging-replicas"] == "slow"


def test_the_feed_is_for_services_alone(authz):
    with refused(Code.UNIMPLEMENTED):
        authz.user().feed.GetHead(pb.GetHeadRequest())
