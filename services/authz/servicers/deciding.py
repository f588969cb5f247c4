"""Decisions with an id, kept so that they can be explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stoa.authz.v1 import decision_pb2

from services.authz.convert.questions import decision
from services.authz.domain.decisions import MadeDecision
from services.authz.ports.audit import DecisionStore
from services.authz.servicers.questioning import History, Questioning
from services.authz.servicers.writing import Context
from services.kernel.ids import new_uid
from services.policy.decision import Decision, Question
from services.policy.index import PolicyIndex

# One in so many allowances of reads is kept.
_SAMPLED: Final = 64


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with the question that decided it, and what conditions were shown."""

    made: Decision
    who: str
    question: Question
    context: Mapping[str, Any]


class Deciding(Questioning):
    """Gives decisions their ids, and keeps denials, allowances of mutations, and some others."""

    def __init__(self, context: Context, history: History, decisions: DecisionStore) -> None:
        super().__init__(context, history)
        self._decisions: Final = decisions

    def _answers(
        self,
        index: PolicyIndex,
        now: datetime,
        decided: Sequence[Decided],
        *,
        mutation: bool = False,
    ) -> list[decision_pb2.Decision]:
        """Answer decisions made at `now`; those of `mutation` are kept whatever they say."""
        token = self._at(index)
        answers: list[decision_pb2.Decision] = []
        kept: list[MadeDecision] = []
        for one in decided:
            made, decision_id = one.made, new_uid()
            answers.append(decision(made, decision_id, token, index.epoch))
            if made.invalid:
                continue
            if mutation or not made.allowed or int(decision_id[:8], 16) % _SAMPLED == 0:
                kept.append(_record(one, decision_id, index.epoch, now))
        if kept:
            self._decisions.record(kept)
        return answers


def _record(one: Decided, decision_id: str, epoch: int, now: datetime) -> MadeDecision:
    return MadeDecision(
        id=decision_id,
        subject=one.who,
        action=one.question.action,
        resource=one.question.scope,
        plane=one.question.plane,
        context=one.context,
        allowed=one.made.allowed,
        reason=one.made.reason.value,
        epoch=epoch,
        revision=one.made.revision,
        time=now,
    )
