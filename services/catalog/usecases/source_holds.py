"""Keeping blobs for the sources made of them, and letting go of them.

A source is SUCCEEDED only once replication has recorded its holds (DESIGN section 3). The
message of the outbox sees to that whatever happens; the call that caused it takes the same steps
itself, so that it can answer what came of them. Every step may be taken twice.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.disks import DiskLike
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.resource import ProvisioningState, Resource
from services.catalog.domain.version import Version
from services.catalog.ports.policy import Scopes
from services.catalog.ports.sources import BlobHolds
from services.catalog.ports.transaction import Transact, Tx
from services.catalog.usecases import deletes
from services.catalog.usecases.source_types import type_of
from services.kernel.names import key

R = TypeVar("R", bound=Resource)

HOLD_BLOB: Final = "hold_blob"
HOLD_FOR_VERSION: Final = "hold_for_version"
RELEASE_BLOB: Final = "release_blob"
DELETE_SOURCE: Final = "delete_source"
DELETE_MANAGED_IMAGE: Final = "delete_managed_image"
"""What the first release called DELETE_SOURCE: such messages may wait to be sent."""


def held_blobs(source: Resource) -> tuple[ByteSource, ...]:
    """Answer the blobs that a source is made of."""
    disks: tuple[SourceDisk, ...] = ()
    if isinstance(source, ManagedImage):
        disks = source.disks
    elif isinstance(source, DiskLike):
        disks = (source.image,)
    elif isinstance(source, Version) and source.source is None:
        # What is named by a disk or a snapshot is held by that, which in turn may not go.
        disks = tuple(one for one in source.disks if not one.origin)
    return tuple(one.source for one in disks if one.source.kind is SourceKind.BLOB)


def message_of(source: Resource) -> Mapping[str, Any]:
    """Answer what the outbox says of a source: its name and uid, and its blobs."""
    blobs = [{"name": one.name, "uid": one.uid} for one in held_blobs(source)]
    return {"name": source.name, "uid": source.uid, "blobs": blobs}


def add(tx: Tx, source: R) -> R:
    """Add a source; it is CREATING until its blobs are held, where it has any.

    Raises:
        AlreadyExists: the name was taken at the same moment.
    """
    if held_blobs(source):
        source = replace(source, state=ProvisioningState.CREATING)
        tx.outbox.add(source.uid, HOLD_BLOB, message_of(source))
    type_of(source.name).rows(tx).insert(source)
    return source


def keep(tx: Tx, version: Version) -> None:
    """Hold the blobs that a new version is made straight from, before they are copied."""
    if held_blobs(version):
        tx.outbox.add(version.uid, HOLD_FOR_VERSION, message_of(version))


def let_go(tx: Tx, version: Version) -> None:
    """Let go of the blobs of a version that needs them no more, or is gone."""
    if held_blobs(version):
        tx.outbox.add(version.uid, RELEASE_BLOB, message_of(version))


def hold_for_version(message: Mapping[str, Any], holds: BlobHolds) -> None:
    """Hold the blobs of a version; for one that is gone replication will find no source.

    Raises:
        Unavailable: the replication service does not answer.
    """
    for blob in _blobs(message):
        holds.hold(blob, message["uid"], message["name"])


def hold(message: Mapping[str, Any], transact: Transact, holds: BlobHolds) -> Resource | None:
    """Hold the blobs of a source that is CREATING, and end its creation.

    Answers the source as it is then, None where it is gone.

    Raises:
        Unavailable: the replication service does not answer.
    """
    name, uid = message["name"], message["uid"]
    source = transact(lambda tx: _same(tx, name, uid))
    if source is None or source.state is not ProvisioningState.CREATING:
        return source
    held = all(holds.hold(blob, uid, name) for blob in _blobs(message))

    def end(tx: Tx) -> Resource | None:
        found = _same(tx, name, uid, lock=True)
        if found is None or found.deleting:
            # Deleted meanwhile: this hold may have been recorded after the release.
            tx.outbox.add(uid, RELEASE_BLOB, message)
            return None
        if found.state is not ProvisioningState.CREATING:
            return found
        state = ProvisioningState.SUCCEEDED if held else ProvisioningState.FAILED
        ended = replace(found, state=state)
        type_of(name).rows(tx).update(ended)
        return ended

    return transact(end)


def hold_now(name: str, uid: str, *, transact: Transact, holds: BlobHolds) -> Resource | None:
    """Take the step that the outbox holds for a source; see `hold`."""
    source = transact(lambda tx: _same(tx, name, uid))
    return None if source is None else hold(message_of(source), transact, holds)


def finish_delete(message: Mapping[str, Any], transact: Transact, scopes: Scopes) -> None:
    """Remove a source that is DELETING once its scope is tombstoned.

    Raises:
        Unavailable: the authz service does not answer.
    """
    name, uid = message["name"], message["uid"]
    scopes.tombstone(name, uid)

    def remove(tx: Tx) -> None:
        if _same(tx, name, uid, lock=True) is None:
            return
        type_of(name).rows(tx).delete(key(name))
        tx.uses.remove(key(name))
        if message["blobs"]:
            tx.outbox.add(uid, RELEASE_BLOB, message)
        deletes.child_gone(tx, name)

    transact(remove)


def release(message: Mapping[str, Any], holds: BlobHolds) -> None:
    """Let go of the blobs of a source that is gone.

    Raises:
        Unavailable: the replication service does not answer.
    """
    for blob in _blobs(message):
        holds.release(blob, message["uid"])


def deleting(name: str, transact: Transact) -> Mapping[str, Any] | None:
    """Answer the message about a source that is DELETING, None where none is."""
    source = transact(lambda tx: _found(tx, name))
    return message_of(source) if source is not None and source.deleting else None


def _found(tx: Tx, name: str, *, lock: bool = False) -> Resource | None:
    found: Resource | None = type_of(name).rows(tx).get(key(name), lock=lock)
    return found


def _same(tx: Tx, name: str, uid: str, *, lock: bool = False) -> Resource | None:
    found = _found(tx, name, lock=lock)
    return found if found is not None and found.uid == uid else None


def _blobs(message: Mapping[str, Any]) -> list[ByteSource]:
    return [ByteSource(SourceKind.BLOB, one["name"], uid=one["uid"]) for one in message["blobs"]]
