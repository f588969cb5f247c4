"""How each class of facts lies in its table, and by which keys its rows are found."""

from typing import Any, Final

from services.authz.domain import records as d
from services.authz.domain.eligibility import EligibleAssignment
from services.authz.store import tables as t
from services.authz.store.rows import Records
from services.kernel.names import key

TENANTS: Final = Records(t.TENANTS, d.Tenant, lambda one: {"key": one.key})
MANAGEMENT_GROUPS: Final = Records(
    t.MANAGEMENT_GROUPS,
    d.ManagementGroup,
    lambda one: {"key": one.key, "tenant_key": key(one.tenant), "parent_key": key(one.parent)},
)
SUBSCRIPTIONS: Final = Records(
    t.SUBSCRIPTIONS,
    d.Subscription,
    lambda one: {"key": one.key, "tenant_key": key(one.tenant), "parent_key": key(one.parent)},
)
PRINCIPALS: Final = Records(
    t.PRINCIPALS,
    d.Principal,
    lambda one: {
        "key": one.key,
        "identity": identity_of(key(one.tenant), one.name.rpartition("/")[2]),
        "tenant_key": key(one.tenant),
        "upn_key": key(one.user_principal_name) or None,
        "external_key": f"{one.issuer} {one.subject}" if one.issuer else None,
    },
)
ROLE_DEFINITIONS: Final = Records(
    t.ROLE_DEFINITIONS,
    d.RoleDefinition,
    lambda one: {
        "key": one.key,
        "tenant_key": key(one.tenant),
        "role_name_key": one.role_name.casefold(),
    },
)
ROLE_ASSIGNMENTS: Final = Records(
    t.ROLE_ASSIGNMENTS,
    d.RoleAssignment,
    lambda one: {
        "key": one.key,
        "scope_key": one.scope_key,
        "principal_key": key(one.principal),
        "role_key": key(one.role_definition),
    },
)
DENY_ASSIGNMENTS: Final = Records(
    t.DENY_ASSIGNMENTS,
    d.DenyAssignment,
    lambda one: {"key": one.key, "scope_key": one.scope_key},
)
ELIGIBLE_ASSIGNMENTS: Final = Records(
    t.ELIGIBLE_ASSIGNMENTS,
    EligibleAssignment,
    lambda one: {
        "key": one.key,
        "scope_key": one.scope_key,
        "principal_key": one.principal_key,
        "role_key": key(one.role_definition),
    },
)
SHARING_GRANTS: Final = Records(t.SHARING_GRANTS, d.SharingGrant, lambda one: {"key": one.key})

BY_CLASS: Final[dict[type, Records[Any]]] = {
    one.of: one
    for one in (
        TENANTS,
        MANAGEMENT_GROUPS,
        SUBSCRIPTIONS,
        PRINCIPALS,
        ROLE_DEFINITIONS,
        ROLE_ASSIGNMENTS,
        DENY_ASSIGNMENTS,
        ELIGIBLE_ASSIGNMENTS,
        SHARING_GRANTS,
    )
}


def identity_of(tenant_key: str, id: str) -> str:
    """Answer what an id of a principal is compared by: one of its tenant, of whatever kind."""
    return f"{tenant_key}/{key(id)}"
