"""A replication as a whole: what its readers are shown."""

from dataclasses import dataclass

from services.replication.domain.names import disk_order
from services.replication.domain.records import (
    Replica,
    ReplicaDisk,
    ReplicationRecord,
    VersionRegion,
)
from services.replication.domain.states import AggregatedState, RegionState


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A replica with its disks."""

    replica: Replica
    disks: tuple[ReplicaDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region of a replication with its replicas."""

    region: VersionRegion
    replicas: tuple[ReplicaView, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicationView:
    """A replication with its regions in their order."""

    record: ReplicationRecord
    regions: tuple[RegionView, ...] = ()


def aggregate_all(regions: tuple[VersionRegion, ...]) -> AggregatedState:
    """Answer the state of several regions together."""
    states = {region.state for region in regions}
    if RegionState.FAILED in states:
        return AggregatedState.FAILED
    if states <= {RegionState.COMPLETED, RegionState.REMOVED}:
        return AggregatedState.COMPLETED
    return AggregatedState.IN_PROGRESS


def view_of(
    record: ReplicationRecord,
    regions: tuple[VersionRegion, ...],
    replicas: tuple[Replica, ...] = (),
    disks: tuple[ReplicaDisk, ...] = (),
) -> ReplicationView:
    """Put the rows of a replication together."""
    by_location = {region.location: region for region in regions}
    found: list[RegionView] = []
    for location in record.locations:
        region = by_location.get(location)
        if region is None:
            continue
        views = tuple(
            ReplicaView(replica, _disks_of(replica, disks))
            for replica in replicas
            if replica.location == location
        )
        found.append(RegionView(region, views))
    return ReplicationView(record, tuple(found))


def _disks_of(replica: Replica, disks: tuple[ReplicaDisk, ...]) -> tuple[ReplicaDisk, ...]:
    mine = [one for one in disks if (one.location, one.slot) == (replica.location, replica.slot)]
    return tuple(sorted(mine, key=lambda one: disk_order(one.disk)))
