"""Options about the system on disks, machines and managed images."""

from typing import Annotated, Any

import typer
from stoa.catalog.v1 import machine_hardware_pb2 as hardware
from stoa.catalog.v1.purchase_plan_pb2 import PurchasePlan
from stoa.type.v1 import os_type_pb2 as os_types

from cli.verbs.words import value

OsType = Annotated[str, typer.Option("--os-type", help="Linux or Windows.")]
OsState = Annotated[str, typer.Option("--os-state", help="Generalized or Specialized.")]
Generation = Annotated[str, typer.Option("--hyper-v-generation", help="V1 or V2.")]
Architecture = Annotated[str, typer.Option("--architecture", help="x64 or Arm64.")]
SecurityType = Annotated[
    str, typer.Option("--security-type", help="Standard, TrustedLaunch or ConfidentialVM.")
]
GuestState = Annotated[
    bool, typer.Option("--vm-guest-state", help="It carries the guest state of a machine.")
]
AcceleratedNetwork = Annotated[
    bool | None,
    typer.Option("--accelerated-network/--no-accelerated-network", help="Supports it."),
]
Controllers = Annotated[
    list[str] | None, typer.Option("--disk-controller-types", help="SCSI NVMe ...")
]
EncryptionSet = Annotated[
    str, typer.Option("--disk-encryption-set", help="The set that it is encrypted with.")
]
PlanName = Annotated[str, typer.Option("--plan-name", help="Name of the purchase plan.")]
PlanProduct = Annotated[str, typer.Option("--plan-product", help="Product of the plan.")]
PlanPublisher = Annotated[str, typer.Option("--plan-publisher", help="Publisher of the plan.")]


def fill(
    message: Any,
    *,
    os_type: str = "",
    os_state: str = "",
    hyper_v_generation: str = "",
    architecture: str = "",
    security_type: str = "",
    disk_controller_types: list[str] | None = None,
    plan: tuple[str, str, str] = ("", "", ""),
) -> None:
    """Set what is said of the system on a message; `plan` is name, product and publisher.

    Raises:
        UsageProblem: a word means nothing.
    """
    words: dict[str, tuple[Any, str, str]] = {
        "os_type": (os_types.OsType, "OS_TYPE_", os_type),
        "os_state": (os_types.OsState, "OS_STATE_", os_state),
        "hyper_v_generation": (
            os_types.HyperVGeneration,
            "HYPER_V_GENERATION_",
            hyper_v_generation,
        ),
        "architecture": (os_types.Architecture, "ARCHITECTURE_", architecture),
        "security_type": (
            hardware.MachineSecurityType,
            "MACHINE_SECURITY_TYPE_",
            security_type,
        ),
    }
    for field, (enum, prefix, word) in words.items():
        if word:
            option = f"--{field.replace('_', '-')}"
            setattr(message, field, value(enum, prefix, word, option=option))
    for word in disk_controller_types or ():
        message.disk_controller_types.append(controller(word, option="--disk-controller-types"))
    if any(plan):
        message.purchase_plan.CopyFrom(purchase_plan(plan))


def controller(word: str, *, option: str) -> hardware.DiskControllerType.ValueType:
    """The controller that a word means.

    Raises:
        UsageProblem: it means none.
    """
    return value(hardware.DiskControllerType, "DISK_CONTROLLER_TYPE_", word, option=option)


def disk_type(word: str, *, option: str) -> hardware.DiskType.ValueType:
    """The kind of disk that a word means: `Premium_LRS`.

    Raises:
        UsageProblem: it means none.
    """
    return value(hardware.DiskType, "DISK_TYPE_", word, option=option)


def purchase_plan(plan: tuple[str, str, str]) -> PurchasePlan:
    """A purchase plan by name, product and publisher."""
    name, product, publisher = plan
    return PurchasePlan(name=name, product=product, publisher=publisher)
