"""Where bytes come from, and what keeps them."""

from dataclasses import dataclass
from typing import Protocol

from services.catalog.domain.disk_source import ByteSource
from services.catalog.domain.hardware import DiskFormat


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the replication service says of a source; `problem` is a reason of its own, or empty."""

    location: str
    size_bytes: int
    format: DiskFormat
    uid: str = ""
    etag: str = ""
    root_digest: str = ""
    problem: str = ""


class Sources(Protocol):
    """The bytes that versions and managed images are made from."""

    def inspect(self, source: ByteSource) -> Inspection | None:
        """Answer what a source is now, None where there is none.

        Raises:
            Unavailable: the replication service does not answer.
        """


class BlobHolds(Protocol):
    """Keeps blobs for the sources that are made of them; by the source's uid, idempotent."""

    def hold(self, blob: ByteSource, source_uid: str, source: str) -> bool:
        """Keep a blob for a source; False where it is gone, replaced or unfinished.

        Raises:
            Unavailable: the replication service does not answer.
        """

    def release(self, blob: ByteSource, source_uid: str) -> None:
        """Forget that a source needs a blob.

        Raises:
            Unavailable: the replication service does not answer.
        """
