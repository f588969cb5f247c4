"""`stoa image-definition update`: what may be changed of a definition."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.catalog.v1 import image_definition_pb2 as pb
from stoa.catalog.v1 import image_definition_service_pb2 as requests
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub

from cli.invocation import current
from cli.verbs import names, values
from cli.verbs.options import (
    Definition,
    EndOfLife,
    Etag,
    GalleryName,
    ResourceGroup,
    Subscription,
    Tags,
    ValidateOnly,
    pairs,
    something,
)

MinimumCpu = Annotated[int | None, typer.Option(help="Recommended processors, at least.")]
MaximumCpu = Annotated[int | None, typer.Option(help="Recommended processors, at most.")]
MinimumMemory = Annotated[int | None, typer.Option(help="Recommended memory in GB, at least.")]
MaximumMemory = Annotated[int | None, typer.Option(help="Recommended memory in GB, at most.")]

Ends = tuple[int | None, int | None]


def update(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    end_of_life_date: EndOfLife = "",
    release_note_uri: Annotated[str | None, typer.Option(help="URI.")] = None,
    minimum_cpu_core: MinimumCpu = None,
    maximum_cpu_core: MaximumCpu = None,
    minimum_memory: MinimumMemory = None,
    maximum_memory: MaximumMemory = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE[@VERSION] ..., all of them; needs --allow-update-image."),
    ] = None,
    allow_update_image: Annotated[
        bool, typer.Option("--allow-update-image", help="Features may change.")
    ] = False,
    tags: Tags = None,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    subscription: Subscription = None,
) -> None:
    """Change an image definition; versions keep what they are.

    Both ends of a recommended range are set together.
    """
    name = names.definition(subscription, resource_group, gallery_name, definition)
    changed = pb.ImageDefinition(name=name, etag=etag)
    paths: list[str] = []
    if description is not None:
        changed.description = description
        paths.append("description")
    if end_of_life_date:
        changed.end_of_life_time.CopyFrom(values.time("--end-of-life-date", end_of_life_date))
        paths.append("end_of_life_time")
    if release_note_uri is not None:
        changed.release_note_uri = release_note_uri
        paths.append("release_note_uri")
    paths += fill_recommended(
        changed, (minimum_cpu_core, maximum_cpu_core), (minimum_memory, maximum_memory)
    )
    if features is not None:
        changed.features.extend(
            feature(name, one) for name, one in pairs("--features", features).items()
        )
        paths.append("features")
    if tags is not None:
        changed.tags.update(pairs("--tags", tags))
        paths.append("tags")
    request = requests.UpdateImageDefinitionRequest(
        image_definition=changed,
        update_mask=FieldMask(paths=something(paths)),
        allow_update_image=allow_update_image,
        validate_only=validate_only,
    )
    stub = current().connection.stub("catalog", ImageDefinitionServiceStub)
    current().output.show(stub.UpdateImageDefinition(request))


def feature(name: str, text: str) -> pb.ImageFeature:
    """Read `VALUE[@VERSION]` of a feature; it counts from that version on."""
    found, _, starts = text.partition("@")
    return pb.ImageFeature(name=name, value=found, starts_at_version=starts)


def fill_recommended(message: pb.ImageDefinition, vcpus: Ends, memory_gb: Ends) -> list[str]:
    """Set the ranges of which an end is said; answer their paths."""
    paths: list[str] = []
    for field, (least, most) in {"vcpus": vcpus, "memory_gb": memory_gb}.items():
        if least is not None or most is not None:
            getattr(message.recommended, field).CopyFrom(pb.ResourceRange(min=least, max=most))
            paths.append(f"recommended.{field}")
    return paths
