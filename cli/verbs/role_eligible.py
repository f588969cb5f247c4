"""`stoa role eligible`: roles that are taken when they are needed."""

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from stoa.authz.v1 import eligible_assignment_pb2 as pb
from stoa.authz.v1 import eligible_assignment_service_pb2 as requests
from stoa.authz.v1.eligible_assignment_service_pb2_grpc import EligibleAssignmentServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.output import Column, note
from cli.verbs import assigning as common
from cli.verbs.options import MaxItems, Yes
from cli.verbs.principals import Tenant, principal_name
from cli.verbs.values import span
from cli.verbs.words import last

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    Column("Principal", "principal"),
    Column("Role", last("roleDefinition")),
    Column("Scope", "scope"),
    Column("Longest", "maxActivationDuration"),
    Column("Active", lambda record: len(record.get("activations", ()))),
    Column("Name", last("name")),
)
_ACTIVATION_COLUMNS = (
    Column("Principal", "principal"),
    Column("From", "startTime"),
    Column("Until", "endTime"),
    Column("Justification", "justification"),
)
_COLLECTION = "eligibleAssignments"

Longest = Annotated[
    str, typer.Option("--max-duration", help="How long it is taken at most: 30m, 1h. [default: 8h]")
]


def _stub() -> EligibleAssignmentServiceStub:
    return current().connection.stub("authz", EligibleAssignmentServiceStub)


@app.command()
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
    max_duration: Longest = "",
    no_justification: Annotated[
        bool, typer.Option("--no-justification", help="It may be taken without saying why.")
    ] = False,
) -> None:
    """Let somebody, or each member of a group, take a role when they need it."""
    asked = pb.EligibleAssignment(
        principal=principal_name(assignee, kind, tenant),
        role_definition=common.role_name(role),
        description=description,
        start_time=common.moment("--start", start),
        end_time=common.moment("--end", end),
        condition=condition,
        condition_version=condition_version,
        max_activation_duration=_span("--max-duration", max_duration),
        justification_required=not no_justification,
    )
    request = requests.CreateEligibleAssignmentRequest(
        parent=common.scope_name(scope), eligible_assignment_id=name, eligible_assignment=asked
    )
    current().output.show(_stub().CreateEligibleAssignment(request), _COLUMNS)


@app.command(name="list")
def list_eligible(
    *,
    scope: common.Scope = None,
    assignee: common.OnlyAssignee = "",
    kind: common.Kind = "User",
    tenant: Tenant = None,
    include_inherited: common.Inherited = False,
    all_: common.Below = False,
    max_items: MaxItems = None,
) -> None:
    """List who may take which role; without the right to see them all, your own."""
    request = requests.ListEligibleAssignmentsRequest(
        parent=common.scope_name(scope),
        relation=common.relation(include_inherited=include_inherited, below=all_),
        filter=common.assignee_filter(assignee, kind, tenant),
    )
    field = "eligible_assignments"
    found = pages(_stub().ListEligibleAssignments, request, field, limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command()
def show(*, ids: common.Ids, scope: common.Scope = None) -> None:
    """Show an eligible assignment, and who has taken the role."""
    name = common.scoped_name(ids, scope, _COLLECTION)
    found = _stub().GetEligibleAssignment(requests.GetEligibleAssignmentRequest(name=name))
    current().output.show(found)


@app.command()
def delete(*, ids: common.Ids, scope: common.Scope = None, yes: Yes = False) -> None:
    """Delete an eligible assignment; who has taken the role loses it before the command ends."""
    name = common.scoped_name(ids, scope, _COLLECTION)
    current().confirm(f"Delete {name}?", yes=yes)
    request = requests.DeleteEligibleAssignmentRequest(name=name, wait_for_replicas=True)
    _stub().DeleteEligibleAssignment(request)
    note(f"Deleted {name}")


@app.command()
def activate(
    *,
    ids: common.Ids,
    scope: common.Scope = None,
    duration: Annotated[
        str, typer.Option(help="For how long: 30m, 1h. [default: as long as it may be]")
    ] = "",
    justification: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
) -> None:
    """Take a role that you are eligible for."""
    request = requests.ActivateEligibleAssignmentRequest(
        name=common.scoped_name(ids, scope, _COLLECTION),
        duration=_span("--duration", duration),
        justification=justification,
    )
    current().output.show(_stub().ActivateEligibleAssignment(request), _ACTIVATION_COLUMNS)


@app.command()
def deactivate(
    *,
    ids: common.Ids,
    scope: common.Scope = None,
    assignee: Annotated[str, typer.Option(help="Who has taken it. [default: you]")] = "",
    kind: common.Kind = "User",
    tenant: Tenant = None,
) -> None:
    """Give a role back; every serving process obeys before the command ends."""
    name = common.scoped_name(ids, scope, _COLLECTION)
    request = requests.DeactivateEligibleAssignmentRequest(
        name=name,
        principal=principal_name(assignee, kind, tenant) if assignee else "",
        wait_for_replicas=True,
    )
    _stub().DeactivateEligibleAssignment(request)
    note(f"Deactivated {name}")


def _span(option: str, text: str) -> Duration | None:
    return span(option, text) if text else None
