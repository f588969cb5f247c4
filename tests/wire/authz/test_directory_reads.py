import uuid

import grpc
from stoa.authz.v1 import group_pb2, management_group_pb2, service_principal_pb2

from tests.wire.authz.installation import refused

Code = grpc.StatusCode


def test_a_service_principal_is_created_read_listed_and_deleted(world):
    directory, own_id = world.owner.directory, uuid.uuid4().hex
    made = directory.CreateServicePrincipal(
        service_principal_pb2.CreateServicePrincipalRequest(
            parent="tenants/default",
            service_principal_id=own_id,
            service_principal=service_principal_pb2.ServicePrincipal(display_name="Packer"),
        )
    )
    get = service_principal_pb2.GetServicePrincipalRequest(name=made.name)
    assert directory.GetServicePrincipal(get) == made
    listed = directory.ListServicePrincipals(
        service_principal_pb2.ListServicePrincipalsRequest(parent="tenants/default", page_size=1000)
    ).service_principals
    assert made.name in {one.name for one in listed}
    directory.DeleteServicePrincipal(
        service_principal_pb2.DeleteServicePrincipalRequest(name=made.name)
    )
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        directory.GetServicePrincipal(get)


def test_groups_and_management_groups_are_read_by_name_and_by_the_entitled_alone(world):
    group = world.group(world.user())
    root = "tenants/default/managementGroups/default"
    get_group = group_pb2.GetGroupRequest(name=group)
    get_root = management_group_pb2.GetManagementGroupRequest(name=root)
    assert world.owner.directory.GetGroup(get_group).name == group
    assert world.owner.directory.GetManagementGroup(get_root).name == root
    stranger = world.called(world.user()).directory
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        stranger.GetGroup(get_group)
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        stranger.GetManagementGroup(get_root)
