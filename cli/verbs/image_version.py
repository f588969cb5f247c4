"""`stoa image-version`: publish versions of an image, watch them spread, and use them."""

from typing import Annotated

import typer
from stoa.catalog.v1 import image_version_pb2 as pb
from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.verbs import names
from cli.verbs.ending import deleted
from cli.verbs.image_version_change import (
    add_region,
    promote,
    remove_region,
    set_replica_count,
    undelete,
    update,
)
from cli.verbs.image_version_check import check_deployment
from cli.verbs.image_version_consume import list_community, list_shared, pull, resolve
from cli.verbs.image_version_create import create
from cli.verbs.image_version_ending import COLUMNS
from cli.verbs.image_version_replicas import list_replicas, retry
from cli.verbs.image_version_verify import verify
from cli.verbs.image_version_watch import watch
from cli.verbs.options import (
    Definition,
    Filter,
    GalleryName,
    MaxItems,
    NoWait,
    OrderBy,
    ReplicationStatus,
    ResourceGroup,
    Subscription,
    Version,
    Yes,
)

app = typer.Typer(no_args_is_help=True)


def _stub() -> ImageVersionServiceStub:
    return current().connection.stub("catalog", ImageVersionServiceStub)


app.command(cls=ListCommand)(create)


@app.command()
def show(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    replication_status: ReplicationStatus = True,
    subscription: Subscription = None,
) -> None:
    """Show a version with the state of its regions."""
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    view = pb.IMAGE_VERSION_VIEW_FULL if replication_status else pb.IMAGE_VERSION_VIEW_BASIC
    found = _stub().GetImageVersion(requests.GetImageVersionRequest(name=name, view=view))
    current().output.show(found)


@app.command(name="list")
def list_(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    show_deleted: Annotated[
        bool, typer.Option("--show-deleted", help="Soft-deleted ones as well.")
    ] = False,
    replication_status: ReplicationStatus = True,
    order_by: OrderBy = "",
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the versions of a definition; `-` for it, the gallery or the group means all."""
    parent = names.definition(subscription, resource_group, gallery_name, definition)
    view = pb.IMAGE_VERSION_VIEW_REPLICATION_STATUS
    request = requests.ListImageVersionsRequest(
        parent=parent,
        filter=filter,
        order_by=order_by,
        show_deleted=show_deleted,
        view=view if replication_status else pb.IMAGE_VERSION_VIEW_BASIC,
    )
    found = pages(_stub().ListImageVersions, request, "image_versions", limit=max_items)
    current().output.list(found, (names.column(parent), *COLUMNS[1:]))


@app.command()
def delete(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    purge: Annotated[bool, typer.Option("--purge", help="At once, soft delete or not.")] = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Delete a version from every region."""
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    current().confirm(f"Delete {name}?", yes=yes)
    request = requests.DeleteImageVersionRequest(name=name, purge=purge)
    deleted(_stub().DeleteImageVersion(request), name, no_wait=no_wait)


for command in (
    update,
    add_region,
    remove_region,
    set_replica_count,
    undelete,
    promote,
    watch,
    retry,
    list_replicas,
    verify,
    resolve,
    check_deployment,
    pull,
    list_shared,
    list_community,
):
    app.command(cls=ListCommand)(command)
