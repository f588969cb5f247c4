"""Many machines from one image: what a region serves, and where a scale set may move."""

from collections.abc import Iterator
from typing import Final

from services.catalog.domain.deployment import Deployment, Finding, FindingKind, Image, Layout
from services.catalog.domain.region_status import RegionState
from services.catalog.domain.version import ReplicationMode

MACHINES_PER_REPLICA: Final = 50
"""How many machines at once one replica serves (gallery-semantics 3.3)."""
LEAST_FOR_SEVERAL: Final = 3
_CURRENT: Final = "current_image"


def check_replicas(image: Image, deployment: Deployment) -> Iterator[Finding]:
    """Note what is too slow for so many machines, and a region that lost replicas.

    Nothing about replicas is told of a view: who asks for one number of machines after the other
    would learn how many there are.
    """
    count, status = deployment.instance_count, image.status
    if image.version.mode is ReplicationMode.SHALLOW and count > MACHINES_PER_REPLICA:
        yield Finding(
            FindingKind.SHALLOW_MASS_DEPLOYMENT,
            "instance_count",
            "the version is shallow: all machines read its source; promote it to a full one first",
        )
    if image.is_view:
        return
    needed = -(-count // MACHINES_PER_REPLICA)
    if count > 1:
        needed = max(needed, LEAST_FOR_SEVERAL)
    if status.good < needed:
        yield Finding(
            FindingKind.TOO_FEW_REPLICAS,
            "instance_count",
            f"{status.location} has {status.good} replicas, and {needed} are advised for so many "
            "machines at once",
        )
    if status.state is RegionState.DEGRADED or status.good < status.wanted:
        yield Finding(
            FindingKind.DEGRADED,
            "",
            f"{status.location} has {status.good} good replicas, and {status.wanted} are wanted",
        )


def check_move(to: Layout, current: Layout) -> Iterator[Finding]:
    """Note why the machines of a scale set cannot be made from another image.

    The operating system, the generation and the LUNs have to stay, and no disk may shrink.
    """
    if to.os_type is not current.os_type:
        yield Finding(
            FindingKind.SCALE_SET_OS_TYPE_MISMATCH,
            _CURRENT,
            f"the scale set runs {current.os_type.value}, the image {to.os_type.value}",
        )
    if to.hyper_v_generation is not current.hyper_v_generation:
        yield Finding(
            FindingKind.SCALE_SET_GENERATION_MISMATCH,
            _CURRENT,
            f"the scale set is of generation {current.hyper_v_generation.value}, "
            f"the image of {to.hyper_v_generation.value}",
        )
    if set(to.data_disks) != set(current.data_disks):
        yield Finding(
            FindingKind.SCALE_SET_DATA_DISKS_MISMATCH,
            _CURRENT,
            f"the scale set has data disks at the LUNs {_luns(current)}, the image at {_luns(to)}",
        )
        return
    smaller = [lun for lun, size in to.data_disks.items() if size < current.data_disks[lun]]
    if smaller:
        yield Finding(
            FindingKind.SCALE_SET_DATA_DISKS_MISMATCH,
            _CURRENT,
            f"the data disks at the LUNs {', '.join(smaller)} would shrink",
        )


def _luns(layout: Layout) -> str:
    return ", ".join(sorted(layout.data_disks, key=int)) or "none"
