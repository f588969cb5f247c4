"""Authz over gRPC: the adapter of the ports in `authority`."""

from collections.abc import Sequence
from typing import Final

import grpc
from stoa.authz.v1 import check_pb2, consistency_pb2, decision_pb2
from stoa.authz.v1 import policy_feed_service_pb2 as feed_pb2
from stoa.authz.v1.authorization_service_pb2_grpc import AuthorizationServiceStub
from stoa.authz.v1.policy_feed_service_pb2_grpc import PolicyFeedServiceStub

from services.kernel.errors import Code, InvalidArgument
from services.kernel.rpc.remote import RemoteStatus
from services.policy import consistency
from services.policy.authority import Head, RemoteDecision, Subject
from services.policy.consistency import ConsistencyToken, LogPosition
from services.policy.decision import Question, Reason
from services.policy.fresh_head import no_answer
from services.policy.model import Plane

_PLANES: Final = {
    Plane.CONTROL: decision_pb2.PLANE_CONTROL,
    Plane.DATA: decision_pb2.PLANE_DATA,
}
_PREFIX: Final = "DECISION_REASON_"


class AuthzClient:
    """Fulfils `PolicyAuthority` for one replica of one process."""

    def __init__(
        self, feed: PolicyFeedServiceStub, questions: AuthorizationServiceStub, replica_id: str
    ) -> None:
        """`replica_id` is chosen afresh at each start of the process."""
        self._feed: Final = feed
        self._questions: Final = questions
        self._replica_id: Final = replica_id

    def head(self, timeout: float) -> Head:
        """Answer the newest position, read after this call began."""
        try:
            answer = self._feed.GetHead(feed_pb2.GetHeadRequest(), timeout=timeout)
        except grpc.RpcError:
            raise no_answer() from None
        position = LogPosition(answer.epoch, answer.revision)
        if not _is_of(position, answer.consistency_token):
            # An older head than there is would let through what was revoked since.
            raise no_answer()
        return Head(position, answer.consistency_token)

    def check_all(
        self, questions: Sequence[tuple[Subject, Question]], at_least: str, timeout: float
    ) -> RemoteDecision:
        """Decide a conjunction at one revision, not before that of the token `at_least`."""
        request = check_pb2.CheckAllRequest(items=[_item(*one) for one in questions])
        if at_least:
            request.consistency.CopyFrom(consistency_pb2.Consistency(at_least_as_fresh=at_least))
        try:
            answer = self._questions.CheckAll(request, timeout=timeout)
        except grpc.RpcError as error:
            return _not_decided(RemoteStatus.of(error))
        decision = answer.decision
        reason = _reason(decision.reason)
        # Read as strictly as it matters: what is not certainly an allowance is none.
        return RemoteDecision(
            decision.allowed and not answer.HasField("failed_item"),
            reason,
            LogPosition(decision.epoch, decision.revision),
            min(answer.failed_item, len(questions) - 1),
        )

    def report(self, position: LogPosition | None, *, leaving: bool, timeout: float) -> None:
        """Tell how far this process's replica is; None before its first snapshot."""
        told = position or LogPosition(0, 0)
        request = feed_pb2.ReportRequest(
            replica_id=self._replica_id,
            epoch=told.epoch,
            revision=told.revision,
            leaving=leaving,
        )
        try:
            self._feed.Report(request, timeout=timeout)
        except grpc.RpcError:
            raise no_answer() from None


def _is_of(position: LogPosition, token: str) -> bool:
    """Whether a token is of that position: what was read is then what was sent."""
    try:
        return ConsistencyToken.decode(token).position == position
    except InvalidArgument:
        return False


def _item(subject: Subject, question: Question) -> decision_pb2.CheckItem:
    return decision_pb2.CheckItem(
        subject=decision_pb2.Subject(tenant=subject.tenant, principal_id=subject.id),
        action=question.action,
        resource=question.scope,
        plane=_PLANES[question.plane],
    )


def _reason(number: int) -> Reason:
    """Read a reason; one that a newer authz invented is as good as none."""
    try:
        name = decision_pb2.DecisionReason.Name(number)  # type: ignore[arg-type]
        return Reason(name.removeprefix(_PREFIX))
    except ValueError:
        return Reason.NO_MATCHING_GRANT


def _not_decided(status: RemoteStatus) -> RemoteDecision:
    """Answer that the question was malformed, or raise.

    Raises:
        InvalidArgument: the consistency token is refused.
        Unavailable: anything else; no answer is never a permission.
    """
    if status.code is Code.INVALID_ARGUMENT:
        if status.reason == consistency.REASON:
            raise consistency.invalid_token("authz refuses it")
        if status.reason in {reason.value for reason in _MALFORMED}:
            return RemoteDecision(False, Reason(status.reason), LogPosition(0, 0))
    raise no_answer()


_MALFORMED: Final = (Reason.MALFORMED_RESOURCE, Reason.MALFORMED_ACTION, Reason.WILDCARD_ACTION)
