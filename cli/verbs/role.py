"""`stoa role`: what may be granted, and what is."""

import re
from typing import Annotated, Final

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import role_assignment_pb2 as pb
from stoa.authz.v1 import role_assignment_service_pb2 as requests
from stoa.authz.v1 import role_definition_service_pb2 as definitions
from stoa.authz.v1 import scope_relation_pb2 as relations
from stoa.authz.v1.role_assignment_service_pb2_grpc import RoleAssignmentServiceStub
from stoa.authz.v1.role_definition_pb2 import RoleDefinition
from stoa.authz.v1.role_definition_service_pb2_grpc import RoleDefinitionServiceStub

from cli.connection import pages
from cli.errors import CliError, ExitCode, UsageProblem
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, note
from cli.verbs import names, role_file
from cli.verbs.options import Etag, Filter, MaxItems, ValidateOnly, Yes
from cli.verbs.principals import Tenant, principal_name, tenant_name
from cli.verbs.words import last, word

app = typer.Typer(no_args_is_help=True)
assignment = typer.Typer(no_args_is_help=True, help="Who has which role where.")
definition = typer.Typer(no_args_is_help=True, help="Roles.")
app.add_typer(assignment, name="assignment")
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
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_COLLECTION: Final = "/roleAssignments/"

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
Scope = Annotated[
    str | None,
    typer.Option(help="A resource name, or / for the installation. [default: the subscription]"),
]
Assignee = Annotated[str, typer.Option(help="An object id, or a full name tenants/T/users/ID.")]
Kind = Annotated[
    str,
    typer.Option("--assignee-principal-type", help="User, Group or ServicePrincipal, of an id."),
]


def _assignments() -> RoleAssignmentServiceStub:
    return current().connection.stub("authz", RoleAssignmentServiceStub)


def _definitions() -> RoleDefinitionServiceStub:
    return current().connection.stub("authz", RoleDefinitionServiceStub)


@assignment.command()
def create(
    *,
    assignee: Assignee,
    role: Annotated[str, typer.Option(help="A role by name or id: Reader.")],
    scope: Scope = None,
    kind: Kind = "User",
    tenant: Tenant = None,
    name: Annotated[str, typer.Option(help="An id of your choice (UUID).")] = "",
    description: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Give somebody a role at a scope and everything below it."""
    request = requests.CreateRoleAssignmentRequest(
        parent=_scope(scope),
        role_assignment_id=name,
        role_assignment=pb.RoleAssignment(
            principal=principal_name(assignee, kind, tenant),
            role_definition=_role(role),
            description=description,
        ),
    )
    current().output.show(_assignments().CreateRoleAssignment(request), _ASSIGNMENT_COLUMNS)


@assignment.command(name="list")
def list_assignments(
    *,
    scope: Scope = None,
    assignee: Annotated[str, typer.Option(help="Of this principal alone.")] = "",
    kind: Kind = "User",
    tenant: Tenant = None,
    include_inherited: Annotated[
        bool, typer.Option("--include-inherited", help="Those above the scope as well.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="Those below the scope as well.")] = False,
    max_items: MaxItems = None,
) -> None:
    """List the role assignments at a scope."""
    if include_inherited and all_:
        raise UsageProblem("Either --include-inherited or --all.")
    relation = relations.SCOPE_RELATION_AT
    if include_inherited:
        relation = relations.SCOPE_RELATION_AT_AND_ABOVE
    elif all_:
        relation = relations.SCOPE_RELATION_AT_AND_BELOW
    principal = principal_name(assignee, kind, tenant) if assignee else ""
    request = requests.ListRoleAssignmentsRequest(
        parent=_scope(scope),
        relation=relation,
        filter=f'principal = "{principal}"' if principal else "",
    )
    field = "role_assignments"
    found = pages(_assignments().ListRoleAssignments, request, field, limit=max_items)
    current().output.list(found, _ASSIGNMENT_COLUMNS)


@assignment.command()
def delete(
    *,
    ids: Annotated[str, typer.Option(help="Name of the assignment, or its id at --scope.")],
    scope: Scope = None,
    yes: Yes = False,
) -> None:
    """Take a role away; every serving process obeys before the command ends."""
    name = ids
    if "roleAssignments/" not in ids:
        at = _scope(scope)
        name = f"roleAssignments/{ids}" if at == "/" else f"{at}{_COLLECTION}{ids}"
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
    request = definitions.GetRoleDefinitionRequest(name=_role(name))
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
    read.role.name = _role(name or read.id or read.role.role_name)
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
    full = _role(name)
    current().confirm(f"Delete {full}?", yes=yes)
    _definitions().DeleteRoleDefinition(definitions.DeleteRoleDefinitionRequest(name=full))
    note(f"Deleted {full}")


def _show(found: RoleDefinition) -> None:
    for one in found.warnings:
        note(f"warning: {_WARNINGS[one.kind].format(one.pattern)}")
    current().output.show(found, _DEFINITION_COLUMNS)


def _scope(given: str | None) -> str:
    return given or names.subscription(None)


def _role(given: str) -> str:
    """The name of a role definition, for a name, an id or what people call the role.

    Raises:
        CliError: no role is called that.
    """
    if given.startswith("roleDefinitions/"):
        return given
    if _UUID.fullmatch(given):
        return f"roleDefinitions/{given}"
    quoted = given.replace("\\", "\\\\").replace('"', '\\"')
    request = definitions.ListRoleDefinitionsRequest(filter=f'role_name = "{quoted}"')
    for found in pages(_definitions().ListRoleDefinitions, request, "role_definitions", limit=1):
        return str(found.name)
    raise CliError(
        f"There is no role {given}.", todo="See stoa role definition list", code=ExitCode.NOT_FOUND
    )
