"""The version that a slot holds already and that a new one is compared with, leaf by leaf."""

import contextlib
from dataclasses import dataclass
from typing import Final

from services.kernel.names import key
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.manifest import Manifest
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store
from services.replication.ports.rows import UnitOfWork
from services.replication.ports.version_rows import Alike

_TRIED: Final = 3
"""How many of the newest versions are looked at for one whose manifest can be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A disk of a version that is to come into a slot; `name` is that of the version."""

    uid: str
    name: str
    tenant: str
    disk: str


def base_of(
    rows: UnitOfWork, store: Store, place: tuple[str, str], wanted: Wanted
) -> Manifest | None:
    """Answer the same disk of the newest version of the same definition that the slot holds.

    None where there is none that can be read: all segments are then moved whole. `place` are region
    and slot. Raises what the store raises where it cannot be asked.
    """
    definition = key(wanted.name).rpartition("/versions/")[0]
    alike = Alike(wanted.tenant, definition, wanted.disk, wanted.uid)
    for root in rows.read(lambda tx: tx.replicas.roots(*place, alike, _TRIED)):
        with contextlib.suppress(ObjectMissing, ObjectCorrupt):
            return read_manifest(store, wanted.tenant, bytes.fromhex(root))
    return None
