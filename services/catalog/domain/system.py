"""What is known of the operating system on a source, and matched against a definition."""

from dataclasses import dataclass

from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
    PurchasePlan,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An operating system, as the disk, machine or image that carries it tells of it.

    `os_type` is None on a data disk, `os_state` and `accelerated_networking` where they are not
    known: what is not known is not compared (gallery-semantics 3.12). No controllers mean SCSI.
    """

    os_type: OsType | None = None
    os_state: OsState | None = None
    hyper_v_generation: HyperVGeneration = HyperVGeneration.V1
    architecture: Architecture = Architecture.X64
    security_type: MachineSecurityType = MachineSecurityType.STANDARD
    carries_vm_guest_state: bool = False
    accelerated_networking: bool | None = None
    disk_controllers: tuple[DiskControllerType, ...] = ()
    purchase_plan: PurchasePlan | None = None
