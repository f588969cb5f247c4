"""What the messages of this service have in common: states, times, progress, causes, disks."""

import enum
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from stoa.replication.v1 import copy_state_pb2, region_pb2, replica_pb2, replication_pb2
from stoa.type.v1 import replication_progress_pb2, replication_state_pb2, storage_pb2

from services.replication.domain.names import OS_DISK
from services.replication.domain.progress import Cause, Counters, Progress

DOMAIN: Final = "replication.stoa.dev"

COPY_STATE: Final = copy_state_pb2.CopyState
REGION_STATE: Final = replication_state_pb2.RegionalReplicationState
AGGREGATED: Final = replication_state_pb2.AggregatedReplicationState
REPLICATION_STATE: Final = replication_pb2.Replication.State
STORAGE_TYPE: Final = storage_pb2.StorageAccountType
MODE: Final = storage_pb2.ReplicationMode
FORMAT: Final = storage_pb2.DiskFormat
HEALTH: Final = replica_pb2.ReplicaHealth
TIER: Final = region_pb2.SlotTier
SLOT_HEALTH: Final = region_pb2.SlotHealth
WARNING: Final = region_pb2.SlotWarning
CAPABILITY: Final = region_pb2.RegionCapability

_PREFIXES: Final = {
    "CopyState": "COPY_STATE_",
    "RegionalReplicationState": "REGIONAL_REPLICATION_STATE_",
    "AggregatedReplicationState": "AGGREGATED_REPLICATION_STATE_",
    "State": "STATE_",
    "StorageAccountType": "STORAGE_ACCOUNT_TYPE_",
    "ReplicationMode": "REPLICATION_MODE_",
    "DiskFormat": "DISK_FORMAT_",
    "ReplicaHealth": "REPLICA_HEALTH_",
    "SlotTier": "SLOT_TIER_",
    "SlotHealth": "SLOT_HEALTH_",
    "SlotWarning": "SLOT_WARNING_",
    "RegionCapability": "REGION_CAPABILITY_",
}


def number(wire: Any, value: enum.Enum) -> Any:
    """Answer the number of a state; its name on the wire is its value with the enum's prefix."""
    return wire.Value(_PREFIXES[wire.DESCRIPTOR.name] + value.value)


def word(wire: Any, sent: int) -> str:
    """Answer the value of a number that was sent, without the enum's prefix."""
    return str(wire.Name(sent)).removeprefix(_PREFIXES[wire.DESCRIPTOR.name])


def timestamp(time: datetime | None) -> Timestamp | None:
    """Answer a time as a message; None for none."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def moment(message: Timestamp) -> datetime:
    """Answer a time that was sent."""
    return message.ToDatetime(UTC)


def disk_selector(disk: str) -> storage_pb2.DiskSelector:
    """Answer the selector of a disk key."""
    if disk == OS_DISK:
        return storage_pb2.DiskSelector(os=True)
    return storage_pb2.DiskSelector(lun=int(disk))


def disk_key(selector: storage_pb2.DiskSelector) -> str:
    """Answer the key of a selected disk: `os`, or the LUN in decimal."""
    return OS_DISK if selector.WhichOneof("disk") == "os" else str(selector.lun)


def counters_message(counters: Counters) -> replication_progress_pb2.ReplicationProgress:
    """Answer counted bytes."""
    return replication_progress_pb2.ReplicationProgress(
        total_bytes=counters.total,
        copied_bytes=counters.copied,
        deduplicated_bytes=counters.deduplicated,
        zero_bytes=counters.zero,
        verified_bytes=counters.verified,
        repaired_bytes=counters.repaired,
    )


def progress_message(progress: Progress) -> copy_state_pb2.CopyProgress:
    """Answer how far a copy is."""
    message = copy_state_pb2.CopyProgress(
        bytes=counters_message(progress.counters), percent=progress.percent
    )
    if progress.rate > 0:
        message.bytes_per_second = progress.rate
    left = progress.remaining_seconds
    if left is not None:
        message.remaining_duration.CopyFrom(Duration(seconds=left))
    return message


def cause_message(cause: Cause | None) -> copy_state_pb2.FailureCause | None:
    """Answer why something failed; None for nothing."""
    if cause is None:
        return None
    status = status_pb2.Status(code=cause.code, message=cause.message)
    info = error_details_pb2.ErrorInfo(
        reason=cause.reason, domain=DOMAIN, metadata=dict(cause.metadata)
    )
    status.details.add().Pack(info)
    return copy_state_pb2.FailureCause(
        status=status, retryable=cause.retryable, occurrence_time=timestamp(cause.time)
    )
