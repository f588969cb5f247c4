"""Refs: the small files that make disks visible and keep them from being collected.

A version's ref names all its disks at once, so that a reader sees the whole version in a slot or
nothing of it. A blob's ref names one disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.replication.content.errors import (
    FenceLost,
    InvalidEncoding,
    ObjectMissing,
    RefConflict,
    StaleGeneration,
)
from services.replication.content.keys import blob_ref_key, manifest_key, version_ref_key
from services.replication.content.store import Store
from services.replication.content.tombstones import keep_content

OS_DISK: Final = "os"
"""The key of the OS disk in `VersionRef.disks`; a data disk's is its LUN in decimal."""

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class VersionRef:
    """All disks of an image version in a slot: disk key to the root of its manifest."""

    version: str
    tenant: str
    generation: int
    replication: str
    fence: int
    disks: Mapping[str, bytes]

    def encode(self) -> bytes:
        """Return the canonical JSON of the ref."""
        return _encode(
            {
                "format": 1,
                "version": self.version,
                "tenant": self.tenant,
                "generation": self.generation,
                "replication": self.replication,
                "fence": self.fence,
                "disks": {key: root.hex() for key, root in self.disks.items()},
            }
        )


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A committed blob: one disk, immutable."""

    blob: str
    tenant: str
    root: bytes
    logical_size: int

    def encode(self) -> bytes:
        """Return the canonical JSON of the ref."""
        return _encode(
            {
                "format": 1,
                "blob": self.blob,
                "tenant": self.tenant,
                "root": self.root.hex(),
                "logicalSize": self.logical_size,
            }
        )


def decode_version_ref(data: bytes) -> VersionRef:
    """Decode a version's ref; raises InvalidEncoding."""
    fields = _decode(data)
    try:
        return VersionRef(
            version=str(fields["version"]),
            tenant=str(fields["tenant"]),
            generation=int(fields["generation"]),
            replication=str(fields["replication"]),
            fence=int(fields["fence"]),
            disks={str(key): bytes.fromhex(root) for key, root in fields["disks"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidEncoding("not the ref of a version") from error


def decode_blob_ref(data: bytes) -> BlobRef:
    """Decode a blob's ref; raises InvalidEncoding."""
    fields = _decode(data)
    try:
        return BlobRef(
            blob=str(fields["blob"]),
            tenant=str(fields["tenant"]),
            root=bytes.fromhex(fields["root"]),
            logical_size=int(fields["logicalSize"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEncoding("not the ref of a blob") from error


def read_version(store: Store, version: str) -> VersionRef | None:
    """Return what a slot holds of a version, or None."""
    stored = store.get_ref(version_ref_key(version))
    return None if stored is None else decode_version_ref(stored.data)


def commit_version(store: Store, ref: VersionRef) -> None:
    """Make all disks of a version visible in a slot; the commit point. Repeating it is harmless.

    Raises:
        ObjectMissing: a manifest is not in the slot; nothing was committed.
        StaleGeneration: the slot holds a newer generation of the version.
        FenceLost: another worker has committed this generation under a later fence.
        RefConflict: others kept changing the ref.
        StoreBusy: something that the version needs is being collected.
    """
    for root in ref.disks.values():
        key = manifest_key(ref.tenant, root)
        if store.length(key) is None:
            raise ObjectMissing(key)
        keep_content(store, ref.tenant, root)
    key = version_ref_key(ref.version)
    for attempt in range(_ATTEMPTS):
        stored = store.get_ref(key)
        if stored is not None:
            known = decode_version_ref(stored.data)
            if known == ref:
                return
            if known.generation > ref.generation:
                raise StaleGeneration(f"{key} is at generation {known.generation}")
            if known.generation == ref.generation and known.fence > ref.fence:
                raise FenceLost
        try:
            store.put_ref(key, ref.encode(), expected=None if stored is None else stored.tag)
            return
        except RefConflict:
            if attempt == _ATTEMPTS - 1:
                raise


def remove_version(store: Store, version: str, *, up_to_generation: int) -> bool:
    """Take a version out of a slot unless it is of a newer generation; tell whether it is gone.

    The bytes stay until they are collected. RefConflict where others keep changing the ref.
    """
    key = version_ref_key(version)
    for attempt in range(_ATTEMPTS):
        stored = store.get_ref(key)
        if stored is None:
            return True
        if decode_version_ref(stored.data).generation > up_to_generation:
            return False
        try:
            store.delete_ref(key, expected=stored.tag)
            return True
        except RefConflict:
            if attempt == _ATTEMPTS - 1:
                raise
    return False


def read_blob(store: Store, blob: str) -> BlobRef | None:
    """Return a committed blob, or None."""
    stored = store.get_ref(blob_ref_key(blob))
    return None if stored is None else decode_blob_ref(stored.data)


def commit_blob(store: Store, ref: BlobRef) -> None:
    """Make a blob visible; repeating it is harmless, RefConflict where it exists otherwise.

    StoreBusy where something that it needs is being collected.
    """
    key = blob_ref_key(ref.blob)
    stored = store.get_ref(key)
    if stored is not None and decode_blob_ref(stored.data) == ref:
        return
    keep_content(store, ref.tenant, ref.root)
    store.put_ref(key, ref.encode(), expected=None)


def remove_blob(store: Store, blob: str) -> None:
    """Take a blob out of a slot; nothing happens if it is not there."""
    key = blob_ref_key(blob)
    stored = store.get_ref(key)
    if stored is not None:
        store.delete_ref(key, expected=stored.tag)


def _encode(fields: Mapping[str, object]) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def _decode(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise InvalidEncoding("a ref is not JSON") from error
    if not isinstance(fields, dict) or fields.get("format") != 1:
        raise InvalidEncoding("not a ref of format version 1")
    return fields
