"""Role and deny assignments between the domain and the contract."""

from stoa.authz.v1 import deny_assignment_pb2, permission_pb2, principal_pb2, role_assignment_pb2

from services.authz.convert.changes import permission
from services.authz.convert.times import moment, timestamp
from services.authz.domain.records import DenyAssignment, RoleAssignment
from services.authz.usecases import deny_assignments, role_assignments
from services.authz.usecases.deny_assignments import NewDenyAssignment
from services.authz.usecases.role_assignments import NewRoleAssignment
from services.policy.model import Permissions, PrincipalKind

PRINCIPAL_TYPES = {
    PrincipalKind.USER: principal_pb2.PRINCIPAL_TYPE_USER,
    PrincipalKind.GROUP: principal_pb2.PRINCIPAL_TYPE_GROUP,
    PrincipalKind.SERVICE_PRINCIPAL: principal_pb2.PRINCIPAL_TYPE_SERVICE_PRINCIPAL,
}


def new_role_assignment(
    message: role_assignment_pb2.RoleAssignment, scope: str, id: str, creator: str
) -> NewRoleAssignment:
    """Read what is asked for."""
    has = message.HasField
    return NewRoleAssignment(
        scope=scope,
        principal=message.principal,
        role_definition=message.role_definition,
        id=id,
        description=message.description,
        start_time=moment(message.start_time) if has("start_time") else None,
        end_time=moment(message.end_time) if has("end_time") else None,
        condition=message.condition,
        condition_version=message.condition_version,
        creator=creator,
    )


def role_assignment(record: RoleAssignment) -> role_assignment_pb2.RoleAssignment:
    """Answer a role assignment as the contract spells it."""
    return role_assignment_pb2.RoleAssignment(
        name=record.name,
        scope=record.scope,
        principal=record.principal,
        principal_type=PRINCIPAL_TYPES[record.principal_kind],
        role_definition=record.role_definition,
        description=record.description,
        start_time=timestamp(record.start_time) if record.start_time else None,
        end_time=timestamp(record.end_time) if record.end_time else None,
        condition=record.condition,
        condition_version=record.condition_version,
        creator=record.creator,
        create_time=timestamp(record.create_time),
        uid=record.uid,
        etag=role_assignments.etag(record),
    )


def new_deny_assignment(
    message: deny_assignment_pb2.DenyAssignment, scope: str, id: str, creator: str
) -> NewDenyAssignment:
    """Read what is asked for."""
    return NewDenyAssignment(
        scope=scope,
        display_name=message.display_name,
        permissions=tuple(map(permissions, message.permissions)),
        id=id,
        description=message.description,
        principals=tuple(message.principals),
        everyone=message.everyone,
        exclude_principals=tuple(message.exclude_principals),
        do_not_apply_to_child_scopes=message.do_not_apply_to_child_scopes,
        creator=creator,
    )


def deny_assignment(record: DenyAssignment) -> deny_assignment_pb2.DenyAssignment:
    """Answer a deny assignment as the contract spells it."""
    return deny_assignment_pb2.DenyAssignment(
        name=record.name,
        scope=record.scope,
        display_name=record.display_name,
        description=record.description,
        permissions=map(permission, record.permissions),
        principals=record.principals,
        everyone=record.everyone,
        exclude_principals=record.exclude_principals,
        do_not_apply_to_child_scopes=record.do_not_apply_to_child_scopes,
        creator=record.creator,
        create_time=timestamp(record.create_time),
        uid=record.uid,
        etag=deny_assignments.etag(record),
    )


def permissions(message: permission_pb2.Permission) -> Permissions:
    """Read permissions."""
    return Permissions(
        tuple(message.actions),
        tuple(message.not_actions),
        tuple(message.data_actions),
        tuple(message.not_data_actions),
    )
