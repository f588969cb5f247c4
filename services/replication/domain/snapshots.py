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
    views: dict[str, list[ReplicaView]] = {}
    parts: dict[tuple[str, str], list[ReplicaDisk]] = {}
    for disk in disks:
        parts.setdefault((disk.location, disk.slot), []).append(disk)
    for replica in replicas:
        mine = parts.get((replica.location, replica.slot), [])
        mine.sort(key=lambda one: disk_order(one.disk))
        views.setdefault(replica.location, []).append(ReplicaView(replica, tuple(mine)))
    return ReplicationView(
        record,
        tuple(
            RegionView(by_location[location], tuple(views.get(location, ())))
            for location in record.locations
            if location in by_location
        ),
    )
