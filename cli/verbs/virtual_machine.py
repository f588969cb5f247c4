"""`stoa vm`: machines that images are made from; Stoa knows of them, and does not run them."""

from typing import Annotated

import typer
from stoa.catalog.v1 import virtual_machine_pb2 as pb
from stoa.catalog.v1 import virtual_machine_service_pb2
from stoa.catalog.v1.virtual_machine_service_pb2_grpc import VirtualMachineServiceStub

from cli.errors import UsageProblem
from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names, system_options
from cli.verbs.options import Location, Name, ResourceGroup, Subscription, Tags, exactly_one, pairs
from cli.verbs.sources import Kind, created, register
from cli.verbs.system_options import (
    Architecture,
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
from cli.verbs.words import last, state_column, value, word

app = typer.Typer(no_args_is_help=True)

_KIND = Kind(
    title="virtual machine",
    message="VirtualMachine",
    several="virtual_machines",
    collection="virtualMachines",
    requests=virtual_machine_service_pb2,
    stub=VirtualMachineServiceStub,
    columns=(
        Column("Name", last("name")),
        Column("Location", "location"),
        Column("Size", "size"),
        Column("OS", word("osType", "OS_TYPE_")),
        Column("OS state", word("osState", "OS_STATE_")),
        state_column(),
    ),
)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    name: Name,
    location: Location,
    size: Annotated[str, typer.Option("--size", help="For example Standard_D2s_v5.")],
    attach_os_disk: Annotated[str, typer.Option(help="Its OS disk is this disk.")] = "",
    os_vhd_uri: Annotated[
        str, typer.Option(help="Its OS disk is the VHD at this path of the storage account.")
    ] = "",
    os_vhd_storage_account: Annotated[
        str, typer.Option(help="The storage account of --os-vhd-uri and --data-vhds-uris.")
    ] = "",
    ephemeral_os_disk: Annotated[
        bool, typer.Option("--ephemeral-os-disk", help="Its OS disk is kept nowhere.")
    ] = False,
    attach_data_disks: Annotated[list[str] | None, typer.Option(help="[LUN=]DISK ...")] = None,
    data_vhds_uris: Annotated[list[str] | None, typer.Option(help="[LUN=]PATH ...")] = None,
    os_type: OsType = "Linux",
    os_state: OsState = "Generalized",
    hyper_v_generation: Generation = "V2",
    architecture: Architecture = "x64",
    power_state: Annotated[str, typer.Option(help="Running, Stopped or Deallocated.")] = "",
    security_type: SecurityType = "",
    vm_guest_state: GuestState = False,
    accelerated_networking: Annotated[bool, typer.Option(help="It has it.")] = False,
    enable_hibernation: Annotated[bool, typer.Option(help="It can hibernate.")] = False,
    disk_controller_type: Annotated[str, typer.Option(help="SCSI or NVMe.")] = "",
    plan_name: PlanName = "",
    plan_product: PlanProduct = "",
    plan_publisher: PlanPublisher = "",
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Register a machine with its disks, to make images of it."""

    def disk(given: str) -> str:
        return names.in_group(subscription, resource_group, "disks", given)

    os_disk = pb.VirtualMachineOsDisk()
    match exactly_one(
        attach_os_disk=attach_os_disk,
        os_vhd_uri=os_vhd_uri,
        ephemeral_os_disk="yes" if ephemeral_os_disk else "",
    ):
        case "attach_os_disk":
            os_disk.disk = disk(attach_os_disk)
        case "os_vhd_uri":
            found = vhd(subscription, resource_group, os_vhd_storage_account, os_vhd_uri)
            os_disk.vhd.CopyFrom(found)
        case _:
            os_disk.ephemeral = True
    data = [
        pb.VirtualMachineDataDisk(lun=lun, disk=disk(one))
        for lun, one in by_lun(attach_data_disks or [], option="--attach-data-disks").items()
    ] + [
        pb.VirtualMachineDataDisk(
            lun=lun, vhd=vhd(subscription, resource_group, os_vhd_storage_account, one)
        )
        for lun, one in by_lun(data_vhds_uris or [], option="--data-vhds-uris").items()
    ]
    if attach_data_disks and data_vhds_uris:
        raise UsageProblem("Either --attach-data-disks or --data-vhds-uris.")
    machine = pb.VirtualMachine(
        location=location,
        size=size,
        os_disk=os_disk,
        data_disks=data,
        carries_vm_guest_state=vm_guest_state,
        accelerated_networking=accelerated_networking,
        hibernation=enable_hibernation,
        tags=pairs("--tags", tags),
    )
    system_options.fill(
        machine,
        os_type=os_type,
        os_state=os_state,
        hyper_v_generation=hyper_v_generation,
        architecture=architecture,
        security_type=security_type,
        plan=(plan_name, plan_product, plan_publisher),
    )
    if power_state:
        states, prefix = pb.VirtualMachine.PowerState, "POWER_STATE_"
        machine.power_state = value(states, prefix, power_state, option="--power-state")
    if disk_controller_type:
        machine.disk_controller_type = system_options.controller(
            disk_controller_type, option="--disk-controller-type"
        )
    created(_KIND, names.group(subscription, resource_group), name, machine)


register(app, _KIND)
