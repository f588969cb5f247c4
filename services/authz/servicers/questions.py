"""AuthorizationService: decisions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stoa.authz.v1 import check_pb2 as pb
from stoa.authz.v1 import decision_pb2

from services.authz.convert.questions import PLANES, attributes, context_of, reason
from services.authz.servicers.deciding import Decided, Deciding
from services.authz.servicers.questioning import refuse_malformed, subject_of
from services.kernel.rpc.call import Call
from services.policy.decision import Question
from services.policy.evaluation import evaluate, evaluate_all
from services.policy.index import PolicyIndex
from services.policy.model import Plane


class Decisions(Deciding):
    """Decides one question, or many at one revision."""

    def Check(self, request: pb.CheckRequest, call: Call) -> pb.CheckResponse:
        index = self._index(request.consistency)
        who = self._subject(subject_of(request), "subject", call, index)
        call.violations.raise_if_any()
        context = context_of(request.context)
        question = question_of(request, PLANES[request.plane], context)
        self._may_ask(call, index, [(who, question)])
        now = self._context.now()
        made = evaluate(index, who, question, now=now)
        refuse_malformed(made, question)
        (answer,) = self._answers(index, now, [Decided(made, who, question, context)])
        return pb.CheckResponse(decision=answer)

    def BatchCheck(self, request: pb.BatchCheckRequest, call: Call) -> pb.BatchCheckResponse:
        index, items = self._items(request, call)
        now = self._context.now()
        decided = [
            Decided(
                evaluate(index, one.who, one.question, now=now), one.who, one.question, one.context
            )
            for one in items
        ]
        answers = self._answers(index, now, decided)
        results = [
            pb.CheckResult(correlation_id=item.correlation_id, decision=answer)
            for item, answer in zip(request.items, answers, strict=True)
        ]
        return pb.BatchCheckResponse(results=results, evaluated_at=self._at(index))

    def CheckAll(self, request: pb.CheckAllRequest, call: Call) -> pb.CheckAllResponse:
        index, items = self._items(request, call)
        now = self._context.now()
        made = evaluate_all(index, [(one.who, one.question) for one in items], now=now)
        # Where all are allowed, the decision is about the target.
        item = items[0 if made.allowed else made.item]
        alone = evaluate(index, item.who, item.question, now=now)
        refuse_malformed(alone, item.question, f"items[{made.item}]")
        decided = Decided(made, item.who, item.question, item.context)
        (answer,) = self._answers(index, now, [decided], mutation=True)
        response = pb.CheckAllResponse(decision=answer)
        if not made.allowed:
            response.failed_item = made.item
            response.failed_correlation_id = request.items[made.item].correlation_id
            response.failed_reason = reason(alone.reason)
        return response

    def TestActions(self, request: pb.TestActionsRequest, call: Call) -> pb.TestActionsResponse:
        index = self._index(request.consistency)
        who = self._subject(subject_of(request), "subject", call, index)
        call.violations.raise_if_any()
        plane = PLANES[request.plane]
        context = context_of(request.context)
        questions = [
            Question(action, request.resource, plane, attributes(action, context))
            for action in request.actions
        ]
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
    ) -> tuple[PolicyIndex, list["_Item"]]:
        index = self._index(request.consistency)
        common = subject_of(request)
        refuse_repeated((item.correlation_id for item in request.items), call)
        found: list[_Item] = []
        # Most are about one subject, which is then looked up once.
        everyones: str | None = None
        for position, item in enumerate(request.items):
            own = subject_of(item)
            if own is not None:
                who = self._subject(own, f"items[{position}].subject", call, index)
            else:
                if everyones is None:
                    everyones = self._subject(common, "subject", call, index)
                who = everyones
            plane = PLANES.get(item.plane)
            if plane is None:
                call.violations.add(f"items[{position}].plane", "is not known")
                continue
            context = context_of(item.context)
            found.append(_Item(who, question_of(item, plane, context), context))
        call.violations.raise_if_any()
        self._may_ask(call, index, [(one.who, one.question) for one in found])
        return index, found


@dataclass(frozen=True, slots=True)
class _Item:
    """A question of several."""

    who: str
    question: Question
    context: dict[str, Any]


def question_of(
    asked: pb.CheckRequest | decision_pb2.CheckItem, plane: Plane, context: dict[str, Any]
) -> Question:
    """Answer the question of a request or of an item."""
    return Question(asked.action, asked.resource, plane, attributes(asked.action, context))


def refuse_repeated(ids: Iterable[str], call: Call) -> None:
    """Record correlation ids that are there twice."""
    seen: set[str] = set()
    for position, one in enumerate(ids):
        if one and one in seen:
            call.violations.add(f"items[{position}].correlation_id", "is there twice")
        seen.add(one)
