"""Forbidding actions, whatever roles say."""

import uuid
from dataclasses import dataclass

from services.authz.domain.names import PRINCIPAL, scoped
from services.authz.domain.records import DenyAssignment
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.finding import found, require_parent
from services.authz.usecases.limits import Limits, refuse_at_limit
from services.authz.usecases.role_assignments import principal_found
from services.kernel.errors import AlreadyExists
from services.kernel.etag import etag_of, require_match
from services.kernel.ids import new_uid
from services.kernel.names import Name, key
from services.kernel.violations import Violations
from services.policy.model import Permissions

TYPE = "DenyAssignment"


@dataclass(frozen=True, slots=True)
class NewDenyAssignment:
    """What is asked for; the id is made where it is empty."""

    scope: str
    display_name: str
    permissions: tuple[Permissions, ...]
    id: str = ""
    description: str = ""
    principals: tuple[str, ...] = ()
    everyone: bool = False
    exclude_principals: tuple[str, ...] = ()
    do_not_apply_to_child_scopes: bool = False
    creator: str = ""


def create(
    unit: Unit, new: NewDenyAssignment, limits: Limits, violations: Violations
) -> DenyAssignment:
    """Forbid actions to principals at a scope.

    Raises:
        InvalidArgument: a name cannot be read, with everything else that is wrong.
        NotFound: the scope, or a principal, is not there.
        AlreadyExists: RESOURCE_EXISTS.
        ResourceExhausted: too many deny assignments.
    """
    facts = unit.facts
    named = _names(new.principals, "deny_assignment.principals", violations)
    excluded = _names(new.exclude_principals, "deny_assignment.exclude_principals", violations)
    violations.raise_if_any()
    require_parent(facts, new.scope)
    made = DenyAssignment(
        name=scoped(new.scope, "denyAssignments", new.id or str(uuid.uuid4())),
        scope=new.scope,
        display_name=new.display_name,
        permissions=new.permissions,
        uid=new_uid(),
        create_time=unit.now,
        description=new.description,
        principals=tuple(principal_found(facts, one.key, one.text).name for one in named),
        everyone=new.everyone,
        exclude_principals=tuple(
            principal_found(facts, one.key, one.text).name for one in excluded
        ),
        do_not_apply_to_child_scopes=new.do_not_apply_to_child_scopes,
        creator=new.creator,
    )
    if facts.deny_assignment(made.key) is not None:
        raise AlreadyExists.of(f"stoa.dev/{TYPE}", made.name)
    refuse_at_limit(
        new.scope,
        limits.deny_assignments,
        facts.count_deny_assignments,
        reason="DENY_ASSIGNMENT_LIMIT_EXCEEDED",
        what="deny assignments",
    )
    unit.put(made)
    return made


def get(facts: Facts, name: str) -> DenyAssignment:
    """Answer one deny assignment.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    return found(facts.deny_assignment(key(name)), TYPE, name)


def delete(unit: Unit, name: str, etag: str) -> None:
    """Delete a deny assignment; what roles permit is permitted again.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
    """
    record = get(unit.facts, name)
    require_match(etag, record.version, uid=record.uid, resource=record.name)
    unit.remove(record)


def etag(record: DenyAssignment) -> str:
    """Answer the etag; the deletion of a principal that it names changes it."""
    return etag_of(record.version, record.uid)


def _names(texts: tuple[str, ...], field: str, violations: Violations) -> list[Name]:
    names: dict[str, Name] = {}
    for position, text in enumerate(texts):
        with violations.collect():
            name = PRINCIPAL.parse(text, field=f"{field}[{position}]")
            if name.key in names:
                violations.add(f"{field}[{position}]", "is there twice")
            names[name.key] = name
    return list(names.values())
