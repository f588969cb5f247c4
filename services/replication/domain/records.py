"""What is kept of versions, replications and replicas; each class is a row."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.replication.domain.desired import DesiredReplicas
from services.replication.domain.grants import Grant
from services.replication.domain.progress import NO_PROGRESS, Cause, Progress
from services.replication.domain.states import (
    OPEN_STATES,
    READABLE_HEALTH,
    AggregatedState,
    CopyState,
    Health,
    Intent,
    RegionState,
    ReplicationMode,
    ReplicationState,
    StorageType,
)

# Where a shallow replica is said to be, which lies in no slot; no slot can be called so.
SOURCE_SLOT: Final = "@source"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as the catalog wants it now; `replication` is its newest."""

    uid: str
    name: str
    name_key: str
    tenant: str
    generation: int
    withdrawn: bool
    desired: DesiredReplicas
    grant: Grant
    replication: str
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class VersionDisk:
    """The content of a disk of a version; `root` in hexadecimal, empty until it is hashed."""

    version: str
    disk: str
    root: str
    size_bytes: int
    data_bytes: int


@dataclass(frozen=True, slots=True)
class VersionRegion:
    """A version in a region, now."""

    version: str
    location: str
    ordinal: int
    generation: int
    replication: str
    state: RegionState
    wanted: int
    good: int = 0
    was_completed: bool = False
    cause: Cause | None = None
    progress: Progress = NO_PROGRESS
    source_location: str = ""
    crossed_bytes: int = 0
    start_time: datetime | None = None
    end_time: datetime | None = None
    feed_position: int = 0

    @property
    def usable(self) -> bool:
        """Whether the version can be read here, whatever the state says of the copies."""
        removed = self.state in {RegionState.REMOVING, RegionState.REMOVED}
        return self.was_completed and not removed and self.good > 0


@dataclass(frozen=True, slots=True)
class ReplicationRecord:
    """A replication; `locations` are its regions in their order.

    `delivery` tells retries of one generation apart, `horizon` is the newest event that was
    compacted away, `operation` the long-running operation that waits for the end.
    """

    id: str
    version: str
    name: str
    name_key: str
    generation: int
    mode: ReplicationMode
    state: ReplicationState
    digest: str
    locations: tuple[str, ...]
    create_time: datetime
    update_time: datetime
    sequence: int = 0
    horizon: int = 0
    aggregated: AggregatedState = AggregatedState.IN_PROGRESS
    progress_revision: int = 0
    progress: Progress = NO_PROGRESS
    predecessor: str = ""
    successor: str = ""
    retry: bool = False
    delivery: str = ""
    operation: str = ""
    trace_context: str = ""
    end_time: datetime | None = None
    feed_position: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES


@dataclass(frozen=True, slots=True)
class Replica:
    """A version in a slot, and the task that makes or removes it.

    `fence` grows with each claim; `attempt` counts claims of one generation, `failures` those
    attempts that met an error of the medium. `due_time` is when it may next be claimed.
    """

    version: str
    location: str
    slot: str
    name_key: str
    storage_type: StorageType
    state: CopyState
    intent: Intent
    generation: int
    replication: str
    due_time: datetime
    deadline_time: datetime
    lease_time: datetime
    create_time: datetime
    update_time: datetime
    health: Health = Health.UNSPECIFIED
    attempt: int = 0
    failures: int = 0
    cause: Cause | None = None
    progress: Progress = NO_PROGRESS
    source_location: str = ""
    owner: str = ""
    fence: int = 0
    commit_time: datetime | None = None

    @property
    def is_shallow(self) -> bool:
        """Whether its bytes are those of the source: nothing of it lies in any slot."""
        return self.slot == SOURCE_SLOT

    @property
    def is_good(self) -> bool:
        """Whether it counts as a replica: committed, and not known to be damaged."""
        return self.state is CopyState.COMPLETED and self.health is Health.GOOD

    @property
    def is_readable(self) -> bool:
        """Whether bytes may be had from it."""
        return self.state is CopyState.COMPLETED and self.health in READABLE_HEALTH


@dataclass(frozen=True, slots=True)
class ReplicaDisk:
    """A disk of a replica; segments below `checkpoint` are durable and journalled."""

    version: str
    location: str
    slot: str
    disk: str
    state: CopyState
    health: Health = Health.UNSPECIFIED
    cause: Cause | None = None
    progress: Progress = NO_PROGRESS
    checkpoint: int = 0
    stored_bytes: int = 0
    damaged_bytes: int = 0
    healed_bytes: int = 0
    heal_count: int = 0
    heal_time: datetime | None = None
    verify_time: datetime | None = None
