"""Managed images: sources that hold all disks of a machine."""

from dataclasses import dataclass

from services.catalog.domain.disk_source import SourceDisk
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
    PurchasePlan,
)
from services.catalog.domain.resource import Resource
from services.catalog.domain.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedImage(Resource):
    """Disks and what is known of the operating system on them.

    `origin` is the disk, snapshot or machine that it was made from, empty for blobs and VHDs.
    `held_blobs` are the uids of the blobs that it holds.
    """

    os_type: OsType
    os_state: OsState
    disks: tuple[SourceDisk, ...]
    origin: str = ""
    hyper_v_generation: HyperVGeneration = HyperVGeneration.V1
    architecture: Architecture = Architecture.X64
    security_type: MachineSecurityType = MachineSecurityType.STANDARD
    carries_vm_guest_state: bool = False
    accelerated_networking: bool | None = None
    disk_controllers: tuple[DiskControllerType, ...] = ()
    purchase_plan: PurchasePlan | None = None
    disk_encryption_set: str = ""
    held_blobs: tuple[str, ...] = ()

    @property
    def system(self) -> System:
        """What is known of the operating system on it."""
        return System(
            os_type=self.os_type,
            os_state=self.os_state,
            hyper_v_generation=self.hyper_v_generation,
            architecture=self.architecture,
            security_type=self.security_type,
            carries_vm_guest_state=self.carries_vm_guest_state,
            accelerated_networking=self.accelerated_networking,
            disk_controllers=self.disk_controllers,
            purchase_plan=self.purchase_plan,
        )
