"""Roles: the built-in ones, and those that tenants make."""

from datetime import UTC, datetime
from typing import Final

from services.authz.domain.records import RoleDefinition
from services.authz.ports.policy import Facts
from services.authz.usecases.finding import chain_keys, found
from services.kernel.names import key
from services.policy import model
from services.policy.access import LocalAccess
from services.policy.builtin_roles import BUILT_IN_ROLES, BY_ID

TYPE: Final = "RoleDefinition"
READ: Final = "Microsoft.Authorization/roleDefinitions/read"
# Built-in roles came with the first release; they have no times of their own.
_ALWAYS: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Reader:
    """Which custom roles a caller may read: those of a scope at, above or below which they may.

    Who may read roles somewhere below a scope is offered those that are made for it, for they
    can be assigned there.
    """

    def __init__(self, access: LocalAccess) -> None:
        self._access: Final = access
        self._reached: frozenset[str] | None = None

    def reads(self, role: RoleDefinition) -> bool:
        """Whether a custom role may be read."""
        scopes = role.assignable_scopes
        if any(self._access.allowed(READ, scope) for scope in scopes):
            return True
        if self._reached is None:
            self._reached = self._above_what_is_read()
        return not self._reached.isdisjoint(map(key, scopes))

    def _above_what_is_read(self) -> frozenset[str]:
        index, access = self._access.index, self._access
        groups = (one for one in index.directory.management_groups if access.allowed(READ, one))
        places = (*access.accessible(READ).allowed, *groups)
        return frozenset(one for place in places for one in chain_keys(index, place))


def get(facts: Facts, name: str, reader: Reader) -> RoleDefinition:
    """Answer a role; a custom one to those who may read it at one of its scopes, or below.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    folded = key(name)
    built_in = BY_ID.get(folded.rpartition("/")[2])
    if built_in is not None:
        return of_built_in(built_in)
    return found(custom(facts, folded, reader), TYPE, name)


def custom(facts: Facts, role_key: str, reader: Reader) -> RoleDefinition | None:
    """Answer a custom role that may be read."""
    role = facts.role_definition(role_key)
    return role if role is not None and reader.reads(role) else None


def visible(facts: Facts, reader: Reader) -> list[RoleDefinition]:
    """Answer the built-in roles and those custom ones that may be read, by key."""
    roles = [of_built_in(one) for one in BUILT_IN_ROLES]
    roles += [one for one in facts.role_definitions() if reader.reads(one)]
    return sorted(roles, key=lambda one: one.key)


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
