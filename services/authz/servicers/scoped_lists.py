"""Lists of what is assigned at scopes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from stoa.authz.v1 import scope_relation_pb2

from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.records import DenyAssignment, RoleAssignment
from services.authz.servicers.asking import asked, scope_of
from services.authz.servicers.writing import Context
from services.authz.usecases.finding import chain_keys, require_parent
from services.authz.usecases.listing import NAME_TIME, ListSpec, page_of
from services.kernel.filter import Comparison, Kind
from services.kernel.names import WILDCARD, key
from services.kernel.rpc.call import Call
from services.policy.index import PolicyIndex
from services.policy.model import PrincipalKind
from services.policy.scopes import Scope

R = TypeVar("R", RoleAssignment, DenyAssignment, EligibleAssignment)

_PRINCIPAL_TYPES: Final = {
    "USER": PrincipalKind.USER.value,
    "GROUP": PrincipalKind.GROUP.value,
    "SERVICE_PRINCIPAL": PrincipalKind.SERVICE_PRINCIPAL.value,
}
ROLE_ASSIGNMENTS: Final = ListSpec(
    RoleAssignment,
    {
        "principal": Kind.STRING,
        "principal_type": frozenset(_PRINCIPAL_TYPES),
        "role_definition": Kind.STRING,
        "assigned_to": Kind.STRING,
    },
    NAME_TIME,
    {"principal_type": _PRINCIPAL_TYPES},
)
ELIGIBLE_ASSIGNMENTS: Final = ListSpec(
    EligibleAssignment,
    ROLE_ASSIGNMENTS.fields,
    NAME_TIME,
    {"principal_type": _PRINCIPAL_TYPES},
)
DENY_ASSIGNMENTS: Final = ListSpec(
    DenyAssignment,
    {
        "display_name": Kind.STRING,
        "everyone": Kind.BOOLEAN,
        "principals": Kind.STRING,
        "exclude_principals": Kind.STRING,
    },
    NAME_TIME,
)


@dataclass(frozen=True, slots=True)
class Own(Generic[R]):
    """What callers without the action may list all the same: what is for these principals."""

    principals: frozenset[str]
    includes: Callable[[R], bool]


def list_at_scope(  # noqa: PLR0917 - the parts of one call
    context: Context,
    call: Call,
    request: Any,
    spec: ListSpec[R],
    action: str,
    *,
    own: Own[R] | None = None,
) -> tuple[list[R], str]:
    """Answer a page of what is assigned at, above or below the scope of the call.

    The call has been authorized where `own` is None; else it is here.
    """
    scope = scope_of(call)
    wild = call.scope is not None and call.scope.has_wildcard
    relation = request.relation or scope_relation_pb2.SCOPE_RELATION_AT
    at = scope_relation_pb2.SCOPE_RELATION_AT
    if wild and relation != at:
        call.violations.add("relation", "must be absent or AT where the parent has '-'")
    index = context.current()
    among: tuple[tuple[str, tuple[str, ...]], ...] = ()
    below: tuple[str, ...] = ()
    if relation == scope_relation_pb2.SCOPE_RELATION_AT_AND_BELOW:
        below = scopes_below(index, scope)
    elif relation == scope_relation_pb2.SCOPE_RELATION_AT_AND_ABOVE:
        among = (("scope_key", chain_keys(index, scope)),)
    elif not wild:
        among = (("scope_key", (key(scope),)),)
    only_own = own is not None and not wild and not call.access.allowed(action, scope)
    if own is not None and only_own:
        among += (("principal_key", tuple(sorted(own.principals))),)

    def expand(comparison: Comparison) -> tuple[str, tuple[str, ...]] | None:
        if comparison.field != "assigned_to":
            return None
        held = index.directory.identities(key(str(comparison.value)))
        return "principal_key", tuple(sorted(held))

    def visible(record: R) -> bool:
        if not wild:
            return True
        return _fits(record.scope_key, key(scope)) and (
            (own is not None and own.includes(record)) or call.access.allowed(action, record.scope)
        )

    return page_of(
        context.store,
        context.tokens,
        asked(call, request, extra=str(relation)),
        spec,
        violations=call.violations,
        among=among,
        below=below,
        expand=expand,
        visible=visible,
        # Whether a scope is there is told to those who may read at it.
        check=lambda facts: None if wild or only_own else require_parent(facts, scope),
    )


def scopes_below(index: PolicyIndex, scope: str) -> tuple[str, ...]:
    """Answer the scopes whose names begin what lies at or below a scope in the hierarchy.

    Below a management group lie others and subscriptions, whose names do not begin with its.
    """
    folded = key(scope)
    directory = index.directory
    parsed = Scope.parse(scope)
    if parsed.subscription is not None or not folded.startswith("tenants/"):
        return (folded,)
    if parsed.management_group is None:
        subscriptions = (s.key for s in directory.subscriptions.values() if s.tenant == folded)
        return (folded, *sorted(subscriptions))
    groups = [folded]
    for group in groups:
        groups += [one.key for one in directory.management_groups.values() if one.parent == group]
    inside = (s.key for s in directory.subscriptions.values() if s.parent in groups)
    return (*groups, *sorted(inside))


def _fits(scope_key: str, wild: str) -> bool:
    """Whether a scope is one that a parent with `-` in it stands for."""
    parts, pattern = scope_key.split("/"), wild.split("/")
    return len(parts) == len(pattern) and all(
        two in {one, WILDCARD} for one, two in zip(parts, pattern, strict=True)
    )
