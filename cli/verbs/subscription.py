"""`stoa subscription`: the subscriptions of tenants."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import subscription_pb2 as pb
from stoa.authz.v1.directory_service_pb2_grpc import DirectoryServiceStub

from cli.connection import pages
from cli.errors import UsageProblem
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs.options import Etag, Filter, MaxItems, Tags, pairs
from cli.verbs.principals import Tenant, tenant_name
from cli.verbs.words import last, word

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    Column("Name", last("name")),
    Column("Display name", "displayName"),
    Column("State", word("state", "STATE_")),
    Column("Tenant", last("tenant")),
)

Name = Annotated[str, typer.Option("--name", "-n", "--subscription", help="Its id.")]


def _stub() -> DirectoryServiceStub:
    return current().connection.stub("authz", DirectoryServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    name: Name,
    display_name: Annotated[str, typer.Option(help="Its name for people.")] = "",
    tenant: Tenant = None,
    management_group: Annotated[
        str, typer.Option(help="Where it lies. [default: the tenant's root group]")
    ] = "",
    tags: Tags = None,
) -> None:
    """Create a subscription."""
    owner = tenant_name(tenant)
    if management_group and not management_group.startswith("tenants/"):
        management_group = f"{owner}/managementGroups/{management_group}"
    request = pb.CreateSubscriptionRequest(
        subscription_id=name,
        subscription=pb.Subscription(
            display_name=display_name or name,
            tenant=owner,
            parent_management_group=management_group,
            tags=pairs("--tags", tags),
        ),
    )
    current().output.show(_stub().CreateSubscription(request), _COLUMNS)


@app.command()
def show(*, name: Name) -> None:
    """Show a subscription."""
    request = pb.GetSubscriptionRequest(name=_full(name))
    current().output.show(_stub().GetSubscription(request))


@app.command(name="list")
def list_(*, filter: Filter = "", max_items: MaxItems = None) -> None:
    """List the subscriptions in which the caller may do anything."""
    request = pb.ListSubscriptionsRequest(filter=filter)
    found = pages(_stub().ListSubscriptions, request, "subscriptions", limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command(cls=ListCommand)
def update(
    *,
    name: Name,
    display_name: Annotated[str, typer.Option(help="Its name for people.")] = "",
    management_group: Annotated[
        str, typer.Option(help="Move it there: what is inherited changes at once.")
    ] = "",
    tags: Tags = None,
    etag: Etag = "",
) -> None:
    """Change what a subscription shows, or move it to another management group."""
    if management_group and not management_group.startswith("tenants/"):
        found = _stub().GetSubscription(pb.GetSubscriptionRequest(name=_full(name)))
        management_group = f"{found.tenant}/managementGroups/{management_group}"
    given = (
        ("display_name", display_name),
        ("parent_management_group", management_group),
        ("tags", tags),
    )
    paths = [field for field, value in given if value]
    if not paths:
        raise UsageProblem("Nothing to change.", todo="Say --display-name, --management-group ...")
    request = pb.UpdateSubscriptionRequest(
        subscription=pb.Subscription(
            name=_full(name),
            display_name=display_name,
            parent_management_group=management_group,
            tags=pairs("--tags", tags),
            etag=etag,
        ),
        update_mask=FieldMask(paths=paths),
    )
    current().output.show(_stub().UpdateSubscription(request), _COLUMNS)


@app.command()
def enable(*, name: Name) -> None:
    """Let a subscription that was disabled be used again."""
    request = pb.EnableSubscriptionRequest(name=_full(name))
    current().output.show(_stub().EnableSubscription(request), _COLUMNS)


@app.command()
def disable(*, name: Name) -> None:
    """Stop all changes in a subscription; it is never deleted."""
    request = pb.DisableSubscriptionRequest(name=_full(name))
    current().output.show(_stub().DisableSubscription(request), _COLUMNS)


def _full(name: str) -> str:
    return f"subscriptions/{name.removeprefix('subscriptions/')}"
