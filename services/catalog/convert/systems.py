"""What is known of an operating system, between the contract and the domain.

Disks, snapshots and managed images tell of it in fields of the same names.
"""

from typing import Any

from services.catalog.convert.hardware import (
    ARCHITECTURES,
    CONTROLLERS,
    GENERATIONS,
    MACHINE_SECURITY,
    OS_STATES,
    OS_TYPES,
    decode_plan,
    encode_plan,
)
from services.catalog.domain.hardware import Architecture, HyperVGeneration, MachineSecurityType
from services.catalog.domain.system import System


def fill_system(message: Any, system: System) -> None:
    """Set the fields of a message that tell of a system."""
    message.os_type = OS_TYPES.number(system.os_type)
    message.os_state = OS_STATES.number(system.os_state)
    message.hyper_v_generation = GENERATIONS.number(system.hyper_v_generation)
    message.architecture = ARCHITECTURES.number(system.architecture)
    message.security_type = MACHINE_SECURITY.number(system.security_type)
    message.carries_vm_guest_state = system.carries_vm_guest_state
    if system.accelerated_networking is not None:
        message.accelerated_networking_supported = system.accelerated_networking
    message.disk_controller_types.extend(CONTROLLERS.number(one) for one in system.disk_controllers)
    if system.purchase_plan is not None:
        message.purchase_plan.CopyFrom(encode_plan(system.purchase_plan))


def decode_system(message: Any) -> System:
    """Read what a message tells of a system; what is not set has its default."""
    known = message.HasField("accelerated_networking_supported")
    return System(
        os_type=OS_TYPES.member(message.os_type),
        os_state=OS_STATES.member(message.os_state),
        hyper_v_generation=GENERATIONS.member(message.hyper_v_generation) or HyperVGeneration.V1,
        architecture=ARCHITECTURES.member(message.architecture) or Architecture.X64,
        security_type=MACHINE_SECURITY.member(message.security_type)
        or MachineSecurityType.STANDARD,
        carries_vm_guest_state=message.carries_vm_guest_state,
        accelerated_networking=message.accelerated_networking_supported if known else None,
        disk_controllers=tuple(
            found
            for one in message.disk_controller_types
            if (found := CONTROLLERS.member(one)) is not None
        ),
        purchase_plan=decode_plan(message.purchase_plan)
        if message.HasField("purchase_plan")
        else None,
    )
