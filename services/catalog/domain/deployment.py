"""Deployments that are checked: a machine, an image in a region, and what is found.

What each finding is, how bad it is and in which order they are told is the contract's
(`DeploymentFinding`); the rules are in `deployment_rules` and `deployment_moves`.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.catalog.domain import features
from services.catalog.domain.definition import Definition
from services.catalog.domain.disk_source import SourceDisk
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    DiskType,
    HyperVGeneration,
    MachineSecurityType,
    OsType,
    PurchasePlan,
)
from services.catalog.domain.names import OS_DISK
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version


class Severity(enum.Enum):
    """How bad a finding is."""

    ERROR = "ERROR"
    WARNING = "WARNING"


class FindingKind(enum.Enum):
    """What a finding is: errors first, each in the order of the contract."""

    OS_PROFILE_NOT_ALLOWED = 1
    OS_PROFILE_REQUIRED = 2
    DISK_TYPE_DISALLOWED = 3
    GENERATION_MISMATCH = 4
    ARCHITECTURE_MISMATCH = 5
    SECURITY_TYPE_UNSUPPORTED = 6
    SECURITY_TYPE_REQUIRED = 7
    CONFIDENTIAL_REGION_REQUIRED = 8
    DISK_CONTROLLER_UNSUPPORTED = 9
    HIBERNATION_UNSUPPORTED = 10
    ACCELERATED_NETWORKING_UNSUPPORTED = 11
    PURCHASE_PLAN_REQUIRED = 12
    PURCHASE_PLAN_MISMATCH = 13
    TERMS_NOT_ACCEPTED = 14
    SOFT_DELETED_IN_FLEXIBLE_SCALE_SET = 15
    INSTANCE_COUNT_TOO_HIGH = 16
    SCALE_SET_OS_TYPE_MISMATCH = 17
    SCALE_SET_GENERATION_MISMATCH = 18
    SCALE_SET_DATA_DISKS_MISMATCH = 19
    VCPUS_NOT_RECOMMENDED = 20
    MEMORY_NOT_RECOMMENDED = 21
    END_OF_LIFE_PASSED = 22
    SPECIALIZED_IDENTITY = 23
    SHALLOW_MASS_DEPLOYMENT = 24
    TOO_FEW_REPLICAS = 25
    DEGRADED = 26
    SOFT_DELETED = 27

    @property
    def severity(self) -> Severity:
        """How bad it is: the same whenever it is found."""
        last_error = FindingKind.SCALE_SET_DATA_DISKS_MISMATCH
        return Severity.ERROR if self.value <= last_error.value else Severity.WARNING


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found; `field` is that of the request, empty where it is the image."""

    kind: FindingKind
    field: str
    description: str


class DeploymentKind(enum.Enum):
    """What is deployed."""

    SINGLE_MACHINE = "SINGLE_MACHINE"
    UNIFORM_SCALE_SET = "UNIFORM_SCALE_SET"
    FLEXIBLE_SCALE_SET = "FLEXIBLE_SCALE_SET"

    @property
    def is_scale_set(self) -> bool:
        """Whether the machines are in a set."""
        return self is not DeploymentKind.SINGLE_MACHINE


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineShape:
    """A machine that is to be made; None and empty are not checked; memory in GB."""

    vcpus: int | None = None
    memory_gb: float | None = None
    os_disk_type: DiskType | None = None
    data_disk_types: tuple[DiskType, ...] = ()
    disk_controller: DiskControllerType = DiskControllerType.SCSI
    security_type: MachineSecurityType = MachineSecurityType.STANDARD
    hibernation: bool = False
    accelerated_networking: bool = False
    hyper_v_generation: HyperVGeneration | None = None
    architecture: Architecture | None = None
    os_profile_given: bool | None = None
    purchase_plan: PurchasePlan | None = None
    accept_terms: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is to be made of an image."""

    machine: MachineShape
    kind: DeploymentKind = DeploymentKind.SINGLE_MACHINE
    instance_count: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """What a scale set cannot change by moving to another image.

    `data_disks` are the sizes in bytes by LUN.
    """

    os_type: OsType
    hyper_v_generation: HyperVGeneration
    data_disks: Mapping[str, int]

    @staticmethod
    def of(os_type: OsType, generation: HyperVGeneration, disks: Iterable[SourceDisk]) -> "Layout":
        """Answer the layout of an image with these disks."""
        data = {one.disk: one.size_bytes for one in disks if one.disk != OS_DISK}
        return Layout(os_type, generation, data)


@dataclass(frozen=True, slots=True)
class Image:
    """A version in a region, as it is judged at the moment `now`.

    `status` is that of the region, `confidential` whether the region can run confidential
    machines. `is_view` says that it is somebody else's: then no count is told; `of_community`
    that its publisher's terms have to be accepted.
    """

    definition: Definition
    version: Version
    status: RegionStatus
    confidential: bool
    now: datetime
    is_view: bool = False
    of_community: bool = False

    @property
    def end_of_life_time(self) -> datetime | None:
        """The effective end of life: the version's own, else the definition's."""
        return self.version.end_of_life_time or self.definition.end_of_life_time

    @property
    def layout(self) -> Layout:
        """What a scale set would move to."""
        return Layout.of(
            self.definition.os_type, self.definition.hyper_v_generation, self.version.disks
        )

    def feature(self, name: str) -> str:
        """Answer the value that a feature has for this version, empty where it has none."""
        held = features.in_force(self.definition.features, self.version.number)
        return next((one.value for one in held if one.name == name), "")
