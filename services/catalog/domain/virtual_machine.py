"""Virtual machines, as sources of images."""

import enum
from dataclasses import dataclass

from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.resource import Resource
from services.catalog.domain.storage_account import Vhd
from services.catalog.domain.system import System


class PowerState(enum.Enum):
    """Whether a machine runs."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    DEALLOCATED = "DEALLOCATED"


@dataclass(frozen=True, slots=True)
class MachineDisk:
    """A disk of a machine: `disk` is `os` or a LUN.

    It lies on the managed disk `managed`, in `vhd` (an unmanaged machine), or on the host.
    """

    disk: str
    managed: str = ""
    vhd: Vhd | None = None
    ephemeral: bool = False
    host_caching: HostCaching = HostCaching.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine(Resource):
    """A machine: the OS disk comes first in `disks`, then the data disks by their LUNs."""

    size: str
    system: System
    disks: tuple[MachineDisk, ...]
    power_state: PowerState | None = None
    hibernation: bool = False
