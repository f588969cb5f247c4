"""An authz on loopback that serves its log as the contract says, and misbehaves on demand."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from stoa.authz.v1 import (
    authorization_service_pb2_grpc,
    check_pb2,
    decision_pb2,
    policy_feed_service_pb2_grpc,
)
from stoa.authz.v1 import policy_feed_service_pb2 as pb

from services.kernel.clock import SystemClock
from services.policy.consistency import ConsistencyToken, LogPosition
from services.policy.decision import Question
from services.policy.encode import change_to_pb
from services.policy.evaluation import evaluate_all
from services.policy.index import IndexEditor, PolicyIndex, empty_index
from services.policy.model import Change
from tests.unit.policy import worlds


class AuthzServer(
    policy_feed_service_pb2_grpc.PolicyFeedServiceServicer,
    authorization_service_pb2_grpc.AuthorizationServiceServicer,
):
    """The log is `start` at revision 1 and one transaction for each `write` after it."""

    def __init__(self) -> None:
        self.epoch = 1
        self.start: tuple[Change, ...] = (*worlds.HIERARCHY, *worlds.PRINCIPALS)
        self.log: list[tuple[Change, ...]] = []
        self.held_from = 0
        self.paused = False
        self.skip: set[int] = set()
        self.repeat: set[int] = set()
        self.broken_snapshots = 0
        self.short_snapshots = 0
        self.snapshots = 0
        self.watches = 0
        self.checks: list[check_pb2.CheckAllRequest] = []
        self.refusal: status_pb2.Status | None = None
        self.answer: check_pb2.CheckAllResponse | None = None
        self.reports: list[pb.ReportRequest] = []
        self.changed = threading.Condition()
        self.ended = False
        self.generation = 0
        self.server = grpc.server(ThreadPoolExecutor(8))
        policy_feed_service_pb2_grpc.add_PolicyFeedServiceServicer_to_server(self, self.server)
        authorization_service_pb2_grpc.add_AuthorizationServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    @property
    def revision(self) -> int:
        return 1 + len(self.log)

    def token(self) -> str:
        return ConsistencyToken("here", LogPosition(self.epoch, self.revision)).encode()

    def write(self, *changes: Change) -> int:
        with self.changed:
            self.log.append(changes)
            self.changed.notify_all()
        return self.revision

    def resume(self) -> None:
        with self.changed:
            self.paused = False
            self.changed.notify_all()

    def drop_streams(self) -> None:
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    def stop(self) -> None:
        self.ended = True
        self.drop_streams()
        self.server.stop(None).wait()

    def GetHead(self, request, context):
        return pb.GetHeadResponse(
            epoch=self.epoch, revision=self.revision, consistency_token=self.token()
        )

    def Snapshot(self, request, context) -> Iterator[pb.SnapshotResponse]:
        self.snapshots += 1
        with self.changed:
            everything = [*self.start, *(change for one in self.log for change in one)]
            end = pb.SnapshotEnd(
                epoch=self.epoch,
                revision=self.revision,
                consistency_token=self.token(),
                change_count=len(everything),
            )
        first = 7 if self.snapshots <= self.short_snapshots else 0
        for place in range(first, len(everything), 7):
            chunk = pb.SnapshotChunk(changes=map(change_to_pb, everything[place : place + 7]))
            yield pb.SnapshotResponse(chunk=chunk)
        if self.snapshots > self.broken_snapshots:
            yield pb.SnapshotResponse(end=end)

    def Watch(self, request, context) -> Iterator[pb.WatchResponse]:
        self.watches += 1
        generation = self.generation
        sent = request.after_revision
        if request.epoch != self.epoch or sent < self.held_from:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "take a snapshot")
        yield self._beat(sent)
        while context.is_active() and generation == self.generation:
            with self.changed:
                if self.paused or self.revision == sent:
                    self.changed.wait(timeout=0.1)
            if self.paused or generation != self.generation:
                continue
            while sent < self.revision:
                sent += 1
                if sent in self.skip:
                    self.skip.discard(sent)
                    continue
                for _ in range(2 if sent in self.repeat else 1):
                    changes = map(change_to_pb, self.log[sent - 2])
                    yield pb.WatchResponse(
                        transaction=pb.Transaction(revision=sent, changes=changes)
                    )
            yield self._beat(sent)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the stream ends")

    def Report(self, request, context):
        with self.changed:
            self.reports.append(request)
            self.changed.notify_all()
        return pb.ReportResponse()

    def CheckAll(self, request, context):
        self.checks.append(request)
        if self.refusal is not None:
            context.abort_with_status(rpc_status.to_status(self.refusal))
        if self.answer is not None:
            return self.answer
        index = self.index()
        items = []
        for item in request.items:
            tenant = item.subject.tenant.partition("/")[2]
            found = index.directory.principal(tenant, item.subject.principal_id)
            items.append((found.key if found else "", Question(item.action, item.resource)))
        decision = evaluate_all(index, items, now=SystemClock().now())
        answer = check_pb2.CheckAllResponse(
            decision=decision_pb2.Decision(
                allowed=decision.allowed,
                reason=f"DECISION_REASON_{decision.reason.value}",  # type: ignore[arg-type]
                epoch=self.epoch,
                revision=self.revision,
            )
        )
        if not decision.allowed:
            answer.failed_item = decision.item
        return answer

    def index(self) -> PolicyIndex:
        editor = IndexEditor(empty_index(self.epoch))
        editor.apply(self.start, revision=1)
        for number, changes in enumerate(self.log, 2):
            editor.apply(changes, revision=number)
        return editor.freeze(self.revision)

    def wait_for_report(self, revision: int) -> None:
        with self.changed:
            assert self.changed.wait_for(
                lambda: any(one.revision >= revision for one in self.reports), 10
            )

    def _beat(self, sent: int) -> pb.WatchResponse:
        now = Timestamp()
        now.GetCurrentTime()
        return pb.WatchResponse(heartbeat=pb.Heartbeat(head_revision=sent, server_time=now))


def refusal(code: grpc.StatusCode, reason: str) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message="no")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="authz.stoa.dev"))
    return status
