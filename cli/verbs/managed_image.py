"""`stoa managed-image`: images made of uploaded blobs."""

from typing import Annotated

import typer
from stoa.catalog.v1 import managed_image_pb2 as pb
from stoa.catalog.v1 import managed_image_service_pb2 as requests
from stoa.catalog.v1.managed_image_service_pb2_grpc import ManagedImageServiceStub
from stoa.type.v1 import os_type_pb2 as os_types

from cli.connection import pages
from cli.errors import UsageProblem
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, Record, human_bytes, note
from cli.verbs import names
from cli.verbs.options import (
    Filter,
    Location,
    MaxItems,
    Name,
    ResourceGroup,
    Subscription,
    Tags,
    Yes,
    pairs,
)
from cli.verbs.words import last, state_column, value, word

app = typer.Typer(no_args_is_help=True)


def _disks_cell(record: Record) -> str:
    return ", ".join(
        f"{'os' if disk.get('disk', {}).get('os') else 'lun ' + str(disk['disk'].get('lun', 0))} "
        f"{human_bytes(int(disk.get('sizeBytes', 0)))}"
        for disk in record.get("disks", ())
    )


_COLUMNS = (
    Column("Name", last("name")),
    Column("Location", "location"),
    Column("OS", word("osType", "OS_TYPE_")),
    Column("Disks", _disks_cell),
    state_column(),
)


def _stub() -> ManagedImageServiceStub:
    return current().connection.stub("catalog", ManagedImageServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    name: Name,
    location: Location,
    os_blob: Annotated[str, typer.Option(help="The blob of the OS disk.")],
    data_blobs: Annotated[
        list[str] | None,
        typer.Option(help="[LUN=]BLOB ...; without a LUN they are counted from 0."),
    ] = None,
    os_type: Annotated[str, typer.Option(help="Linux or Windows.")] = "Linux",
    os_state: Annotated[str, typer.Option(help="Generalized or Specialized.")] = "Generalized",
    hyper_v_generation: Annotated[str, typer.Option(help="V1 or V2.")] = "V2",
    architecture: Annotated[str, typer.Option(help="x64 or Arm64.")] = "x64",
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create a managed image of blobs; it keeps them from being collected."""

    def blob(given: str) -> str:
        return names.in_group(subscription, resource_group, "blobs", given)

    kinds = os_types
    image = pb.ManagedImage(
        location=location,
        blobs=pb.ManagedImageBlobs(
            os_blob=blob(os_blob),
            data_blobs=[
                pb.ManagedImageDataBlob(lun=lun, blob=blob(one))
                for lun, one in by_lun(data_blobs or []).items()
            ],
        ),
        os_type=value(kinds.OsType, "OS_TYPE_", os_type, option="--os-type"),
        os_state=value(kinds.OsState, "OS_STATE_", os_state, option="--os-state"),
        hyper_v_generation=value(
            kinds.HyperVGeneration,
            "HYPER_V_GENERATION_",
            hyper_v_generation,
            option="--hyper-v-generation",
        ),
        architecture=value(
            kinds.Architecture, "ARCHITECTURE_", architecture, option="--architecture"
        ),
        tags=pairs("--tags", tags),
    )
    request = requests.CreateManagedImageRequest(
        parent=names.group(subscription, resource_group), managed_image_id=name, managed_image=image
    )
    current().output.show(_stub().CreateManagedImage(request), _COLUMNS)


@app.command()
def show(*, resource_group: ResourceGroup, name: Name, subscription: Subscription = None) -> None:
    """Show a managed image."""
    full = names.in_group(subscription, resource_group, "managedImages", name)
    current().output.show(_stub().GetManagedImage(requests.GetManagedImageRequest(name=full)))


@app.command(name="list")
def list_(
    *,
    resource_group: ResourceGroup,
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the managed images of a resource group; `-` means all groups."""
    request = requests.ListManagedImagesRequest(
        parent=names.group(subscription, resource_group), filter=filter
    )
    found = pages(_stub().ListManagedImages, request, "managed_images", limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command()
def delete(
    *,
    resource_group: ResourceGroup,
    name: Name,
    yes: Yes = False,
    subscription: Subscription = None,
) -> None:
    """Delete a managed image; versions made of it stay."""
    full = names.in_group(subscription, resource_group, "managedImages", name)
    current().confirm(f"Delete {full}?", yes=yes)
    _stub().DeleteManagedImage(requests.DeleteManagedImageRequest(name=full))
    note(f"Deleted {full}")


def by_lun(given: list[str]) -> dict[int, str]:
    """Read `[LUN=]BLOB` texts.

    Raises:
        UsageProblem: a LUN is no number, or is given twice.
    """
    found: dict[int, str] = {}
    for position, text in enumerate(given):
        number, equals, blob = text.partition("=")
        if equals and not number.isdecimal():
            raise UsageProblem(f"{number} is no LUN.", todo="Say --data-blobs 0=BLOB")
        lun = int(number) if equals else position
        if lun in found:
            raise UsageProblem(f"LUN {lun} is given twice.", todo="Say --data-blobs 0=BLOB 1=BLOB")
        found[lun] = blob if equals else text
    return found
