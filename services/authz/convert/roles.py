"""Roles as the contract spells them."""

from stoa.authz.v1 import role_definition_pb2 as pb

from services.authz.convert.changes import permission
from services.authz.convert.times import timestamp
from services.authz.domain.records import RoleDefinition
from services.kernel.etag import etag_of


def role_definition(role: RoleDefinition) -> pb.RoleDefinition:
    """Answer a role; one without a tenant is built in, and has no times."""
    custom = bool(role.tenant)
    return pb.RoleDefinition(
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
