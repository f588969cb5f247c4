"""How far a version is in one region, as the replication service tells."""

import enum
from dataclasses import dataclass
from datetime import datetime

from services.catalog.domain.resource import ProvisioningState


class RegionState(enum.Enum):
    """The state of the copies of a version in one region."""

    PENDING = "PENDING"
    REPLICATING = "REPLICATING"
    COMPLETED = "COMPLETED"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REMOVING = "REMOVING"
    REMOVED = "REMOVED"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens at this generation by itself."""
        return self in _TERMINAL

    @property
    def failed(self) -> bool:
        """Whether it ended badly."""
        return self in {RegionState.FAILED, RegionState.CANCELLED}


_TERMINAL = frozenset(
    {
        RegionState.COMPLETED,
        RegionState.DEGRADED,
        RegionState.FAILED,
        RegionState.CANCELLED,
        RegionState.REMOVED,
    }
)


@dataclass(frozen=True, slots=True)
class Bytes:
    """Counters of the bytes of all disks and replicas of a region."""

    total: int = 0
    copied: int = 0
    deduplicated: int = 0
    zero: int = 0
    verified: int = 0
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is; None where there is nothing to tell."""

    bytes: Bytes = Bytes()
    percent: int = 0
    bytes_per_second: int | None = None
    remaining_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a region failed or waits: the serialized status of the replication service.

    `code`, `reason` and `message` repeat what it says.
    """

    status: bytes
    code: int
    reason: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """One region of one version.

    `position` is that in the target regions, None while the region is removed. `generation` is
    the newest that replication told of, `observed` the newest that the region is done with.
    `wanted_since` is the generation that last changed what is wanted here.
    """

    location: str
    position: int | None
    wanted: int
    wanted_since: int
    state: RegionState = RegionState.PENDING
    usable: bool = False
    generation: int = 0
    observed: int = 0
    good: int = 0
    progress: Progress = Progress()
    cause: Cause | None = None
    replication: str = ""
    stored_bytes: int = 0
    crossed_bytes: int = 0
    complete_time: datetime | None = None

    @property
    def removing(self) -> bool:
        """Whether the region is no longer wanted."""
        return self.position is None

    def done_with(self, generation: int) -> bool:
        """Whether the region is done with a generation, well or badly."""
        return self.observed >= generation

    def provisioning_state(self) -> ProvisioningState:
        """Answer what is being done to the region (`RegionalReplicationStatus`)."""
        if self.removing:
            gone = self.state is RegionState.REMOVED
            return ProvisioningState.SUCCEEDED if gone else ProvisioningState.DELETING
        if self.observed < self.wanted_since or not self.state.terminal:
            ever = self.complete_time is not None
            return ProvisioningState.UPDATING if ever else ProvisioningState.CREATING
        return ProvisioningState.FAILED if self.state.failed else ProvisioningState.SUCCEEDED
