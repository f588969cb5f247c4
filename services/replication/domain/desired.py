"""What the catalog wants of the replicas of a version."""

import enum
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from services.kernel.names import key
from services.replication.domain.names import disk_order
from services.replication.domain.states import DiskFormat, ReplicationMode, StorageType


class SourceKind(enum.Enum):
    """Where the bytes of a disk come from."""

    BLOB = "blob"
    IMAGE_VERSION = "imageVersion"
    STORE_FILE = "storeFile"


@dataclass(frozen=True, slots=True)
class DiskSource:
    """A source. `name` is a resource name, or the store's entry of a file.

    `uid` is that of the blob or version; `disk` the disk of a version; `path` and `etag` are
    those of a file.
    """

    kind: SourceKind
    name: str
    uid: str = ""
    disk: str = ""
    path: str = ""
    etag: str = ""

    def identity(self) -> str:
        """Answer what two descriptions of one source agree in; the claim of a grant.

        `blob:<name key>:<uid>`, `imageVersion:<name key>:<uid>:<disk>` or
        `storeFile:<store>:<etag>:<path>`.
        """
        match self.kind:
            case SourceKind.BLOB:
                return f"blob:{key(self.name)}:{self.uid}"
            case SourceKind.IMAGE_VERSION:
                return f"imageVersion:{key(self.name)}:{self.uid}:{self.disk}"
            case SourceKind.STORE_FILE:
                return f"storeFile:{self.name}:{self.etag}:{self.path}"


@dataclass(frozen=True, slots=True)
class DesiredDisk:
    """One disk of a version; `root` is the digest that the source must have, empty for any."""

    disk: str
    source: DiskSource
    format: DiskFormat = DiskFormat.RAW
    root: str = ""


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """Replicas on one kind of storage; `zones` are for zone-redundant ones."""

    storage_type: StorageType
    count: int
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredRegion:
    """One region that is wanted."""

    location: str
    sets: tuple[ReplicaSet, ...]

    @property
    def count(self) -> int:
        """All replicas together."""
        return sum(one.count for one in self.sets)


@dataclass(frozen=True, slots=True)
class DesiredReplicas:
    """The whole desired state of a version at one generation; no region: it is withdrawn.

    From `read_end` on no read begins, though replicas are kept; None: never.
    """

    version: str
    uid: str
    tenant: str
    generation: int
    mode: ReplicationMode
    home: str
    disks: tuple[DesiredDisk, ...]
    regions: tuple[DesiredRegion, ...]
    read_end: datetime | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is wanted any more."""
        return not self.regions

    def in_order(self) -> "DesiredReplicas":
        """Answer the same with the disks in their order."""
        disks = tuple(sorted(self.disks, key=lambda one: disk_order(one.disk)))
        return replace(self, disks=disks)

    def is_within(self, other: "DesiredReplicas") -> bool:
        """Whether this wants nothing that `other` does not want."""
        if other.read_end is not None and (self.read_end is None or self.read_end > other.read_end):
            return not self.regions
        counts = {one.location: one.count for one in other.regions}
        return all(one.count <= counts.get(one.location, 0) for one in self.regions)

    def digest(self) -> str:
        """Answer what two deliveries of one desired state agree in."""
        content = [
            key(self.version),
            self.uid,
            self.tenant,
            self.generation,
            self.mode.value,
            self.home,
            [[one.disk, one.source.identity(), one.format.value, one.root] for one in self.disks],
            [
                [
                    region.location,
                    [[one.storage_type.value, one.count, list(one.zones)] for one in region.sets],
                ]
                for region in self.regions
            ],
        ]
        if self.read_end is not None:
            content.append(self.read_end.isoformat())
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()
