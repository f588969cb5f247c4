"""Where a replica is copied from, found in the rows."""

from dataclasses import replace
from functools import partial
from typing import Final

from services.kernel.errors import Code
from services.replication.content.manifest import Manifest
from services.replication.content.store import Store
from services.replication.domain.desired import DesiredDisk, DiskSource, SourceKind
from services.replication.domain.failures import CopyFailed, Remedy
from services.replication.domain.records import Replica, Version
from services.replication.domain.region import Region, Slot
from services.replication.domain.states import DiskFormat
from services.replication.domain.topology import (
    FromReplica,
    FromSource,
    Lost,
    Origin,
    Situation,
    Wait,
    choose_origin,
)
from services.replication.ports.outside import BlobSources
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.bases import Wanted, base_of

__all__ = ["FromReplica", "FromSource", "Lost", "Origins", "Place", "Wait"]


class Place:
    """A disk that is complete in a slot: where its manifest lies."""

    __slots__ = ("location", "root", "slot", "tenant")

    def __init__(self, location: str, slot: Slot, tenant: str, root: str) -> None:
        self.location: Final = location
        self.slot: Final = slot
        self.tenant: Final = tenant
        self.root: Final = root


class Origins:
    """Chooses origins, and finds the slots behind them."""

    def __init__(self, rows: UnitOfWork, blobs: BlobSources) -> None:
        self._rows: Final = rows
        self._blobs: Final = blobs

    def choose(self, tx: Tx, replica: Replica) -> Origin:
        """Answer where a replica is to be copied from now."""
        version = tx.versions.get(replica.version)
        if version is None:
            return Wait()
        if replica.is_shallow:
            return FromSource()
        # What is shallow has nothing that could be copied but the source itself.
        replicas = [one for one in tx.replicas.of_version(replica.version) if not one.is_shallow]
        return choose_origin(replica, replicas, self._situation(tx, version))

    def of(self, replica: Replica) -> Origin:
        """Answer where a claimed replica is to be copied from."""
        return self._rows.read(lambda tx: self.choose(tx, replica))

    def slot(self, location: str, slot: str) -> Slot:
        """Answer a slot.

        Raises:
            CopyFailed: REGION_UNSUITABLE, the region or the slot is gone.
        """
        region = self._rows.read(lambda tx: tx.regions.get(location))
        found = region.slot(slot) if region is not None else None
        if found is None:
            raise CopyFailed(
                "REGION_UNSUITABLE",
                Code.FAILED_PRECONDITION,
                f"{location} has no slot {slot}",
                metadata={"location": location},
            )
        return found

    def slots_of(self, version: str, location: str) -> tuple[Slot, ...]:
        """Answer the slots of a region from which a version can be read, the best first."""
        found = self._rows.read(lambda tx: tx.replicas.of_region(version, location))
        copies = [one for one in found if one.is_readable and not one.is_shallow]
        copies.sort(key=lambda one: not one.is_good)
        return tuple(self.slot(location, one.slot) for one in copies)

    def base(self, store: Store, place: tuple[str, str], wanted: Wanted) -> Manifest | None:
        """Answer the older version in a slot, opened as `store`, that a disk is compared with."""
        return base_of(self._rows, store, place, wanted)

    def region(self, location: str) -> Region | None:
        """Answer a region."""
        return self._rows.read(lambda tx: tx.regions.get(location))

    def behind(self, disk: DesiredDisk, home: str) -> tuple[DesiredDisk, str]:
        """Answer where the bytes of a disk really are, and the region that they are in.

        A version that is shallow itself is nothing but what it was made from. Whatever was
        demanded of the disk is demanded of that.
        """
        while disk.source.kind is SourceKind.IMAGE_VERSION:
            beyond = self._rows.read(partial(_beyond, disk.source))
            if beyond is None:
                break
            found, home = beyond
            disk = replace(found, disk=disk.disk, root=disk.root or found.root)
        return disk, home

    def source_place(self, disk: DesiredDisk, home: str, *, failures: int = 0) -> Place:
        """Answer where a blob or a version is complete; after `failures` the next best slot.

        Raises:
            CopyFailed: SOURCE_NOT_FOUND, SOURCE_CHANGED, SOURCE_UNAVAILABLE,
                SOURCE_FORMAT_INVALID or SOURCE_LOCATION_MISMATCH.
        """
        if disk.source.kind is SourceKind.BLOB:
            place = self._blob_place(disk, home)
        else:
            place = self._version_place(disk, home, failures)
        if disk.root and place.root != disk.root:
            raise _changed(disk.source.name, disk.root, place.root)
        return place

    def _blob_place(self, disk: DesiredDisk, home: str) -> Place:
        name = disk.source.name
        blob = self._blobs.by_uid(disk.source.uid)
        if blob is None:
            raise _gone(name)
        if not blob.committed:
            raise _changed(name, "a committed blob", "one that is being uploaded")
        if blob.location != home:
            raise CopyFailed(
                "SOURCE_LOCATION_MISMATCH",
                Code.FAILED_PRECONDITION,
                f"{name} is in {blob.location}, the home region is {home}",
                metadata={"source": name, "location": blob.location, "home_location": home},
            )
        if disk.format.value != blob.format:
            raise _of_format(disk, blob.format)
        return Place(blob.location, self.slot(blob.location, blob.slot), blob.tenant, blob.root)

    def _version_place(self, disk: DesiredDisk, home: str, failures: int) -> Place:
        source = disk.source
        if disk.format is not DiskFormat.RAW:
            raise _of_format(disk, DiskFormat.RAW.value)
        found = self._rows.read(
            lambda tx: (
                tx.versions.get(source.uid),
                [
                    one
                    for one in tx.replicas.of_version(source.uid)
                    if one.is_readable and not one.is_shallow
                ],
                tx.versions.disks(source.uid),
            )
        )
        version, replicas, disks = found
        roots = {one.disk: one.root for one in disks}
        if version is None or version.withdrawn or source.disk not in roots:
            raise _gone(source.name)
        if not replicas:
            raise CopyFailed(
                "SOURCE_UNAVAILABLE",
                Code.UNAVAILABLE,
                f"{source.name} has no readable replica",
                remedy=Remedy.TRY_AGAIN,
                metadata={"source": source.name},
            )
        replicas.sort(key=lambda one: (one.location != home, not one.is_good))
        best = replicas[failures % len(replicas)]
        slot = self.slot(best.location, best.slot)
        return Place(best.location, slot, version.tenant, roots[source.disk])

    def _situation(self, tx: Tx, version: Version) -> Situation:
        desired = version.desired
        locations = [desired.home, *(one.location for one in desired.regions)]
        regions = {one.id: one for one in tx.regions.all()}
        local = frozenset(
            (region.id, slot.id)
            for region in regions.values()
            for slot in region.slots
            if slot.is_local
        )
        home = regions.get(desired.home)
        return Situation(
            home=desired.home,
            order={location: rank for rank, location in reversed(list(enumerate(locations)))},
            known=all(one.source.kind is not SourceKind.STORE_FILE for one in desired.disks),
            source_local=home is not None and all(slot.is_local for slot in home.slots),
            local=local,
        )


def _beyond(source: DiskSource, tx: Tx) -> tuple[DesiredDisk, str] | None:
    """Answer what a disk of a shallow version is made from; None where it is not shallow."""
    version = tx.versions.get(source.uid)
    if version is None or version.withdrawn:
        return None
    readable = [one for one in tx.replicas.of_version(source.uid) if one.is_readable]
    if not readable or not all(one.is_shallow for one in readable):
        return None
    disks = [one for one in version.desired.disks if one.disk == source.disk]
    return (disks[0], version.desired.home) if disks else None


def _gone(source: str) -> CopyFailed:
    return CopyFailed(
        "SOURCE_NOT_FOUND",
        Code.NOT_FOUND,
        f"{source} does not exist any more",
        metadata={"source": source},
    )


def _of_format(disk: DesiredDisk, found: str) -> CopyFailed:
    return CopyFailed(
        "SOURCE_FORMAT_INVALID",
        Code.FAILED_PRECONDITION,
        f"{disk.source.name} is {found}, and is to be read as {disk.format.value}",
        metadata={"source": disk.source.name, "format": disk.format.value, "found": found},
    )


def _changed(source: str, expected: str, found: str) -> CopyFailed:
    return CopyFailed(
        "SOURCE_CHANGED",
        Code.FAILED_PRECONDITION,
        f"{source} is not the one that was admitted",
        metadata={"source": source, "expected": expected, "found": found},
    )
