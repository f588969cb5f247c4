"""`stoa share`: who sees a gallery."""

from typing import Annotated

import typer
from stoa.catalog.v1 import gallery_service_pb2_grpc as stubs
from stoa.catalog.v1 import gallery_sharing_pb2 as pb
from stoa.catalog.v1 import sharing_profile_pb2 as sharing

from cli.connection import DEADLINE
from cli.errors import UsageProblem
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, note
from cli.verbs import names, views
from cli.verbs.options import GalleryName, ResourceGroup, Subscription, Yes
from cli.verbs.words import last, word

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    Column("Gallery", last("gallery.name")),
    Column("Sharing", word("gallery.sharingProfile.mode", "SHARING_MODE_")),
    Column("Subscriptions", "gallery.sharingProfile.groups.subscriptions"),
    Column("Tenants", "gallery.sharingProfile.groups.tenants"),
    Column("Public names", "gallery.sharingProfile.communityGalleryInfo.publicNames"),
    Column("Unique name", "gallery.uniqueName"),
    Column("Effective everywhere", "effectiveEverywhere"),
)

SubscriptionIds = Annotated[list[str] | None, typer.Option(help="Subscriptions ...")]
TenantIds = Annotated[list[str] | None, typer.Option(help="Tenants ...")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would become visible to whom.")]


@app.command(cls=ListCommand)
def add(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    subscription_ids: SubscriptionIds = None,
    tenant_ids: TenantIds = None,
    dry_run: DryRun = False,
    subscription: Subscription = None,
) -> None:
    """Share a gallery with subscriptions and tenants."""
    request = _request(subscription, resource_group, gallery_name, pb.SHARE_OPERATION_ADD)
    _name_groups(request, subscription_ids, tenant_ids)
    _share(request, dry_run=dry_run)


@app.command(cls=ListCommand)
def remove(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    subscription_ids: SubscriptionIds = None,
    tenant_ids: TenantIds = None,
    dry_run: DryRun = False,
    subscription: Subscription = None,
) -> None:
    """Share a gallery no longer with subscriptions and tenants."""
    request = _request(subscription, resource_group, gallery_name, pb.SHARE_OPERATION_REMOVE)
    _name_groups(request, subscription_ids, tenant_ids)
    _share(request, dry_run=dry_run)


@app.command()
def reset(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    yes: Yes = False,
    subscription: Subscription = None,
) -> None:
    """Take all sharing of a gallery back; it is private then."""
    request = _request(subscription, resource_group, gallery_name, pb.SHARE_OPERATION_RESET)
    current().confirm(f"Take all sharing of {request.name} back?", yes=yes)
    _share(request)


@app.command()
def enable_community(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    yes: Yes = False,
    dry_run: DryRun = False,
    simulation_digest: Annotated[
        str, typer.Option(help="What --dry-run answered, where the tenant demands it.")
    ] = "",
    subscription: Subscription = None,
) -> None:
    """Show a gallery to everyone."""
    operation = pb.SHARE_OPERATION_ENABLE_COMMUNITY
    request = _request(subscription, resource_group, gallery_name, operation)
    request.simulation_digest = simulation_digest
    if not dry_run:
        current().confirm(f"Show {request.name} to everyone?", yes=yes)
    _share(request, dry_run=dry_run)


@app.command()
def disable_community(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    subscription: Subscription = None,
) -> None:
    """Hide a gallery from the public."""
    operation = pb.SHARE_OPERATION_DISABLE_COMMUNITY
    _share(_request(subscription, resource_group, gallery_name, operation))


views.register(app)


def _request(
    subscription: str | None,
    resource_group: str,
    gallery_name: str,
    operation: pb.ShareOperation.ValueType,
) -> pb.ShareGalleryRequest:
    return pb.ShareGalleryRequest(
        name=names.gallery(subscription, resource_group, gallery_name),
        operation=operation,
        # A person who shares wants to see it work at once.
        wait_for=pb.SHARING_WAIT_MODE_REPLICAS,
    )


def _name_groups(
    request: pb.ShareGalleryRequest, subscriptions: list[str] | None, tenants: list[str] | None
) -> None:
    if not (subscriptions or tenants):
        raise UsageProblem("With whom?", todo="Say --subscription-ids or --tenant-ids")
    request.groups.CopyFrom(
        sharing.SharingGroups(
            subscriptions=[_prefixed("subscriptions/", one) for one in subscriptions or ()],
            tenants=[_prefixed("tenants/", one) for one in tenants or ()],
        )
    )


def _prefixed(prefix: str, name: str) -> str:
    return prefix + name.removeprefix(prefix)


def _share(request: pb.ShareGalleryRequest, *, dry_run: bool = False) -> None:
    request.validate_only = dry_run
    stub = current().connection.stub("catalog", stubs.GalleryServiceStub)
    answer = stub.ShareGallery(request, timeout=DEADLINE)
    if dry_run:
        current().output.show(answer)
        return
    current().output.show(answer, _COLUMNS)
    if not answer.effective_everywhere:
        lagging = ", ".join(answer.lagging_replicas)
        note(
            "It is committed; not every process obeys it yet" + (f": {lagging}" if lagging else ".")
        )
