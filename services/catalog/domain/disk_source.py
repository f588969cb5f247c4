"""Where the bytes of a disk come from, as the replication service is told."""

import enum
from dataclasses import dataclass

from services.catalog.domain.hardware import DiskFormat, HostCaching
from services.kernel.names import key


class SourceKind(enum.Enum):
    """What holds the bytes."""

    BLOB = "blob"
    IMAGE_VERSION = "imageVersion"
    STORE_FILE = "storeFile"


@dataclass(frozen=True, slots=True)
class ByteSource:
    """The thing that replication reads. `name` is a resource name, or the store's entry of a file.

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
        """Answer what an operation grant names the source by; replication builds the same text."""
        match self.kind:
            case SourceKind.BLOB:
                return f"blob:{key(self.name)}:{self.uid}"
            case SourceKind.IMAGE_VERSION:
                return f"imageVersion:{key(self.name)}:{self.uid}:{self.disk}"
            case SourceKind.STORE_FILE:
                return f"storeFile:{self.name}:{self.etag}:{self.path}"


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """One disk of a source: `disk` is `os` or a LUN, `size_bytes` as the guest sees it.

    `root_digest` is in lower-case hexadecimal, empty where the bytes are not hashed yet.
    `origin` is the disk, snapshot or storage account that the source was named by; empty where
    it was named itself.
    """

    disk: str
    source: ByteSource
    size_bytes: int
    format: DiskFormat = DiskFormat.RAW
    root_digest: str = ""
    host_caching: HostCaching = HostCaching.NONE
    origin: str = ""

    @property
    def named(self) -> str:
        """What a caller names the source by: a resource, and the path of a file in it."""
        name = self.origin or self.source.name
        return f"{name}/{self.source.path}" if self.source.path else name

    @property
    def naming_key(self) -> str:
        """What `named` is compared by."""
        return naming_key(self.origin or self.source.name, self.source.path)


def naming_key(name: str, path: str = "") -> str:
    """Answer what the names of sources are compared by: paths of files have a case, names none."""
    return f"{key(name)}/{path}" if path else key(name)
