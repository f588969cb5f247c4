"""`stoa image-definition`: what the versions of an image have in common."""

from typing import Annotated

import typer
from stoa.catalog.v1 import community_gallery_service_pb2 as community
from stoa.catalog.v1 import image_definition_pb2 as pb
from stoa.catalog.v1 import image_definition_service_pb2 as requests
from stoa.catalog.v1 import shared_gallery_service_pb2 as shared
from stoa.catalog.v1.community_gallery_service_pb2_grpc import CommunityGalleryServiceStub
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub
from stoa.catalog.v1.shared_gallery_service_pb2_grpc import SharedGalleryServiceStub
from stoa.type.v1 import os_type_pb2 as os_types

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names, values
from cli.verbs.ending import deleted
from cli.verbs.image_definition_update import (
    MaximumCpu,
    MaximumMemory,
    MinimumCpu,
    MinimumMemory,
    feature,
    fill_recommended,
    update,
)
from cli.verbs.options import (
    Definition,
    EndOfLife,
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
from cli.verbs.system_options import (
    PlanName,
    PlanProduct,
    PlanPublisher,
    disk_type,
    purchase_plan,
)
from cli.verbs.words import last, state_column, value, word

app = typer.Typer(no_args_is_help=True)

_VIEW_COLUMNS = (
    Column("Name", last("name")),
    Column("Publisher", "identifier.publisher"),
    Column("Offer", "identifier.offer"),
    Column("SKU", "identifier.sku"),
    Column("OS", word("osType", "OS_TYPE_")),
    Column("OS state", word("osState", "OS_STATE_")),
)
_COLUMNS = (*_VIEW_COLUMNS, Column("Location", "location"), state_column())


def _stub() -> ImageDefinitionServiceStub:
    return current().connection.stub("catalog", ImageDefinitionServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    location: Location,
    publisher: Annotated[str, typer.Option("--publisher", "-p", help="Publisher.")],
    offer: Annotated[str, typer.Option("--offer", "-f", help="Offer.")],
    sku: Annotated[str, typer.Option("--sku", "-s", help="SKU.")],
    os_type: Annotated[str, typer.Option(help="Linux or Windows.")],
    os_state: Annotated[str, typer.Option(help="Generalized or Specialized.")] = "Generalized",
    hyper_v_generation: Annotated[str, typer.Option(help="V1 or V2.")] = "V2",
    architecture: Annotated[str, typer.Option(help="x64 or Arm64.")] = "x64",
    features: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE[@VERSION] ...; from that version on.")
    ] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    eula: Annotated[str, typer.Option(help="The licence: its text or URI.")] = "",
    privacy_statement_uri: Annotated[str, typer.Option(help="URI.")] = "",
    release_note_uri: Annotated[str, typer.Option(help="URI.")] = "",
    end_of_life_date: EndOfLife = "",
    disallowed_disk_types: Annotated[
        list[str] | None, typer.Option(help="Kinds that no machine may have: Standard_LRS ...")
    ] = None,
    plan_name: PlanName = "",
    plan_product: PlanProduct = "",
    plan_publisher: PlanPublisher = "",
    minimum_cpu_core: MinimumCpu = None,
    maximum_cpu_core: MaximumCpu = None,
    minimum_memory: MinimumMemory = None,
    maximum_memory: MaximumMemory = None,
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create an image definition."""
    kinds = os_types
    request = requests.CreateImageDefinitionRequest(
        parent=names.gallery(subscription, resource_group, gallery_name),
        image_definition_id=definition,
        image_definition=pb.ImageDefinition(
            location=location,
            os_type=value(kinds.OsType, "OS_TYPE_", os_type, option="--os-type"),
            os_state=value(kinds.OsState, "OS_STATE_", os_state, option="--os-state"),
            identifier=pb.ImageIdentifier(publisher=publisher, offer=offer, sku=sku),
            hyper_v_generation=value(
                kinds.HyperVGeneration,
                "HYPER_V_GENERATION_",
                hyper_v_generation,
                option="--hyper-v-generation",
            ),
            architecture=value(
                kinds.Architecture, "ARCHITECTURE_", architecture, option="--architecture"
            ),
            description=description,
            eula=eula,
            privacy_statement_uri=privacy_statement_uri,
            release_note_uri=release_note_uri,
            disallowed=pb.Disallowed(
                disk_types=[
                    disk_type(one, option="--disallowed-disk-types")
                    for one in disallowed_disk_types or ()
                ]
            ),
            features=[feature(name, one) for name, one in pairs("--features", features).items()],
            tags=pairs("--tags", tags),
        ),
    )
    wanted = request.image_definition
    if end_of_life_date:
        wanted.end_of_life_time.CopyFrom(values.time("--end-of-life-date", end_of_life_date))
    if plan_name or plan_product or plan_publisher:
        wanted.purchase_plan.CopyFrom(purchase_plan((plan_name, plan_product, plan_publisher)))
    fill_recommended(wanted, (minimum_cpu_core, maximum_cpu_core), (minimum_memory, maximum_memory))
    current().output.show(_stub().CreateImageDefinition(request), _COLUMNS)


@app.command()
def show(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    subscription: Subscription = None,
) -> None:
    """Show an image definition."""
    name = names.definition(subscription, resource_group, gallery_name, definition)
    request = requests.GetImageDefinitionRequest(name=name)
    current().output.show(_stub().GetImageDefinition(request))


@app.command(name="list")
def list_(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    order_by: OrderBy = "",
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the image definitions of a gallery; `-` for the gallery or group means all."""
    parent = names.gallery(subscription, resource_group, gallery_name)
    request = requests.ListImageDefinitionsRequest(parent=parent, filter=filter, order_by=order_by)
    found = pages(_stub().ListImageDefinitions, request, "image_definitions", limit=max_items)
    current().output.list(found, (names.column(parent), *_COLUMNS[1:]))


app.command(cls=ListCommand)(update)


@app.command()
def delete(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    yes: Yes = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Delete an image definition that has no versions."""
    name = names.definition(subscription, resource_group, gallery_name, definition)
    current().confirm(f"Delete {name}?", yes=yes)
    operation = _stub().DeleteImageDefinition(requests.DeleteImageDefinitionRequest(name=name))
    deleted(operation, name, no_wait=no_wait)


@app.command()
def list_shared(
    *,
    location: Location,
    gallery_unique_name: Annotated[str, typer.Option(help="The gallery shared with us.")],
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the image definitions of a gallery that is shared with us."""
    parent = names.view(subscription, location, unique_name=gallery_unique_name, public_name=None)
    stub = current().connection.stub("catalog", SharedGalleryServiceStub)
    request = shared.ListSharedGalleryImagesRequest(parent=parent)
    field = "shared_gallery_images"
    found = pages(stub.ListSharedGalleryImages, request, field, limit=max_items)
    current().output.list(found, _VIEW_COLUMNS)


@app.command()
def list_community(
    *,
    location: Location,
    public_gallery_name: Annotated[str, typer.Option(help="The community gallery.")],
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the image definitions of a community gallery."""
    parent = names.view(subscription, location, unique_name=None, public_name=public_gallery_name)
    stub = current().connection.stub("catalog", CommunityGalleryServiceStub)
    request = community.ListCommunityGalleryImagesRequest(parent=parent)
    field = "community_gallery_images"
    found = pages(stub.ListCommunityGalleryImages, request, field, limit=max_items)
    current().output.list(found, _VIEW_COLUMNS)
