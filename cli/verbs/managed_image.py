"""`stoa managed-image`: images made of blobs, VHDs, disks, snapshots and machines."""

from typing import Annotated

import typer
from stoa.catalog.v1 import managed_image_pb2 as pb
from stoa.catalog.v1 import managed_image_service_pb2
from stoa.catalog.v1.managed_image_service_pb2_grpc import ManagedImageServiceStub

from cli.errors import UsageProblem
from cli.lazy import ListCommand
from cli.output import Column, Record, human_bytes
from cli.verbs import names, system_options
from cli.verbs.options import (
    Location,
    Name,
    ResourceGroup,
    Subscription,
    Tags,
    exactly_one,
    pairs,
)
from cli.verbs.sources import Kind, created, register
from cli.verbs.system_options import (
    AcceleratedNetwork,
    Architecture,
    Controllers,
    EncryptionSet,
    Generation,
    GuestState,
    OsState,
    OsType,
    PlanName,
    PlanProduct,
    PlanPublisher,
    SecurityType,
)
from cli.verbs.values import by_lun, vhd
from cli.verbs.words import last, state_column, word

app = typer.Typer(no_args_is_help=True)


def _disks_cell(record: Record) -> str:
    return ", ".join(
        f"{'os' if disk.get('disk', {}).get('os') else 'lun ' + str(disk['disk'].get('lun', 0))} "
        f"{human_bytes(int(disk.get('sizeBytes', 0)))}"
        for disk in record.get("disks", ())
    )


_KIND = Kind(
    title="managed image",
    message="ManagedImage",
    several="managed_images",
    collection="managedImages",
    requests=managed_image_service_pb2,
    stub=ManagedImageServiceStub,
    columns=(
        Column("Name", last("name")),
        Column("Location", "location"),
        Column("OS", word("osType", "OS_TYPE_")),
        Column("Disks", _disks_cell),
        state_column(),
    ),
)
# What may be named by --source, and the field for it.
_SOURCES = {"disks": "disk", "snapshots": "snapshot", "virtualMachines": "virtual_machine"}


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    name: Name,
    location: Location,
    source: Annotated[
        str,
        typer.Option(
            help="A disk, a snapshot or a machine: disks/ID, snapshots/ID, virtualMachines/ID "
            "or the full name; an ID alone is a machine's."
        ),
    ] = "",
    os_blob: Annotated[str, typer.Option(help="The blob of the OS disk.")] = "",
    data_blobs: Annotated[
        list[str] | None,
        typer.Option(help="[LUN=]BLOB ...; without a LUN they are counted from 0."),
    ] = None,
    os_vhd_uri: Annotated[
        str, typer.Option(help="The path of the OS disk's VHD in the storage account.")
    ] = "",
    os_vhd_storage_account: Annotated[str, typer.Option(help="Where the VHDs are.")] = "",
    data_vhds_uris: Annotated[
        list[str] | None, typer.Option(help="[LUN=]PATH ... of data disks there.")
    ] = None,
    os_type: OsType = "",
    os_state: OsState = "",
    hyper_v_generation: Generation = "",
    architecture: Architecture = "",
    security_type: SecurityType = "",
    vm_guest_state: GuestState = False,
    accelerated_network: AcceleratedNetwork = None,
    disk_controller_types: Controllers = None,
    disk_encryption_set: EncryptionSet = "",
    plan_name: PlanName = "",
    plan_product: PlanProduct = "",
    plan_publisher: PlanPublisher = "",
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create a managed image of blobs, of VHDs, or of a disk, a snapshot or a machine.

    Of blobs and VHDs it is Linux, Generalized, V2 and x64, if nothing else is said; of
    anything else it is what that is.
    """
    kind = exactly_one(source=source, os_blob=os_blob, os_vhd_uri=os_vhd_uri)
    image = pb.ManagedImage(
        location=location,
        carries_vm_guest_state=vm_guest_state,
        accelerated_networking_supported=accelerated_network,
        tags=pairs("--tags", tags),
    )
    match kind:
        case "source":
            field, full = _source(subscription, resource_group, source)
            setattr(image, field, full)
        case "os_blob":
            image.blobs.CopyFrom(_blobs(subscription, resource_group, os_blob, data_blobs or []))
        case _:
            image.vhds.os_vhd.CopyFrom(
                vhd(subscription, resource_group, os_vhd_storage_account, os_vhd_uri)
            )
            for lun, path in by_lun(data_vhds_uris or [], option="--data-vhds-uris").items():
                found = vhd(subscription, resource_group, os_vhd_storage_account, path)
                image.vhds.data_vhds.add(lun=lun, vhd=found)
    of_bytes = kind != "source"
    system_options.fill(
        image,
        os_type=os_type or ("Linux" if of_bytes else ""),
        os_state=os_state or ("Generalized" if of_bytes else ""),
        hyper_v_generation=hyper_v_generation or ("V2" if of_bytes else ""),
        architecture=architecture or ("x64" if of_bytes else ""),
        security_type=security_type,
        disk_controller_types=disk_controller_types,
        plan=(plan_name, plan_product, plan_publisher),
    )
    if disk_encryption_set:
        image.disk_encryption_set = names.in_group(
            subscription, resource_group, "diskEncryptionSets", disk_encryption_set
        )
    created(_KIND, names.group(subscription, resource_group), name, image)


def _blobs(
    subscription: str | None, resource_group: str, os_blob: str, data: list[str]
) -> pb.ManagedImageBlobs:
    def blob(given: str) -> str:
        return names.in_group(subscription, resource_group, "blobs", given)

    return pb.ManagedImageBlobs(
        os_blob=blob(os_blob),
        data_blobs=[
            pb.ManagedImageDataBlob(lun=lun, blob=blob(one)) for lun, one in by_lun(data).items()
        ],
    )


def _source(subscription: str | None, resource_group: str, given: str) -> tuple[str, str]:
    """The field of a source, and its full name."""
    *_, collection, identity = ["virtualMachines", *given.split("/")]
    field = _SOURCES.get(collection)
    if field is None:
        raise UsageProblem(
            f"{given} is no value of --source.",
            todo="Say disks/ID, snapshots/ID or virtualMachines/ID",
        )
    if given.startswith("subscriptions/"):
        return field, given
    return field, names.in_group(subscription, resource_group, collection, identity)


register(app, _KIND)
