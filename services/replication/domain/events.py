"""What happens in a replication, and what followers of all replications are told."""

from dataclasses import dataclass
from datetime import datetime

from services.replication.domain.progress import NO_PROGRESS, Cause, Progress
from services.replication.domain.records import VersionDisk, VersionRegion
from services.replication.domain.region import Region
from services.replication.domain.states import (
    AggregatedState,
    CopyState,
    RegionState,
    ReplicationState,
)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state of a replication, a region, a replica or a disk.

    Exactly one of the three states is set. `disk` is empty for a replica, `slot` for a region,
    `location` for the replication.
    """

    location: str = ""
    slot: str = ""
    disk: str = ""
    replication_state: ReplicationState | None = None
    region_state: RegionState | None = None
    copy_state: CopyState | None = None
    progress: Progress = NO_PROGRESS
    attempt: int = 0
    next_attempt_time: datetime | None = None
    cause: Cause | None = None
    good: int = 0


@dataclass(frozen=True, slots=True)
class RegionFailure:
    """A region that failed."""

    location: str
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class End:
    """The end of a replication: its last event."""

    state: ReplicationState
    aggregated: AggregatedState
    failed: tuple[RegionFailure, ...] = ()
    cancelled: tuple[str, ...] = ()
    successor: str = ""
    progress: Progress = NO_PROGRESS


@dataclass(frozen=True, slots=True)
class EventBody:
    """One of the two; a union that can be stored."""

    transition: Transition | None = None
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A recorded event; `sequence` begins at 1 and has no gaps."""

    replication: str
    sequence: int
    time: datetime
    body: EventBody


@dataclass(frozen=True, slots=True)
class RegionDeletion:
    """A region is gone."""

    location: str
    uid: str


@dataclass(frozen=True, slots=True)
class ReplicationSummary:
    """A replication as much as followers need."""

    id: str
    name: str
    version: str
    generation: int
    state: ReplicationState
    sequence: int
    retry: bool
    end: End | None = None


@dataclass(frozen=True, slots=True)
class RegionOfVersion:
    """One region of one version, whole; `stored_bytes` are those of all replicas."""

    name: str
    region: VersionRegion
    stored_bytes: int = 0
    disks: tuple[VersionDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One entry of the feed: one of the four."""

    time: datetime
    region: Region | None = None
    region_deletion: RegionDeletion | None = None
    replication: ReplicationSummary | None = None
    version_region: RegionOfVersion | None = None
