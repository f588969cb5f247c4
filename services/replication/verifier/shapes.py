"""Which keys the format allows (docs/reference/store-format.md, "Keys")."""

from __future__ import annotations

import enum
import re
from typing import Final

from services.replication.content.keys import (
    BLOB_REFS,
    CLOCK,
    FORMAT_KEY,
    JOURNALS,
    MANIFESTS,
    OBJECTS,
    QUARANTINE,
    REPLICA_ID_KEY,
    TEMPORARY,
    TOMBSTONES,
    VERSION_REFS,
)
from services.replication.stores.local_identity import LOCK, REFS_LOCK


class Shape(enum.Enum):
    """What lies at a key."""

    FORMAT = "format"
    REPLICA_ID = "replicaId"
    LOCK = "lock"
    OBJECT = "objects"
    MANIFEST = "manifests"
    VERSION_REF = "versionRefs"
    BLOB_REF = "blobRefs"
    JOURNAL = "journals"
    QUARANTINED = "quarantined"
    TOMBSTONES = "tombstones"
    CLOCK = "clock"
    TEMPORARY = "temporary"
    UNKNOWN = "unknown"


_PART: Final = "[a-z0-9][a-z0-9._-]{0,127}"
_DIGEST: Final = "[0-9a-f]{64}"
_SHAPES: Final = (
    (Shape.FORMAT, re.compile(FORMAT_KEY)),
    (Shape.REPLICA_ID, re.compile(REPLICA_ID_KEY)),
    (Shape.LOCK, re.compile(f"{LOCK}|{re.escape(REFS_LOCK)}")),
    (Shape.OBJECT, re.compile(f"{OBJECTS}/{_PART}/([0-9a-f]{{2}})/([0-9a-f]{{2}})/{_DIGEST}")),
    (Shape.MANIFEST, re.compile(f"{MANIFESTS}/{_PART}/{_DIGEST}")),
    (Shape.VERSION_REF, re.compile(f"{VERSION_REFS}/{_PART}")),
    (Shape.BLOB_REF, re.compile(f"{BLOB_REFS}/{_PART}")),
    (Shape.JOURNAL, re.compile(f"{JOURNALS}/{_PART}/[0-9a-f]{{8}}")),
    (Shape.QUARANTINED, re.compile(f"{QUARANTINE}/{_PART}\\.[0-9]+")),
    (Shape.TOMBSTONES, re.compile(f"{TOMBSTONES}/[0-9a-f]{{32}}")),
    (Shape.CLOCK, re.compile(f"{CLOCK}/now")),
    (Shape.TEMPORARY, re.compile(f"{TEMPORARY}/.+", re.DOTALL)),
)


def shape_of(key: str) -> Shape:
    """Answer what a key is the key of."""
    for shape, pattern in _SHAPES:
        found = pattern.fullmatch(key)
        if found is None:
            continue
        name = key.rpartition("/")[2]
        if shape is Shape.OBJECT and (found[1], found[2]) != (name[:2], name[2:4]):
            return Shape.UNKNOWN
        return shape
    return Shape.UNKNOWN
