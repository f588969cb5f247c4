"""Replications and replicas as callers read them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.kernel.errors import NotFound, PermissionDenied
from services.kernel.names import Name
from services.replication.domain.names import (
    REPLICATION_TYPE,
    VERSION_TYPE,
    disk_order,
    replication_name,
)
from services.replication.domain.records import (
    Replica,
    ReplicaDisk,
    ReplicationRecord,
    Version,
    VersionDisk,
)
from services.replication.domain.region import Region
from services.replication.domain.snapshots import ReplicationView, view_of
from services.replication.ports.requests import Listing
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.pages import kept_rows


class Access(Protocol):
    """What the caller may do."""

    def require(self, action: str, scope: str) -> None:
        """Demand an action at a scope; PermissionDenied."""


@dataclass(frozen=True, slots=True)
class ShownReplica:
    """A replica with what is told of it beside its own row."""

    replica: Replica
    disks: Mapping[str, ReplicaDisk]
    contents: Mapping[str, VersionDisk]
    version: Version
    region: Region | None


class Replications:
    """Finds replications by their own names or by those of versions, and authorizes there."""

    def __init__(self, rows: UnitOfWork) -> None:
        self._rows: Final = rows

    def find(self, name: Name, action: str, access: Access) -> ReplicationRecord:
        """Answer the replication of that name, or the newest of the version that has it.

        Raises:
            PermissionDenied: also for a replication that does not exist.
            NotFound: the version is not known here.
        """
        record = self.authorized(name, action, access)
        if record is not None:
            return record
        found = self.newest(name.key)
        if found is None:
            raise NotFound.of(VERSION_TYPE, name.text)
        return found

    def authorized(self, name: Name, action: str, access: Access) -> ReplicationRecord | None:
        """Demand the action on the version; answer the replication that `name` is that of.

        Raises:
            PermissionDenied: not held, or there is no such replication.
        """
        if "replication" not in name.ids:
            access.require(action, name.text)
            return None
        record = self.get(name.id)
        if record is None:
            raise PermissionDenied.of(action, name.text)
        try:
            access.require(action, record.name)
        except PermissionDenied:
            # As for one that does not exist: who may not read it does not learn the version.
            raise PermissionDenied.of(action, name.text) from None
        return record

    def get(self, replication: str) -> ReplicationRecord | None:
        """Answer a replication."""
        return self._rows.read(lambda tx: tx.replications.get(replication))

    def newest(
        self, name_key: str, *, uid: str = "", generation: int = 0
    ) -> ReplicationRecord | None:
        """Answer the newest replication of a version, None where it does not exist (yet).

        With a `uid` only that version is meant, withdrawn or not.
        """

        def find(tx: Tx) -> ReplicationRecord | None:
            version = tx.versions.get(uid) if uid else tx.versions.named(name_key)
            if version is None or version.name_key != name_key or not version.replication:
                return None
            if version.generation < generation:
                return None
            return tx.replications.get(version.replication)

        return self._rows.read(find)

    def view(self, replication: str) -> ReplicationView:
        """Answer a replication as a whole: as it is, or as it ended.

        Raises:
            NotFound: there is no such replication.
        """
        return self._rows.snapshot(lambda tx: view_in(tx, replication))

    def list(
        self, listing: Listing, keep: Callable[[str], bool], *, full: bool
    ) -> tuple[Sequence[ReplicationView], tuple[Any, ...] | None]:
        """Answer a page of replications of versions that `keep` keeps by name.

        Also answers the values after which the next page begins, None after the last. Without
        `full` the views have no replicas.
        """

        def find(tx: Tx) -> tuple[Sequence[ReplicationView], tuple[Any, ...] | None]:
            records, last = kept_rows(
                tx.replications.page, listing, lambda one: keep(one.name), _position
            )
            finals = tx.replications.finals([one.id for one in records])
            running = [one for one in records if one.id not in finals]
            uids = list({one.version for one in running})
            regions = tx.versions.regions_of(uids) if uids else ()
            replicas = [r for uid in uids for r in tx.replicas.of_version(uid)] if full else []
            disks = tx.replicas.disks_of(uids) if full and uids else ()
            return [
                finals.get(one.id)
                or view_of(
                    one,
                    tuple(region for region in regions if region.version == one.version),
                    tuple(replica for replica in replicas if replica.version == one.version),
                    tuple(disk for disk in disks if disk.version == one.version),
                )
                for one in records
            ], last

        return self._rows.snapshot(find)

    def replicas(
        self, listing: Listing, keep: Callable[[str], bool]
    ) -> tuple[Sequence[ShownReplica], tuple[Any, ...] | None]:
        """Answer a page of replicas of versions that `keep` keeps by name; as `list`."""

        def find(tx: Tx) -> tuple[Sequence[ShownReplica], tuple[Any, ...] | None]:
            found, last = kept_rows(
                tx.replicas.page, listing, lambda one: keep(one.name_key), _position
            )
            uids = list({one.version for one in found})
            if not uids:
                return (), last
            versions = tx.versions.many(uids)
            regions = {one.id: one for one in tx.regions.all()}
            contents = tx.versions.contents(uids)
            disks = tx.replicas.disks_of(uids)
            return [
                ShownReplica(
                    one,
                    _disks_of(one, disks),
                    {disk.disk: disk for disk in contents if disk.version == one.version},
                    versions[one.version],
                    regions.get(one.location),
                )
                for one in found
            ], last

        return self._rows.snapshot(find)


def _disks_of(replica: Replica, disks: Sequence[ReplicaDisk]) -> dict[str, ReplicaDisk]:
    place = replica.version, replica.location, replica.slot
    mine = [one for one in disks if (one.version, one.location, one.slot) == place]
    return {one.disk: one for one in sorted(mine, key=lambda one: disk_order(one.disk))}


def view_in(tx: Tx, replication: str) -> ReplicationView:
    """Answer a replication as a whole within a transaction; NotFound."""
    record = tx.replications.get(replication)
    if record is None:
        raise NotFound.of(REPLICATION_TYPE, replication_name(replication))
    if not record.is_open:
        final = tx.replications.final(replication)
        if final is not None:
            return final
    return view_of(
        record,
        tuple(tx.versions.regions(record.version)),
        tuple(tx.replicas.of_version(record.version)),
        tuple(tx.replicas.disks(record.version)),
    )


def _position(listing: Listing, row: ReplicationRecord | Replica) -> tuple[Any, ...]:
    return tuple(getattr(row, column) for column in listing.order)
