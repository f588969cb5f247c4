"""`stoa snapshot`: snapshots of disks, made of uploaded blobs."""

from typing import Annotated

import typer
from stoa.catalog.v1 import snapshot_pb2 as pb
from stoa.catalog.v1 import snapshot_service_pb2
from stoa.catalog.v1.snapshot_service_pb2_grpc import SnapshotServiceStub

from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names, system_options
from cli.verbs.options import Location, Name, ResourceGroup, Subscription, Tags, pairs
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
from cli.verbs.words import last, state_column, word

app = typer.Typer(no_args_is_help=True)

_KIND = Kind(
    title="snapshot",
    message="Snapshot",
    several="snapshots",
    collection="snapshots",
    requests=snapshot_service_pb2,
    stub=SnapshotServiceStub,
    columns=(
        Column("Name", last("name")),
        Column("Location", "location"),
        Column("OS", word("osType", "OS_TYPE_")),
        Column("Blob", last("blob")),
        state_column(),
    ),
)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    name: Name,
    location: Location,
    source: Annotated[str, typer.Option("--source", help="The blob with its bytes.")],
    os_type: OsType = "",
    os_state: OsState = "",
    hyper_v_generation: Generation = "V2",
    architecture: Architecture = "x64",
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
    """Create a snapshot of a blob; without --os-type it is one of a data disk."""
    snapshot = pb.Snapshot(
        location=location,
        blob=names.in_group(subscription, resource_group, "blobs", source),
        carries_vm_guest_state=vm_guest_state,
        accelerated_networking_supported=accelerated_network,
        tags=pairs("--tags", tags),
    )
    system_options.fill(
        snapshot,
        os_type=os_type,
        os_state=os_state,
        hyper_v_generation=hyper_v_generation,
        architecture=architecture,
        security_type=security_type,
        disk_controller_types=disk_controller_types,
        plan=(plan_name, plan_product, plan_publisher),
    )
    if disk_encryption_set:
        snapshot.disk_encryption_set = names.in_group(
            subscription, resource_group, "diskEncryptionSets", disk_encryption_set
        )
    created(_KIND, names.group(subscription, resource_group), name, snapshot)


register(app, _KIND)
