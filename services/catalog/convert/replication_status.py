"""How far a version is, as the contract tells it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from google.rpc import status_pb2
from stoa.catalog.v1 import replication_status_pb2 as pb
from stoa.type.v1 import replication_progress_pb2, replication_state_pb2

from services.catalog.convert.common import PROVISIONING_STATES, EnumMap
from services.catalog.domain.progress import AggregatedState, aggregated, percent, usable
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.version import Version

REGION_STATES: Final = EnumMap(
    RegionState,
    replication_state_pb2.RegionalReplicationState,
    "REGIONAL_REPLICATION_STATE_",
)
AGGREGATED_STATES: Final = EnumMap(
    AggregatedState,
    replication_state_pb2.AggregatedReplicationState,
    "AGGREGATED_REPLICATION_STATE_",
)


def encode_status(version: Version, regions: Sequence[RegionStatus]) -> pb.ReplicationStatus:
    """Answer the status of all regions of a version."""
    return pb.ReplicationStatus(
        aggregated_state=AGGREGATED_STATES.number(aggregated(regions)),
        summary=[encode_region(replace(one, usable=usable(version, one))) for one in regions],
        replication=version.replication,
        progress_percent=percent(regions),
    )


def encode_region(region: RegionStatus) -> pb.RegionalReplicationStatus:
    """Answer the status of one region."""
    progress = region.progress
    message = pb.RegionalReplicationStatus(
        location=region.location,
        state=REGION_STATES.number(region.state),
        usable=region.usable,
        provisioning_state=PROVISIONING_STATES.number(region.provisioning_state()),
        observed_generation=region.observed,
        progress=replication_progress_pb2.ReplicationProgress(
            total_bytes=progress.bytes.total,
            copied_bytes=progress.bytes.copied,
            deduplicated_bytes=progress.bytes.deduplicated,
            zero_bytes=progress.bytes.zero,
            verified_bytes=progress.bytes.verified,
            repaired_bytes=progress.bytes.repaired,
        ),
        progress_percent=progress.percent,
        wanted_replica_count=region.wanted,
        good_replica_count=region.good,
        bytes_per_second=progress.bytes_per_second,
    )
    if progress.remaining_seconds is not None:
        message.remaining_duration.FromSeconds(progress.remaining_seconds)
    if region.complete_time is not None:
        message.complete_time.FromDatetime(region.complete_time)
    if region.cause is not None:
        message.cause.CopyFrom(status_pb2.Status.FromString(region.cause.status))
        message.details = region.cause.message
        message.retryable = region.cause.retryable
    return message
