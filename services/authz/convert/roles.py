"""Roles as the contract spells them."""

from collections.abc import Mapping
from typing import Any, Final

from stoa.authz.v1 import role_definition_pb2 as pb

from services.authz.convert.assignments import permissions
from services.authz.convert.changes import permission
from services.authz.convert.times import timestamp
from services.authz.domain.records import RoleDefinition
from services.authz.domain.role_warnings import WarningKind, warnings_of
from services.kernel.etag import etag_of

_KINDS: Final = {
    WarningKind.GRANTS_SHARING: pb.RoleDefinition.Warning.KIND_GRANTS_SHARING,
    WarningKind.GRANTS_ROLE_ASSIGNMENT: pb.RoleDefinition.Warning.KIND_GRANTS_ROLE_ASSIGNMENT,
    WarningKind.MATCHES_NOTHING: pb.RoleDefinition.Warning.KIND_MATCHES_NOTHING,
}


def role_definition(role: RoleDefinition) -> pb.RoleDefinition:
    """Answer a role; one without a tenant is built in, and has no times and no warnings."""
    custom = bool(role.tenant)
    message = pb.RoleDefinition(
        name=role.name,
        role_name=role.role_name,
        description=role.description,
        type=pb.RoleDefinition.TYPE_CUSTOM if custom else pb.RoleDefinition.TYPE_BUILT_IN,
        permissions=map(permission, role.permissions),
        assignable_scopes=role.assignable_scopes,
        tenant=role.tenant,
        create_time=timestamp(role.create_time) if custom else None,
        update_time=timestamp(role.update_time) if custom else None,
        uid=role.uid,
        etag=etag_of(role.version, role.uid),
    )
    if custom:
        for one in warnings_of(role.permissions):
            message.warnings.add(kind=_KINDS[one.kind], pattern=one.pattern)
    return message


def sent_fields(message: pb.RoleDefinition) -> Mapping[str, Any]:
    """Answer what was sent of a role, by the paths of its fields that can be set."""
    return {
        "role_name": message.role_name,
        "description": message.description,
        "permissions": tuple(map(permissions, message.permissions)),
        "assignable_scopes": tuple(message.assignable_scopes),
    }
