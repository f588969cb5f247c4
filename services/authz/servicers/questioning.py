"""What all questions about access have in common: by which policy, about whom, and who asks."""

from collections.abc import Sequence
from typing import Final, Protocol

from stoa.authz.v1 import consistency_pb2, decision_pb2

from services.authz.domain.names import TENANT
from services.authz.servicers.writing import Context
from services.kernel.errors import InvalidArgument, InvalidName, OutOfRange, PermissionDenied
from services.kernel.names import fold
from services.kernel.rpc.call import Call
from services.policy.actions import KNOWN
from services.policy.consistency import LogPosition
from services.policy.decision import Decision, Question, Reason
from services.policy.index import PolicyIndex
from services.policy.model import Plane
from services.policy.scopes import Scope

READ_ASSIGNMENTS: Final = "Microsoft.Authorization/roleAssignments/read"
_METADATA: Final = {
    Reason.MALFORMED_RESOURCE: "resource",
    Reason.MALFORMED_ACTION: "action",
    Reason.WILDCARD_ACTION: "action",
}
_PROBLEMS: Final = {
    Reason.MALFORMED_RESOURCE: "is not the name of a resource, and not '/'",
    Reason.MALFORMED_ACTION: "is not an action of this installation",
    Reason.WILDCARD_ACTION: "a question is about a concrete action, without '*'",
}


class History(Protocol):
    """The policy as of now, and as of earlier revisions."""

    def current(self) -> PolicyIndex:
        """Answer the policy as of the newest commit."""

    def at(self, revision: int) -> PolicyIndex | None:
        """Answer the policy as of a revision of this epoch, None where it cannot be had."""

    def is_recent(self, revision: int) -> bool:
        """Whether a revision is among the last ones, which are held whatever happens."""

    def oldest(self) -> int:
        """Answer the oldest revision that can be had."""


class Questioning:
    """Answers by the newest policy, unless an older one is asked for."""

    def __init__(self, context: Context, history: History) -> None:
        self._context: Final = context
        self._history: Final = history

    def _index(self, asked: consistency_pb2.Consistency) -> PolicyIndex:
        """Answer the policy that a question is decided by.

        The newest one is as fresh as anybody can demand; only an exact one may be older.

        Raises:
            InvalidArgument: CONSISTENCY_TOKEN_INVALID.
            OutOfRange: SNAPSHOT_EXPIRED.
        """
        index = self._history.current()
        control = self._context.control
        match asked.WhichOneof("requirement"):
            case "at_least_as_fresh":
                control.position_of(asked.at_least_as_fresh, index)
            case "at_exact_snapshot":
                position = control.position_of(asked.at_exact_snapshot, index)
                return self._exactly(position.revision, index)
            case _:
                pass
        return index

    def _exactly(self, revision: int, index: PolicyIndex) -> PolicyIndex:
        if revision == index.revision:
            return index
        held = self._history.at(revision)
        if held is None:
            oldest = LogPosition(index.epoch, self._history.oldest())
            raise OutOfRange(
                "the policy of that revision is no longer held",
                reason="SNAPSHOT_EXPIRED",
                metadata={"oldest": self._context.store.token(oldest)},
            )
        return held

    def _subject(
        self, asked: decision_pb2.Subject | None, field: str, call: Call, index: PolicyIndex
    ) -> str:
        """Answer the key of the principal that a question is about."""
        if asked is None:
            if call.caller.is_workload:
                call.violations.add(field, "a service that asks must say about whom")
                return ""
            return self._context.control.principal_of(call.caller, index)
        try:
            tenant = TENANT.parse(asked.tenant, field=f"{field}.tenant")
        except InvalidName as error:
            call.violations.extend(error)
            return ""
        known = index.directory.principal(tenant.ids["tenant"], asked.principal_id)
        # Somebody unknown has a key that no principal has, and is not the caller.
        return known.key if known is not None else f"{tenant.key}/-/{fold(asked.principal_id)}"

    def _may_ask(
        self, call: Call, index: PolicyIndex, items: Sequence[tuple[str, Question]]
    ) -> None:
        """Refuse questions about others by whom they do not concern (authorization.md 2).

        Raises:
            PermissionDenied: the right to read assignments, at the first such resource.
        """
        if call.caller.is_workload:
            return
        own = self._context.control.principals_of(call.caller, index)
        for who, question in items:
            if who not in own:
                self._require_reading(call, question.scope)

    def _require_reading(self, call: Call, scope: str) -> None:
        """Demand the right to read assignments at a scope, now, of anybody but a service."""
        if not (call.caller.is_workload or self._may_read(call, scope)):
            raise PermissionDenied.of(READ_ASSIGNMENTS, scope)

    def _may_read(self, call: Call, scope: str, action: str = READ_ASSIGNMENTS) -> bool:
        """Whether the caller may read assignments at a scope, now."""
        try:
            parsed = Scope.parse(scope)
        except InvalidName:
            return False
        # Nothing is assigned at a view: what counts there is held in the subscription.
        at = parsed.key if parsed.view is None else parsed.view.consumer
        access = self._context.control.at(call.caller, self._history.current())
        return access.allowed(action, at)

    def _at(self, index: PolicyIndex) -> str:
        return self._context.store.token(LogPosition(index.epoch, index.revision))


def subject_of(request: object) -> decision_pb2.Subject | None:
    """Answer whom a request is about, None where it is the caller."""
    if not request.HasField("subject"):  # type: ignore[attr-defined]
        return None
    asked: decision_pb2.Subject = request.subject  # type: ignore[attr-defined]
    return asked


def refuse_malformed(made: Decision, question: Question, within: str = "") -> None:
    """Refuse a question that was none, in the field `within` of the request.

    Raises:
        InvalidArgument: MALFORMED_RESOURCE, MALFORMED_ACTION, WILDCARD_ACTION.
    """
    name = _METADATA.get(made.reason)
    if name is None:
        return
    field = f"{within}.{name}" if within else name
    raise malformed(made.reason, field, question.scope if name == "resource" else question.action)


def malformed(reason: Reason, field: str, value: str) -> InvalidArgument:
    """Build the error for a resource or an action that is none."""
    error = InvalidArgument.of(field, _PROBLEMS[reason], reason=reason.value)
    return InvalidArgument(
        error.message,
        reason=reason.value,
        metadata={_METADATA[reason]: value},
        violations=error.violations,
    )


def known_action(action: str, plane: Plane, field: str = "action") -> str:
    """Answer an action, folded.

    Raises:
        InvalidArgument: MALFORMED_ACTION, WILDCARD_ACTION.
    """
    known = KNOWN.find(action, plane)
    if known is None:
        reason = Reason.WILDCARD_ACTION if "*" in action else Reason.MALFORMED_ACTION
        raise malformed(reason, field, action)
    return known


def known_scope(text: str, field: str) -> Scope:
    """Answer a scope.

    Raises:
        InvalidArgument: MALFORMED_RESOURCE.
    """
    try:
        return Scope.parse(text)
    except InvalidName:
        raise malformed(Reason.MALFORMED_RESOURCE, field, text) from None
