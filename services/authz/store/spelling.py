"""How names were spelled when they were written, found by their keys."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import Column, Connection, select

from services.authz.store import tables as t
from services.kernel.names import key

_BATCH: Final = 500

# By the collection that a key ends in: the columns that hold the key and the name.
_NAMED: Final[dict[str, tuple[Column[Any], Column[Any]]]] = {
    "tenants": (t.TENANTS.c.key, t.TENANTS.c.name),
    "managementgroups": (t.MANAGEMENT_GROUPS.c.key, t.MANAGEMENT_GROUPS.c.name),
    "subscriptions": (t.SUBSCRIPTIONS.c.key, t.SUBSCRIPTIONS.c.name),
    "users": (t.PRINCIPALS.c.key, t.PRINCIPALS.c.name),
    "groups": (t.PRINCIPALS.c.key, t.PRINCIPALS.c.name),
    "serviceprincipals": (t.PRINCIPALS.c.key, t.PRINCIPALS.c.name),
    "roledefinitions": (t.ROLE_DEFINITIONS.c.key, t.ROLE_DEFINITIONS.c.name),
    "roleassignments": (t.ROLE_ASSIGNMENTS.c.key, t.ROLE_ASSIGNMENTS.c.name),
    "eligibleassignments": (t.ELIGIBLE_ASSIGNMENTS.c.key, t.ELIGIBLE_ASSIGNMENTS.c.name),
    "denyassignments": (t.DENY_ASSIGNMENTS.c.key, t.DENY_ASSIGNMENTS.c.name),
}
# Other scopes belong to other services: they are known as somebody wrote them in an assignment.
_SCOPES: Final[tuple[tuple[Column[Any], Column[Any]], ...]] = (
    (t.SHARING_GRANTS.c.key, t.SHARING_GRANTS.c.gallery),
    (t.DENY_ASSIGNMENTS.c.scope_key, t.DENY_ASSIGNMENTS.c.scope),
    (t.ELIGIBLE_ASSIGNMENTS.c.scope_key, t.ELIGIBLE_ASSIGNMENTS.c.scope),
    (t.ROLE_ASSIGNMENTS.c.scope_key, t.ROLE_ASSIGNMENTS.c.scope),
)


def spelled(connection: Connection, keys: Collection[str]) -> dict[str, str]:
    """Answer the spelling of those keys that are the name or the scope of something here."""
    wanted: dict[str, list[str]] = {}
    for one in keys:
        collection = one.rpartition("/")[0].rpartition("/")[2]
        wanted.setdefault(collection if collection in _NAMED else "", []).append(one)
    found: dict[str, str] = {}
    for collection, some in wanted.items():
        for columns in (_NAMED[collection],) if collection else _SCOPES:
            found.update(_of(connection, columns, some))
    return found


def public_names(connection: Connection, galleries: Collection[str]) -> dict[str, str]:
    """Answer the ids of the views of galleries, by the key of each id."""
    c = t.SHARING_GRANTS.c
    keys = list(galleries)
    found: dict[str, str] = {}
    for begin in range(0, len(keys), _BATCH):
        some = c.key.in_(keys[begin : begin + _BATCH])
        for row in connection.execute(select(c.shared_id, c.public_name).where(some)):
            found.update({key(one): one for one in row if one})
    return found


def _of(
    connection: Connection, columns: tuple[Column[Any], Column[Any]], keys: list[str]
) -> Iterator[tuple[str, str]]:
    column, name = columns
    for begin in range(0, len(keys), _BATCH):
        some = keys[begin : begin + _BATCH]
        statement = select(column, name).where(column.in_(some)).distinct()
        for row in connection.execute(statement):
            yield row[0], row[1]
