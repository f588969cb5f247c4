"""`stoa role`: what may be granted, and what is."""

from typing import Annotated, Final

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import role_assignment_pb2 as pb
from stoa.authz.v1 import role_assignment_service_pb2 as requests
from stoa.authz.v1 import role_definition_service_pb2 as definitions
from stoa.authz.v1.role_assignment_service_pb2_grpc import RoleAssignmentServiceStub
from stoa.authz.v1.role_definition_pb2 import RoleDefinition
from stoa.authz.v1.role_definition_service_pb2_grpc import RoleDefinitionServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, note
from cli.verbs import assigning as common
from cli.verbs import role_eligible, role_file
from cli.verbs.options import Etag, Filter, MaxItems, ValidateOnly, Yes
from cli.verbs.principals import Tenant, principal_name, tenant_name
from cli.verbs.words import last, word

app = typer.Typer(no_args_is_help=True)
assignment = typer.Typer(no_args_is_help=True, help="Who has which role where.")
definition = typer.Typer(no_args_is_help=True, help="Roles.")
app.add_typer(assignment, name="assignment")
app.add_typer(role_eligible.app, name="eligible", help="Roles that are taken when they are needed.")
app.add_typer(definition, name="definition")

_ASSIGNMENT_COLUMNS = (
    Column("Principal", "principal"),
    Column("Role", last("roleDefinition")),
    Column("Scope", "scope"),
    Column("Name", last("name")),
)
_DEFINITION_COLUMNS = (
    Column("Role", "roleName"),
    Column("Type", word("type", "TYPE_")),
    Column("Id", last("name")),
    Column("Description", "description"),
)

_WARNINGS: Final = {
    RoleDefinition.Warning.KIND_GRANTS_SHARING: "{} also lets galleries be shared",
    RoleDefinition.Warning.KIND_GRANTS_ROLE_ASSIGNMENT: "{} also lets roles be given to others",
    RoleDefinition.Warning.KIND_MATCHES_NOTHING: "{} matches no action here",
}

RoleName = Annotated[str, typer.Option("--name", "-n", help="Name or id.")]
File = Annotated[
    str, typer.Option("--file", "--role-definition", help="JSON as of Azure; - is standard input.")
]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--assignable-scopes", help="These, in place of those in the file."),
]


def _assignments() -> RoleAssignmentServiceStub:
    return current().connection.stub("authz", RoleAssignmentServiceStub)


def _definitions() -> RoleDefinitionServiceStub:
    return current().connection.stub("authz", RoleDefinitionServiceStub)


@assignment.command()
def create(
    *,
    assignee: common.Assignee,
    role: common.Role,
    scope: common.Scope = None,
    kind: common.Kind = "User",
    tenant: Tenant = None,
    name: Annotated[str, typer.Option(help="An id of your choice (UUID).")] = "",
    description: common.Description = "",
    start: common.Start = "",
    end: common.End = "",
    condition: common.Condition = "",
    condition_version: common.ConditionVersion = "",
) -> None:
    """Give somebody a role at a scope and everything below it."""
    request = requests.CreateRoleAssignmentRequest(
        parent=common.scope_name(scope),
        role_assignment_id=name,
        role_assignment=pb.RoleAssignment(
            principal=principal_name(assignee, kind, tenant),
            role_definition=common.role_name(role),
            description=description,
            start_time=common.moment("--start", start),
            end_time=common.moment("--end", end),
            condition=condition,
            condition_version=condition_version,
        ),
    )
    current().output.show(_assignments().CreateRoleAssignment(request), _ASSIGNMENT_COLUMNS)


@assignment.command(name="list")
def list_assignments(
    *,
    scope: common.Scope = None,
    assignee: common.OnlyAssignee = "",
    kind: common.Kind = "User",
    tenant: Tenant = None,
    include_inherited: common.Inherited = False,
    all_: common.Below = False,
    max_items: MaxItems = None,
) -> None:
    """List the role assignments at a scope."""
    request = requests.ListRoleAssignmentsRequest(
        parent=common.scope_name(scope),
        relation=common.relation(include_inherited=include_inherited, below=all_),
        filter=common.assignee_filter(assignee, kind, tenant),
    )
    field = "role_assignments"
    found = pages(_assignments().ListRoleAssignments, request, field, limit=max_items)
    current().output.list(found, _ASSIGNMENT_COLUMNS)


@assignment.command()
def delete(
    *,
    ids: Annotated[str, typer.Option(help="Name of the assignment, or its id at --scope.")],
    scope: common.Scope = None,
    yes: Yes = False,
) -> None:
    """Take a role away; every serving process obeys before the command ends."""
    name = common.scoped_name(ids, scope, "roleAssignments")
    current().confirm(f"Delete {name}?", yes=yes)
    request = requests.DeleteRoleAssignmentRequest(name=name, wait_for_replicas=True)
    _assignments().DeleteRoleAssignment(request)
    note(f"Deleted {name}")


@definition.command(name="list")
def list_definitions(*, filter: Filter = "", max_items: MaxItems = None) -> None:
    """List the roles, built-in and custom."""
    request = definitions.ListRoleDefinitionsRequest(filter=filter)
    field = "role_definitions"
    found = pages(_definitions().ListRoleDefinitions, request, field, limit=max_items)
    current().output.list(found, _DEFINITION_COLUMNS)


@definition.command()
def show(*, name: RoleName) -> None:
    """Show a role with its permissions."""
    request = definitions.GetRoleDefinitionRequest(name=common.role_name(name))
    current().output.show(_definitions().GetRoleDefinition(request))


@definition.command(name="create", cls=ListCommand)
def create_definition(
    *,
    file: File,
    assignable_scopes: Scopes = None,
    tenant: Tenant = None,
    validate_only: ValidateOnly = False,
) -> None:
    """Make a custom role of a JSON file as `az role definition create` takes it."""
    read = role_file.read(file, tenant_name(tenant))
    if assignable_scopes:
        read.role.assignable_scopes[:] = assignable_scopes
    request = definitions.CreateRoleDefinitionRequest(
        role_definition_id=read.id, role_definition=read.role, validate_only=validate_only
    )
    _show(_definitions().CreateRoleDefinition(request))


@definition.command(name="update", cls=ListCommand)
def update_definition(
    *,
    file: File,
    name: Annotated[
        str, typer.Option("--name", "-n", help="The role to change. [default: as the file says]")
    ] = "",
    assignable_scopes: Scopes = None,
    tenant: Tenant = None,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
) -> None:
    """Change a custom role to what a file says; what is assigned follows at once."""
    read = role_file.read(file, tenant_name(tenant))
    if assignable_scopes:
        read.role.assignable_scopes[:] = assignable_scopes
    read.role.name = common.role_name(name or read.id or read.role.role_name)
    read.role.etag = etag
    request = definitions.UpdateRoleDefinitionRequest(
        role_definition=read.role,
        update_mask=FieldMask(paths=["*"]),
        validate_only=validate_only,
        wait_for_replicas=True,
    )
    _show(_definitions().UpdateRoleDefinition(request))


@definition.command(name="delete")
def delete_definition(*, name: RoleName, yes: Yes = False) -> None:
    """Delete a custom role that nobody has."""
    full = common.role_name(name)
    current().confirm(f"Delete {full}?", yes=yes)
    _definitions().DeleteRoleDefinition(definitions.DeleteRoleDefinitionRequest(name=full))
    note(f"Deleted {full}")


def _show(found: RoleDefinition) -> None:
    for one in found.warnings:
        note(f"warning: {_WARNINGS[one.kind].format(one.pattern)}")
    current().output.show(found, _DEFINITION_COLUMNS)
