"""The roles that every installation has (gallery-semantics 5.2), ids included."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.policy.model import Permissions, RoleDefinition


def _role(
    id: str, name: str, description: str, actions: tuple[str, ...], *, minus: tuple[str, ...] = ()
) -> RoleDefinition:
    return RoleDefinition(
        id=id,
        display_name=name,
        description=description,
        permissions=(Permissions(actions=actions, not_actions=minus),),
        built_in=True,
    )


def _under(prefix: str, *rest: str) -> tuple[str, ...]:
    return tuple(f"{prefix}/{one}" for one in rest)


OWNER: Final = _role(
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Owner",
    "Everything, granting access to others included.",
    ("*",),
)
CONTRIBUTOR: Final = _role(
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Contributor",
    "Everything but granting access and sharing galleries.",
    ("*",),
    minus=(
        *_under("Microsoft.Authorization", "*/Delete", "*/Write", "elevateAccess/Action"),
        *_under("Microsoft.Blueprint/blueprintAssignments", "write", "delete"),
        "Microsoft.Compute/galleries/share/action",
        *_under("Microsoft.Purview/consents", "write", "delete"),
        "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
        *_under("Microsoft.Subscription", "cancel/action", "enable/action"),
    ),
)
READER: Final = _role(
    "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Reader",
    "Reads everything, changes nothing.",
    ("*/read",),
)
USER_ACCESS_ADMINISTRATOR: Final = _role(
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "User Access Administrator",
    "Reads everything and grants access.",
    ("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
)
ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR: Final = _role(
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Role Based Access Control Administrator",
    "Reads everything and assigns roles.",
    (
        *_under("Microsoft.Authorization/roleAssignments", "write", "delete"),
        "*/read",
        "Microsoft.Support/*",
    ),
)
COMPUTE_GALLERY_SHARING_ADMIN: Final = _role(
    "1ef6a3be-d0ac-425d-8c01-acb62866290b",
    "Compute Gallery Sharing Admin",
    "Shares galleries, and nothing else.",
    ("Microsoft.Compute/galleries/share/action",),
)
COMPUTE_GALLERY_IMAGE_READER: Final = _role(
    "cf7c76d2-98a3-4358-a134-615aa78bf44d",
    "Compute Gallery Image Reader",
    "Reads image definitions and versions.",
    _under("Microsoft.Compute/galleries/images", "read", "versions/read"),
)
COMPUTE_GALLERY_ARTIFACTS_PUBLISHER: Final = _role(
    "85a2d0d9-2eba-4c9c-b355-11c2cc0788ab",
    "Compute Gallery Artifacts Publisher",
    "Publishes images from machines and disks.",
    (
        *_under(
            "Microsoft.Compute",
            "galleries/*",
            "locations/capsOperations/read",
            "locations/communityGalleries/*",
            "locations/sharedGalleries/*",
            "images/*",
            "virtualMachines/write",
            "disks/write",
        ),
        "Microsoft.Authorization/*/read",
        "Microsoft.Insights/alertRules/*",
        *_under("Microsoft.Resources", "deployments/*", "subscriptions/resourceGroups/read"),
    ),
    minus=("Microsoft.Compute/galleries/share/action",),
)
STORAGE_ACCOUNT_CONTRIBUTOR: Final = _role(
    "17d1049b-9a84-46fb-8f53-869881c3d3ab",
    "Storage Account Contributor",
    "Manages storage accounts, their keys included.",
    (
        "Microsoft.Authorization/*/read",
        *_under("Microsoft.Insights", "alertRules/*", "diagnosticSettings/*"),
        "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
        "Microsoft.ResourceHealth/availabilityStatuses/read",
        *_under("Microsoft.Resources", "deployments/*", "subscriptions/resourceGroups/read"),
        "Microsoft.Storage/storageAccounts/*",
        "Microsoft.Support/*",
    ),
)
VIRTUAL_MACHINE_CONTRIBUTOR: Final = _role(
    "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
    "Virtual Machine Contributor",
    "Manages virtual machines, not the access to them.",
    (
        "Microsoft.Authorization/*/read",
        *_under(
            "Microsoft.Compute",
            "availabilitySets/*",
            "locations/*",
            "virtualMachines/*",
            "virtualMachineScaleSets/*",
            "cloudServices/*",
            "disks/write",
            "disks/read",
            "disks/delete",
            "hostgroups/write",
            "hostgroups/hosts/write",
        ),
        "Microsoft.DevTestLab/schedules/*",
        "Microsoft.Insights/alertRules/*",
        *_under(
            "Microsoft.Network",
            "applicationGateways/backendAddressPools/join/action",
            "loadBalancers/backendAddressPools/join/action",
            "loadBalancers/inboundNatPools/join/action",
            "loadBalancers/inboundNatRules/join/action",
            "loadBalancers/probes/join/action",
            "loadBalancers/read",
            "locations/*",
            "networkInterfaces/*",
            "networkSecurityGroups/join/action",
            "networkSecurityGroups/read",
            "publicIPAddresses/join/action",
            "publicIPAddresses/read",
            "virtualNetworks/read",
            "virtualNetworks/subnets/join/action",
        ),
        *_under(
            "Microsoft.RecoveryServices",
            "locations/*",
            "Vaults/backupFabrics/backupProtectionIntent/write",
            "Vaults/backupFabrics/protectionContainers/protectedItems/*/read",
            "Vaults/backupFabrics/protectionContainers/protectedItems/read",
            "Vaults/backupFabrics/protectionContainers/protectedItems/write",
            "Vaults/backupPolicies/read",
            "Vaults/backupPolicies/write",
            "Vaults/read",
            "Vaults/usages/read",
            "Vaults/write",
        ),
        "Microsoft.ResourceHealth/availabilityStatuses/read",
        *_under("Microsoft.Resources", "deployments/*", "subscriptions/resourceGroups/read"),
        "Microsoft.SerialConsole/serialPorts/connect/action",
        "Microsoft.SqlVirtualMachine/*",
        *_under("Microsoft.Storage/storageAccounts", "listKeys/action", "read"),
        "Microsoft.Support/*",
    ),
)

#: Stoa's own, held at `/`: runs regions and the directory of all tenants, enables and
#: disables subscriptions, reads usage, and
#: may read, give and take role assignments, because a new tenant needs a first owner and a
#: tenant may lock itself out. It reads no gallery and no image: to get at a tenant's
#: resources an operator has to assign themselves a role there, which the audit log shows.
INSTALLATION_OPERATOR: Final = _role(
    "f53efd12-12e0-43d8-b76e-6557a252c5fb",
    "Installation Operator",
    "Runs regions, tenants and subscriptions of the installation; reads no tenant's images.",
    (
        "Stoa.Replication/*",
        "Stoa.Directory/*",
        "Microsoft.Authorization/*/read",
        *_under("Microsoft.Authorization/roleAssignments", "write", "delete"),
        "Microsoft.Compute/locations/usages/read",
        *_under("Microsoft.Subscription", "cancel/action", "enable/action"),
    ),
)

BUILT_IN_ROLES: Final = (
    OWNER,
    CONTRIBUTOR,
    READER,
    USER_ACCESS_ADMINISTRATOR,
    ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR,
    COMPUTE_GALLERY_SHARING_ADMIN,
    COMPUTE_GALLERY_IMAGE_READER,
    COMPUTE_GALLERY_ARTIFACTS_PUBLISHER,
    STORAGE_ACCOUNT_CONTRIBUTOR,
    VIRTUAL_MACHINE_CONTRIBUTOR,
    INSTALLATION_OPERATOR,
)
BY_ID: Final[Mapping[str, RoleDefinition]] = MappingProxyType(
    {role.id: role for role in BUILT_IN_ROLES}
)
