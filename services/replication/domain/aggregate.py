"""The state of a region from its replicas, and of a replication from its regions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from services.replication.domain.events import End, RegionFailure
from services.replication.domain.progress import Cause, together
from services.replication.domain.records import Replica, ReplicaDisk, VersionRegion
from services.replication.domain.snapshots import aggregate_all
from services.replication.domain.states import (
    REGION_DONE,
    UNFINISHED,
    CopyState,
    RegionState,
    ReplicationState,
)

_LEAVING = frozenset({CopyState.REMOVING, CopyState.REMOVED})


def aggregate_region(
    region: VersionRegion, replicas: Iterable[Replica], now: datetime
) -> VersionRegion:
    """Answer the region as its replicas make it; its counts, progress and times follow."""
    present = [one for one in replicas if one.state not in _LEAVING]
    # While a shallow version becomes a full one, its copies say how far it is.
    wanted = [one for one in present if not one.is_shallow] or present
    state, cause = _region_state(region, wanted)
    # Until one of them is committed, what is shallow is what can be read.
    good = sum(one.is_good for one in wanted) or sum(one.is_good for one in present)
    sources = [one.source_location for one in wanted if one.source_location]
    progress = together(one.progress for one in wanted).not_below(region.progress.percent)
    begun = region.start_time or (now if any(one.attempt for one in wanted) else None)
    ended = state in REGION_DONE
    return replace(
        region,
        state=state,
        cause=cause,
        good=good,
        progress=progress,
        source_location=sources[0] if sources else region.source_location,
        was_completed=region.was_completed or state is RegionState.COMPLETED,
        start_time=begun,
        end_time=(region.end_time or now) if ended else None,
    )


def _region_state(
    region: VersionRegion, wanted: Sequence[Replica]
) -> tuple[RegionState, Cause | None]:
    if region.wanted == 0:
        return RegionState.REMOVED, None
    states = [one.state for one in wanted]
    causes = [one.cause for one in wanted if one.cause is not None]
    cause = causes[0] if causes else None
    if any(state in UNFINISHED for state in states):
        begun = any(state is not CopyState.PENDING for state in states)
        return (RegionState.REPLICATING if begun else RegionState.PENDING), cause
    if states.count(CopyState.COMPLETED) >= region.wanted:
        if all(one.is_good for one in wanted):
            return RegionState.COMPLETED, None
        return RegionState.DEGRADED, cause
    if CopyState.CANCELLED in states and CopyState.FAILED not in states:
        return RegionState.CANCELLED, None
    # No slot for all that is wanted: the cause was recorded when they were looked for.
    return RegionState.FAILED, cause or region.cause


def end_of(regions: Sequence[VersionRegion]) -> End | None:
    """Answer how a replication of these regions ends, None while one is not done."""
    if any(region.state not in REGION_DONE for region in regions):
        return None
    failed = tuple(
        RegionFailure(region.location, region.cause)
        for region in regions
        if region.state is RegionState.FAILED
    )
    cancelled = tuple(
        region.location for region in regions if region.state is RegionState.CANCELLED
    )
    state = ReplicationState.COMPLETED
    if failed:
        state = ReplicationState.FAILED
    elif cancelled:
        state = ReplicationState.CANCELLED
    progress = together(region.progress for region in regions)
    return End(state, aggregate_all(tuple(regions)), failed, cancelled, progress=progress)


def replica_state(disks: Sequence[ReplicaDisk]) -> CopyState:
    """Answer what a replica does whose disks are copied one after the other.

    It copies until the last disk is verified, and commits only when all wait for it.
    """
    states = [one.state for one in disks]
    if all(state is CopyState.COMMITTING for state in states):
        return CopyState.VERIFYING
    last = states[-1]
    if last is CopyState.VERIFYING:
        return CopyState.VERIFYING
    if all(state in {CopyState.PENDING, CopyState.PLANNING} for state in states):
        return CopyState.PLANNING
    return CopyState.COPYING
