"""`stoa operation`: long-running operations of catalog and replication."""

from typing import Annotated

import typer
from google.longrunning import operations_pb2 as pb
from google.longrunning.operations_pb2_grpc import OperationsStub

from cli.connection import pages
from cli.invocation import current
from cli.output import note
from cli.verbs import names
from cli.verbs.ending import OPERATION_COLUMNS
from cli.verbs.following import follow
from cli.verbs.options import Filter, MaxItems, Subscription

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Its name: subscriptions/S/operations/ID.")]
Service = Annotated[str, typer.Option(help="Whose it is: catalog or replication.")]


def _stub(service: str) -> OperationsStub:
    return current().connection.stub(service, OperationsStub)


@app.command()
def show(name: Name, *, service: Service = "catalog") -> None:
    """Show an operation."""
    found = _stub(service).GetOperation(pb.GetOperationRequest(name=name))
    current().output.show(found, OPERATION_COLUMNS)


@app.command()
def wait(name: Name, *, service: Service = "catalog") -> None:
    """Wait for an operation, with its progress; fails as it fails."""
    found = _stub(service).GetOperation(pb.GetOperationRequest(name=name))
    current().output.show(follow(found, service=service), OPERATION_COLUMNS)


@app.command()
def cancel(name: Name, *, service: Service = "catalog") -> None:
    """Ask for an operation to be cancelled; `wait` tells whether it was."""
    _stub(service).CancelOperation(pb.CancelOperationRequest(name=name))
    note(f"Cancelling {name}")


@app.command(name="list")
def list_(
    *,
    filter: Filter = "",
    max_items: MaxItems = None,
    service: Service = "catalog",
    subscription: Subscription = None,
) -> None:
    """List the operations of a subscription."""
    request = pb.ListOperationsRequest(name=names.subscription(subscription), filter=filter)
    found = pages(_stub(service).ListOperations, request, "operations", limit=max_items)
    current().output.list(found, OPERATION_COLUMNS)
