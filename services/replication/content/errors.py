"""What can go wrong with disk bytes, classed by what a retry may hope for.

The classes are those of the replication specification, section 2.10: a transient fault is retried
with backoff, a capacity fault pauses the region until there is room, a permanent one ends the copy.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class ErrorClass(enum.Enum):
    """What a caller should do about a failure."""

    TRANSIENT = "transient"
    CAPACITY = "capacity"
    PERMANENT = "permanent"


class DataError(Exception):
    """A failure of the data plane; `reason` is stable and fit for an error detail."""

    error_class: ClassVar[ErrorClass] = ErrorClass.PERMANENT
    reason: ClassVar[str] = "DATA_ERROR"


class StoreUnavailable(DataError):
    """The store did not answer, or answered that it cannot now."""

    error_class = ErrorClass.TRANSIENT
    reason = "STORE_UNAVAILABLE"
    # Whether it was met where a copy writes, and not where it reads.
    of_target: bool = False
    # Whether it answered that it is asked too much, and would answer less.
    is_throttled: bool = False


class StoreIoError(DataError):
    """The medium reported an error; what was being written counts as lost."""

    error_class = ErrorClass.TRANSIENT
    reason = "STORE_IO_ERROR"


class StoreFull(DataError):
    """No space, no quota, or not enough of it left for what is planned."""

    error_class = ErrorClass.CAPACITY
    reason = "STORE_FULL"


class StoreAccessDenied(DataError):
    """The store refuses our credentials, or is read-only."""

    reason = "STORE_ACCESS_DENIED"


class StoreBusy(DataError):
    """Another process holds the store in a way that excludes this one."""

    error_class = ErrorClass.TRANSIENT
    reason = "STORE_BUSY"


class ReplicaMismatch(DataError):
    """The store is not the one registered: another, an uninitialised or an empty one."""

    reason = "REPLICA_MISMATCH"


class UnsupportedStore(DataError):
    """The address or the format of a store is not one that this release can use."""

    reason = "STORE_UNSUPPORTED"


class ObjectMissing(DataError):
    """The store has no object under `key`."""

    reason = "OBJECT_MISSING"

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key}")
        self.key = key


class ObjectCorrupt(DataError):
    """Stored bytes do not hash to what was recorded.

    `key` is the object; `disk_offset` is the byte of the disk at which the first bad leaf begins,
    or None where the object is not data (a manifest, a leaf page).
    """

    reason = "OBJECT_CORRUPT"

    def __init__(self, key: str, detail: str, *, disk_offset: int | None = None) -> None:
        where = "" if disk_offset is None else f" (disk byte {disk_offset})"
        super().__init__(f"{key} is corrupt{where}: {detail}")
        self.key = key
        self.disk_offset = disk_offset


class InvalidEncoding(DataError):
    """Bytes that claim to be a manifest, leaf page, journal or ref are not one."""

    reason = "ENCODING_INVALID"


class SourceUnavailable(DataError):
    """The source cannot be opened or read."""

    reason = "SOURCE_UNAVAILABLE"


class SourceChanged(DataError):
    """The source is not what it was when its copy began; nothing is committed."""

    reason = "SOURCE_CHANGED"


class SourceMissing(DataError):
    """There is no such file, or nothing that could be a source has its name."""

    reason = "SOURCE_NOT_FOUND"


class SourceFormatInvalid(DataError):
    """The bytes are not of the format that they are read as; `found` names what they look like."""

    reason = "SOURCE_FORMAT_INVALID"

    def __init__(self, detail: str, *, found: str = "") -> None:
        super().__init__(detail)
        self.found = found


class SourceReferenceRefused(DataError):
    """A part of the disk lies in another file, which is never opened."""

    reason = "SOURCE_REFERENCE_REFUSED"


class OffsetMismatch(DataError):
    """An upload went on at another byte than the one expected; resume at `expected`."""

    reason = "OFFSET_MISMATCH"

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"the upload continues at byte {expected}, not {got}")
        self.expected = expected


class RefConflict(DataError):
    """A ref changed between its reading and its writing."""

    error_class = ErrorClass.TRANSIENT
    reason = "REF_CONFLICT"


class StaleGeneration(DataError):
    """The slot already holds a newer generation of this version."""

    reason = "STALE_GENERATION"


class Stopped(Exception):
    """Work ended on request; what is durable stays and can be resumed."""


class Cancelled(Stopped):
    """The cancel token was set."""


class FenceLost(Stopped):
    """Another worker has taken over; this one must not write any more."""
