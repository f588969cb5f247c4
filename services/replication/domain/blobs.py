"""Blobs: the bytes of one disk, uploaded into one slot of one region."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.replication.domain.states import DiskFormat

UNHELD_FOR: Final = timedelta(hours=24)
"""How long a blob stays that no source holds, from its last byte or its last hold on."""
MAX_BLOB_BYTES: Final = 1 << 45


class BlobState(enum.Enum):
    """How far a blob is."""

    UPLOADING = "UPLOADING"
    COMMITTED = "COMMITTED"


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob; `tenant` is the storage id that its bytes lie under, `root` in hexadecimal.

    `committed_bytes` are durable. `size_bytes` is None until it was declared or committed.
    `fence` is raised by each stream that opens, so that an older one writes nothing more.
    """

    uid: str
    name: str
    name_key: str
    parent_key: str
    subscription_key: str
    tenant: str
    location: str
    slot: str
    format: DiskFormat
    size_bytes: int | None
    state: BlobState
    tags: Mapping[str, str]
    create_time: datetime
    update_time: datetime
    expire_time: datetime | None
    commit_time: datetime | None = None
    committed_bytes: int = 0
    zero_bytes: int = 0
    stored_bytes: int = 0
    root: str = ""
    fence: int = 0
    revision: int = 1

    @property
    def is_committed(self) -> bool:
        """Whether it is complete, hashed and immutable."""
        return self.state is BlobState.COMMITTED

    @property
    def task(self) -> str:
        """The task that its upload is journalled under in the slot."""
        return blob_task(self.uid)


@dataclass(frozen=True, slots=True)
class BlobHold:
    """A source that is made of a blob; `source` is its name."""

    blob: str
    source_uid: str
    source: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class BlobRemoval:
    """A blob whose row is gone and whose ref and journals may still lie in a slot."""

    blob: str
    location: str
    slot: str
    attempts: int
    due_time: datetime
    create_time: datetime


@dataclass(frozen=True, slots=True)
class HeldBlob:
    """A blob with the names of the sources that hold it, the oldest first."""

    blob: Blob
    sources: tuple[str, ...] = ()


def blob_task(uid: str) -> str:
    """Answer the task that the upload of the blob with this uid is journalled under."""
    return f"blob-{uid}"
