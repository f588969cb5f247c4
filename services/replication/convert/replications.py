"""Replications, replicas and events as messages."""

from collections.abc import Iterator, Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.replication.v1 import replica_pb2, replication_pb2, replication_watch_pb2

from services.replication.convert.common import (
    AGGREGATED,
    COPY_STATE,
    HEALTH,
    MODE,
    REGION_STATE,
    REPLICATION_STATE,
    STORAGE_TYPE,
    cause_message,
    disk_selector,
    number,
    progress_message,
    timestamp,
)
from services.replication.domain.events import End, Event, Transition
from services.replication.domain.names import replication_name
from services.replication.domain.records import (
    Replica,
    ReplicaDisk,
    Version,
    VersionDisk,
    VersionRegion,
)
from services.replication.domain.region import Region
from services.replication.domain.snapshots import RegionView, ReplicationView
from services.replication.domain.states import ReplicationMode

# A message may have 4 MiB; these leave room for what surrounds it (contract, ReplicationView).
FULL_LIMIT = 3 << 20
SNAPSHOT_LIMIT = 1 << 20


def replication_message(view: ReplicationView, *, full: bool) -> replication_pb2.Replication:
    """Answer a replication; one too large for a message without its replicas."""
    message = _replication(view, full=full)
    if full and message.ByteSize() > FULL_LIMIT:
        return _replication(view, full=False)
    return message


def snapshot_parts(
    view: ReplicationView,
) -> Iterator[replication_watch_pb2.ReplicationSnapshot]:
    """Answer a replication in parts of at most 1 MiB; each later one holds further replicas."""
    whole = _replication(view, full=True)
    if whole.ByteSize() <= SNAPSHOT_LIMIT:
        yield replication_watch_pb2.ReplicationSnapshot(replication=whole)
        return
    part = replication_pb2.Replication()
    part.CopyFrom(whole)
    del part.regions[:]
    size = part.ByteSize()
    for region in whole.regions:
        bare = replication_pb2.RegionReplication()
        bare.CopyFrom(region)
        del bare.replicas[:]
        part.regions.append(bare)
        size += bare.ByteSize()
        for copy in region.replicas:
            if size + copy.ByteSize() > SNAPSHOT_LIMIT:
                yield replication_watch_pb2.ReplicationSnapshot(replication=part, partial=True)
                part = replication_pb2.Replication(name=whole.name, regions=[bare], view=whole.view)
                size = part.ByteSize()
            part.regions[-1].replicas.append(copy)
            size += copy.ByteSize()
    yield replication_watch_pb2.ReplicationSnapshot(replication=part)


def replica_message(
    replica: Replica,
    disks: Mapping[str, ReplicaDisk],
    contents: Mapping[str, VersionDisk],
    *,
    version: Version,
    region: Region | None,
) -> replica_pb2.Replica:
    """Answer a replica as it is now."""
    slot = region.slot(replica.slot) if region is not None else None
    return replica_pb2.Replica(
        image_version=version.name,
        image_version_uid=version.uid,
        location=replica.location,
        slot=replica.slot,
        failure_domain=slot.failure_domain if slot else "",
        zone=slot.zone if slot else "",
        storage_account_type=number(STORAGE_TYPE, replica.storage_type),
        replication_mode=number(
            MODE, ReplicationMode.SHALLOW if replica.is_shallow else ReplicationMode.FULL
        ),
        state=number(COPY_STATE, replica.state),
        health=number(HEALTH, replica.health),
        disks=[_replica_disk(one, contents.get(disk)) for disk, one in disks.items()],
        cause=cause_message(replica.cause),
        generation=replica.generation,
        replication=replication_name(replica.replication),
        create_time=timestamp(replica.create_time),
        update_time=timestamp(replica.update_time),
        commit_time=timestamp(replica.commit_time),
    )


def event_message(event: Event) -> replication_watch_pb2.WatchReplicationResponse:
    """Answer a recorded event."""
    message = replication_watch_pb2.WatchReplicationResponse(
        replication=replication_name(event.replication),
        sequence=event.sequence,
        event_time=timestamp(event.time),
    )
    if event.body.end is not None:
        message.end.CopyFrom(end_message(event.body.end))
    elif event.body.transition is not None:
        message.transition.CopyFrom(_transition(event.body.transition))
    return message


def progress_updates(
    before: ReplicationView | None, after: ReplicationView, now: Timestamp
) -> Iterator[replication_watch_pb2.WatchReplicationResponse]:
    """Answer an update for each region whose figures are others than they were."""
    known = {view.region.location: view for view in before.regions} if before else {}
    for view in after.regions:
        old = known.get(view.region.location)
        if old is not None and old.region.progress == view.region.progress:
            continue
        yield replication_watch_pb2.WatchReplicationResponse(
            replication=replication_name(after.record.id),
            event_time=now,
            progress=replication_watch_pb2.ProgressUpdate(
                location=view.region.location,
                progress=progress_message(view.region.progress),
                copies=_changed_copies(old, view),
                replication_progress=progress_message(after.record.progress),
            ),
        )


def end_message(end: End) -> replication_watch_pb2.ReplicationEnd:
    """Answer how a replication ended."""
    return replication_watch_pb2.ReplicationEnd(
        state=number(REPLICATION_STATE, end.state),
        aggregated_state=number(AGGREGATED, end.aggregated),
        failed_regions=[
            replication_watch_pb2.RegionFailure(
                location=one.location, cause=cause_message(one.cause)
            )
            for one in end.failed
        ],
        cancelled_locations=end.cancelled,
        successor=replication_name(end.successor),
        progress=progress_message(end.progress),
    )


def region_replication(
    region: VersionRegion, view: RegionView | None = None
) -> replication_pb2.RegionReplication:
    """Answer a region of a replication, with its replicas where they are given."""
    message = replication_pb2.RegionReplication(
        location=region.location,
        state=number(REGION_STATE, region.state),
        wanted_replica_count=region.wanted,
        good_replica_count=region.good,
        progress=progress_message(region.progress),
        cause=cause_message(region.cause),
        source_location=region.source_location,
        start_time=timestamp(region.start_time),
        end_time=timestamp(region.end_time),
    )
    if view is not None:
        message.replicas.extend(_copies(view))
    return message


def _replication(view: ReplicationView, *, full: bool) -> replication_pb2.Replication:
    record = view.record
    return replication_pb2.Replication(
        name=replication_name(record.id),
        image_version=record.name,
        image_version_uid=record.version,
        generation=record.generation,
        replication_mode=number(MODE, record.mode),
        state=number(REPLICATION_STATE, record.state),
        aggregated_state=number(AGGREGATED, record.aggregated),
        sequence=record.sequence,
        progress=progress_message(record.progress),
        regions=[region_replication(one.region, one if full else None) for one in view.regions],
        predecessor=replication_name(record.predecessor),
        successor=replication_name(record.successor),
        retry=record.retry,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        end_time=timestamp(record.end_time),
        view=replication_pb2.REPLICATION_VIEW_FULL
        if full
        else replication_pb2.REPLICATION_VIEW_BASIC,
    )


def _copies(view: RegionView) -> Iterator[replication_pb2.ReplicaCopy]:
    for one in view.replicas:
        replica = one.replica
        waits = replica.state.value == "PAUSED"
        yield replication_pb2.ReplicaCopy(
            slot=replica.slot,
            storage_account_type=number(STORAGE_TYPE, replica.storage_type),
            state=number(COPY_STATE, replica.state),
            attempt=replica.attempt,
            next_attempt_time=timestamp(replica.due_time) if waits else None,
            progress=progress_message(replica.progress),
            cause=cause_message(replica.cause),
            disks=[
                replication_pb2.DiskCopy(
                    disk=disk_selector(disk.disk),
                    state=number(COPY_STATE, disk.state),
                    progress=progress_message(disk.progress),
                    cause=cause_message(disk.cause),
                )
                for disk in one.disks
            ],
        )


def _replica_disk(disk: ReplicaDisk, content: VersionDisk | None) -> replica_pb2.ReplicaDisk:
    return replica_pb2.ReplicaDisk(
        disk=disk_selector(disk.disk),
        state=number(COPY_STATE, disk.state),
        health=number(HEALTH, disk.health),
        root_digest=bytes.fromhex(content.root) if content else b"",
        size_bytes=content.size_bytes if content else disk.progress.counters.total,
        data_bytes=content.data_bytes if content else 0,
        stored_bytes=disk.stored_bytes,
        damaged_bytes=disk.damaged_bytes,
        healed_bytes=disk.healed_bytes,
        heal_count=disk.heal_count,
        heal_time=timestamp(disk.heal_time),
        verify_time=timestamp(disk.verify_time),
    )


def _transition(found: Transition) -> replication_watch_pb2.StateTransition:
    message = replication_watch_pb2.StateTransition(
        location=found.location,
        slot=found.slot,
        progress=progress_message(found.progress),
        attempt=found.attempt,
        next_attempt_time=timestamp(found.next_attempt_time),
        cause=cause_message(found.cause),
        good_replica_count=found.good,
    )
    if found.disk:
        message.disk.CopyFrom(disk_selector(found.disk))
    if found.replication_state is not None:
        message.replication_state = number(REPLICATION_STATE, found.replication_state)
    if found.region_state is not None:
        message.region_state = number(REGION_STATE, found.region_state)
    if found.copy_state is not None:
        message.copy_state = number(COPY_STATE, found.copy_state)
    return message


def _changed_copies(
    before: RegionView | None, after: RegionView
) -> Iterator[replication_watch_pb2.CopyProgressUpdate]:
    known = {one.replica.slot: one for one in before.replicas} if before else {}
    for one in after.replicas:
        old = known.get(one.replica.slot)
        if old is not None and old.replica.progress == one.replica.progress:
            continue
        slot = one.replica.slot
        yield replication_watch_pb2.CopyProgressUpdate(
            slot=slot, progress=progress_message(one.replica.progress)
        )
        shown = {disk.disk: disk.progress for disk in old.disks} if old else {}
        for disk in one.disks:
            if shown.get(disk.disk) != disk.progress:
                yield replication_watch_pb2.CopyProgressUpdate(
                    slot=slot,
                    disk=disk_selector(disk.disk),
                    progress=progress_message(disk.progress),
                )
