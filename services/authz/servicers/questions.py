"""AuthorizationService: who may do what."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stoa.authz.v1 import check_pb2 as pb
from stoa.authz.v1 import consistency_pb2, decision_pb2

from services.authz.access import HeadAccessControl
from services.authz.convert.questions import PLANES, decision, reason
from services.authz.domain.records import TENANT
from services.kernel.clock import Clock
from services.kernel.errors import InvalidArgument, InvalidName, OutOfRange, PermissionDenied
from services.kernel.ids import new_uid
from services.kernel.names import fold
from services.kernel.rpc.call import Call
from services.policy.consistency import LogPosition
from services.policy.decision import Decision, Question, Reason
from services.policy.evaluation import evaluate, evaluate_all
from services.policy.index import PolicyIndex
from services.policy.scopes import Scope

_ASK: Final = "Microsoft.Authorization/roleAssignments/read"
_METADATA: Final = {
    Reason.MALFORMED_RESOURCE: "resource",
    Reason.MALFORMED_ACTION: "action",
    Reason.WILDCARD_ACTION: "action",
}


@dataclass(frozen=True, slots=True)
class History:
    """The policy as of now, and as of the last revisions; `oldest` is the first of those."""

    current: Callable[[], PolicyIndex]
    at: Callable[[int], PolicyIndex | None]
    oldest: Callable[[], int]


class AuthorizationServicer:
    """Answers questions by the newest policy, unless an older one is asked for."""

    def __init__(
        self,
        control: HeadAccessControl,
        history: History,
        token: Callable[[LogPosition], str],
        clock: Clock,
    ) -> None:
        self._control: Final = control
        self._history: Final = history
        self._token: Final = token
        self._clock: Final = clock

    def Check(self, request: pb.CheckRequest, call: Call) -> pb.CheckResponse:
        index = self._index(request.consistency, call)
        asked = request.subject if request.HasField("subject") else None
        who = self._subject(asked, "subject", call, index)
        call.violations.raise_if_any()
        question = Question(request.action, request.resource, PLANES[request.plane])
        self._may_ask(call, index, [(who, question)])
        made = evaluate(index, who, question, now=self._clock.now())
        refuse_malformed(made, question)
        return pb.CheckResponse(decision=self._decision(made, index))

    def BatchCheck(self, request: pb.BatchCheckRequest, call: Call) -> pb.BatchCheckResponse:
        index, items = self._items(request, call)
        now = self._clock.now()
        results = [
            pb.CheckResult(
                correlation_id=item.correlation_id,
                decision=self._decision(evaluate(index, who, question, now=now), index),
            )
            for item, (who, question) in zip(request.items, items, strict=True)
        ]
        return pb.BatchCheckResponse(results=results, evaluated_at=self._at(index))

    def CheckAll(self, request: pb.CheckAllRequest, call: Call) -> pb.CheckAllResponse:
        index, items = self._items(request, call)
        now = self._clock.now()
        made = evaluate_all(index, items, now=now)
        response = pb.CheckAllResponse(decision=self._decision(made, index))
        if made.allowed:
            return response
        who, question = items[made.item]
        alone = evaluate(index, who, question, now=now)
        refuse_malformed(alone, question, item=made.item)
        response.failed_item = made.item
        response.failed_correlation_id = request.items[made.item].correlation_id
        response.failed_reason = reason(alone.reason)
        return response

    def TestActions(self, request: pb.TestActionsRequest, call: Call) -> pb.TestActionsResponse:
        index = self._index(request.consistency, call)
        asked = request.subject if request.HasField("subject") else None
        who = self._subject(asked, "subject", call, index)
        call.violations.raise_if_any()
        plane = PLANES[request.plane]
        questions = [Question(action, request.resource, plane) for action in request.actions]
        self._may_ask(call, index, [(who, questions[0])])
        now = self._clock.now()
        allowed: list[str] = []
        for question in questions:
            made = evaluate(index, who, question, now=now)
            refuse_malformed(made, question)
            if made.allowed:
                allowed.append(question.action)
        return pb.TestActionsResponse(allowed_actions=allowed, evaluated_at=self._at(index))

    def _items(
        self, request: pb.BatchCheckRequest | pb.CheckAllRequest, call: Call
    ) -> tuple[PolicyIndex, list[tuple[str, Question]]]:
        index = self._index(request.consistency, call)
        common = request.subject if request.HasField("subject") else None
        refuse_repeated((item.correlation_id for item in request.items), call)
        found: list[tuple[str, Question]] = []
        for position, item in enumerate(request.items):
            asked = item.subject if item.HasField("subject") else common
            field = f"items[{position}].subject" if item.HasField("subject") else "subject"
            who = self._subject(asked, field, call, index)
            plane = PLANES.get(item.plane)
            if plane is None:
                call.violations.add(f"items[{position}].plane", "is not known")
                continue
            found.append((who, Question(item.action, item.resource, plane)))
        call.violations.raise_if_any()
        self._may_ask(call, index, found)
        return index, found

    def _index(self, asked: consistency_pb2.Consistency, call: Call) -> PolicyIndex:
        """Answer the policy that a question is decided by.

        The newest one is as fresh as anybody can demand; only an exact one may be older.
        """
        index = self._history.current()
        match asked.WhichOneof("requirement"):
            case "at_least_as_fresh":
                self._control.position_of(asked.at_least_as_fresh, index)
            case "at_exact_snapshot":
                position = self._control.position_of(asked.at_exact_snapshot, index)
                return self._exactly(position, index)
            case _:
                pass
        return index

    def _exactly(self, position: LogPosition, index: PolicyIndex) -> PolicyIndex:
        if position.revision == index.revision:
            return index
        held = self._history.at(position.revision)
        if held is None or held.epoch != position.epoch:
            oldest = LogPosition(index.epoch, self._history.oldest())
            raise OutOfRange(
                "the policy of that revision is no longer held",
                reason="SNAPSHOT_EXPIRED",
                metadata={"oldest": self._token(oldest)},
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
            return self._control.principal_of(call.caller, index)
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
        """Refuse questions about others by whom they do not concern (authorization.md 2)."""
        if call.caller.is_workload:
            return
        access = self._control.at(call.caller, self._history.current())
        own = self._control.principals_of(call.caller, index)
        for who, question in items:
            if who in own:
                continue
            if _malformed(question.scope) or not access.allowed(_ASK, question.scope):
                raise PermissionDenied.of(_ASK, question.scope)

    def _decision(self, made: Decision, index: PolicyIndex) -> decision_pb2.Decision:
        return decision(made, new_uid(), self._at(index), index.epoch)

    def _at(self, index: PolicyIndex) -> str:
        return self._token(LogPosition(index.epoch, index.revision))


def refuse_malformed(made: Decision, question: Question, item: int | None = None) -> None:
    """Refuse a question that was none.

    Raises:
        InvalidArgument: MALFORMED_RESOURCE, MALFORMED_ACTION, WILDCARD_ACTION.
    """
    name = _METADATA.get(made.reason)
    if name is None:
        return
    field = name if item is None else f"items[{item}].{name}"
    value = question.scope if name == "resource" else question.action
    error = InvalidArgument.of(field, _PROBLEMS[made.reason], reason=made.reason.value)
    raise InvalidArgument(
        error.message,
        reason=made.reason.value,
        metadata={name: value},
        violations=error.violations,
    )


_PROBLEMS: Final = {
    Reason.MALFORMED_RESOURCE: "is not the name of a resource, and not '/'",
    Reason.MALFORMED_ACTION: "is not an action of this installation",
    Reason.WILDCARD_ACTION: "a question is about a concrete action, without '*'",
}


def refuse_repeated(ids: Iterable[str], call: Call) -> None:
    """Record correlation ids that are there twice."""
    seen: set[str] = set()
    for position, one in enumerate(ids):
        if one and one in seen:
            call.violations.add(f"items[{position}].correlation_id", "is there twice")
        seen.add(one)


def _malformed(scope: str) -> bool:
    try:
        Scope.parse(scope)
    except InvalidName:
        return True
    return False
