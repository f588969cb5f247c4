"""Requests about image versions, read."""

from collections.abc import Mapping
from typing import Any, Final

from stoa.catalog.v1 import (
    image_version_pb2,
    storage_profile_pb2,
    target_region_pb2,
    version_profiles_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb

from services.catalog.convert import encryption, uefi
from services.catalog.convert.common import optional_time
from services.catalog.convert.hardware import CACHINGS, STORAGE_TYPES
from services.catalog.convert.versions import MODES, WAIT_MODES
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.names import OS_DISK, disk_order
from services.catalog.domain.profile import Profile, ProfileDisk
from services.catalog.domain.version import (
    ReplicaSet,
    ReplicationMode,
    SafetyProfile,
    TargetRegion,
    WaitMode,
    WholeSource,
    WholeSourceKind,
)
from services.catalog.usecases.version_draft import CreateVersion
from services.catalog.usecases.version_sources import DiskSpec
from services.kernel.names import Name, key

_VERSION: Final = "image_version"
_PROFILE: Final = f"{_VERSION}.storage_profile"


def decode_create(request: requests_pb.CreateImageVersionRequest, parent: Name) -> CreateVersion:
    """Read a request for a new version."""
    sent = request.image_version
    return CreateVersion(
        parent=parent,
        id=request.image_version_id,
        location=sent.location,
        source=_decode_whole(sent.storage_profile),
        disks=tuple(_decode_disks(sent.storage_profile)),
        target_regions=tuple(map(decode_target, sent.target_regions)),
        uefi=uefi.decode(sent.uefi_settings) if sent.HasField("uefi_settings") else None,
        replica_count=sent.replica_count if sent.HasField("replica_count") else None,
        exclude_from_latest=sent.exclude_from_latest,
        storage_type=STORAGE_TYPES.member(sent.storage_account_type) or StorageType.STANDARD_LRS,
        mode=MODES.member(sent.replication_mode) or ReplicationMode.FULL,
        end_of_life_time=optional_time(sent, "end_of_life_time"),
        safety=decode_safety(sent.safety_profile) if sent.HasField("safety_profile") else None,
        tags=dict(sent.tags),
        wait_for=wait_mode(request.wait_for),
        accept_terms=request.accept_terms,
        validate_only=request.validate_only,
    )


def update_fields(message: image_version_pb2.ImageVersion) -> Mapping[str, Any]:
    """Answer what an update sends, by the first parts of the paths; None: not populated."""
    safety = message.safety_profile
    return {
        "location": message.location,
        "storage_profile": _profile(message.storage_profile),
        "storage_account_type": STORAGE_TYPES.member(message.storage_account_type),
        "replication_mode": MODES.member(message.replication_mode),
        "uefi_settings": uefi.decode(message.uefi_settings).digest
        if message.HasField("uefi_settings")
        else None,
        "target_regions": tuple(map(decode_target, message.target_regions)),
        "replica_count": message.replica_count if message.HasField("replica_count") else None,
        "exclude_from_latest": message.exclude_from_latest
        if message.HasField("exclude_from_latest")
        else None,
        "end_of_life_time": optional_time(message, "end_of_life_time"),
        "safety_profile": {
            field: getattr(safety, field) if safety.HasField(field) else None
            for field in (
                "allow_deletion_of_replicated_locations",
                "block_deletion_before_end_of_life",
            )
        },
        "tags": dict(message.tags),
    }


def _profile(message: storage_profile_pb2.StorageProfile) -> Profile | None:
    """Answer what a storage profile is compared by, None where none is sent."""
    whole = _decode_whole(message)
    disks = sorted(_decode_disks(message), key=lambda one: disk_order(one.disk))
    if whole is None and not disks:
        return None
    return Profile(
        None if whole is None else (whole.kind.value, key(whole.name)),
        tuple(ProfileDisk(one.disk, _source_key(one), one.host_caching) for one in disks),
    )


def _source_key(spec: DiskSpec) -> str:
    return spec.naming_key if spec.kind else ""


def wait_mode(number: int) -> WaitMode:
    """Read when an operation is done; not set: ALL_REGIONS."""
    return WAIT_MODES.member(number) or WaitMode.ALL_REGIONS


def decode_target(message: target_region_pb2.TargetRegion) -> TargetRegion:
    """Read a target region, spelled as it was sent."""
    return TargetRegion(
        location=message.location,
        replica_count=message.regional_replica_count
        if message.HasField("regional_replica_count")
        else None,
        storage_type=STORAGE_TYPES.member(message.storage_account_type),
        exclude_from_latest=message.exclude_from_latest
        if message.HasField("exclude_from_latest")
        else None,
        additional=tuple(
            ReplicaSet(storage, one.regional_replica_count)
            for one in message.additional_replica_sets
            if (storage := STORAGE_TYPES.member(one.storage_account_type)) is not None
        ),
        encryption=encryption.decode(message.encryption),
    )


def decode_safety(message: version_profiles_pb2.SafetyProfile) -> SafetyProfile:
    """Read what protects a version: each flag has three states."""
    return SafetyProfile(
        *(
            getattr(message, field) if message.HasField(field) else None
            for field in (
                "allow_deletion_of_replicated_locations",
                "block_deletion_before_end_of_life",
            )
        )
    )


def _decode_whole(profile: storage_profile_pb2.StorageProfile) -> WholeSource | None:
    which = profile.source.WhichOneof("source")
    if not profile.HasField("source") or which is None:
        return None
    return WholeSource(WholeSourceKind(which), getattr(profile.source, which))


def _decode_disks(profile: storage_profile_pb2.StorageProfile) -> list[DiskSpec]:
    found: list[DiskSpec] = []
    if profile.HasField("os_disk_image"):
        found.append(_decode_disk(OS_DISK, f"{_PROFILE}.os_disk_image", profile.os_disk_image))
    for index, data in enumerate(profile.data_disk_images):
        path = f"{_PROFILE}.data_disk_images[{index}]"
        found.append(_decode_disk(str(data.lun), path, data))
    return found


def _decode_disk(disk: str, path: str, message: Any) -> DiskSpec:
    source: storage_profile_pb2.DiskSource = message.source
    kind = source.WhichOneof("source") or ""
    name = file = ""
    if kind == "vhd":
        name, file = source.vhd.storage_account, source.vhd.path
    elif kind:
        name = getattr(source, kind)
    return DiskSpec(disk, path, kind, name, file, CACHINGS.member(message.host_caching))
