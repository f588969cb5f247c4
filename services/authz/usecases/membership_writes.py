"""Who belongs to which group, and what whoever changes that must be allowed to do."""

from collections.abc import Callable, Sequence

from services.authz.domain.names import PRINCIPAL
from services.authz.domain.records import Principal
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases import principals
from services.authz.usecases.limits import Limits, exhausted
from services.authz.usecases.owners import owners_kept
from services.authz.usecases.principals import UNDENY
from services.authz.usecases.role_assignments import principal_found
from services.kernel.errors import FailedPrecondition, NotFound
from services.kernel.names import key
from services.kernel.rpc.access import Access
from services.kernel.violations import Violations
from services.policy.model import PrincipalKind

_ASSIGN = "Microsoft.Authorization/roleAssignments/write"


def add_members(
    unit: Unit,
    group_name: str,
    members: Sequence[str],
    *,
    limits: Limits,
    access: Access,
    violations: Violations,
) -> int:
    """Add principals to a group, all or none; answer how many became members.

    Raises:
        InvalidArgument: a name cannot be read.
        NotFound: RESOURCE_NOT_FOUND, PRINCIPAL_NOT_FOUND.
        PermissionDenied: the caller could not give what the group holds.
        ResourceExhausted: GROUP_MEMBER_LIMIT_EXCEEDED.
        FailedPrecondition: GROUP_NESTING_TOO_DEEP.
    """
    facts = unit.facts
    names = _member_names(members, violations)
    group = principals.get(facts, group_name, PrincipalKind.GROUP)
    found_members = [principal_found(facts, one, text) for one, text in names.items()]
    for one in found_members:
        if key(one.tenant) != key(group.tenant):
            raise principal_absent(one.name)
    for scope in sorted(_granted_through(facts, group.key)):
        access.require(_ASSIGN, scope)
    joining = [one for one in found_members if not facts.is_member(group.key, one.key)]
    if facts.count_members(group.key) + len(joining) > limits.group_members:
        raise exhausted(
            group.name,
            limits.group_members,
            reason="GROUP_MEMBER_LIMIT_EXCEEDED",
            what="direct members",
            kind="group",
        )
    unit.join(group.name, joining)
    if any(one.kind is PrincipalKind.GROUP for one in joining):
        _refuse_too_deep(facts, group, limits.group_nesting)
    return len(joining)


def remove_members(
    unit: Unit,
    group_name: str,
    members: Sequence[str],
    *,
    access: Access,
    violations: Violations,
) -> int:
    """Remove direct members from a group; answer how many ceased to be one.

    Raises:
        InvalidArgument: a name cannot be read.
        NotFound: RESOURCE_NOT_FOUND.
        PermissionDenied: the caller could not take back what is denied to the group.
        FailedPrecondition: LAST_OWNER.
    """
    facts = unit.facts
    names = _member_names(members, violations)
    group = principals.get(facts, group_name, PrincipalKind.GROUP)
    for upper in _upwards(facts, group.key):
        for deny in facts.denies_naming(upper):
            if upper in map(key, deny.principals):
                access.require(UNDENY, deny.scope)
    leaving = [text for one, text in names.items() if facts.is_member(group.key, one)]
    with owners_kept(unit):
        unit.leave(group.name, leaving)
    return len(leaving)


def principal_absent(name: str) -> NotFound:
    """Build the error for a principal that is not there."""
    return NotFound(
        f"{name} does not exist in the tenant of the group",
        reason="PRINCIPAL_NOT_FOUND",
        metadata={"principal": name},
    )


def _member_names(members: Sequence[str], violations: Violations) -> dict[str, str]:
    names: dict[str, str] = {}
    for position, text in enumerate(members):
        field = f"members[{position}]"
        with violations.collect():
            name = PRINCIPAL.parse(text, field=field)
            if name.key in names:
                violations.add(field, "is there twice")
            names[name.key] = name.text
    violations.raise_if_any()
    return names


def _upwards(facts: Facts, group_key: str) -> list[str]:
    """Answer a group and the groups that it belongs to, through others as well."""
    reached = [group_key]
    for one in reached:
        reached += [upper for upper in facts.groups_of(one) if upper not in reached]
    return reached


def _granted_through(facts: Facts, group_key: str) -> set[str]:
    """Answer the scopes at which who joins the group gains something."""
    scopes: set[str] = set()
    for upper in _upwards(facts, group_key):
        scopes |= {one.scope for one in facts.assignments_of(upper)}
        scopes |= {one.scope for one in facts.eligible_of(upper)}
        for deny in facts.denies_naming(upper):
            if upper in map(key, deny.exclude_principals):
                scopes.add(deny.scope)
    return scopes


def _refuse_too_deep(facts: Facts, group: Principal, limit: int) -> None:
    """Refuse groups that are nested deeper than `limit`, counted through this group."""
    above = _levels(group.key, facts.groups_of)
    below = _levels(
        group.key,
        lambda one: [key(m.member) for m in facts.members(one) if "/groups/" in key(m.member)],
    )
    if above + below > limit:
        raise FailedPrecondition(
            f"groups would be nested more than {limit} deep",
            reason="GROUP_NESTING_TOO_DEEP",
            metadata={"group": group.name, "limit": str(limit)},
        )


def _levels(start: str, next_of: Callable[[str], Sequence[str]]) -> int:
    """Answer how many steps lead to the farthest group; a cycle is walked once."""
    seen = {start}
    level, steps = [start], 0
    while level := list({two for one in level for two in next_of(one)} - seen):
        seen.update(level)
        steps += 1
    return steps
