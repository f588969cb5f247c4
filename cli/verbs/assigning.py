"""What the commands about roles, eligibility and denials have in common: scopes and names."""

import re
from typing import Annotated, Final

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import role_definition_service_pb2 as definitions
from stoa.authz.v1 import scope_relation_pb2 as relations
from stoa.authz.v1.role_definition_service_pb2_grpc import RoleDefinitionServiceStub

from cli.connection import pages
from cli.errors import CliError, ExitCode, UsageProblem
from cli.invocation import current
from cli.verbs import names
from cli.verbs.principals import principal_name
from cli.verbs.values import time

Scope = Annotated[
    str | None,
    typer.Option(help="A resource name, or / for the installation. [default: the subscription]"),
]
Assignee = Annotated[str, typer.Option(help="An object id, or a full name tenants/T/users/ID.")]
OnlyAssignee = Annotated[str, typer.Option("--assignee", help="Of this principal alone.")]
Kind = Annotated[
    str,
    typer.Option("--assignee-principal-type", help="User, Group or ServicePrincipal, of an id."),
]
Role = Annotated[str, typer.Option(help="A role by name or id: Reader.")]
Description = Annotated[str, typer.Option(help="For people.")]
Start = Annotated[str, typer.Option("--start", help="From when on: 2031-01-31T08:00Z.")]
End = Annotated[str, typer.Option("--end", help="Until when, that moment excluded.")]
Condition = Annotated[
    str, typer.Option(help="When it counts, in the syntax of Azure: ActionMatches{'*/read'}.")
]
ConditionVersion = Annotated[
    str, typer.Option("--condition-version", help="The version of that syntax: 2.0.")
]
Inherited = Annotated[
    bool, typer.Option("--include-inherited", help="Those above the scope as well.")
]
Below = Annotated[bool, typer.Option("--all", help="Those below the scope as well.")]
Ids = Annotated[str, typer.Option("--ids", help="Its name, or its id at --scope.")]

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def scope_name(given: str | None) -> str:
    """The scope that is meant; without one the subscription of the context."""
    return given or names.subscription(None)


def scoped_name(ids: str, scope: str | None, collection: str) -> str:
    """The full name of what lies at a scope, of its name or its id there."""
    if f"{collection}/" in ids:
        return ids
    at = scope_name(scope)
    return f"{collection}/{ids}" if at == "/" else f"{at}/{collection}/{ids}"


def relation(*, include_inherited: bool, below: bool) -> relations.ScopeRelation.ValueType:
    """Which of what is assigned around a scope is meant.

    Raises:
        UsageProblem: both are said.
    """
    if include_inherited and below:
        raise UsageProblem("Either --include-inherited or --all.")
    if include_inherited:
        return relations.SCOPE_RELATION_AT_AND_ABOVE
    return relations.SCOPE_RELATION_AT_AND_BELOW if below else relations.SCOPE_RELATION_AT


def assignee_filter(assignee: str, kind: str, tenant: str | None) -> str:
    """The filter that leaves what is assigned to one principal itself, if one is given."""
    return f'principal = "{principal_name(assignee, kind, tenant)}"' if assignee else ""


def moment(option: str, text: str) -> Timestamp | None:
    """Read a time, None where none is given."""
    return time(option, text) if text else None


def role_name(given: str) -> str:
    """The name of a role definition, for a name, an id or what people call the role.

    Raises:
        CliError: no role is called that.
    """
    if given.startswith("roleDefinitions/"):
        return given
    if _UUID.fullmatch(given):
        return f"roleDefinitions/{given}"
    quoted = given.replace("\\", "\\\\").replace('"', '\\"')
    stub = current().connection.stub("authz", RoleDefinitionServiceStub)
    request = definitions.ListRoleDefinitionsRequest(filter=f'role_name = "{quoted}"')
    for found in pages(stub.ListRoleDefinitions, request, "role_definitions", limit=1):
        return str(found.name)
    raise CliError(
        f"There is no role {given}.", todo="See stoa role definition list", code=ExitCode.NOT_FOUND
    )
