"""`stoa gallery`: galleries of one's own, and those of others as they are shown to us."""

from typing import Annotated

import typer
from stoa.catalog.v1 import gallery_pb2 as pb
from stoa.catalog.v1 import gallery_service_pb2 as requests
from stoa.catalog.v1 import sharing_profile_pb2 as sharing
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names, views
from cli.verbs.ending import deleted
from cli.verbs.gallery_update import update
from cli.verbs.options import (
    Filter,
    GalleryName,
    Location,
    MaxItems,
    NoWait,
    OrderBy,
    ResourceGroup,
    Subscription,
    Tags,
    Yes,
    pairs,
)
from cli.verbs.words import last, state_column, value, word

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("Name", last("name")),
    Column("Location", "location"),
    Column("Sharing", word("sharingProfile.mode", "SHARING_MODE_")),
    Column("Unique name", "uniqueName"),
    state_column(),
)


def _stub() -> GalleryServiceStub:
    return current().connection.stub("catalog", GalleryServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    location: Location,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    permissions: Annotated[str, typer.Option(help="Private, Groups or Community.")] = "Private",
    publisher_uri: Annotated[str, typer.Option(help="Community: where you present it.")] = "",
    publisher_email: Annotated[str, typer.Option(help="Community: whom to write to.")] = "",
    eula: Annotated[str, typer.Option(help="Community: the terms.")] = "",
    public_name_prefix: Annotated[
        str, typer.Option(help="Community: what the public name begins with.")
    ] = "",
    soft_delete: Annotated[
        bool, typer.Option(help="Keep deleted versions until their retention ends.")
    ] = False,
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create a gallery."""
    gallery = pb.Gallery(
        location=location,
        description=description,
        sharing_profile=sharing.SharingProfile(
            mode=value(
                sharing.SharingProfile.SharingMode,
                "SHARING_MODE_",
                permissions,
                option="--permissions",
            )
        ),
        tags=pairs("--tags", tags),
    )
    if soft_delete:
        gallery.soft_delete_policy.enabled = True
    texts = sharing.CommunityGalleryInfo(
        publisher_uri=publisher_uri,
        publisher_contact=publisher_email,
        eula=eula,
        public_name_prefix=public_name_prefix,
    )
    # An empty message would say that there are texts.
    if texts.ByteSize():
        gallery.sharing_profile.community_gallery_info.CopyFrom(texts)
    request = requests.CreateGalleryRequest(
        parent=names.group(subscription, resource_group), gallery_id=gallery_name, gallery=gallery
    )
    current().output.show(_stub().CreateGallery(request), COLUMNS)


@app.command()
def show(
    *, resource_group: ResourceGroup, gallery_name: GalleryName, subscription: Subscription = None
) -> None:
    """Show a gallery."""
    name = names.gallery(subscription, resource_group, gallery_name)
    current().output.show(_stub().GetGallery(requests.GetGalleryRequest(name=name)))


@app.command(name="list")
def list_(
    *,
    resource_group: Annotated[
        str, typer.Option("--resource-group", "-g", help="Of this group alone.")
    ] = "-",
    order_by: OrderBy = "",
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the galleries of a group or subscription; of none: all that we may see."""
    parent = names.everywhere(subscription, resource_group)
    request = requests.ListGalleriesRequest(parent=parent, filter=filter, order_by=order_by)
    found = pages(_stub().ListGalleries, request, "galleries", limit=max_items)
    current().output.list(found, (names.column(parent), *COLUMNS[1:]))


app.command(cls=ListCommand)(update)


@app.command()
def delete(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    yes: Yes = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Delete a gallery that has no image definitions."""
    name = names.gallery(subscription, resource_group, gallery_name)
    current().confirm(f"Delete {name}?", yes=yes)
    operation = _stub().DeleteGallery(requests.DeleteGalleryRequest(name=name))
    deleted(operation, name, no_wait=no_wait)


views.register(app)
