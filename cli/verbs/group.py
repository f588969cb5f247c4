"""`stoa group`: resource groups."""

import typer
from stoa.catalog.v1 import resource_group_pb2 as pb
from stoa.catalog.v1 import resource_group_service_pb2 as requests
from stoa.catalog.v1.resource_group_service_pb2_grpc import ResourceGroupServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names
from cli.verbs.ending import deleted
from cli.verbs.options import (
    Filter,
    Location,
    MaxItems,
    Name,
    NoWait,
    Subscription,
    Tags,
    Yes,
    pairs,
)
from cli.verbs.words import last, state_column

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    Column("Name", last("name")),
    Column("Location", "location"),
    state_column(),
    Column("Tags", "tags"),
)


def _stub() -> ResourceGroupServiceStub:
    return current().connection.stub("catalog", ResourceGroupServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    name: Name,
    location: Location,
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create a resource group."""
    request = requests.CreateResourceGroupRequest(
        parent=names.subscription(subscription),
        resource_group_id=name,
        resource_group=pb.ResourceGroup(location=location, tags=pairs("--tags", tags)),
    )
    current().output.show(_stub().CreateResourceGroup(request), _COLUMNS)


@app.command()
def show(*, name: Name, subscription: Subscription = None) -> None:
    """Show a resource group."""
    request = requests.GetResourceGroupRequest(name=names.group(subscription, name))
    current().output.show(_stub().GetResourceGroup(request))


@app.command(name="list")
def list_(
    *, filter: Filter = "", max_items: MaxItems = None, subscription: Subscription = None
) -> None:
    """List the resource groups of a subscription."""
    request = requests.ListResourceGroupsRequest(
        parent=names.subscription(subscription), filter=filter
    )
    found = pages(_stub().ListResourceGroups, request, "resource_groups", limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command()
def delete(
    *, name: Name, yes: Yes = False, no_wait: NoWait = False, subscription: Subscription = None
) -> None:
    """Delete an empty resource group."""
    full = names.group(subscription, name)
    current().confirm(f"Delete {full}?", yes=yes)
    operation = _stub().DeleteResourceGroup(requests.DeleteResourceGroupRequest(name=full))
    deleted(operation, full, no_wait=no_wait)
