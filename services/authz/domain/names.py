"""Names of what authz keeps, and what a scope says of itself."""

from collections.abc import Mapping
from typing import Final

from services.kernel import names
from services.kernel.names import ROOT, Pattern
from services.policy.model import PrincipalKind

TENANT: Final = Pattern("tenants/{tenant}")
MANAGEMENT_GROUP: Final = Pattern("tenants/{tenant}/managementGroups/{management_group}")
SUBSCRIPTION: Final = Pattern("subscriptions/{subscription}")
PRINCIPAL: Final = Pattern(
    "tenants/{tenant}/users/{user}",
    "tenants/{tenant}/groups/{group}",
    "tenants/{tenant}/servicePrincipals/{service_principal}",
)
ROLE_DEFINITION: Final = Pattern("roleDefinitions/{role_definition}")
# Where a custom role may be assignable.
ASSIGNABLE: Final = Pattern(
    "tenants/{tenant}",
    "tenants/{tenant}/managementGroups/{management_group}",
    "subscriptions/{subscription}",
    "subscriptions/{subscription}/resourceGroups/{resource_group}",
)
GALLERY: Final = Pattern(
    "subscriptions/{subscription}/resourceGroups/{resource_group}/galleries/{gallery}"
)

COLLECTIONS: Final[Mapping[PrincipalKind, str]] = {
    PrincipalKind.USER: "users",
    PrincipalKind.GROUP: "groups",
    PrincipalKind.SERVICE_PRINCIPAL: "servicePrincipals",
}


def root_of(tenant: str) -> str:
    """Answer the name of a tenant's root management group."""
    return f"{tenant}/managementGroups/{tenant.rpartition('/')[2]}"


def is_root(management_group: str) -> bool:
    """Whether a management group is the root of its tenant."""
    parts = names.key(management_group).split("/")
    return parts[1] == parts[3]


def scoped(scope: str, collection: str, id: str) -> str:
    """Answer the name of what is assigned at a scope: `/` leaves nothing before the collection."""
    return f"{collection}/{id}" if scope == ROOT else f"{scope}/{collection}/{id}"


def subscription_of(scope: str) -> str | None:
    """Answer the key of the subscription that a scope lies in, None above subscriptions."""
    folded = names.key(scope)
    if not folded.startswith("subscriptions/"):
        return None
    return "/".join(folded.split("/")[:2])


def management_group_of(scope: str) -> str | None:
    """Answer the key of the management group that a scope is, None for anything else."""
    parts = names.key(scope).split("/")
    return "/".join(parts) if len(parts) == 4 and parts[2] == "managementgroups" else None


def is_above_subscriptions(scope: str) -> bool:
    """Whether a scope is the installation, a tenant or a management group."""
    return subscription_of(scope) is None and not names.key(scope).startswith("regions/")
