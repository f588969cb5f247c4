"""`stoa deny`: what is forbidden to whom, whatever their roles say."""

from typing import Annotated

import typer
from stoa.authz.v1 import deny_assignment_pb2 as pb
from stoa.authz.v1 import deny_assignment_service_pb2 as requests
from stoa.authz.v1.deny_assignment_service_pb2_grpc import DenyAssignmentServiceStub
from stoa.authz.v1.permission_pb2 import Permission

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, Record, note
from cli.verbs import assigning as common
from cli.verbs.options import Filter, MaxItems, Yes
from cli.verbs.principals import Tenant, principal_name
from cli.verbs.words import last

app = typer.Typer(no_args_is_help=True)

_COLLECTION = "denyAssignments"
_OnData = Annotated[list[str] | None, typer.Option(help="The same of the data plane ...")]


def _whom(record: Record) -> str:
    return "everyone" if record.get("everyone") else " ".join(record.get("principals", ()))


def _actions(record: Record) -> str:
    found = (
        action
        for one in record.get("permissions", ())
        for action in (*one.get("actions", ()), *one.get("dataActions", ()))
    )
    return " ".join(found)


_COLUMNS = (
    Column("Title", "displayName"),
    Column("Principals", _whom),
    Column("Actions", _actions),
    Column("Scope", "scope"),
    Column("Name", last("name")),
)


def _stub() -> DenyAssignmentServiceStub:
    return current().connection.stub("authz", DenyAssignmentServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    name: Annotated[str, typer.Option("--name", "-n", help="What it is called, for people.")],
    scope: common.Scope = None,
    actions: Annotated[
        list[str] | None, typer.Option(help="What is forbidden: 'Microsoft.Compute/*/delete' ...")
    ] = None,
    not_actions: Annotated[list[str] | None, typer.Option(help="Except these ...")] = None,
    data_actions: _OnData = None,
    not_data_actions: _OnData = None,
    principals: Annotated[
        list[str] | None, typer.Option(help="To whom: object ids or full names ...")
    ] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="To everyone.")] = False,
    exclude_principals: Annotated[
        list[str] | None, typer.Option(help="But not to these and their members ...")
    ] = None,
    kind: Annotated[
        str, typer.Option("--principal-type", help="User, Group or ServicePrincipal, of ids.")
    ] = "User",
    tenant: Tenant = None,
    do_not_apply_to_child_scopes: Annotated[
        bool, typer.Option("--do-not-apply-to-child-scopes", help="At the scope alone.")
    ] = False,
    id: Annotated[str, typer.Option(help="An id of your choice (UUID).")] = "",
    description: common.Description = "",
) -> None:
    """Forbid actions at a scope and below; every serving process obeys before the command ends."""
    permission = Permission(
        actions=actions,
        not_actions=not_actions,
        data_actions=data_actions,
        not_data_actions=not_data_actions,
    )
    asked = pb.DenyAssignment(
        display_name=name,
        description=description,
        permissions=[permission],
        principals=[principal_name(one, kind, tenant) for one in principals or ()],
        everyone=everyone,
        exclude_principals=[principal_name(one, kind, tenant) for one in exclude_principals or ()],
        do_not_apply_to_child_scopes=do_not_apply_to_child_scopes,
    )
    request = requests.CreateDenyAssignmentRequest(
        parent=common.scope_name(scope),
        deny_assignment_id=id,
        deny_assignment=asked,
        wait_for_replicas=True,
    )
    current().output.show(_stub().CreateDenyAssignment(request), _COLUMNS)


@app.command(name="list")
def list_denies(
    *,
    scope: common.Scope = None,
    include_inherited: common.Inherited = False,
    all_: common.Below = False,
    filter: Filter = "",
    max_items: MaxItems = None,
) -> None:
    """List what is forbidden at a scope."""
    request = requests.ListDenyAssignmentsRequest(
        parent=common.scope_name(scope),
        relation=common.relation(include_inherited=include_inherited, below=all_),
        filter=filter,
    )
    found = pages(_stub().ListDenyAssignments, request, "deny_assignments", limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command()
def show(*, ids: common.Ids, scope: common.Scope = None) -> None:
    """Show a deny assignment."""
    name = common.scoped_name(ids, scope, _COLLECTION)
    found = _stub().GetDenyAssignment(requests.GetDenyAssignmentRequest(name=name))
    current().output.show(found)


@app.command()
def delete(*, ids: common.Ids, scope: common.Scope = None, yes: Yes = False) -> None:
    """Delete a deny assignment; what roles permit is permitted again."""
    name = common.scoped_name(ids, scope, _COLLECTION)
    current().confirm(f"Delete {name}?", yes=yes)
    request = requests.DeleteDenyAssignmentRequest(name=name, wait_for_replicas=True)
    _stub().DeleteDenyAssignment(request)
    note(f"Deleted {name}")
