"""The built-in roles, word for word (gallery-semantics 5.2), as an administrator reads them."""

from collections.abc import Mapping, Sequence
from typing import Final

import pytest
from stoa.authz.v1 import role_definition_pb2
from stoa.authz.v1 import role_definition_service_pb2 as pb

from tests.wire.authz.installation import World

AUTHORIZATION: Final = "Microsoft.Authorization"
COMPUTE: Final = "Microsoft.Compute"
EVERYDAY: Final = (
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)
NETWORK: Final = (
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
)
RECOVERY: Final = (
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
)
IDS: Final = {
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Compute Gallery Sharing Admin": "1ef6a3be-d0ac-425d-8c01-acb62866290b",
    "Compute Gallery Image Reader": "cf7c76d2-98a3-4358-a134-615aa78bf44d",
    "Compute Gallery Artifacts Publisher": "85a2d0d9-2eba-4c9c-b355-11c2cc0788ab",
    "Storage Account Contributor": "17d1049b-9a84-46fb-8f53-869881c3d3ab",
    "Virtual Machine Contributor": "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
}
ACTIONS: Final[Mapping[str, Sequence[str]]] = {
    "Owner": ["*"],
    "Contributor": ["*"],
    "Reader": ["*/read"],
    "User Access Administrator": ["*/read", f"{AUTHORIZATION}/*", "Microsoft.Support/*"],
    "Role Based Access Control Administrator": [
        f"{AUTHORIZATION}/roleAssignments/write",
        f"{AUTHORIZATION}/roleAssignments/delete",
        "*/read",
        "Microsoft.Support/*",
    ],
    "Compute Gallery Sharing Admin": [f"{COMPUTE}/galleries/share/action"],
    "Compute Gallery Image Reader": [
        f"{COMPUTE}/galleries/images/read",
        f"{COMPUTE}/galleries/images/versions/read",
    ],
    "Compute Gallery Artifacts Publisher": [
        f"{COMPUTE}/galleries/*",
        f"{COMPUTE}/locations/capsOperations/read",
        f"{COMPUTE}/locations/communityGalleries/*",
        f"{COMPUTE}/locations/sharedGalleries/*",
        f"{COMPUTE}/images/*",
        f"{COMPUTE}/virtualMachines/write",
        f"{COMPUTE}/disks/write",
        f"{AUTHORIZATION}/*/read",
        *EVERYDAY,
    ],
    "Storage Account Contributor": [
        f"{AUTHORIZATION}/*/read",
        *EVERYDAY,
        "Microsoft.Insights/diagnosticSettings/*",
        "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
        "Microsoft.ResourceHealth/availabilityStatuses/read",
        "Microsoft.Storage/storageAccounts/*",
        "Microsoft.Support/*",
    ],
    "Virtual Machine Contributor": [
        f"{AUTHORIZATION}/*/read",
        f"{COMPUTE}/availabilitySets/*",
        f"{COMPUTE}/locations/*",
        f"{COMPUTE}/virtualMachines/*",
        f"{COMPUTE}/virtualMachineScaleSets/*",
        f"{COMPUTE}/cloudServices/*",
        f"{COMPUTE}/disks/write",
        f"{COMPUTE}/disks/read",
        f"{COMPUTE}/disks/delete",
        f"{COMPUTE}/hostgroups/write",
        f"{COMPUTE}/hostgroups/hosts/write",
        "Microsoft.DevTestLab/schedules/*",
        *EVERYDAY,
        *(f"Microsoft.Network/{one}" for one in NETWORK),
        *(f"Microsoft.RecoveryServices/{one}" for one in RECOVERY),
        "Microsoft.ResourceHealth/availabilityStatuses/read",
        "Microsoft.SerialConsole/serialPorts/connect/action",
        "Microsoft.SqlVirtualMachine/*",
        "Microsoft.Storage/storageAccounts/listKeys/action",
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Support/*",
    ],
}
SUBTRACTED: Final[Mapping[str, Sequence[str]]] = {
    "Contributor": [
        f"{AUTHORIZATION}/*/Delete",
        f"{AUTHORIZATION}/*/Write",
        f"{AUTHORIZATION}/elevateAccess/Action",
        "Microsoft.Blueprint/blueprintAssignments/write",
        "Microsoft.Blueprint/blueprintAssignments/delete",
        f"{COMPUTE}/galleries/share/action",
        "Microsoft.Purview/consents/write",
        "Microsoft.Purview/consents/delete",
        "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
        "Microsoft.Subscription/cancel/action",
        "Microsoft.Subscription/enable/action",
    ],
    "Compute Gallery Artifacts Publisher": [f"{COMPUTE}/galleries/share/action"],
}


@pytest.mark.parametrize("name", IDS)
def test_a_built_in_role_has_the_id_and_the_actions_of_the_original(
    world: World, name: str
) -> None:
    stubs = world.called(world.user())
    request = pb.GetRoleDefinitionRequest(name=f"roleDefinitions/{IDS[name]}")
    found = stubs.roles.GetRoleDefinition(request)
    assert found.role_name == name
    assert found.type == role_definition_pb2.RoleDefinition.TYPE_BUILT_IN
    assert list(found.assignable_scopes) == ["/"]
    (permissions,) = found.permissions
    assert sorted(permissions.actions) == sorted(ACTIONS[name])
    assert sorted(permissions.not_actions) == sorted(SUBTRACTED.get(name, []))
    assert not permissions.data_actions
    assert not permissions.not_data_actions


def test_one_built_in_role_is_of_our_own(world: World) -> None:
    request = pb.ListRoleDefinitionsRequest(page_size=1000, filter="type = BUILT_IN")
    found = world.owner.roles.ListRoleDefinitions(request).role_definitions
    assert {one.role_name for one in found} == {*IDS, "Installation Operator"}
