"""Galleries of others: those shared with a subscription, and the community's.

`az` has these verbs beside those of one's own galleries; `stoa share` has them too.
"""

from typing import Annotated

import typer
from stoa.catalog.v1 import community_gallery_service_pb2 as community
from stoa.catalog.v1 import shared_gallery_service_pb2 as shared
from stoa.catalog.v1.community_gallery_service_pb2_grpc import CommunityGalleryServiceStub
from stoa.catalog.v1.shared_gallery_service_pb2_grpc import SharedGalleryServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.output import Column
from cli.verbs import names
from cli.verbs.options import Filter, Location, MaxItems, Subscription
from cli.verbs.words import value

_SHARED_COLUMNS = (Column("Unique name", "uniqueName"), Column("Location", "location"))
_COMMUNITY_COLUMNS = (
    Column("Public name", "publicName"),
    Column("Location", "location"),
    Column("Publisher", "communityMetadata.publisherUri"),
)


def register(app: typer.Typer) -> None:
    """Add the verbs to a group."""
    for command in (list_shared, show_shared, list_community, show_community):
        app.command()(command)


def _shared() -> SharedGalleryServiceStub:
    return current().connection.stub("catalog", SharedGalleryServiceStub)


def _community() -> CommunityGalleryServiceStub:
    return current().connection.stub("catalog", CommunityGalleryServiceStub)


def list_shared(
    *,
    location: Location,
    shared_to: Annotated[str, typer.Option(help="Subscription or Tenant.")] = "Subscription",
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the galleries that others share with a subscription, or with its tenant."""
    request = shared.ListSharedGalleriesRequest(
        parent=names.view_parent(subscription, location),
        shared_to=value(shared.SharedTo, "SHARED_TO_", shared_to, option="--shared-to"),
        filter=filter,
    )
    found = pages(_shared().ListSharedGalleries, request, "shared_galleries", limit=max_items)
    current().output.list(found, _SHARED_COLUMNS)


def show_shared(
    *,
    location: Location,
    gallery_unique_name: Annotated[str, typer.Option(help="The gallery shared with us.")],
    subscription: Subscription = None,
) -> None:
    """Show a gallery that is shared with us."""
    name = names.view(subscription, location, unique_name=gallery_unique_name, public_name=None)
    found = _shared().GetSharedGallery(shared.GetSharedGalleryRequest(name=name))
    current().output.show(found)


def list_community(
    *,
    location: Location,
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the community galleries of a region."""
    request = community.ListCommunityGalleriesRequest(
        parent=names.view_parent(subscription, location), filter=filter
    )
    field = "community_galleries"
    found = pages(_community().ListCommunityGalleries, request, field, limit=max_items)
    current().output.list(found, _COMMUNITY_COLUMNS)


def show_community(
    *,
    location: Location,
    public_gallery_name: Annotated[str, typer.Option(help="The community gallery.")],
    subscription: Subscription = None,
) -> None:
    """Show a community gallery."""
    name = names.view(subscription, location, unique_name=None, public_name=public_gallery_name)
    found = _community().GetCommunityGallery(community.GetCommunityGalleryRequest(name=name))
    current().output.show(found)
