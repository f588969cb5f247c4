"""Replicas, which are also the tasks that make them, in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from services.replication.domain.moments import Moment
from services.replication.domain.records import SOURCE_SLOT, Replica, ReplicaDisk
from services.replication.domain.states import Health
from services.replication.ports.requests import Listing
from services.replication.ports.version_rows import Alike
from services.replication.store import tables
from services.replication.store.records import Records

_REPLICAS: Final = Records(tables.replicas, Replica)
_DISKS: Final = Records(tables.replica_disks, ReplicaDisk)
_T: Final = tables.replicas.c
_D: Final = tables.replica_disks.c


class ReplicaTable:
    """Fulfils `ports.rows.ReplicaRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def get(self, version: str, location: str, slot: str) -> Replica | None:
        """Answer a replica."""
        return _REPLICAS.get(self._connection, version, location, slot)

    def of_region(self, version: str, location: str) -> Sequence[Replica]:
        """Answer the replicas of a version in a region by slot."""
        statement = _REPLICAS.select.where(_T.version == version, _T.location == location)
        return _REPLICAS.all(self._connection, statement.order_by(_T.slot))

    def of_version(self, version: str) -> Sequence[Replica]:
        """Answer the replicas of a version by region and slot."""
        statement = _REPLICAS.select.where(_T.version == version)
        return _REPLICAS.all(self._connection, statement.order_by(_T.location, _T.slot))

    def put(self, replica: Replica) -> None:
        """Add or replace a replica."""
        _REPLICAS.put(self._connection, replica)

    def disks(self, version: str, location: str = "", slot: str = "") -> Sequence[ReplicaDisk]:
        """Answer the disks of the replicas of a version, a region or a slot."""
        statement = _DISKS.select.where(_D.version == version)
        if location:
            statement = statement.where(_D.location == location)
        if slot:
            statement = statement.where(_D.slot == slot)
        return _DISKS.all(self._connection, statement)

    def disks_of(self, versions: Sequence[str]) -> Sequence[ReplicaDisk]:
        """Answer the disks of all replicas of several versions."""
        return _DISKS.all(self._connection, _DISKS.select.where(_D.version.in_(versions)))

    def put_disk(self, disk: ReplicaDisk) -> None:
        """Add or replace a disk of a replica."""
        _DISKS.put(self._connection, disk)

    def forget(self, version: str, location: str, slot: str) -> None:
        """Remove a replica that is gone."""
        for table in (tables.replica_disks, tables.replicas):
            c = table.c
            self._connection.execute(
                delete(table).where(c.version == version, c.location == location, c.slot == slot)
            )

    def page(self, listing: Listing) -> Sequence[Replica]:
        """Answer a page of replicas."""
        return _REPLICAS.page(self._connection, listing)

    def claimable(
        self, moment: Moment, share: int, locations: Collection[str]
    ) -> Sequence[Replica]:
        """Answer due tasks that nobody holds, `share` of each tenant in each region.

        Those that wait longest; of `locations` alone, if there are any. However much one tenant
        wants of one region, what others want, and of others, is among them.
        """
        due = (
            select(
                *tables.replicas.primary_key,
                func.row_number()
                .over(
                    partition_by=(_T.location, tables.versions.c.tenant),
                    order_by=(_T.due_time, _T.version, _T.slot),
                )
                .label("turn"),
            )
            .join(tables.versions, tables.versions.c.uid == _T.version)
            .where(
                tables.UNFINISHED,
                not_(_is_to_come(_T.due_time, moment)),
                or_(_T.owner == "", not_(_is_to_come(_T.lease_time, moment))),
                *([_T.location.in_(locations)] if locations else []),
            )
            .subquery()
        )
        same = and_(*(column == due.c[column.name] for column in tables.replicas.primary_key))
        statement = (
            _REPLICAS.select.join(due, same)
            .where(due.c.turn <= share)
            .order_by(_T.due_time, _T.version, _T.location, _T.slot)
        )
        return _REPLICAS.all(self._connection, statement)

    def running(self, moment: Moment, location: str = "") -> Sequence[tuple[str, str, int]]:
        """Answer, by region and tenant, how many copies are held; of one region or all."""
        tenant = tables.versions.c.tenant
        statement = (
            select(_T.location, tenant, func.count())
            .join(tables.versions, tables.versions.c.uid == _T.version)
            .where(_T.owner != "", _is_to_come(_T.lease_time, moment), _T.intent == "COPY")
            .group_by(_T.location, tenant)
        )
        if location:
            statement = statement.where(_T.location == location)
        return [(row[0], row[1], int(row[2])) for row in self._connection.execute(statement)]

    def copies_into(self, location: str, slot: str, moment: Moment) -> int:
        """Answer how many copies into a slot are held."""
        held = (_T.owner != "", _is_to_come(_T.lease_time, moment), _T.intent == "COPY")
        statement = select(func.count()).where(*held, _T.location == location, _T.slot == slot)
        return int(self._connection.execute(statement).scalar_one())

    def owned(self, owner: str) -> Sequence[Replica]:
        """Answer the tasks that a process holds."""
        return _REPLICAS.all(self._connection, _REPLICAS.select.where(_T.owner == owner))

    def extend(self, owner: str, until: datetime) -> None:
        """Make the leases of a process end later."""
        statement = update(tables.replicas).where(_T.owner == owner)
        self._connection.execute(statement.values(lease_time=until))

    def disown(self, place: str, now: datetime) -> int:
        """End the leases of all owners in a place, and answer how many there were."""
        statement = update(tables.replicas).where(_T.owner.startswith(f"{place}/", autoescape=True))
        return self._connection.execute(statement.values(owner="", lease_time=now)).rowcount

    def of_health(self, location: str, slot: str, health: Collection[Health]) -> Sequence[Replica]:
        """Answer the replicas in a slot that are committed and of one of these healths."""
        statement = _REPLICAS.select.where(
            *(_T.location == location, _T.slot == slot),
            *(_T.state == "COMPLETED", _T.intent == "COPY"),
            _T.health.in_([one.value for one in health]),
        )
        return _REPLICAS.all(self._connection, statement)

    def doubt(self, location: str, slot: str, now: datetime) -> None:
        """Make all that is committed in a slot DAMAGED, and its repair due now."""
        damaged = {"health": Health.DAMAGED.value}
        replicas = update(tables.replicas).where(
            *(_T.location == location, _T.slot == slot),
            *(_T.state == "COMPLETED", _T.intent == "COPY"),
        )
        disks = update(tables.replica_disks).where(
            _D.location == location, _D.slot == slot, tables.COMMITTED
        )
        due = {"failures": 0, "due_time": now, "update_time": now}
        self._connection.execute(replicas.values(**damaged, **due))
        self._connection.execute(disks.values(**damaged))

    def damaged(self, now: datetime, limit: int) -> Sequence[Replica]:
        """Answer damaged replicas whose repair is due, those that wait longest first."""
        statement = _REPLICAS.select.where(
            tables.DAMAGED,
            _T.state == "COMPLETED",
            _T.due_time <= now,
            _T.slot != SOURCE_SLOT,
        )
        return _REPLICAS.all(self._connection, statement.order_by(_T.due_time).limit(limit))

    def unverified(
        self, before: datetime, limit: int, leave_out: Collection[tuple[str, str]]
    ) -> Sequence[ReplicaDisk]:
        """Answer good disks that were not read back since, the oldest first."""
        statement = _DISKS.select.where(
            tables.COMMITTED,
            _D.health == "GOOD",
            # What lies at its source is in no store of ours that could be read back.
            _D.slot != SOURCE_SLOT,
            or_(_D.verify_time.is_(None), _D.verify_time < before),
        )
        if leave_out:
            statement = statement.where(tuple_(_D.location, _D.slot).not_in(list(leave_out)))
        statement = statement.order_by(_D.verify_time.asc().nulls_first()).limit(limit)
        return _DISKS.all(self._connection, statement)

    def in_slot(self, location: str, slot: str) -> Sequence[Replica]:
        """Answer the replicas that lie, or are to lie, in a slot."""
        statement = _REPLICAS.select.where(_T.location == location, _T.slot == slot)
        return _REPLICAS.all(self._connection, statement)

    def roots(self, location: str, slot: str, alike: Alike, limit: int) -> Sequence[str]:
        """Answer the roots of a disk in the good replicas of a slot, committed last first."""
        v, d = tables.versions.c, tables.version_disks.c
        names = f"{alike.definition}/versions"
        statement = (
            select(d.root)
            .join(tables.replicas, _T.version == d.version)
            .join(tables.versions, v.uid == d.version)
            .where(
                *(_T.location == location, _T.slot == slot),
                # "0" is the character after "/".
                *(_T.name_key >= f"{names}/", _T.name_key < f"{names}0"),
                *(_T.state == "COMPLETED", _T.health == "GOOD", _T.commit_time.is_not(None)),
                *(_T.version != alike.without, v.tenant == alike.tenant),
                *(d.disk == alike.disk, d.root != ""),
            )
            .order_by(_T.commit_time.desc(), _T.version.desc())
            .limit(limit)
        )
        return self._connection.execute(statement).scalars().all()


def _is_to_come(time: ColumnElement[datetime], moment: Moment) -> ColumnElement[bool]:
    """The same as `Moment.precedes`, of a column."""
    return and_(time > moment.time, time <= moment.horizon)
