"""Virtual machines between the contract and the domain."""

from typing import Any, Final

from stoa.catalog.v1 import virtual_machine_pb2 as pb

from services.catalog.convert.common import EnumMap, fill
from services.catalog.convert.hardware import (
    ARCHITECTURES,
    CACHINGS,
    CONTROLLERS,
    GENERATIONS,
    MACHINE_SECURITY,
    OS_STATES,
    OS_TYPES,
    decode_plan,
    encode_plan,
)
from services.catalog.convert.storage_accounts import decode_vhd, encode_vhd
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    HostCaching,
    HyperVGeneration,
    MachineSecurityType,
)
from services.catalog.domain.names import OS_DISK
from services.catalog.domain.system import System
from services.catalog.domain.virtual_machine import MachineDisk, PowerState, VirtualMachine

POWER_STATES: Final = EnumMap(PowerState, pb.VirtualMachine.PowerState, "POWER_STATE_")


def encode(machine: VirtualMachine) -> pb.VirtualMachine:
    """Answer a machine as the contract has it."""
    system = machine.system
    message = pb.VirtualMachine(
        size=machine.size,
        os_type=OS_TYPES.number(system.os_type),
        os_state=OS_STATES.number(system.os_state),
        hyper_v_generation=GENERATIONS.number(system.hyper_v_generation),
        architecture=ARCHITECTURES.number(system.architecture),
        power_state=POWER_STATES.number(machine.power_state),
        security_type=MACHINE_SECURITY.number(system.security_type),
        carries_vm_guest_state=system.carries_vm_guest_state,
        accelerated_networking=bool(system.accelerated_networking),
        hibernation=machine.hibernation,
        disk_controller_type=CONTROLLERS.number(_controller(system)),
    )
    fill(message, machine)
    if system.purchase_plan is not None:
        message.purchase_plan.CopyFrom(encode_plan(system.purchase_plan))
    for disk in machine.disks:
        if disk.disk == OS_DISK:
            _fill_disk(message.os_disk, disk)
        else:
            _fill_disk(message.data_disks.add(lun=int(disk.disk)), disk)
    return message


def decode_system(message: pb.VirtualMachine) -> System:
    """Read what a machine tells of its system; what is not set has its default."""
    return System(
        os_type=OS_TYPES.member(message.os_type),
        os_state=OS_STATES.member(message.os_state),
        hyper_v_generation=GENERATIONS.member(message.hyper_v_generation) or HyperVGeneration.V1,
        architecture=ARCHITECTURES.member(message.architecture) or Architecture.X64,
        security_type=MACHINE_SECURITY.member(message.security_type)
        or MachineSecurityType.STANDARD,
        carries_vm_guest_state=message.carries_vm_guest_state,
        accelerated_networking=message.accelerated_networking,
        disk_controllers=(
            CONTROLLERS.member(message.disk_controller_type) or DiskControllerType.SCSI,
        ),
        purchase_plan=decode_plan(message.purchase_plan)
        if message.HasField("purchase_plan")
        else None,
    )


def decode_disks(message: pb.VirtualMachine) -> tuple[MachineDisk, ...]:
    """Read the disks in the order of the request, the OS disk first."""
    os_disk = message.os_disk
    return (
        _disk(OS_DISK, os_disk, ephemeral=os_disk.ephemeral),
        *(_disk(str(one.lun), one) for one in message.data_disks),
    )


def _disk(disk: str, message: Any, *, ephemeral: bool = False) -> MachineDisk:
    return MachineDisk(
        disk,
        managed=message.disk,
        vhd=decode_vhd(message.vhd) if message.HasField("vhd") else None,
        ephemeral=ephemeral,
        host_caching=CACHINGS.member(message.host_caching) or HostCaching.NONE,
    )


def _fill_disk(message: Any, disk: MachineDisk) -> None:
    message.host_caching = CACHINGS.number(disk.host_caching)
    if disk.ephemeral:
        message.ephemeral = True
    elif disk.vhd is not None:
        message.vhd.CopyFrom(encode_vhd(disk.vhd))
    else:
        message.disk = disk.managed


def _controller(system: System) -> DiskControllerType:
    return system.disk_controllers[0] if system.disk_controllers else DiskControllerType.SCSI
