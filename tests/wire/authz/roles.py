"""Custom roles for the tests of authz."""

from collections.abc import Sequence
from typing import Any

from stoa.authz.v1 import check_pb2, permission_pb2, role_definition_pb2
from stoa.authz.v1 import role_definition_service_pb2 as pb

from tests.wire.authz.installation import Stubs, World

GALLERY_READ = "Microsoft.Compute/galleries/read"
GALLERY_WRITE = "Microsoft.Compute/galleries/write"
WRITE_ROLES = "Microsoft.Authorization/roleDefinitions/*"


def permission(*actions: str, minus: Sequence[str] = (), data: Sequence[str] = ()) -> Any:
    return permission_pb2.Permission(actions=actions, not_actions=minus, data_actions=data)


def role(world: World, *scopes: str, actions: Sequence[str] = (GALLERY_READ,), **more: Any) -> Any:
    values: dict[str, Any] = {
        "role_name": world.id("Role "),
        "permissions": [permission(*actions)],
        "assignable_scopes": scopes,
    }
    return role_definition_pb2.RoleDefinition(**(values | more))


def create(stubs: Stubs, message: Any, **more: Any) -> Any:
    request = pb.CreateRoleDefinitionRequest(role_definition=message, **more)
    return stubs.roles.CreateRoleDefinition(request)


def update(stubs: Stubs, message: Any, *paths: str, **more: Any) -> Any:
    request = pb.UpdateRoleDefinitionRequest(role_definition=message, **more)
    request.update_mask.paths.extend(paths)
    return stubs.roles.UpdateRoleDefinition(request)


def get(stubs: Stubs, name: str) -> Any:
    return stubs.roles.GetRoleDefinition(pb.GetRoleDefinitionRequest(name=name))


def delete(stubs: Stubs, name: str, **more: Any) -> Any:
    return stubs.roles.DeleteRoleDefinition(pb.DeleteRoleDefinitionRequest(name=name, **more))


def allowed(stubs: Stubs, scope: str, action: str = GALLERY_READ) -> bool:
    request = check_pb2.CheckRequest(action=action, resource=scope)
    return bool(stubs.questions.Check(request).decision.allowed)
