"""An explanation in words: which role where through which group, or what is missing."""

from collections.abc import Iterator
from functools import cache
from typing import Final

import grpc
from stoa.authz.v1 import access_pb2, decision_pb2
from stoa.authz.v1 import explanation_pb2 as pb
from stoa.authz.v1 import role_definition_service_pb2 as definitions
from stoa.authz.v1.role_definition_service_pb2_grpc import RoleDefinitionServiceStub

from cli.invocation import current
from cli.verbs.asking import questions

_ASSIGN: Final = "Microsoft.Authorization/roleAssignments/write"
_ASSIGNMENT: Final = pb.ExplainedAssignment
_DENY: Final = pb.ExplainedDeny
_GRANTORS: Final = 5
# Why what is held does not count, in the words that follow what is held.
_REASONS: Final = {
    decision_pb2.DECISION_REASON_ACTION_NOT_IN_ROLE: "it does not have the action",
    decision_pb2.DECISION_REASON_ELIGIBLE_NOT_ACTIVE: "it is not activated",
    decision_pb2.DECISION_REASON_NOT_YET_ACTIVE: "it begins later",
    decision_pb2.DECISION_REASON_EXPIRED: "it has ended",
    decision_pb2.DECISION_REASON_CONDITION_FALSE: "its condition does not hold",
    decision_pb2.DECISION_REASON_CONDITION_UNSUPPORTED: "its condition is not understood",
}
_SHARED: Final = {
    decision_pb2.DECISION_REASON_SHARED_SUBSCRIPTION: "is shared with the subscription",
    decision_pb2.DECISION_REASON_SHARED_TENANT: "is shared with the tenant of the subscription",
    decision_pb2.DECISION_REASON_COMMUNITY: "is open to the community",
    decision_pb2.DECISION_REASON_NOT_SHARED: "is not shared with the subscription, or is not there",
}
_LINKED: Final = frozenset(
    {
        decision_pb2.DECISION_REASON_LINKED_SOURCE_DENIED,
        decision_pb2.DECISION_REASON_LINKED_SOURCE_DENY_ASSIGNMENT,
    }
)


def lines(found: pb.ExplainResponse) -> Iterator[str]:
    """Tell an explanation line by line."""
    allowed = found.decision.allowed
    who = found.subject.principal_id or "Somebody unknown"
    may = "may" if allowed else "may not"
    yield f"{'Yes' if allowed else 'No'}: {who} {may} {found.action} at {found.resource}."
    if found.decision.reason in _LINKED:
        yield "It was asked for as a source of something else."
    yield from _denials(found)
    yield from _grants(found)
    yield from _sharing(found)
    yield from _hidden(found)
    if not allowed:
        yield from _missing(found)
    yield f"Decision {found.decision.decision_id}, at revision {found.decision.revision}."


def _denials(found: pb.ExplainResponse) -> Iterator[str]:
    for one in found.denials:
        if one.state == _DENY.STATE_DENIED:
            yield (
                f"  Forbidden by {one.deny_assignment.rpartition('/')[2]} at {one.scope} "
                f"({one.matched_action}), whatever roles say."
            )
        elif one.state == _DENY.STATE_EXCLUDED:
            yield f"  Left out of what is forbidden at {one.scope}."


def _grants(found: pb.ExplainResponse) -> Iterator[str]:
    shown = [
        one
        for one in (*found.assignments, *found.eligible_assignments)
        if one.state != _ASSIGNMENT.STATE_UNKNOWN_INFO_DENIED
    ]
    for one in shown:
        held = f"{_role(one.role)} at {one.scope}{_through(found, one.principal)}"
        if one.state == _ASSIGNMENT.STATE_GRANTED:
            yield f"  Allowed by {held}."
            continue
        why = _REASONS.get(one.reason, "it does not count")
        if one.state == _ASSIGNMENT.STATE_UNKNOWN_CONDITIONAL:
            why = "whether its condition holds depends on what is asked for"
        elif one.matched_not_action:
            why = f"it leaves the action out ({one.matched_not_action})"
        yield f"  {held}: {why}."
        if one.reason == decision_pb2.DECISION_REASON_ELIGIBLE_NOT_ACTIVE:
            yield f"    Activate it: stoa role eligible activate --ids {one.assignment}"
        if one.condition:
            yield f"    Condition: {one.condition}"
    hidden = len(found.assignments) + len(found.eligible_assignments) - len(shown)
    if not shown and not hidden:
        yield "  Nothing is held there or above."


def _through(found: pb.ExplainResponse, principal: str) -> str:
    """Tell of the groups between the subject and what holds a role."""
    for one in found.groups:
        if one.group == principal:
            way = [*one.path, one.group]
            return " through " + " in ".join(group.rpartition("/")[2] for group in way)
    return ""


def _sharing(found: pb.ExplainResponse) -> Iterator[str]:
    if not found.HasField("sharing"):
        return
    sharing = found.sharing
    if not sharing.consumer_allowed:
        yield f"  The action is not held in {sharing.subscription}."
    told = _SHARED.get(sharing.reason)
    if told is not None:
        yield f"  The gallery {told}."


def _hidden(found: pb.ExplainResponse) -> Iterator[str]:
    count = sum(
        one.state == _ASSIGNMENT.STATE_UNKNOWN_INFO_DENIED
        for one in (*found.assignments, *found.eligible_assignments)
    )
    count += sum(one.state == _DENY.STATE_UNKNOWN_INFO_DENIED for one in found.denials)
    if count:
        what = "one assignment" if count == 1 else f"{count} assignments"
        yield f"  Not shown: {what} at scopes where you may not read them."


def _missing(found: pb.ExplainResponse) -> Iterator[str]:
    if not found.suggested_roles:
        return
    roles = ", ".join(map(_role, found.suggested_roles))
    yield f"Missing: a role with the action, such as {roles}."
    grantors = _grantors(found.resource)
    if grantors:
        yield f"Who could give it: {', '.join(grantors)}."
    else:
        yield "Who could give it is told to those who may read role assignments there."


def _grantors(resource: str) -> list[str]:
    """Answer some of those who may give roles at a resource; none where that is not told."""
    request = access_pb2.ListSubjectsRequest(resource=resource, action=_ASSIGN, page_size=_GRANTORS)
    try:
        found = questions().ListSubjects(request).subject_accesses
    except grpc.RpcError:
        # It is said besides; what was asked for has been answered.
        return []
    names = (one.principal for one in found if one.principal)
    return [f"{'/'.join(name.split('/')[2:])}" for name in dict.fromkeys(names)]


@cache
def _role(name: str) -> str:
    """What people call a role; its id where it may not be read."""
    stub = current().connection.stub("authz", RoleDefinitionServiceStub)
    try:
        request = definitions.GetRoleDefinitionRequest(name=name)
        return str(stub.GetRoleDefinition(request).role_name)
    except grpc.RpcError:
        return name.rpartition("/")[2]
