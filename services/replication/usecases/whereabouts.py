"""What the rows say of a disk of a committed replica, and of where else its content may lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.replication.domain.records import Replica, Version
from services.replication.domain.region import Slot
from services.replication.domain.verification import Target
from services.replication.ports.rows import Tx
from services.replication.usecases.health import is_committed


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A replica, its slot, the most bytes per second into its region, its roots by disk.

    `others` are all other slots with their regions, those that are likely to help first.
    """

    version: Version
    replica: Replica
    slot: Slot
    rate: int | None
    roots: Mapping[str, bytes]
    others: Sequence[tuple[str, Slot]]


def is_store_of(tx: Tx, location: str, slot: str, replica_id: str) -> bool:
    """Whether a slot still has the store that was worked on; it keeps it until `tx` ends."""
    region = tx.regions.lock(location)
    found = region.slot(slot) if region is not None else None
    return found is not None and found.replica_id == replica_id


def find_disk(uid: str, target: Target, tx: Tx) -> Whereabouts | None:
    """Answer what is known; None where the disk is not, or not committed there."""
    version = tx.versions.get(uid)
    replica = tx.replicas.get(uid, target.location, target.slot)
    if version is None or replica is None or not is_committed(replica):
        return None
    roots = {one.disk: bytes.fromhex(one.root) for one in tx.versions.disks(uid)}
    regions = {one.id: one for one in tx.regions.all()}
    region = regions.get(target.location)
    slot = region.slot(target.slot) if region is not None else None
    if region is None or slot is None or target.disk not in roots:
        return None
    known = {(one.location, one.slot): one for one in tx.replicas.of_version(uid)}
    # Behind the replicas of the version every other store: the content may lie there as well,
    # of a blob or another version, and a manifest is found by what it holds.
    others = [
        (other.id, one)
        for other in regions.values()
        for one in other.slots
        if (other.id, one.id) != (target.location, target.slot)
    ]

    def distance(place: tuple[str, Slot]) -> tuple[bool, bool, bool]:
        there = known.get((place[0], place[1].id))
        return (
            there is None or not there.is_readable,
            place[0] != target.location,
            there is None or not there.is_good,
        )

    limits = region.limits
    return Whereabouts(
        version,
        replica,
        slot,
        limits.bandwidth_bytes_per_second if limits is not None else None,
        roots,
        sorted(others, key=distance),
    )
