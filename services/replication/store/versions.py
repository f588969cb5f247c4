"""Versions and their regions in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, tuple_, update

from services.replication.domain.names import disk_order
from services.replication.domain.progress import Progress
from services.replication.domain.records import Version, VersionDisk, VersionRegion
from services.replication.store import tables
from services.replication.store.codec import decode, from_row
from services.replication.store.records import Records

_VERSIONS: Final = Records(tables.versions, Version)
_GONE: Final = ("REMOVED", "FAILED", "CANCELLED")
SEATS: Final = "shallow/"
"""What the leases of the readers of shallow versions begin with; the uid of the version follows."""
_DISKS: Final = Records(tables.version_disks, VersionDisk)
_REGIONS: Final = Records(tables.version_regions, VersionRegion)
_STORED: Final = (
    select(func.coalesce(func.sum(tables.replica_disks.c.stored_bytes), 0))
    .where(
        tables.replica_disks.c.version == tables.version_regions.c.version,
        tables.replica_disks.c.location == tables.version_regions.c.location,
    )
    .scalar_subquery()
)


class VersionTable:
    """Fulfils `ports.rows.VersionRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def get(self, uid: str) -> Version | None:
        """Answer a version."""
        return _VERSIONS.get(self._connection, uid)

    def lock(self, uid: str) -> Version | None:
        """Answer a version and keep others from changing anything of it."""
        return _VERSIONS.get(self._connection, uid, lock=True)

    def many(self, uids: Sequence[str]) -> Mapping[str, Version]:
        """Answer versions by uid."""
        statement = _VERSIONS.select.where(tables.versions.c.uid.in_(uids))
        return {one.uid: one for one in _VERSIONS.all(self._connection, statement)}

    def named(self, name_key: str) -> Version | None:
        """Answer the version that has the name now: the newest that is not withdrawn."""
        v = tables.versions.c
        statement = (
            _VERSIONS.select.where(v.name_key == name_key, v.withdrawn.is_(False))
            .order_by(v.create_time.desc())
            .limit(1)
        )
        return _VERSIONS.one(self._connection, statement)

    def insert(self, version: Version) -> bool:
        """Add a version unless it is there; tell whether it was added."""
        return _VERSIONS.insert(self._connection, version)

    def update(self, version: Version) -> None:
        """Replace a version."""
        _VERSIONS.update(self._connection, version)

    def disks(self, uid: str) -> Sequence[VersionDisk]:
        """Answer the known content of the disks, in their order."""
        return sorted(self.contents([uid]), key=lambda one: disk_order(one.disk))

    def contents(self, uids: Sequence[str]) -> Sequence[VersionDisk]:
        """Answer the known content of the disks of several versions."""
        statement = _DISKS.select.where(tables.version_disks.c.version.in_(uids))
        return _DISKS.all(self._connection, statement)

    def put_disk(self, disk: VersionDisk) -> None:
        """Record the content of a disk, once; of one that was not hashed yet, its root."""
        if not _DISKS.insert(self._connection, disk) and disk.root:
            d = tables.version_disks.c
            unhashed = (d.version == disk.version, d.disk == disk.disk, d.root == "")
            values = {"root": disk.root, "size_bytes": disk.size_bytes}
            statement = update(tables.version_disks).where(*unhashed)
            self._connection.execute(statement.values(data_bytes=disk.data_bytes, **values))

    def regions(self, uid: str) -> Sequence[VersionRegion]:
        """Answer the regions of a version in their order."""
        return self.regions_of([uid])

    def regions_of(self, uids: Sequence[str]) -> Sequence[VersionRegion]:
        """Answer the regions of several versions, each in their order."""
        t = tables.version_regions.c
        statement = _REGIONS.select.where(t.version.in_(uids))
        return _REGIONS.all(self._connection, statement.order_by(t.version, t.ordinal, t.location))

    def newest_completed(self, location: str, limit: int) -> Sequence[VersionRegion]:
        """Answer what was completed last in a region, the newest first."""
        t = tables.version_regions.c
        statement = _REGIONS.select.where(t.location == location, t.state == "COMPLETED")
        newest = statement.order_by(t.end_time.desc(), t.version).limit(limit)
        return _REGIONS.all(self._connection, newest)

    def put_region(self, region: VersionRegion) -> None:
        """Add or replace a region of a version."""
        _REGIONS.put(self._connection, region)

    def feed_page(
        self, after: tuple[str, ...] | None, limit: int
    ) -> Sequence[tuple[str, VersionRegion, int]]:
        """Answer (name, region, stored bytes) of regions that are not removed."""
        t, v = tables.version_regions.c, tables.versions.c
        statement = (
            select(*_REGIONS.columns, v.name, _STORED.label("stored"))
            .join(tables.versions, v.uid == t.version)
            .where(t.state.not_in(("REMOVED", "REMOVING")))
            .order_by(t.version, t.location)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(t.version, t.location) > after)
        rows: Sequence[Any] = self._connection.execute(statement).all()
        return [(row.name, from_row(VersionRegion, row), int(row.stored)) for row in rows]

    def marks(self, name_keys: Collection[str]) -> Mapping[str, frozenset[tuple[str, int]]]:
        """Answer, by name, the replication and the generation of each version that has it."""
        c = tables.versions.c
        statement = select(c.name_key, c.replication, c.generation).where(
            c.name_key.in_(list(name_keys))
        )
        found: dict[str, set[tuple[str, int]]] = {}
        for name_key, replication, generation in self._connection.execute(statement):
            found.setdefault(name_key, set()).add((replication, generation))
        return {key: frozenset(marks) for key, marks in found.items()}

    def forget(self, older_than: datetime, limit: int) -> int:
        """Remove versions that were withdrawn that long ago and lie nowhere; answer how many."""
        v, r = tables.versions.c, tables.replicas.c
        lies_somewhere = select(r.version).where(r.version == v.uid, r.state.not_in(_GONE)).exists()
        old = (
            select(v.uid)
            .where(v.withdrawn.is_(True), v.update_time < older_than, ~lies_somewhere)
            .limit(limit)
        )
        uids = list(self._connection.execute(old).scalars())
        if not uids:
            return 0
        ids = select(tables.replications.c.id).where(tables.replications.c.version.in_(uids))
        events = tables.events.c.replication
        self._connection.execute(delete(tables.events).where(events.in_(ids)))
        for table in (
            tables.replica_disks,
            tables.replicas,
            tables.version_regions,
            tables.version_disks,
            tables.replications,
        ):
            self._connection.execute(delete(table).where(table.c.version.in_(uids)))
        self._connection.execute(delete(tables.versions).where(v.uid.in_(uids)))
        for uid in uids:
            # Nobody reads what is gone: of the leases of its readers no fence needs to be kept.
            seats = tables.leases.c.duty.startswith(f"{SEATS}{uid}/", autoescape=True)
            self._connection.execute(delete(tables.leases).where(seats))
        return len(uids)

    def moving(self) -> Sequence[tuple[str, int, str, Progress]]:
        """Answer (uid, generation, location, progress) of the regions that are being copied."""
        t, r = tables.version_regions.c, tables.replications.c
        statement = (
            select(t.version, t.generation, t.location, t.progress)
            .join(tables.replications, r.id == t.replication)
            .where(r.end_time.is_(None), t.state == "REPLICATING")
        )
        rows: Sequence[Any] = self._connection.execute(statement).all()
        return [
            (row.version, row.generation, row.location, decode(Progress, row.progress))
            for row in rows
        ]
