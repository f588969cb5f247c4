"""Where things lie in a region store; the same keys on a directory and in a bucket.

Every part of a key is checked: what names it comes from ids, never from text that a user chose
(replication specification, section 2.1).
"""

from __future__ import annotations

import re
from typing import Final

FORMAT_KEY: Final = "FORMAT"
REPLICA_ID_KEY: Final = "replica-id"
OBJECTS: Final = "objects"
MANIFESTS: Final = "manifests"
VERSION_REFS: Final = "refs"
BLOB_REFS: Final = "blobs"
JOURNALS: Final = "journals"
QUARANTINE: Final = "quarantine"
TOMBSTONES: Final = "tombstones"
CLOCK: Final = "clock"
TEMPORARY: Final = "tmp"

# Lower case only: two keys never collide on a file system that ignores case, and a part that
# begins with a letter or digit is neither "." nor "..".
_PART: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


def check_part(part: str) -> str:
    """Return `part` if it may stand in a key, else raise ValueError."""
    if _PART.fullmatch(part) is None:
        msg = f"{part!r} cannot be part of a store key"
        raise ValueError(msg)
    return part


def split_key(key: str) -> tuple[str, ...]:
    """Return the parts of a key other than FORMAT, each checked; ValueError otherwise."""
    return tuple(check_part(part) for part in key.split("/"))


def object_key(tenant: str, digest: bytes) -> str:
    """Return the key of a segment, leaf page or delta pack."""
    name = digest.hex()
    return f"{OBJECTS}/{check_part(tenant)}/{name[:2]}/{name[2:4]}/{name}"


def manifest_key(tenant: str, root: bytes) -> str:
    """Return the key of the manifest of the disk with this root."""
    return f"{MANIFESTS}/{check_part(tenant)}/{root.hex()}"


def version_ref_key(version: str) -> str:
    """Return the key of the ref that commits all disks of an image version, by its uid."""
    return f"{VERSION_REFS}/{check_part(version)}"


def blob_ref_key(blob: str) -> str:
    """Return the key of the ref that holds a committed blob, by its uid."""
    return f"{BLOB_REFS}/{check_part(blob)}"


def journal_prefix(task: str) -> str:
    """Return the prefix of the journals of one copy task or upload."""
    return f"{JOURNALS}/{check_part(task)}"


def journal_key(task: str, sequence: int) -> str:
    """Return the key of the journal of a task's window `sequence`, counted from 0."""
    return f"{journal_prefix(task)}/{sequence:08x}"


def tombstones_key(name: str) -> str:
    """Return the key of a list of objects that are to be collected."""
    return f"{TOMBSTONES}/{check_part(name)}"
