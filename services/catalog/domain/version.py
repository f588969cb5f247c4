"""Image versions: the disks, and the regions that they are wanted in."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.catalog.domain.disk_source import SourceDisk
from services.catalog.domain.encryption import RegionEncryption
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.resource import Resource

Number = tuple[int, int, int]


class ReplicationMode(enum.Enum):
    """Whether bytes are copied."""

    FULL = "FULL"
    SHALLOW = "SHALLOW"


class VersionState(enum.Enum):
    """Whether a version is deleted and can be had back."""

    ACTIVE = "ACTIVE"
    SOFT_DELETED = "SOFT_DELETED"


class WaitMode(enum.Enum):
    """When the operation of a change is done."""

    ACCEPTED = "ACCEPTED"
    HOME_REGION = "HOME_REGION"
    ALL_REGIONS = "ALL_REGIONS"


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """Replicas of another kind in a region; kept, no replica is made for them."""

    storage_type: StorageType
    count: int


@dataclass(frozen=True, slots=True)
class TargetRegion:
    """A region that a version is wanted in; None follows what the version says."""

    location: str
    replica_count: int | None = None
    storage_type: StorageType | None = None
    exclude_from_latest: bool | None = None
    additional: tuple[ReplicaSet, ...] = ()
    encryption: RegionEncryption | None = None


@dataclass(frozen=True, slots=True)
class SafetyProfile:
    """What protects a version; the guard of deletions has three states (gallery-semantics 0)."""

    allow_deletion_of_replicated_locations: bool | None = None
    block_deletion_before_end_of_life: bool | None = None


class WholeSourceKind(enum.Enum):
    """A source of all disks of a version."""

    VIRTUAL_MACHINE = "virtual_machine"
    MANAGED_IMAGE = "managed_image"
    IMAGE_VERSION = "image_version"
    SHARED_VERSION = "shared_gallery_image_version"
    COMMUNITY_VERSION = "community_gallery_image_version"


@dataclass(frozen=True, slots=True)
class WholeSource:
    """The resource that all disks of a version come from.

    `name` is what the caller knows it by; `private` the key of a version behind a view.
    """

    kind: WholeSourceKind
    name: str
    uid: str = ""
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Resource):
    """An image version.

    `generation` numbers the changes of what is wanted. `tenant` is the key of the tenant that
    owns the bytes. `settled` says whether every region was terminal once: before that the
    version is CREATING, afterwards UPDATING while something is under way. `uncopied` says that
    none was COMPLETED by then, or that it was shallow until generation `promoted` and no region
    is done with that: the sources are needed still. `replication` is the newest one. A
    soft-deleted version has all three times; once `retention_ended` it cannot be
    used any more. `crossed` holds the bytes that had come into regions, where their rows tell of
    fewer.
    """

    number: Number
    tenant: str
    source: WholeSource | None
    disks: tuple[SourceDisk, ...]
    target_regions: tuple[TargetRegion, ...]
    publish_time: datetime
    replica_count: int = 1
    exclude_from_latest: bool = False
    storage_type: StorageType = StorageType.STANDARD_LRS
    mode: ReplicationMode = ReplicationMode.FULL
    end_of_life_time: datetime | None = None
    safety: SafetyProfile | None = None
    generation: int = 1
    settled: bool = False
    uncopied: bool = False
    promoted: int = 0
    carries_vm_guest_state: bool = False
    replication: str = ""
    version_state: VersionState = VersionState.ACTIVE
    delete_time: datetime | None = None
    consumption_end_time: datetime | None = None
    purge_time: datetime | None = None
    retention_ended: bool = False
    uefi_digest: str = ""
    crossed: Mapping[str, int] = field(default_factory=dict)

    @property
    def encryption_sets(self) -> tuple[str, ...]:
        """The names of the encryption sets that regions of the version are encrypted with."""
        named = (one.encryption.sets for one in self.target_regions if one.encryption)
        return tuple(dict.fromkeys(one for sets in named for one in sets))

    @property
    def encrypted(self) -> bool:
        """Whether it is encrypted with keys of a customer."""
        return bool(self.encryption_sets)

    @property
    def soft_deleted(self) -> bool:
        """Whether it is deleted and can be had back."""
        return self.version_state is VersionState.SOFT_DELETED

    @property
    def expiry_time(self) -> datetime | None:
        """When the next thing happens to it by itself: its retention ends, or it is purged."""
        if not self.soft_deleted or self.deleting:
            return None
        return self.purge_time if self.retention_ended else self.consumption_end_time

    def count_in(self, region: TargetRegion) -> int:
        """Answer the replicas that are wanted in a region: one of a soft-deleted version."""
        if self.soft_deleted:
            return 1
        return region.replica_count if region.replica_count is not None else self.replica_count

    def storage_in(self, region: TargetRegion) -> StorageType:
        """Answer what replicas in a region are kept on."""
        return region.storage_type or self.storage_type

    def excluded_in(self, region: TargetRegion) -> bool:
        """Answer whether `latest` passes over the version in a region: its own flag wins."""
        if region.exclude_from_latest is not None:
            return region.exclude_from_latest
        return self.exclude_from_latest
