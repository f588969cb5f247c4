"""What images, disks and machines have in common."""

import enum
from dataclasses import dataclass

from services.kernel.names import fold


class OsType(enum.Enum):
    """The kind of operating system that a disk holds."""

    WINDOWS = "WINDOWS"
    LINUX = "LINUX"


class OsState(enum.Enum):
    """Whether the operating system was stripped of its identity."""

    GENERALIZED = "GENERALIZED"
    SPECIALIZED = "SPECIALIZED"


class HyperVGeneration(enum.Enum):
    """The generation of the virtual hardware."""

    V1 = "V1"
    V2 = "V2"


class Architecture(enum.Enum):
    """The processor architecture."""

    X64 = "X64"
    ARM64 = "ARM64"


class HostCaching(enum.Enum):
    """How the host caches a disk."""

    NONE = "NONE"
    READ_ONLY = "READ_ONLY"
    READ_WRITE = "READ_WRITE"


class DiskControllerType(enum.Enum):
    """A controller that an operating system starts from."""

    SCSI = "SCSI"
    NVME = "NVME"


class MachineSecurityType(enum.Enum):
    """The security type of a machine."""

    STANDARD = "STANDARD"
    TRUSTED_LAUNCH = "TRUSTED_LAUNCH"
    CONFIDENTIAL_VM = "CONFIDENTIAL_VM"


class DiskType(enum.Enum):
    """A kind of disk of a machine."""

    STANDARD_LRS = "STANDARD_LRS"
    STANDARD_SSD_LRS = "STANDARD_SSD_LRS"
    STANDARD_SSD_ZRS = "STANDARD_SSD_ZRS"
    PREMIUM_LRS = "PREMIUM_LRS"
    PREMIUM_ZRS = "PREMIUM_ZRS"
    PREMIUM_V2_LRS = "PREMIUM_V2_LRS"
    ULTRA_SSD_LRS = "ULTRA_SSD_LRS"


class StorageType(enum.Enum):
    """What replicas are kept on."""

    STANDARD_LRS = "STANDARD_LRS"
    STANDARD_ZRS = "STANDARD_ZRS"
    PREMIUM_LRS = "PREMIUM_LRS"
    PREMIUM_V2_LRS = "PREMIUM_V2_LRS"


class DiskFormat(enum.Enum):
    """The format of the bytes of a disk."""

    RAW = "RAW"
    VHD_FIXED = "VHD_FIXED"
    VHD_DYNAMIC = "VHD_DYNAMIC"
    VHDX = "VHDX"
    QCOW2 = "QCOW2"
    VMDK = "VMDK"


@dataclass(frozen=True, slots=True)
class PurchasePlan:
    """The marketplace plan that an image was bought under; compared without case."""

    name: str
    publisher: str
    product: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What plans are compared by."""
        return fold(self.name), fold(self.publisher), fold(self.product)
