"""Regions and their slots in the database."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from services.kernel.db.listing import after, conditions
from services.replication.domain.names import location_key
from services.replication.domain.region import (
    Capability,
    Limits,
    Prices,
    Region,
    Slot,
    SlotHealth,
    SlotProbe,
    SlotTier,
    StoreAddress,
)
from services.replication.ports.requests import Listing
from services.replication.store import tables
from services.replication.store.codec import decode, encode

_R: Final = tables.regions.c
_S: Final = tables.slots.c
_ALL: Final = select(tables.regions)
_SLOTS: Final = select(tables.slots).order_by(_S.location, _S.ordinal)
_GONE: Final = ("REMOVED", "CANCELLED", "FAILED")


class RegionTable:
    """Fulfils `ports.rows.RegionRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def get(self, location: str) -> Region | None:
        """Answer the region with that id."""
        return self._one(_ALL.where(_R.id == location))

    def lock(self, location: str) -> Region | None:
        """Answer the region and keep others from changing it until the transaction ends."""
        return self._one(_ALL.where(_R.id == location).with_for_update())

    def find(self, key: str) -> Region | None:
        """Answer the region whose id or display name has that key; an id comes first."""
        return self.get(key) or self._one(_ALL.where(_R.display_key == key))

    def all(self) -> Sequence[Region]:
        """Answer all regions by id."""
        return self._many(_ALL.order_by(_R.id))

    def page(self, listing: Listing) -> Sequence[Region]:
        """Answer a page of regions."""
        columns = [_R[name] for name in listing.order]
        statement = _ALL.where(*conditions(listing.where, dict(tables.regions.c)))
        if listing.after is not None:
            directions = (listing.descending,) * len(columns)
            statement = statement.where(after(columns, listing.after, descending=directions))
        ordered = [column.desc() if listing.descending else column for column in columns]
        return self._many(statement.order_by(*ordered).limit(listing.limit))

    def insert(self, region: Region) -> None:
        """Add a region with its slots."""
        self._connection.execute(insert(tables.regions), _values(region))
        self._insert_slots(region)

    def update(self, region: Region) -> None:
        """Replace a region and its slots."""
        statement = update(tables.regions).where(_R.id == region.id)
        self._connection.execute(statement.values(_values(region)))
        self._connection.execute(delete(tables.slots).where(_S.location == region.id))
        self._insert_slots(region)

    def delete(self, location: str) -> None:
        """Remove a region with its slots."""
        self._connection.execute(delete(tables.regions).where(_R.id == location))

    def set_position(self, location: str, position: int) -> None:
        """Record the position in the feed of the region's last change."""
        statement = update(tables.regions).where(_R.id == location)
        self._connection.execute(statement.values(feed_position=position))

    def set_probe(self, location: str, slot: str, probe: SlotProbe) -> None:
        """Record what was found out about a store."""
        statement = update(tables.slots).where(_S.location == location, _S.id == slot)
        self._connection.execute(statement.values(_probe_values(probe)))

    def occupants(self, location: str) -> Mapping[str, int]:
        """Answer, by slot, how many replicas and blobs are in the region."""
        return self._by_slot(location, func.count())

    def stored_bytes(self, locations: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """Answer, by region and slot, the bytes that replicas and blobs occupy."""
        d, b = tables.replica_disks.c, tables.blobs.c
        found: dict[str, dict[str, int]] = {location: {} for location in locations}
        for table in (d, b):
            statement = (
                select(table.location, table.slot, func.sum(table.stored_bytes))
                .where(table.location.in_(locations))
                .group_by(table.location, table.slot)
            )
            for location, slot, total in self._connection.execute(statement):
                found[location][slot] = found[location].get(slot, 0) + int(total)
        return found

    def is_targeted(self, location: str) -> bool:
        """Whether a version wants a replica in the region."""
        t = tables.version_regions.c
        statement = select(t.version).where(t.location == location, t.wanted > 0).limit(1)
        return self._connection.execute(statement).first() is not None

    def _by_slot(self, location: str, count: Any) -> Mapping[str, int]:
        r, b = tables.replicas.c, tables.blobs.c
        found: dict[str, int] = {}
        for statement in (
            select(r.slot, count)
            .where(r.location == location, r.state.not_in(_GONE))
            .group_by(r.slot),
            select(b.slot, count).where(b.location == location).group_by(b.slot),
        ):
            for slot, number in self._connection.execute(statement):
                found[slot] = found.get(slot, 0) + int(number)
        return found

    def _insert_slots(self, region: Region) -> None:
        rows = [_slot_values(region.id, ordinal, slot) for ordinal, slot in enumerate(region.slots)]
        self._connection.execute(insert(tables.slots), rows)

    def _one(self, statement: Any) -> Region | None:
        row = self._connection.execute(statement).first()
        if row is None:
            return None
        slots = self._connection.execute(_SLOTS.where(_S.location == row.id))
        return _region(row, [_slot(one) for one in slots])

    def _many(self, statement: Any) -> Sequence[Region]:
        rows = self._connection.execute(statement).all()
        slots: dict[str, list[Slot]] = {row.id: [] for row in rows}
        if rows:
            found = self._connection.execute(_SLOTS.where(_S.location.in_(list(slots))))
            for one in found:
                slots[one.location].append(_slot(one))
        return [_region(row, slots[row.id]) for row in rows]


def _region(row: Row[Any], slots: Sequence[Slot]) -> Region:
    return Region(
        id=row.id,
        uid=row.uid,
        display_name=row.display_name,
        zones=tuple(row.zones),
        slots=tuple(slots),
        capabilities=tuple(Capability(one) for one in row.capabilities),
        prices=decode(Prices | None, row.prices),
        limits=decode(Limits | None, row.limits),
        create_time=row.create_time,
        update_time=row.update_time,
        revision=row.revision,
        feed_position=row.feed_position,
    )


def _values(region: Region) -> dict[str, Any]:
    return {
        "id": region.id,
        "uid": region.uid,
        "display_name": region.display_name,
        "display_key": location_key(region.display_name),
        "zones": list(region.zones),
        "capabilities": [one.value for one in region.capabilities],
        "prices": encode(region.prices),
        "limits": encode(region.limits),
        "create_time": region.create_time,
        "update_time": region.update_time,
        "revision": region.revision,
        "feed_position": region.feed_position,
    }


def _slot(row: Row[Any]) -> Slot:
    return Slot(
        id=row.id,
        address=StoreAddress(row.store_url, row.store_options),
        failure_domain=row.failure_domain,
        zone=row.zone,
        tier=SlotTier(row.tier),
        internal_replica_count=row.internal_replica_count,
        replica_id=row.replica_id,
        probe=SlotProbe(SlotHealth(row.health), row.free_bytes, row.device, row.probe_time),
    )


def _slot_values(location: str, ordinal: int, slot: Slot) -> dict[str, Any]:
    return {
        "location": location,
        "id": slot.id,
        "ordinal": ordinal,
        "store_url": slot.address.url,
        "store_options": dict(slot.address.options),
        "failure_domain": slot.failure_domain,
        "zone": slot.zone,
        "tier": slot.tier.value,
        "internal_replica_count": slot.internal_replica_count,
        "replica_id": slot.replica_id,
        **_probe_values(slot.probe),
    }


def _probe_values(probe: SlotProbe) -> dict[str, Any]:
    return {
        "health": probe.health.value,
        "free_bytes": probe.free_bytes,
        "device": probe.device,
        "probe_time": probe.time,
    }
