"""`stoa image-version`: publish versions of an image, watch them spread, and use them."""

from typing import Annotated

import typer
from stoa.catalog.v1 import image_version_pb2 as pb
from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, Record
from cli.verbs import names
from cli.verbs.ending import deleted
from cli.verbs.image_version_consume import list_community, list_shared, pull, resolve
from cli.verbs.image_version_create import create
from cli.verbs.image_version_watch import watch
from cli.verbs.options import (
    Definition,
    Filter,
    GalleryName,
    MaxItems,
    NoWait,
    ResourceGroup,
    Subscription,
    Version,
    Yes,
)
from cli.verbs.words import last, spoken, state_column, word

app = typer.Typer(no_args_is_help=True)


def _regions_cell(record: Record) -> str:
    prefix = "REGIONAL_REPLICATION_STATE_"
    return ", ".join(
        f"{one.get('location', '')} {spoken(str(one.get('state', '')).removeprefix(prefix))}"
        for one in record.get("replicationStatus", {}).get("summary", ())
    )


COLUMNS = (
    Column("Name", last("name")),
    state_column(),
    Column("Published", "publishTime"),
    Column(
        "Replication", word("replicationStatus.aggregatedState", "AGGREGATED_REPLICATION_STATE_")
    ),
    Column("Regions", _regions_cell),
    Column("Excluded from latest", "excludeFromLatest"),
)


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
    subscription: Subscription = None,
) -> None:
    """Show a version with the state of its regions."""
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    view = pb.IMAGE_VERSION_VIEW_FULL
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
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the versions of a definition; `-` for it, the gallery or the group means all."""
    request = requests.ListImageVersionsRequest(
        parent=names.definition(subscription, resource_group, gallery_name, definition),
        filter=filter,
        show_deleted=show_deleted,
        view=pb.IMAGE_VERSION_VIEW_REPLICATION_STATUS,
    )
    found = pages(_stub().ListImageVersions, request, "image_versions", limit=max_items)
    current().output.list(found, COLUMNS)


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


for command in (watch, resolve, pull, list_shared, list_community):
    app.command(cls=ListCommand)(command)
