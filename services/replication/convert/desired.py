"""Desired states and sources from messages."""

from datetime import UTC
from typing import Any, assert_never

from stoa.replication.v1 import desired_replicas_pb2 as pb

from services.replication.convert.common import FORMAT, MODE, STORAGE_TYPE, disk_key, word
from services.replication.domain.desired import (
    DesiredDisk,
    DesiredRegion,
    DesiredReplicas,
    DiskSource,
    ReplicaSet,
    SourceKind,
)
from services.replication.domain.states import DiskFormat, ReplicationMode, StorageType


def desired_of(message: pb.DesiredReplicas) -> DesiredReplicas:
    """Answer what the catalog wants; what is not set has its default."""
    return DesiredReplicas(
        version=message.image_version,
        uid=message.image_version_uid,
        tenant=message.tenant_storage_id,
        generation=message.generation,
        mode=_or(ReplicationMode, MODE, message.replication_mode, ReplicationMode.FULL),
        home=message.home_location,
        disks=tuple(
            DesiredDisk(
                disk=disk_key(one.disk),
                source=source_of(one.source),
                format=_or(DiskFormat, FORMAT, one.format, DiskFormat.RAW),
                root=one.source_root_digest.hex(),
            )
            for one in message.disks
        ),
        regions=tuple(
            DesiredRegion(
                one.location,
                (
                    _set(one, tuple(one.zones)),
                    *(_set(more, tuple(one.zones)) for more in one.additional_replica_sets),
                ),
            )
            for one in message.regions
        ),
        read_end=message.read_end_time.ToDatetime(UTC)
        if message.HasField("read_end_time")
        else None,
    )


def source_of(message: pb.DiskSource) -> DiskSource:
    """Answer where the bytes of a disk come from."""
    kind = message.WhichOneof("source")
    match kind:
        case "blob":
            return DiskSource(SourceKind.BLOB, message.blob.blob, message.blob.uid)
        case "image_version":
            found = message.image_version
            return DiskSource(
                SourceKind.IMAGE_VERSION, found.image_version, found.uid, disk_key(found.disk)
            )
        case "store_file":
            file = message.store_file
            return DiskSource(SourceKind.STORE_FILE, file.store, path=file.path, etag=file.etag)
        case None:
            # The contract demands one; its violation was found before.
            return DiskSource(SourceKind.BLOB, "")
        case _:
            assert_never(kind)


def _set(message: pb.DesiredRegion | pb.DesiredReplicaSet, zones: tuple[str, ...]) -> ReplicaSet:
    kind = _or(StorageType, STORAGE_TYPE, message.storage_account_type, StorageType.STANDARD_LRS)
    return ReplicaSet(
        kind, message.replica_count, zones if kind is StorageType.STANDARD_ZRS else ()
    )


def _or(cls: Any, wire: Any, sent: int, default: Any) -> Any:
    return cls(word(wire, sent)) if sent else default
