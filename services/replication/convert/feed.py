"""Entries of the feed as messages."""

from datetime import datetime

from stoa.replication.v1 import replication_feed_pb2 as pb

from services.replication.convert.common import (
    REGION_STATE,
    REPLICATION_STATE,
    cause_message,
    disk_selector,
    number,
    progress_message,
    timestamp,
)
from services.replication.convert.regions import region_message
from services.replication.convert.replications import end_message
from services.replication.domain.events import FeedItem, RegionOfVersion, ReplicationSummary
from services.replication.domain.names import disk_order, region_name, replication_name
from services.replication.domain.progress import Progress


def entry_message(position: int, item: FeedItem) -> pb.FeedEntry:
    """Answer one entry."""
    message = pb.FeedEntry(position=position, event_time=timestamp(item.time))
    if item.region is not None:
        message.region.CopyFrom(region_message(item.region, urls=False))
    elif item.region_deletion is not None:
        message.region_deletion.CopyFrom(
            pb.RegionDeletion(
                name=region_name(item.region_deletion.location), uid=item.region_deletion.uid
            )
        )
    elif item.replication is not None:
        message.replication.CopyFrom(_summary(item.replication))
    elif item.version_region is not None:
        message.version_region.CopyFrom(_version_region(item.version_region))
    return message


def progress_entry(
    position: int, time: datetime, found: tuple[str, int, str, Progress]
) -> pb.FeedEntry:
    """Answer progress of (uid of a version, generation, region, progress); it has no position."""
    uid, generation, location, progress = found
    return pb.FeedEntry(
        position=position,
        event_time=timestamp(time),
        progress=pb.VersionRegionProgress(
            image_version_uid=uid,
            generation=generation,
            location=location,
            progress=progress_message(progress),
        ),
    )


def _summary(found: ReplicationSummary) -> pb.ReplicationSummary:
    message = pb.ReplicationSummary(
        name=replication_name(found.id),
        image_version=found.name,
        image_version_uid=found.version,
        generation=found.generation,
        state=number(REPLICATION_STATE, found.state),
        sequence=found.sequence,
        retry=found.retry,
    )
    if found.end is not None:
        message.end.CopyFrom(end_message(found.end))
    return message


def _version_region(found: RegionOfVersion) -> pb.VersionRegion:
    region = found.region
    return pb.VersionRegion(
        image_version=found.name,
        image_version_uid=region.version,
        generation=region.generation,
        location=region.location,
        replication=replication_name(region.replication),
        state=number(REGION_STATE, region.state),
        usable=region.usable,
        wanted_replica_count=region.wanted,
        good_replica_count=region.good,
        progress=progress_message(region.progress),
        cause=cause_message(region.cause),
        stored_bytes=found.stored_bytes,
        crossed_bytes=region.crossed_bytes,
        disks=[
            pb.DiskContent(
                disk=disk_selector(one.disk),
                root_digest=bytes.fromhex(one.root),
                size_bytes=one.size_bytes,
                data_bytes=one.data_bytes,
            )
            for one in sorted(found.disks, key=lambda one: disk_order(one.disk))
        ],
    )
