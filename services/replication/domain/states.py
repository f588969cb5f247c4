"""The states of copies, regions and replications; values are those of the contract's enums."""

import enum
from typing import Final


class CopyState(enum.Enum):
    """The state of a replica, or of one disk of it (replication.md 2.5)."""

    PENDING = "PENDING"
    PLANNING = "PLANNING"
    COPYING = "COPYING"
    VERIFYING = "VERIFYING"
    COMMITTING = "COMMITTING"
    COMPLETED = "COMPLETED"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    REMOVING = "REMOVING"
    REMOVED = "REMOVED"


# What some worker has still to bring to an end.
UNFINISHED: Final = frozenset(
    {
        CopyState.PENDING,
        CopyState.PLANNING,
        CopyState.COPYING,
        CopyState.VERIFYING,
        CopyState.COMMITTING,
        CopyState.PAUSED,
        CopyState.CANCELLING,
        CopyState.REMOVING,
    }
)
# Of those, what can still become COMPLETED.
COPYABLE: Final = UNFINISHED - {CopyState.CANCELLING, CopyState.REMOVING}


class RegionState(enum.Enum):
    """The state of one region of a version."""

    PENDING = "PENDING"
    REPLICATING = "REPLICATING"
    COMPLETED = "COMPLETED"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REMOVING = "REMOVING"
    REMOVED = "REMOVED"


# What does not keep a replication open.
REGION_DONE: Final = frozenset(
    {
        RegionState.COMPLETED,
        RegionState.DEGRADED,
        RegionState.FAILED,
        RegionState.CANCELLED,
        RegionState.REMOVED,
    }
)


class ReplicationState(enum.Enum):
    """The state of a replication; the last four are its ends."""

    OPEN = "OPEN"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"


OPEN_STATES: Final = frozenset({ReplicationState.OPEN, ReplicationState.CANCELLING})


class AggregatedState(enum.Enum):
    """All regions of a version together."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Health(enum.Enum):
    """Whether the bytes of a replica are good; UNSPECIFIED while nothing is committed."""

    UNSPECIFIED = "UNSPECIFIED"
    GOOD = "GOOD"
    REPAIRING = "REPAIRING"
    DAMAGED = "DAMAGED"
    UNREACHABLE = "UNREACHABLE"
    LOST = "LOST"


# A replica of this health may deliver at least part of its bytes. A store that did not answer
# when it was looked at may do so when it is read, so it is tried where no good one is left.
READABLE_HEALTH: Final = frozenset(
    {Health.GOOD, Health.REPAIRING, Health.DAMAGED, Health.UNREACHABLE}
)


class Intent(enum.Enum):
    """What a worker is to do with a replica."""

    COPY = "COPY"
    CANCEL = "CANCEL"
    REMOVE = "REMOVE"


class StorageType(enum.Enum):
    """The kind of storage that a replica is kept on."""

    STANDARD_LRS = "STANDARD_LRS"
    STANDARD_ZRS = "STANDARD_ZRS"
    PREMIUM_LRS = "PREMIUM_LRS"
    PREMIUM_V2_LRS = "PREMIUM_V2_LRS"


class ReplicationMode(enum.Enum):
    """Whether the bytes of a version are copied."""

    FULL = "FULL"
    SHALLOW = "SHALLOW"


class DiskFormat(enum.Enum):
    """What the bytes of a source are read as."""

    RAW = "RAW"
    VHD_FIXED = "VHD_FIXED"
    VHD_DYNAMIC = "VHD_DYNAMIC"
    VHDX = "VHDX"
    QCOW2 = "QCOW2"
    VMDK = "VMDK"
