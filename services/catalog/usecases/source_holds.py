"""Keeping blobs for the sources made of them, and letting go of them.

A source is SUCCEEDED only once replication has recorded its holds (DESIGN section 3). The
message of the outbox sees to that whatever happens; the call that caused it takes the same steps
itself, so that it can answer what came of them. Every step may be taken twice.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from services.catalog.domain.disk_source import ByteSource, SourceKind
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.resource import ProvisioningState
from services.catalog.ports.policy import Scopes
from services.catalog.ports.sources import BlobHolds
from services.catalog.ports.transaction import Transact, Tx
from services.kernel.names import key

HOLD_BLOB: Final = "hold_blob"
RELEASE_BLOB: Final = "release_blob"
DELETE_MANAGED_IMAGE: Final = "delete_managed_image"


def message_of(image: ManagedImage) -> Mapping[str, Any]:
    """Answer what the outbox says of an image: its name and uid, and its blobs."""
    return {
        "name": image.name,
        "uid": image.uid,
        "blobs": [{"name": one.source.name, "uid": one.source.uid} for one in image.disks],
    }


def hold(message: Mapping[str, Any], transact: Transact, holds: BlobHolds) -> ManagedImage | None:
    """Hold the blobs of an image that is CREATING, and end its creation.

    Answers the image as it is then, None where it is gone.

    Raises:
        Unavailable: the replication service does not answer.
    """
    name, uid = message["name"], message["uid"]
    image = transact(lambda tx: _same(tx, name, uid))
    if image is None or image.state is not ProvisioningState.CREATING:
        return image
    held = all(holds.hold(blob, uid, name) for blob in _blobs(message))

    def end(tx: Tx) -> ManagedImage | None:
        found = _same(tx, name, uid, lock=True)
        if found is None or found.deleting:
            # Deleted meanwhile: this hold may have been recorded after the release.
            tx.outbox.add(uid, RELEASE_BLOB, message)
            return None
        if found.state is not ProvisioningState.CREATING:
            return found
        state = ProvisioningState.SUCCEEDED if held else ProvisioningState.FAILED
        ended = replace(found, state=state)
        tx.managed_images.update(ended)
        return ended

    return transact(end)


def hold_now(name: str, uid: str, *, transact: Transact, holds: BlobHolds) -> ManagedImage | None:
    """Take the step that the outbox holds for an image; see `hold`."""
    image = transact(lambda tx: _same(tx, name, uid))
    return None if image is None else hold(message_of(image), transact, holds)


def finish_delete(message: Mapping[str, Any], transact: Transact, scopes: Scopes) -> None:
    """Remove an image that is DELETING once its scope is tombstoned.

    Raises:
        Unavailable: the authz service does not answer.
    """
    name, uid = message["name"], message["uid"]
    scopes.tombstone(name, uid)

    def remove(tx: Tx) -> None:
        if _same(tx, name, uid, lock=True) is None:
            return
        tx.managed_images.delete(key(name))
        tx.outbox.add(uid, RELEASE_BLOB, message)

    transact(remove)


def release(message: Mapping[str, Any], holds: BlobHolds) -> None:
    """Let go of the blobs of an image that is gone.

    Raises:
        Unavailable: the replication service does not answer.
    """
    for blob in _blobs(message):
        holds.release(blob, message["uid"])


def deleting(name_key: str, transact: Transact) -> Mapping[str, Any] | None:
    """Answer the message about an image that is DELETING, None where none is."""
    image = transact(lambda tx: tx.managed_images.get(name_key))
    return message_of(image) if image is not None and image.deleting else None


def _same(tx: Tx, name: str, uid: str, *, lock: bool = False) -> ManagedImage | None:
    found = tx.managed_images.get(key(name), lock=lock)
    return found if found is not None and found.uid == uid else None


def _blobs(message: Mapping[str, Any]) -> list[ByteSource]:
    return [ByteSource(SourceKind.BLOB, one["name"], uid=one["uid"]) for one in message["blobs"]]
