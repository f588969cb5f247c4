"""The trace of a decision as the contract spells it, less what the reader may not see."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from stoa.authz.v1 import decision_pb2
from stoa.authz.v1 import explanation_pb2 as pb

from services.authz.convert.questions import PLANES, reason
from services.kernel.names import key, prefixes
from services.policy.decision import Question, Reason
from services.policy.model import EligibleAssignment
from services.policy.trace import ConsideredDeny, ConsideredGrant, DenyState, Trace

_PLANES: Final = {
    plane: number for number, plane in PLANES.items() if number != decision_pb2.PLANE_UNSPECIFIED
}
_CONDITIONAL: Final = frozenset(
    {Reason.ROLE_ASSIGNMENT, Reason.CONDITION_FALSE, Reason.CONDITION_UNSUPPORTED}
)
_DENY_STATES: Final = {one: pb.ExplainedDeny.State.Value(f"STATE_{one.value}") for one in DenyState}


@dataclass(frozen=True, slots=True)
class Reader:
    """What the reader of a trace may see: assignments of each kind, by the key of their scope.

    Who is eligible for something may see that, wherever it lies.
    """

    assignments: Callable[[str], bool]
    eligible: Callable[[str], bool]
    denies: Callable[[str], bool]
    identities: frozenset[str]

    def sees(self, one: ConsideredGrant) -> bool:
        """Whether the reader may see a role or eligible assignment."""
        if isinstance(one.held, EligibleAssignment):
            return one.held.principal in self.identities or self.eligible(one.held.scope)
        return self.assignments(one.held.scope)


def keys_of(found: Trace) -> set[str]:
    """Answer the keys of which a trace shows the names."""
    keys = set(found.scopes)
    for one in (*found.assignments, *found.eligible):
        keys |= {one.held.name, one.held.scope, one.held.principal, _role(one.held.role)}
    for deny in found.denies:
        keys |= {deny.deny.name, deny.deny.scope}
    for group, way in found.groups.items():
        keys |= {group, *way}
    if found.sharing is not None:
        keys.add(found.sharing.view.consumer)
    return keys


def explanation(
    found: Trace, question: Question, reader: Reader, spelling: Callable[[str], str]
) -> pb.ExplainResponse:
    """Answer a trace; whoever calls adds the decision and whom it is about."""
    own = {key(one): one for one in prefixes(question.scope)}
    response = pb.ExplainResponse(
        action=question.action,
        resource=question.scope,
        plane=_PLANES[question.plane],
        scopes=[own.get(one) or spelling(one) for one in found.scopes],
        groups=_groups(found, reader, spelling),
        denials=[_deny(one, reader, spelling) for one in found.denies],
        assignments=[_grant(one, reader, spelling) for one in found.assignments],
        eligible_assignments=[_grant(one, reader, spelling) for one in found.eligible],
        suggested_roles=[f"roleDefinitions/{one.id}" for one in found.suggested_roles],
    )
    sharing = found.sharing
    if sharing is not None:
        consumer = sharing.view.consumer
        response.sharing.subscription = own.get(consumer) or spelling(consumer)
        response.sharing.consumer_allowed = sharing.consumer_allowed
        # Who could not see the gallery is not told whether there is one.
        if sharing.consumer_allowed or reader.assignments(consumer):
            response.sharing.reason = reason(sharing.reason)
    return response


def _groups(
    found: Trace, reader: Reader, spelling: Callable[[str], str]
) -> Iterator[pb.ExplainedGroup]:
    """Answer the groups through which something that is shown concerns the subject."""
    grants = (*found.assignments, *found.eligible)
    shown = {one.held.principal for one in grants if reader.sees(one)}
    for one in found.denies:
        if reader.denies(one.deny.scope):
            shown |= one.deny.principals | one.deny.exclude_principals
    for group, way in sorted(found.groups.items()):
        if group in shown:
            yield pb.ExplainedGroup(group=spelling(group), path=map(spelling, way))


def _grant(
    one: ConsideredGrant, reader: Reader, spelling: Callable[[str], str]
) -> pb.ExplainedAssignment:
    held = one.held
    if not reader.sees(one):
        return pb.ExplainedAssignment(state=pb.ExplainedAssignment.STATE_UNKNOWN_INFO_DENIED)
    state = pb.ExplainedAssignment.STATE_NOT_GRANTED
    if one.is_unknown:
        state = pb.ExplainedAssignment.STATE_UNKNOWN_CONDITIONAL
    elif one.reason is Reason.ROLE_ASSIGNMENT:
        state = pb.ExplainedAssignment.STATE_GRANTED
    return pb.ExplainedAssignment(
        assignment=spelling(held.name),
        scope=spelling(held.scope),
        principal=spelling(held.principal),
        role=spelling(_role(held.role)),
        state=state,
        reason=reason(one.reason),
        matched_action=one.matched_action,
        matched_not_action=one.matched_not_action,
        condition=held.condition if one.reason in _CONDITIONAL else "",
    )


def _deny(one: ConsideredDeny, reader: Reader, spelling: Callable[[str], str]) -> pb.ExplainedDeny:
    if not reader.denies(one.deny.scope):
        return pb.ExplainedDeny(state=pb.ExplainedDeny.STATE_UNKNOWN_INFO_DENIED)
    return pb.ExplainedDeny(
        deny_assignment=spelling(one.deny.name),
        scope=spelling(one.deny.scope),
        state=_DENY_STATES[one.state],
        matched_action=one.matched_action,
    )


def _role(role: str) -> str:
    return f"roledefinitions/{role}"
