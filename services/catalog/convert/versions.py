"""Image versions between the contract and the domain."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from stoa.catalog.v1 import image_version_pb2 as pb
from stoa.catalog.v1 import storage_profile_pb2, target_region_pb2, version_profiles_pb2
from stoa.type.v1 import storage_pb2

from services.catalog.convert import encryption
from services.catalog.convert.common import EnumMap, fill, timestamp
from services.catalog.convert.hardware import CACHINGS, STORAGE_TYPES
from services.catalog.convert.replication_status import encode_status
from services.catalog.convert.storage_accounts import encode_vhd
from services.catalog.domain.disk_source import SourceDisk, SourceKind
from services.catalog.domain.names import DISKS, OS_DISK, SNAPSHOTS
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.storage_account import Vhd
from services.catalog.domain.version import (
    ReplicationMode,
    SafetyProfile,
    TargetRegion,
    Version,
    VersionState,
    WaitMode,
)

MODES: Final = EnumMap(ReplicationMode, storage_pb2.ReplicationMode, "REPLICATION_MODE_")
STATES: Final = EnumMap(VersionState, pb.ImageVersionState, "IMAGE_VERSION_STATE_")
WAIT_MODES: Final = EnumMap(WaitMode, pb.WaitMode, "WAIT_MODE_")


def encode(version: Version) -> pb.ImageVersion:
    """Answer a version as the view BASIC has it, but for what depends on its definition."""
    message = pb.ImageVersion(
        storage_profile=_encode_storage(version),
        target_regions=[encode_target(one) for one in version.target_regions],
        replica_count=version.replica_count,
        exclude_from_latest=version.exclude_from_latest,
        storage_account_type=STORAGE_TYPES.number(version.storage_type),
        replication_mode=MODES.number(version.mode),
        publish_time=timestamp(version.publish_time),
        generation=version.generation,
        state=STATES.number(version.version_state),
    )
    fill(message, version)
    for field in ("end_of_life_time", "delete_time", "consumption_end_time", "purge_time"):
        time: datetime | None = getattr(version, field)
        if time is not None:
            getattr(message, field).FromDatetime(time)
    if version.end_of_life_time is not None:
        message.effective_end_of_life_time.FromDatetime(version.end_of_life_time)
    if version.safety is not None:
        message.safety_profile.CopyFrom(_encode_safety(version.safety))
    return message


def status_fragment(version: Version, regions: Sequence[RegionStatus]) -> bytes:
    """Answer a message with nothing but the status, to append to what `encode` gave."""
    return pb.ImageVersion(replication_status=encode_status(version, regions)).SerializeToString()


def end_of_life_fragment(end: datetime) -> bytes:
    """Answer a message with nothing but the definition's end of life, as `status_fragment`."""
    return pb.ImageVersion(effective_end_of_life_time=timestamp(end)).SerializeToString()


def encode_target(region: TargetRegion) -> target_region_pb2.TargetRegion:
    """Answer a target region as the contract has it."""
    return target_region_pb2.TargetRegion(
        location=region.location,
        regional_replica_count=region.replica_count,
        storage_account_type=STORAGE_TYPES.number(region.storage_type),
        exclude_from_latest=region.exclude_from_latest,
        additional_replica_sets=[
            target_region_pb2.AdditionalReplicaSet(
                storage_account_type=STORAGE_TYPES.number(one.storage_type),
                regional_replica_count=one.count,
            )
            for one in region.additional
        ],
        encryption=None if region.encryption is None else encryption.encode(region.encryption),
    )


def _encode_storage(version: Version) -> storage_profile_pb2.StorageProfile:
    message = storage_profile_pb2.StorageProfile()
    if version.source is not None:
        setattr(message.source, version.source.kind.value, version.source.name)
    for disk in version.disks:
        caching = CACHINGS.number(disk.host_caching)
        source = None if version.source is not None else _encode_disk_source(disk)
        if disk.disk == OS_DISK:
            message.os_disk_image.CopyFrom(
                storage_profile_pb2.OsDiskImage(
                    source=source, host_caching=caching, size_bytes=disk.size_bytes
                )
            )
        else:
            message.data_disk_images.add(
                lun=int(disk.disk), source=source, host_caching=caching, size_bytes=disk.size_bytes
            )
    return message


def _encode_disk_source(disk: SourceDisk) -> storage_profile_pb2.DiskSource:
    """Answer the source of a disk as the request named it."""
    if disk.source.kind is SourceKind.STORE_FILE:
        vhd = Vhd(disk.origin, disk.source.path, disk.source.etag, disk.size_bytes)
        return storage_profile_pb2.DiskSource(vhd=encode_vhd(vhd))
    if DISKS.matches(disk.origin):
        return storage_profile_pb2.DiskSource(disk=disk.origin)
    if SNAPSHOTS.matches(disk.origin):
        return storage_profile_pb2.DiskSource(snapshot=disk.origin)
    return storage_profile_pb2.DiskSource(blob=disk.source.name)


def _encode_safety(safety: SafetyProfile) -> version_profiles_pb2.SafetyProfile:
    return version_profiles_pb2.SafetyProfile(
        allow_deletion_of_replicated_locations=safety.allow_deletion_of_replicated_locations,
        block_deletion_before_end_of_life=safety.block_deletion_before_end_of_life,
    )
