"""The files by which a store says what it is."""

from __future__ import annotations

import json
import uuid
from typing import Final

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import UnsupportedStore

_FORMAT: Final = {"format": 1, "leaf": LEAF_BYTES, "segment": SEGMENT_BYTES, "hash": "blake3"}


def format_file() -> bytes:
    """Return the content of FORMAT."""
    return json.dumps(_FORMAT, separators=(",", ":")).encode() + b"\n"


def check_format(data: bytes, url: str) -> None:
    """Raise UnsupportedStore unless FORMAT describes what this release reads and writes."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if found != _FORMAT:
        raise UnsupportedStore(f"{url} is of a format that this release does not know")


def new_replica_id() -> str:
    """Return a random id for a store."""
    return uuid.uuid4().hex
