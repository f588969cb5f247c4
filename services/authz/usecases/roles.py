"""Roles: the built-in ones, and those that tenants make."""

from datetime import UTC, datetime
from typing import Final

from services.authz.domain.records import RoleDefinition
from services.authz.ports import Facts
from services.authz.usecases.finding import found
from services.kernel.names import key
from services.kernel.rpc.access import Access
from services.policy import model
from services.policy.builtin_roles import BUILT_IN_ROLES, BY_ID

READ: Final = "Microsoft.Authorization/roleDefinitions/read"
# Built-in roles came with the first release; they have no times of their own.
_ALWAYS: Final = datetime(2026, 1, 1, tzinfo=UTC)


def get(facts: Facts, name: str, access: Access) -> RoleDefinition:
    """Answer a role; a custom one to those who may read it at one of its scopes.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    folded = key(name)
    built_in = BY_ID.get(folded.rpartition("/")[2])
    if built_in is not None:
        return of_built_in(built_in)
    custom = facts.role_definition(folded)
    if custom is not None and not readable(custom, access):
        custom = None
    return found(custom, "RoleDefinition", name)


def visible(facts: Facts, access: Access) -> list[RoleDefinition]:
    """Answer the built-in roles and those custom ones that may be read, by key."""
    roles = [of_built_in(one) for one in BUILT_IN_ROLES]
    roles += [one for one in facts.role_definitions() if readable(one, access)]
    return sorted(roles, key=lambda one: one.key)


def readable(role: RoleDefinition, access: Access) -> bool:
    """Whether a custom role may be read."""
    return any(access.allowed(READ, scope) for scope in role.assignable_scopes)


def of_built_in(role: model.RoleDefinition) -> RoleDefinition:
    """Answer a built-in role in the form of the others; it has no tenant."""
    return RoleDefinition(
        name=f"roleDefinitions/{role.id}",
        role_name=role.display_name,
        tenant="",
        permissions=role.permissions,
        assignable_scopes=role.assignable_scopes,
        uid=role.id.replace("-", ""),
        create_time=_ALWAYS,
        update_time=_ALWAYS,
        description=role.description,
    )
