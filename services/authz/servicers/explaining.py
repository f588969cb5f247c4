"""AuthorizationService: how a decision comes about."""

from functools import cache
from typing import Final

from stoa.authz.v1 import decision_pb2
from stoa.authz.v1 import explanation_pb2 as pb

from services.authz.convert.explaining import Reader, explanation, keys_of
from services.authz.convert.questions import PLANES, attributes, context_of, decision
from services.authz.servicers.deciding import Decided, Deciding
from services.authz.servicers.questioning import READ_ASSIGNMENTS, refuse_malformed, subject_of
from services.authz.servicers.questions import question_of
from services.authz.usecases.spelling import Spelling
from services.kernel.errors import NotFound
from services.kernel.rpc.call import Call
from services.policy.decision import Decision, Question, Reason
from services.policy.evaluation import evaluate
from services.policy.index import PolicyIndex
from services.policy.trace import Trace, trace

_READ_ELIGIBLE: Final = "Microsoft.Authorization/roleEligibilitySchedules/read"
_READ_DENIES: Final = "Microsoft.Authorization/denyAssignments/read"


class Explanations(Deciding):
    """Traces a question, or a decision that was made before."""

    def Explain(self, request: pb.ExplainRequest, call: Call) -> pb.ExplainResponse:
        if request.WhichOneof("question") == "item":
            return self._explain_item(request, call)
        call.violations.raise_if_any()
        return self._explain_decision(request.decision_id, call)

    def _explain_item(self, request: pb.ExplainRequest, call: Call) -> pb.ExplainResponse:
        item = request.item
        index = self._index(request.consistency)
        who = self._subject(subject_of(item), "item.subject", call, index)
        if item.plane not in PLANES:
            call.violations.add("item.plane", "is not known")
        call.violations.raise_if_any()
        context = context_of(item.context)
        question = question_of(item, PLANES[item.plane], context)
        self._may_ask(call, index, [(who, question)])
        now = self._context.now()
        made = evaluate(index, who, question, now=now)
        refuse_malformed(made, question, "item")
        (answer,) = self._answers(index, now, [Decided(made, who, question, context)])
        asked = item.subject if item.HasField("subject") else _caller(call)
        found = trace(index, who, question, now=now)
        return self._response(call, found, question, answer, asked=asked)

    def _explain_decision(self, decision_id: str, call: Call) -> pb.ExplainResponse:
        """Compute the trace of a decision again, at its revision and its time."""
        made = self._decisions.find(decision_id)
        current = self._history.current()
        subject = "" if made is None else _principal(made.subject, current)
        own = self._context.control.principals_of(call.caller, current)
        if (
            made is None
            or made.epoch != current.epoch
            or not (
                call.caller.is_workload
                or (subject and subject in own)
                or self._may_read(call, made.resource)
            )
        ):
            raise _not_found(decision_id)
        index = self._exactly(made.revision, current)
        question = Question(
            made.action, made.resource, made.plane, attributes(made.action, made.context)
        )
        if evaluate(index, subject, question, now=made.time).invalid:
            # A service told of something that is no action, or no resource.
            raise _not_found(decision_id)
        found = trace(index, subject, question, now=made.time)
        # A service need not tell the reason.
        reason = Reason(made.reason) if made.reason else found.decision.reason
        recorded = Decision(made.allowed, reason, made.revision)
        answer = decision(recorded, made.id, self._at(index), made.epoch)
        return self._response(call, found, question, answer, asked=self._asked(subject))

    def _response(
        self,
        call: Call,
        found: Trace,
        question: Question,
        answer: decision_pb2.Decision,
        *,
        asked: decision_pb2.Subject | None,
    ) -> pb.ExplainResponse:
        spelling = Spelling.of(self._context.store, keys_of(found))
        response = explanation(found, question, self._reader(call), spelling)
        response.decision.CopyFrom(answer)
        if asked is not None:
            response.subject.CopyFrom(asked)
        return response

    def _reader(self, call: Call) -> Reader:
        """Answer what the caller may see of a trace, now."""

        @cache
        def may(action: str, scope: str) -> bool:
            return call.caller.is_workload or self._may_read(call, scope, action)

        current = self._history.current()
        own = self._context.control.principals_of(call.caller, current)
        return Reader(
            assignments=lambda scope: may(READ_ASSIGNMENTS, scope),
            eligible=lambda scope: may(_READ_ELIGIBLE, scope),
            denies=lambda scope: may(_READ_DENIES, scope),
            identities=frozenset().union(*map(current.directory.identities, own)),
        )

    def _asked(self, subject: str) -> decision_pb2.Subject | None:
        if not subject:
            return None
        name = Spelling.of(self._context.store, [subject])(subject)
        tenant, _, principal_id = name.rpartition("/")
        return decision_pb2.Subject(tenant=tenant.rpartition("/")[0], principal_id=principal_id)


def _not_found(decision_id: str) -> NotFound:
    return NotFound(
        "there is no such decision, or it is not the caller's to see",
        reason="DECISION_NOT_FOUND",
        metadata={"decision_id": decision_id},
    )


def _principal(subject: str, index: PolicyIndex) -> str:
    """Answer the key of a principal.

    A service whose directory did not know one yet tells of it as a user, whatever its kind.
    """
    parts = subject.split("/")
    known = index.directory.principal(parts[1], parts[3]) if len(parts) == 4 else None
    return subject if known is None else known.key


def _caller(call: Call) -> decision_pb2.Subject:
    # A token of another issuer does not say the id; whom nobody knows is called as it does.
    caller = call.caller
    own = f"tenants/{caller.tenant}/users/{caller.subject}"
    name = own if not caller.issuer else next(iter(call.access.principals), own)
    _, tenant, _, principal_id = name.split("/", 3)
    return decision_pb2.Subject(tenant=f"tenants/{tenant}", principal_id=principal_id)
