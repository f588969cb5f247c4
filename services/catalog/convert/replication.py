"""Between the replication service's contract and the domain of the catalog."""

from datetime import UTC
from typing import Final

from stoa.replication.v1 import copy_state_pb2, desired_replicas_pb2, region_pb2, replication_pb2
from stoa.replication.v1 import replication_feed_pb2 as feed_pb

from services.catalog.convert.common import timestamp
from services.catalog.convert.hardware import FORMATS, STORAGE_TYPES
from services.catalog.convert.managed_images import selector
from services.catalog.convert.replication_status import REGION_STATES
from services.catalog.convert.versions import MODES
from services.catalog.domain.desired import Desired, storage_id
from services.catalog.domain.disk_source import ByteSource, SourceKind
from services.catalog.domain.region import Prices, Region, TierCapacity
from services.catalog.domain.region_status import Bytes, Cause, Progress, RegionState
from services.catalog.usecases.region_events import (
    ProgressEvent,
    RegionEvent,
    ReplicationEvent,
)
from services.kernel.rpc.remote import RemoteStatus

_TIERS: Final = {
    region_pb2.SLOT_TIER_STANDARD: "STANDARD",
    region_pb2.SLOT_TIER_PREMIUM: "PREMIUM",
    region_pb2.SLOT_TIER_PREMIUM_V2: "PREMIUM_V2",
}


def decode_region(message: region_pb2.Region) -> Region:
    """Read a region."""
    found = message.name.rpartition("/")[2]
    return Region(
        id=found,
        uid=message.uid,
        display_name=message.display_name or found,
        zones=tuple(message.zones),
        capacities={
            _TIERS[one.tier]: TierCapacity(
                one.replica_count, one.zonal_replica_count, one.zone_count
            )
            for one in message.capacities
            if one.tier in _TIERS
        },
        confidential=region_pb2.REGION_CAPABILITY_CONFIDENTIAL in message.capabilities,
        prices=_prices(message.prices) if message.HasField("prices") else None,
    )


def _prices(message: region_pb2.RegionPrices) -> Prices:
    has_stored = message.HasField("stored_gib_month_micros")
    has_crossed = message.HasField("crossed_gib_micros")
    return Prices(
        message.currency_code,
        message.stored_gib_month_micros if has_stored else None,
        message.crossed_gib_micros if has_crossed else None,
    )


def encode_source(source: ByteSource) -> desired_replicas_pb2.DiskSource:
    """Answer a source as replication is asked about it."""
    match source.kind:
        case SourceKind.BLOB:
            return desired_replicas_pb2.DiskSource(
                blob=desired_replicas_pb2.BlobSource(blob=source.name, uid=source.uid)
            )
        case SourceKind.IMAGE_VERSION:
            return desired_replicas_pb2.DiskSource(
                image_version=desired_replicas_pb2.ImageVersionSource(
                    image_version=source.name, uid=source.uid, disk=selector(source.disk)
                )
            )
        case SourceKind.STORE_FILE:
            return desired_replicas_pb2.DiskSource(
                store_file=desired_replicas_pb2.StoreFileSource(
                    store=source.name, path=source.path, etag=source.etag
                )
            )


def encode_desired(desired: Desired) -> desired_replicas_pb2.DesiredReplicas:
    """Answer the whole desired state of a version."""
    return desired_replicas_pb2.DesiredReplicas(
        image_version=desired.name,
        image_version_uid=desired.uid,
        tenant_storage_id=storage_id(desired.tenant),
        generation=desired.generation,
        replication_mode=MODES.number(desired.mode),
        disks=[
            desired_replicas_pb2.DesiredDisk(
                disk=selector(one.disk),
                source=encode_source(one.source),
                format=FORMATS.number(one.format),
                source_root_digest=bytes.fromhex(one.root_digest),
            )
            for one in desired.disks
        ],
        regions=[
            desired_replicas_pb2.DesiredRegion(
                location=one.location,
                replica_count=one.count,
                storage_account_type=STORAGE_TYPES.number(one.storage_type),
            )
            for one in desired.regions
        ],
        home_location=desired.home,
        read_end_time=None if desired.read_end is None else timestamp(desired.read_end),
    )


def decode_progress(message: copy_state_pb2.CopyProgress) -> Progress:
    """Read how far a copy is."""
    counted = message.bytes
    return Progress(
        bytes=Bytes(
            total=counted.total_bytes,
            copied=counted.copied_bytes,
            deduplicated=counted.deduplicated_bytes,
            zero=counted.zero_bytes,
            verified=counted.verified_bytes,
            repaired=counted.repaired_bytes,
        ),
        percent=message.percent,
        bytes_per_second=message.bytes_per_second if message.HasField("bytes_per_second") else None,
        remaining_seconds=message.remaining_duration.seconds
        if message.HasField("remaining_duration")
        else None,
    )


def decode_cause(message: copy_state_pb2.FailureCause) -> Cause:
    """Read why something failed or waits."""
    return Cause(
        status=message.status.SerializeToString(),
        code=message.status.code,
        reason=RemoteStatus.decode(message.status).reason,
        message=message.status.message,
        retryable=message.retryable,
    )


def decode_version_region(entry: feed_pb.FeedEntry) -> RegionEvent:
    """Read the state of a region of a version."""
    message = entry.version_region
    return RegionEvent(
        version_uid=message.image_version_uid,
        generation=message.generation,
        location=message.location,
        replication=message.replication,
        state=REGION_STATES.member(message.state) or RegionState.PENDING,
        usable=message.usable,
        wanted=message.wanted_replica_count,
        good=message.good_replica_count,
        progress=decode_progress(message.progress),
        cause=decode_cause(message.cause) if message.HasField("cause") else None,
        stored_bytes=message.stored_bytes,
        crossed_bytes=message.crossed_bytes,
        time=entry.event_time.ToDatetime(UTC),
    )


def decode_version_progress(message: feed_pb.VersionRegionProgress) -> ProgressEvent:
    """Read the progress of a region of a version."""
    return ProgressEvent(
        version_uid=message.image_version_uid,
        generation=message.generation,
        location=message.location,
        progress=decode_progress(message.progress),
    )


def decode_replication(message: feed_pb.ReplicationSummary) -> ReplicationEvent:
    """Read what became of a replication."""
    return ReplicationEvent(
        version_uid=message.image_version_uid,
        generation=message.generation,
        replication=message.name,
        completed=message.state == replication_pb2.Replication.STATE_COMPLETED,
    )
