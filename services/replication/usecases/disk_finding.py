"""Finding a disk of a version in a region, by what callers call it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.kernel.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PreconditionViolation,
    StoaError,
    Unavailable,
)
from services.replication.domain.desired import DesiredDisk
from services.replication.domain.names import OS_DISK, location_key
from services.replication.domain.records import Replica, Version, VersionDisk, VersionRegion
from services.replication.domain.region import Region, Slot
from services.replication.domain.states import RegionState
from services.replication.ports.rows import Tx, UnitOfWork

_LEFT: Final = frozenset({RegionState.REMOVING, RegionState.REMOVED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which disk is asked for.

    `name_key` is the key of the private version, and `missing` builds what is answered where
    that is not there, which for a view says nothing of it. `field` is where the request names
    the region; `tells_regions` whether the caller may know the others that have the version.
    """

    name_key: str
    location: str
    disk: str
    missing: Callable[[], StoaError]
    field: str = "location"
    tells_regions: bool = True
    expected_root: bytes = b""


@dataclass(frozen=True, slots=True)
class FoundDisk:
    """A disk in a region, and the slots from which it can be read, the best first.

    Of a `shallow` one, which lies in no slot, that is what it is made from.
    """

    version: Version
    location: str
    content: VersionDisk
    slots: tuple[Slot, ...]
    shallow: DesiredDisk | None = None

    @property
    def root(self) -> bytes:
        """The root of the disk's manifest."""
        return bytes.fromhex(self.content.root)


class DiskFinding:
    """Answers disks that are readable now."""

    def __init__(self, rows: UnitOfWork) -> None:
        self._rows: Final = rows

    def find(self, wanted: Wanted) -> FoundDisk:
        """Answer the disk.

        Raises:
            InvalidArgument: REGION_UNKNOWN.
            NotFound: NOT_IN_REGION, DISK_NOT_FOUND, or what `missing` builds.
            FailedPrecondition: DISK_REPLACED.
            Unavailable: NO_GOOD_REPLICA.
        """
        return self._rows.snapshot(lambda tx: _find(tx, wanted))


def no_good_replica(location: str, offset: int) -> Unavailable:
    """Build the error for bytes that no replica of a region delivers as they were hashed."""
    return Unavailable(
        f"no replica in {location} delivers byte {offset} as it was hashed",
        reason="NO_GOOD_REPLICA",
        metadata={"location": location, "offset_bytes": str(offset)},
    )


def _find(tx: Tx, wanted: Wanted) -> FoundDisk:
    region = tx.regions.find(location_key(wanted.location))
    if region is None:
        raise _unknown(tx, wanted)
    version = tx.versions.named(wanted.name_key)
    if version is None or _has_ended(version, tx):
        raise wanted.missing()
    regions = tx.versions.regions(version.uid)
    if not any(one.location == region.id and _is_readable(one) for one in regions):
        available = [one.location for one in regions if one.usable]
        raise NotFound(
            f"the version is not in {region.id}",
            reason="NOT_IN_REGION",
            metadata={
                "location": region.id,
                "available": ",".join(available) if wanted.tells_regions else "",
            },
        )
    disks = {one.disk: one for one in tx.versions.disks(version.uid)}
    content = disks.get(wanted.disk)
    if content is None:
        raise NotFound(
            f"the version has no disk {wanted.disk}",
            reason="DISK_NOT_FOUND",
            metadata={
                "disk": wanted.disk,
                "luns": ",".join(disk for disk in disks if disk != OS_DISK),
            },
        )
    if wanted.expected_root and wanted.expected_root.hex() != content.root:
        raise _replaced(version, content)
    readable = [one for one in tx.replicas.of_region(version.uid, region.id) if one.is_readable]
    slots = _slots(region, readable)
    if not slots and any(one.is_shallow for one in readable):
        made_from = next(one for one in version.desired.disks if one.disk == wanted.disk)
        return FoundDisk(version, region.id, content, (), made_from)
    if not slots:
        raise no_good_replica(region.id, 0)
    return FoundDisk(version, region.id, content, slots)


def _has_ended(version: Version, tx: Tx) -> bool:
    """Whether the retention of a soft-deleted version is over."""
    end = version.desired.read_end
    return end is not None and tx.now() >= end


def _is_readable(region: VersionRegion) -> bool:
    # Of a region without a good replica, what is damaged may still deliver all that is asked.
    return region.was_completed and region.state not in _LEFT


def _slots(region: Region, replicas: list[Replica]) -> tuple[Slot, ...]:
    found = [
        (not replica.is_good, not slot.usable, ordinal, slot)
        for ordinal, slot in enumerate(region.slots)
        for replica in replicas
        if replica.slot == slot.id
    ]
    return tuple(slot for *_, slot in sorted(found, key=lambda one: one[:3]))


def _unknown(tx: Tx, wanted: Wanted) -> StoaError:
    known = ",".join(one.id for one in tx.regions.all())
    error = InvalidArgument.of(
        wanted.field, f"there is no region '{wanted.location}'", reason="REGION_UNKNOWN"
    )
    return InvalidArgument(
        error.message,
        reason=error.reason,
        metadata={"location": wanted.location, "known": known},
        violations=error.violations,
    )


def _replaced(version: Version, content: VersionDisk) -> FailedPrecondition:
    message = "the disk has another root digest than expected"
    return FailedPrecondition(
        message,
        reason="DISK_REPLACED",
        metadata={"root_digest": content.root},
        precondition=(PreconditionViolation("DISK_REPLACED", version.uid, message),),
    )
