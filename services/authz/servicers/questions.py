"""AuthorizationService: decisions."""

from collections.abc import Iterable

from stoa.authz.v1 import check_pb2 as pb
from stoa.authz.v1 import decision_pb2

from services.authz.convert.questions import PLANES, attributes, decision, reason
from services.authz.servicers.questioning import Questioning, refuse_malformed, subject_of
from services.kernel.ids import new_uid
from services.kernel.rpc.call import Call
from services.policy.decision import Decision, Question
from services.policy.evaluation import evaluate, evaluate_all
from services.policy.index import PolicyIndex
from services.policy.model import Plane


class Decisions(Questioning):
    """Decides one question, or many at one revision."""

    def Check(self, request: pb.CheckRequest, call: Call) -> pb.CheckResponse:
        index = self._index(request.consistency)
        who = self._subject(subject_of(request), "subject", call, index)
        call.violations.raise_if_any()
        question = _question(request.action, request, PLANES[request.plane])
        self._may_ask(call, index, [(who, question)])
        made = evaluate(index, who, question, now=self._context.now())
        refuse_malformed(made, question)
        return pb.CheckResponse(decision=self._decision(made, index))

    def BatchCheck(self, request: pb.BatchCheckRequest, call: Call) -> pb.BatchCheckResponse:
        index, items = self._items(request, call)
        now = self._context.now()
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
        now = self._context.now()
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
        index = self._index(request.consistency)
        who = self._subject(subject_of(request), "subject", call, index)
        call.violations.raise_if_any()
        plane = PLANES[request.plane]
        questions = [_question(action, request, plane) for action in request.actions]
        self._may_ask(call, index, [(who, questions[0])])
        now = self._context.now()
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
        index = self._index(request.consistency)
        common = subject_of(request)
        refuse_repeated((item.correlation_id for item in request.items), call)
        found: list[tuple[str, Question]] = []
        for position, item in enumerate(request.items):
            asked = subject_of(item) or common
            field = f"items[{position}].subject" if item.HasField("subject") else "subject"
            who = self._subject(asked, field, call, index)
            plane = PLANES.get(item.plane)
            if plane is None:
                call.violations.add(f"items[{position}].plane", "is not known")
                continue
            found.append((who, _question(item.action, item, plane)))
        call.violations.raise_if_any()
        self._may_ask(call, index, found)
        return index, found

    def _decision(self, made: Decision, index: PolicyIndex) -> decision_pb2.Decision:
        return decision(made, new_uid(), self._at(index), index.epoch)


def _question(
    action: str,
    asked: pb.CheckRequest | pb.TestActionsRequest | decision_pb2.CheckItem,
    plane: Plane,
) -> Question:
    return Question(action, asked.resource, plane, attributes(action, asked.context))


def refuse_repeated(ids: Iterable[str], call: Call) -> None:
    """Record correlation ids that are there twice."""
    seen: set[str] = set()
    for position, one in enumerate(ids):
        if one and one in seen:
            call.violations.add(f"items[{position}].correlation_id", "is there twice")
        seen.add(one)
