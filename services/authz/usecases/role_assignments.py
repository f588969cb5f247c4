"""Giving and taking roles (authorization.md 1.5, cases 73 to 82)."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from services.authz.domain.names import (
    PRINCIPAL,
    ROLE_DEFINITION,
    is_above_subscriptions,
    management_group_of,
    scoped,
)
from services.authz.domain.owners import OWNER_ROLE
from services.authz.domain.records import Principal, RoleAssignment
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.delegation import attributes_of, check_condition
from services.authz.usecases.finding import chain_keys, found, require_parent
from services.authz.usecases.limits import Limits, refuse_at_limit
from services.authz.usecases.owners import owners_kept
from services.authz.usecases.roles import Reader
from services.kernel.errors import AlreadyExists, FailedPrecondition, NotFound
from services.kernel.etag import etag_of, require_match
from services.kernel.ids import new_uid
from services.kernel.names import key
from services.kernel.violations import Violations
from services.policy.builtin_roles import BY_ID
from services.policy.conditions import ASSIGN, UNASSIGN, Attributes
from services.policy.index import PolicyIndex
from services.policy.model import Permissions

TYPE = "RoleAssignment"


@dataclass(frozen=True, slots=True)
class NewRoleAssignment:
    """What is asked for; the id is made where it is empty."""

    scope: str
    principal: str
    role_definition: str
    id: str = ""
    description: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    condition: str = ""
    condition_version: str = ""
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of either kind, as far as assigning it goes."""

    name: str
    permissions: tuple[Permissions, ...]
    assignable_scopes: tuple[str, ...]


def create(
    unit: Unit,
    new: NewRoleAssignment,
    limits: Limits,
    violations: Violations,
    *,
    reader: Reader | None = None,
) -> RoleAssignment:
    """Give a role to a principal at a scope; without a reader the installation itself does.

    Raises:
        InvalidArgument: a name cannot be read, with everything else that is wrong.
        NotFound: the scope, the principal or the role is not there.
        AlreadyExists: the name, or the same principal, role and scope.
        FailedPrecondition: the role cannot be assigned there.
        ResourceExhausted: too many assignments.
    """
    check(new, violations)
    facts = unit.facts
    principal, role = resolve(unit, new.scope, new.principal, new.role_definition, reader=reader)
    same = facts.same_assignment(key(new.scope), principal.key, key(role.name))
    if same is not None:
        raise AlreadyExists(
            f"{principal.name} has the role at {new.scope} already",
            reason="ROLE_ASSIGNMENT_EXISTS",
            metadata={"assignment": same.name},
        )
    made = RoleAssignment(
        name=scoped(new.scope, "roleAssignments", new.id or str(uuid.uuid4())),
        scope=new.scope,
        principal=principal.name,
        principal_kind=principal.kind,
        role_definition=role.name,
        uid=new_uid(),
        create_time=unit.now,
        description=new.description,
        start_time=new.start_time,
        end_time=new.end_time,
        condition=new.condition,
        condition_version=(new.condition_version or "2.0") if new.condition else "",
        creator=new.creator,
    )
    if facts.role_assignment(made.key) is not None:
        raise AlreadyExists.of(f"stoa.dev/{TYPE}", made.name)
    refuse_too_many(facts, new.scope, limits)
    unit.put(made)
    return made


def check(new: NewRoleAssignment, violations: Violations) -> None:
    """Refuse what the request alone shows to be wrong.

    Raises:
        InvalidArgument: a name or the condition cannot be read, with everything else.
    """
    check_texts(
        "role_assignment", new.principal, new.role_definition, new.condition, violations=violations
    )
    violations.raise_if_any()


def about_new(index: PolicyIndex, new: NewRoleAssignment) -> Attributes:
    """Answer what conditions see of an assignment that is asked for."""
    return attributes_of(
        index, ASSIGN, new.scope, role=new.role_definition, principal=new.principal
    )


def about_old(facts: Facts, index: PolicyIndex, name: str) -> Attributes | None:
    """Answer what conditions see of an assignment that is to go, None where there is none."""
    record = facts.role_assignment(key(name))
    if record is None:
        return None
    return attributes_of(
        index, UNASSIGN, record.scope, role=record.role_definition, principal=record.principal
    )


def get(facts: Facts, name: str) -> RoleAssignment:
    """Answer one role assignment.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    return found(facts.role_assignment(key(name)), TYPE, name)


def delete(unit: Unit, name: str, etag: str) -> None:
    """Take a role back.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: LAST_OWNER.
    """
    record = get(unit.facts, name)
    require_match(etag, 1, uid=record.uid, resource=record.name)
    if key(record.role_definition) != OWNER_ROLE:
        unit.remove(record)
        return
    with owners_kept(unit):
        unit.remove(record)


def etag(record: RoleAssignment) -> str:
    """Answer the etag; an assignment never changes."""
    return etag_of(1, record.uid)


def check_texts(
    prefix: str, principal: str, role_definition: str, condition: str, *, violations: Violations
) -> None:
    """Record which texts of an assignment, in the field `prefix`, cannot be read."""
    with violations.collect():
        PRINCIPAL.parse(principal, field=f"{prefix}.principal")
    with violations.collect():
        ROLE_DEFINITION.parse(role_definition, field=f"{prefix}.role_definition")
    check_condition(condition, f"{prefix}.condition", violations)


def resolve(
    unit: Unit, scope: str, principal: str, role_definition: str, *, reader: Reader | None
) -> tuple[Principal, Role]:
    """Answer what an assignment names, of whichever kind it is.

    Raises:
        NotFound: the scope, the principal or the role is not there.
        FailedPrecondition: the role cannot be assigned there.
    """
    facts = unit.facts
    require_parent(facts, scope)
    holder = principal_found(facts, key(principal), principal)
    role = role_found(facts, key(role_definition), role_definition, reader)
    _refuse_outside(unit, role, scope)
    return holder, role


def refuse_too_many(facts: Facts, scope: str, limits: Limits) -> None:
    """Refuse one more role or eligible assignment at a scope.

    Raises:
        ResourceExhausted: ROLE_ASSIGNMENT_LIMIT_EXCEEDED.
    """
    refuse_at_limit(
        scope,
        limits.role_assignments,
        facts.count_role_assignments,
        reason="ROLE_ASSIGNMENT_LIMIT_EXCEEDED",
        what="role and eligible assignments",
    )


def principal_found(facts: Facts, principal_key: str, name: str) -> Principal:
    """Answer a principal that the request names.

    Raises:
        NotFound: PRINCIPAL_NOT_FOUND.
    """
    principal = facts.principal(principal_key)
    if principal is None:
        raise NotFound(
            f"{name} does not exist", reason="PRINCIPAL_NOT_FOUND", metadata={"principal": name}
        )
    return principal


def role_found(facts: Facts, role_key: str, name: str, reader: Reader | None) -> Role:
    """Answer a role, built in or custom; one that may not be read is as if it were not there.

    Raises:
        NotFound: ROLE_DEFINITION_NOT_FOUND.
    """
    built_in = BY_ID.get(role_key.rpartition("/")[2])
    if built_in is not None:
        return Role(
            f"roleDefinitions/{built_in.id}", built_in.permissions, built_in.assignable_scopes
        )
    custom = facts.role_definition(role_key)
    if custom is None or (reader is not None and not reader.reads(custom)):
        raise NotFound(
            f"{name} does not exist",
            reason="ROLE_DEFINITION_NOT_FOUND",
            metadata={"role_definition": name},
        )
    return Role(custom.name, custom.permissions, custom.assignable_scopes)


def _refuse_outside(unit: Unit, role: Role, scope: str) -> None:
    where = {"role_definition": role.name, "scope": scope}
    chain = chain_keys(unit.index, scope)
    if not any(key(one) in chain for one in role.assignable_scopes):
        raise FailedPrecondition(
            f"{role.name} cannot be assigned at {scope}",
            reason="ROLE_NOT_ASSIGNABLE",
            metadata=where,
        )
    if is_above_subscriptions(scope) and any(one.data_actions for one in role.permissions):
        at = "a management group" if management_group_of(scope) else "this scope"
        raise FailedPrecondition(
            f"{role.name} has data actions and cannot be assigned at {at}",
            reason="DATA_ACTIONS_AT_MANAGEMENT_GROUP",
            metadata=where,
        )
