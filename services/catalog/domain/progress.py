"""All regions of a version together."""

import enum
from collections.abc import Sequence
from dataclasses import replace

from services.catalog.domain.region_status import Progress, RegionState, RegionStatus
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.version import Version


class AggregatedState(enum.Enum):
    """The state of all regions of a version together."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


def aggregated(regions: Sequence[RegionStatus]) -> AggregatedState:
    """Answer the state of all: any failed, else any open, else completed (gallery-semantics 2).

    A region that is being removed does not count: it is no longer wanted.
    """
    wanted = [one for one in regions if not one.removing]
    settled = [one for one in wanted if _settled(one)]
    if any(one.state.failed for one in settled):
        return AggregatedState.FAILED
    if len(settled) < len(wanted):
        return AggregatedState.IN_PROGRESS
    return AggregatedState.COMPLETED


def percent(regions: Sequence[RegionStatus]) -> int:
    """Answer how much of all wanted regions is done, 0 to 100; each weighs by its bytes."""
    wanted = [one for one in regions if not one.removing]
    if not wanted:
        return 100
    if all(one.progress.bytes.total for one in wanted):
        total = sum(one.progress.bytes.total for one in wanted)
        return sum(one.progress.percent * one.progress.bytes.total for one in wanted) // total
    return sum(one.progress.percent for one in wanted) // len(wanted)


def change_percent(regions: Sequence[RegionStatus], generation: int) -> int:
    """Answer how much of what a change waits for is done, 0 to 99: the end alone is 100.

    What is told of a generation before the change says nothing about it.
    """
    wanted = [one for one in regions if not one.removing]
    if not wanted:
        gone = sum(one.state is RegionState.REMOVED for one in regions)
        return min(99, 100 * gone // max(1, len(regions)))
    told = [
        one if one.generation >= generation else replace(one, progress=Progress()) for one in wanted
    ]
    return min(99, percent(told))


def provisioning_state(version: Version, regions: Sequence[RegionStatus]) -> ProvisioningState:
    """Answer what is being done to a version, from what is being done to its regions.

    A region that is on its way out is a change under way until it is gone.
    """
    if version.deleting:
        return ProvisioningState.DELETING
    if any(_under_way(one) for one in regions):
        return ProvisioningState.UPDATING if version.settled else ProvisioningState.CREATING
    if any(one.state.failed for one in regions if not one.removing):
        return ProvisioningState.FAILED
    return ProvisioningState.SUCCEEDED


def usable(version: Version, region: RegionStatus) -> bool:
    """Whether the version can be used in a region: not after the retention of a deleted one."""
    return region.usable and not version.retention_ended


def selectable(version: Version, region: RegionStatus) -> bool:
    """Whether `latest` may answer the version in a region (gallery-semantics 3.9)."""
    if not usable(version, region) or region.removing or version.deleting or version.soft_deleted:
        return False
    target = next((one for one in version.target_regions if one.location == region.location), None)
    return target is not None and not version.excluded_in(target)


def in_order(regions: Sequence[RegionStatus]) -> list[RegionStatus]:
    """Answer regions in the order of the target regions, then those that are being removed."""
    last = len(regions)
    return sorted(
        regions,
        key=lambda one: (last if one.position is None else one.position, one.location),
    )


def _under_way(region: RegionStatus) -> bool:
    if region.removing:
        return region.state not in {RegionState.REMOVED, RegionState.FAILED}
    return not _settled(region)


def _settled(region: RegionStatus) -> bool:
    return region.done_with(region.wanted_since) and region.state.terminal
