"""The version that a slot holds already and that a new one is compared with, leaf by leaf."""

import contextlib
from dataclasses import dataclass
from typing import Final

from services.kernel.names import key
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.manifest import Manifest
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store
from services.replication.domain.records import VersionDisk
from services.replication.ports.rows import Tx, UnitOfWork

_TRIED: Final = 3
"""How many of the newest versions are looked at for one that has the disk."""


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
    for root in rows.read(lambda tx: _roots(tx, place, wanted)):
        with contextlib.suppress(ObjectMissing, ObjectCorrupt):
            return read_manifest(store, wanted.tenant, bytes.fromhex(root))
    return None


def _roots(tx: Tx, place: tuple[str, str], wanted: Wanted) -> list[str]:
    definition = _definition(key(wanted.name))
    committed = [
        (one.commit_time, one.version)
        for one in tx.replicas.in_slot(*place)
        if one.is_good
        and one.commit_time is not None
        and one.version != wanted.uid
        and _definition(one.name_key) == definition
    ]
    newest = [uid for _, uid in sorted(committed, reverse=True)[:_TRIED]]
    known = tx.versions.many(newest)
    roots = {one.version: one.root for one in tx.versions.contents(newest) if _is(one, wanted)}
    return [
        roots[uid]
        for uid in newest
        if uid in known and known[uid].tenant == wanted.tenant and roots.get(uid)
    ]


def _is(disk: VersionDisk, wanted: Wanted) -> bool:
    return disk.disk == wanted.disk


def _definition(name_key: str) -> str:
    return name_key.rpartition("/versions/")[0]
