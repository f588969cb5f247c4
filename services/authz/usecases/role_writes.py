"""Making, changing and deleting custom roles (authorization.md 1.5, cases 74 to 77)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.names import (
    ASSIGNABLE,
    is_above_subscriptions,
    management_group_of,
    subscription_of,
)
from services.authz.domain.records import RoleAssignment, RoleDefinition
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases import roles
from services.authz.usecases.finding import chain_keys, found, parent_not_found
from services.authz.usecases.limits import Limits, exhausted
from services.authz.usecases.roles import TYPE, Reader
from services.authz.usecases.updating import Update, admit, required, revised
from services.kernel.errors import AlreadyExists, FailedPrecondition, InvalidName
from services.kernel.etag import require_match
from services.kernel.field_mask import FieldTable
from services.kernel.ids import new_uid
from services.kernel.names import ROOT, key
from services.kernel.rpc.access import Access
from services.kernel.violations import Violations
from services.policy.builtin_roles import BUILT_IN_ROLES, BY_ID
from services.policy.index import PolicyIndex
from services.policy.model import Permissions

WRITE: Final = "Microsoft.Authorization/roleDefinitions/write"
DELETE: Final = "Microsoft.Authorization/roleDefinitions/delete"
FIELDS: Final = FieldTable(
    mutable=frozenset({"role_name", "description", "permissions", "assignable_scopes"}),
    output_only=frozenset({"type", "warnings", "tenant", "create_time", "update_time", "uid"}),
)
_REQUIRED: Final = ("role_name", "permissions", "assignable_scopes")
_SCOPES: Final = "role_definition.assignable_scopes"
_BUILT_IN_NAMES: Final = frozenset(one.display_name.casefold() for one in BUILT_IN_ROLES)


@dataclass(frozen=True, slots=True)
class NewRole:
    """What is asked for."""

    name: str
    role_name: str
    permissions: tuple[Permissions, ...]
    assignable_scopes: tuple[str, ...]
    description: str = ""


def read_scopes(scopes: Sequence[str], violations: Violations) -> tuple[str, ...]:
    """Read where a role may be assigned, spelled as names are answered.

    Raises:
        InvalidArgument: one is no such scope, is there twice, or is the second management
            group; with everything else that is wrong, since nothing can be demanded there.
    """
    read: dict[str, str] = {}
    fits = True
    for position, text in enumerate(scopes):
        field = f"{_SCOPES}[{position}]"
        try:
            name = ASSIGNABLE.parse(text, field=field)
        except InvalidName as error:
            problem = "only built-in roles have '/'" if text == ROOT else error.problem
            violations.add(field, problem)
            fits = False
            continue
        if name.key in read:
            violations.add(field, "is there twice")
            fits = False
        read[name.key] = name.text
    if sum(management_group_of(one) is not None for one in read) > 1:
        # The contract says so too, but it does not see through letter case.
        violations.add("role_definition", "assignable_scopes may hold one management group at most")
        fits = False
    if not fits:
        violations.raise_if_any()
    return tuple(read.values())


def create(
    unit: Unit, new: NewRole, limits: Limits, *, access: Access, violations: Violations
) -> RoleDefinition:
    """Make a custom role; `new.assignable_scopes` are as `read_scopes` answered them.

    Raises:
        PermissionDenied: the caller may not write roles at one of the scopes (case 76).
        InvalidArgument: everything that is wrong with the request.
        NotFound: PARENT_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS, ROLE_NAME_TAKEN.
        ResourceExhausted: ROLE_DEFINITION_LIMIT_EXCEEDED.
    """
    facts = unit.facts
    _demand(access, WRITE, new.assignable_scopes)
    required(
        "role_definition", {one: getattr(new, one) for one in _REQUIRED}, _REQUIRED, violations
    )
    violations.raise_if_any()
    tenant = _one_tenant(facts, new.assignable_scopes, "")
    made = RoleDefinition(
        name=new.name,
        role_name=new.role_name,
        tenant=tenant,
        permissions=new.permissions,
        assignable_scopes=new.assignable_scopes,
        uid=new_uid(),
        create_time=unit.now,
        update_time=unit.now,
        description=new.description,
    )
    if facts.role_definition(made.key) is not None or _built_in(made.key):
        raise AlreadyExists.of(f"stoa.dev/{TYPE}", made.name)
    _refuse_taken(facts, made)
    if facts.count_role_definitions(key(tenant)) >= limits.role_definitions:
        raise exhausted(
            tenant,
            limits.role_definitions,
            reason="ROLE_DEFINITION_LIMIT_EXCEEDED",
            what="custom roles",
            kind="tenant",
        )
    unit.put(made)
    return made


def update(
    unit: Unit, asked: Update, *, reader: Reader, access: Access, violations: Violations
) -> RoleDefinition:
    """Change a custom role; what is assigned follows at the same revision.

    Raises:
        FailedPrecondition: BUILT_IN_ROLE, ASSIGNMENT_OUTSIDE_SCOPES (case 74),
            DATA_ACTIONS_AT_MANAGEMENT_GROUP.
        NotFound: RESOURCE_NOT_FOUND, PARENT_NOT_FOUND.
        PermissionDenied: roles may not be written at a scope that it has or gets (T20).
        InvalidArgument: everything that is wrong with the request.
        Aborted: ETAG_MISMATCH.
        AlreadyExists: ROLE_NAME_TAKEN.
    """
    facts = unit.facts
    before = _custom(facts, asked.name, reader)
    changes = FIELDS.changes(asked.mask, asked.sent, {}, violations)
    scopes: tuple[str, ...] = changes.get("assignable_scopes", before.assignable_scopes)
    _demand(access, WRITE, (*before.assignable_scopes, *scopes))
    required("role_definition", changes, _REQUIRED, violations)
    admit(asked, before, violations)
    _one_tenant(facts, _added(before, scopes), before.tenant)
    after = replace(before, **changes)
    if after.role_name.casefold() != before.role_name.casefold():
        _refuse_taken(facts, after)
    _refuse_for_assignments(unit, before, after)
    return revised(unit, before, after)


def delete(unit: Unit, name: str, etag: str, *, reader: Reader, access: Access) -> None:
    """Delete a custom role that nobody has.

    Raises:
        FailedPrecondition: BUILT_IN_ROLE, ROLE_DEFINITION_IN_USE (case 75).
        NotFound: RESOURCE_NOT_FOUND.
        PermissionDenied: roles may not be deleted at one of its scopes.
        Aborted: ETAG_MISMATCH.
    """
    record = _custom(unit.facts, name, reader)
    _demand(access, DELETE, record.assignable_scopes)
    require_match(etag, record.version, uid=record.uid, resource=record.name)
    count = len(_assigned(unit.facts, record.key))
    if count:
        raise FailedPrecondition(
            f"{record.name} is assigned {count} times",
            reason="ROLE_DEFINITION_IN_USE",
            metadata={"role_definition": record.name, "assignment_count": str(count)},
        )
    unit.remove(record)


def _custom(facts: Facts, name: str, reader: Reader) -> RoleDefinition:
    """Answer a custom role; who may not read it is told the same as where there is none."""
    if _built_in(key(name)):
        raise FailedPrecondition(
            f"{name} is built in and stays as it is",
            reason="BUILT_IN_ROLE",
            metadata={"role_definition": name},
        )
    return found(roles.custom(facts, key(name), reader), TYPE, name)


def _built_in(role_key: str) -> bool:
    return role_key.rpartition("/")[2] in BY_ID


def _demand(access: Access, action: str, scopes: Iterable[str]) -> None:
    for scope in dict.fromkeys(scopes):
        access.require(action, scope)


def _added(before: RoleDefinition, scopes: tuple[str, ...]) -> list[str]:
    # A scope that is gone since may stay: who narrows a role must not fail by that.
    known = set(map(key, before.assignable_scopes))
    return [one for one in scopes if key(one) not in known]


def _one_tenant(facts: Facts, scopes: Iterable[str], tenant: str) -> str:
    """Answer the tenant that all scopes lie in, `tenant` where that is known.

    Raises:
        NotFound: PARENT_NOT_FOUND.
        InvalidArgument: they lie in several.
    """
    violations = Violations()
    for scope in scopes:
        own = _tenant_of(facts, scope)
        tenant = tenant or own
        if key(own) != key(tenant):
            violations.add(_SCOPES, f"{scope} lies in another tenant than the role")
    violations.raise_if_any()
    return tenant


def _tenant_of(facts: Facts, scope: str) -> str:
    subscription = subscription_of(scope)
    if subscription is not None:
        found_subscription = facts.subscription(subscription)
        if found_subscription is not None:
            return found_subscription.tenant
    elif (group := management_group_of(scope)) is not None:
        found_group = facts.management_group(group)
        if found_group is not None:
            return found_group.tenant
    else:
        found_tenant = facts.tenant(key(scope))
        if found_tenant is not None:
            return found_tenant.name
    raise parent_not_found(scope)


def _refuse_taken(facts: Facts, role: RoleDefinition) -> None:
    same = facts.role_called(key(role.tenant), role.role_name)
    if same is not None or role.role_name.casefold() in _BUILT_IN_NAMES:
        raise AlreadyExists(
            f"a role is called {role.role_name} already",
            reason="ROLE_NAME_TAKEN",
            metadata={"role_name": role.role_name},
        )


def _refuse_for_assignments(unit: Unit, before: RoleDefinition, after: RoleDefinition) -> None:
    """Refuse what the assignments of the role could not have been given with."""
    violations = Violations()
    gains_data = _has_data_actions(after) and not _has_data_actions(before)
    narrows = after.assignable_scopes != before.assignable_scopes
    if not (gains_data or narrows):
        return
    assigned = _assigned(unit.facts, after.key)
    if narrows:
        outside = _outside(unit.index, assigned, after.assignable_scopes)
        if outside:
            violations.precondition(
                "ASSIGNMENT_OUTSIDE_SCOPES",
                after.name,
                f"{outside} assignments would lie outside the scopes of {after.name}",
                reason="ASSIGNMENT_OUTSIDE_SCOPES",
                metadata={"role_definition": after.name, "assignment_count": str(outside)},
            )
    if gains_data:
        for scope in sorted({one.scope for one in assigned if is_above_subscriptions(one.scope)}):
            violations.precondition(
                "DATA_ACTIONS_AT_MANAGEMENT_GROUP",
                scope,
                f"{after.name} is assigned at {scope}, where none with data actions can be",
                reason="DATA_ACTIONS_AT_MANAGEMENT_GROUP",
                metadata={"role_definition": after.name, "scope": scope},
            )
    violations.raise_if_any()


def _assigned(facts: Facts, role_key: str) -> list[RoleAssignment | EligibleAssignment]:
    return [*facts.assignments_of_role(role_key), *facts.eligible_of_role(role_key)]


def _outside(
    index: PolicyIndex,
    assigned: Iterable[RoleAssignment | EligibleAssignment],
    scopes: Iterable[str],
) -> int:
    inside = set(map(key, scopes))
    return sum(inside.isdisjoint(chain_keys(index, one.scope)) for one in assigned)


def _has_data_actions(role: RoleDefinition) -> bool:
    return any(one.data_actions for one in role.permissions)
