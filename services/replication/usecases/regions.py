"""Regions: created, changed, deleted, read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.kernel.clock import Clock
from services.kernel.errors import AlreadyExists, FailedPrecondition, NotFound
from services.kernel.etag import etag_of, require_match
from services.kernel.ids import new_uid
from services.kernel.violations import Violations
from services.replication.domain.events import FeedItem, RegionDeletion
from services.replication.domain.names import REGION_TYPE, location_key, region_name
from services.replication.domain.region import Region, Slot, StoreAddress
from services.replication.ports.requests import Listing, Request
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.pages import kept_rows
from services.replication.usecases.region_drafts import (
    RegionDraft,
    check_draft,
    check_replaced,
    updated,
)
from services.replication.usecases.slot_opening import SlotOpening


@dataclass(frozen=True, slots=True)
class StoredRegion:
    """A region, and by slot the bytes that lie in it."""

    region: Region
    stored: Mapping[str, int]


class Regions:
    """The use cases of RegionService."""

    def __init__(self, rows: UnitOfWork, slots: SlotOpening, clock: Clock) -> None:
        self._rows: Final = rows
        self._slots: Final = slots
        self._clock: Final = clock

    def create(
        self,
        location: str,
        draft: RegionDraft,
        request: Request[StoredRegion],
        violations: Violations,
        *,
        validate_only: bool = False,
    ) -> bytes:
        """Add a region whose stores are opened; answer the reply.

        Raises:
            InvalidArgument: everything that the request shows wrong.
            AlreadyExists: the id or the display name is taken.
            FailedPrecondition, Unavailable: a store cannot be used.
        """
        addresses = check_draft(draft, {}, violations)
        violations.raise_if_any()
        repeated = self._repeated(request)
        if repeated is not None:
            return repeated
        display_name = draft.display_name or location
        self._rows.read(lambda tx: _require_free(tx, location, display_name, ""))
        opened = self._slots.open_new(
            location, _slots_of(draft, addresses), validate_only=validate_only
        )
        now = self._clock.now()
        region = Region(
            id=location,
            uid=new_uid(),
            display_name=display_name,
            zones=draft.zones,
            slots=opened,
            capabilities=draft.capabilities,
            prices=draft.prices,
            limits=draft.limits,
            create_time=now,
            update_time=now,
        )
        if validate_only:
            return request.encode(StoredRegion(region, {}))

        def add(tx: Tx) -> StoredRegion:
            _require_free(tx, location, display_name, "")
            tx.regions.insert(region)
            _tell(tx, region)
            return StoredRegion(region, {})

        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: add(tx)))

    def update(
        self,
        location: str,
        draft: RegionDraft,
        mask: Sequence[str],
        request: Request[StoredRegion],
        *,
        etag: str,
        violations: Violations,
        replaced: Sequence[str] = (),
        validate_only: bool = False,
    ) -> bytes:
        """Change a region; answer the reply. The slots in `replaced` get empty stores.

        Raises:
            NotFound: there is no such region.
            Aborted: ETAG_MISMATCH.
            InvalidArgument, AlreadyExists, FailedPrecondition, Unavailable: as `create`, and
                SLOT_IN_USE, ZONE_UNAVAILABLE, REPLICA_MISMATCH.
        """
        repeated = self._repeated(request)
        if repeated is not None:
            return repeated
        before = self.get(location).region
        require_match(etag, before.revision, uid=before.uid, resource=region_name(location))
        wanted = updated(before, draft, mask, violations)
        known = {slot.id: slot.address for slot in before.slots}
        addresses = check_draft(wanted, known, violations)
        occupants = self._rows.read(lambda tx: tx.regions.occupants(location))
        _check_occupied(before, wanted, occupants, violations)
        check_replaced(before, wanted, replaced, violations)
        violations.raise_if_any()
        display_name = wanted.display_name or location
        self._rows.read(lambda tx: _require_free(tx, location, display_name, location))
        slots = self._slots.open_changed(
            before, _slots_of(wanted, addresses), replaced, validate_only=validate_only
        )
        after = replace(
            before,
            display_name=display_name,
            zones=wanted.zones,
            slots=slots,
            capabilities=wanted.capabilities,
            prices=wanted.prices,
            limits=wanted.limits,
            update_time=self._clock.now(),
            revision=before.revision + 1,
        )
        if validate_only:
            return request.encode(StoredRegion(after, {}))

        def change(tx: Tx) -> StoredRegion:
            current = _locked(tx, location)
            # Whatever changed since was not looked at: the caller decides again.
            require_match(
                etag_of(before.revision, before.uid),
                current.revision,
                uid=current.uid,
                resource=region_name(location),
            )
            again = Violations()
            _check_occupied(current, wanted, tx.regions.occupants(location), again)
            again.raise_if_any()
            _require_free(tx, location, display_name, location)
            tx.regions.update(after)
            for slot in replaced:
                tx.replicas.doubt(location, slot, tx.now())
            _tell(tx, after)
            return StoredRegion(after, tx.regions.stored_bytes([location])[location])

        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: change(tx)))

    def delete(self, location: str, request: Request[None], *, etag: str) -> bytes:
        """Delete a region that nothing is in and nothing is wanted in.

        Raises:
            NotFound, Aborted: as `update`.
            FailedPrecondition: RESOURCE_NOT_EMPTY.
        """

        def remove(tx: Tx) -> None:
            region = _locked(tx, location)
            require_match(etag, region.revision, uid=region.uid, resource=region_name(location))
            occupants = {
                slot: count for slot, count in tx.regions.occupants(location).items() if count
            }
            if occupants or tx.regions.is_targeted(location):
                raise _not_empty(region, occupants)
            tx.regions.delete(location)
            deletion = RegionDeletion(location, region.uid)
            tx.feed.append([FeedItem(self._clock.now(), region_deletion=deletion)])

        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: remove(tx)))

    def get(self, location: str) -> StoredRegion:
        """Answer a region; NotFound."""

        def find(tx: Tx) -> StoredRegion:
            region = tx.regions.get(location)
            if region is None:
                raise NotFound.of(REGION_TYPE, region_name(location))
            return StoredRegion(region, tx.regions.stored_bytes([location])[location])

        return self._rows.read(find)

    def list(
        self, listing: Listing, keep: Callable[[Region], bool]
    ) -> tuple[Sequence[StoredRegion], tuple[Any, ...] | None]:
        """Answer a page of regions that `keep` keeps, and where the next one begins."""

        def find(tx: Tx) -> tuple[Sequence[StoredRegion], tuple[Any, ...] | None]:
            kept, last = kept_rows(tx.regions.page, listing, keep, _position)
            stored = tx.regions.stored_bytes([one.id for one in kept])
            return [StoredRegion(one, stored[one.id]) for one in kept], last

        return self._rows.read(find)

    def _repeated(self, request: Request[StoredRegion]) -> bytes | None:
        """Answer the reply of a repeated request, before stores are looked at again."""
        if not request.request_id:
            return None
        return self._rows.transact(lambda tx: tx.requests.lookup(request))


def _slots_of(draft: RegionDraft, addresses: Mapping[str, StoreAddress]) -> tuple[Slot, ...]:
    return tuple(
        Slot(
            id=one.id,
            address=addresses[one.id],
            failure_domain=one.failure_domain,
            zone=one.zone,
            tier=one.tier,
            internal_replica_count=one.internal_replica_count,
        )
        for one in draft.slots
    )


def _position(listing: Listing, region: Region) -> tuple[Any, ...]:
    values = {
        "id": region.id,
        "display_key": location_key(region.display_name),
        "create_time": region.create_time,
    }
    return tuple(values[column] for column in listing.order)


def _require_free(tx: Tx, location: str, display_name: str, own: str) -> None:
    for text in (location, display_name):
        found = tx.regions.find(location_key(text))
        if found is not None and found.id != own:
            raise AlreadyExists.of(REGION_TYPE, region_name(found.id))


def _locked(tx: Tx, location: str) -> Region:
    region = tx.regions.lock(location)
    if region is None:
        raise NotFound.of(REGION_TYPE, region_name(location))
    return region


def _check_occupied(
    before: Region, wanted: RegionDraft, occupants: Mapping[str, int], found: Violations
) -> None:
    """Add slots that hold something and are to be removed, or moved to another zone or tier."""
    after = {slot.id: slot for slot in wanted.slots}
    for slot in before.slots:
        count = occupants.get(slot.id, 0)
        kept = after.get(slot.id)
        same_place = kept is not None and (kept.zone, kept.tier) == (slot.zone, slot.tier)
        if count and not same_place:
            found.precondition(
                "SLOT_IN_USE",
                f"{region_name(before.id)} slot {slot.id}",
                f"slot {slot.id} holds {count} replicas or blobs",
                reason="SLOT_IN_USE",
                metadata={
                    "location": before.id,
                    "slot": slot.id,
                    "replica_count": str(count),
                },
            )


def _tell(tx: Tx, region: Region) -> None:
    """Put a region into the feed, without what followers need not know of its stores."""
    told = replace(
        region, slots=tuple(replace(slot, address=StoreAddress("")) for slot in region.slots)
    )
    position = tx.feed.append([FeedItem(region.update_time, region=told)])
    tx.regions.set_position(region.id, position)


def _not_empty(region: Region, occupants: Mapping[str, int]) -> FailedPrecondition:
    name = region_name(region.id)
    children = [f"{name} slot {slot}" for slot in occupants] or ["target regions of versions"]
    return FailedPrecondition(
        f"{name} is used: {', '.join(children)}",
        reason="RESOURCE_NOT_EMPTY",
        metadata={"resource": name, "children": ",".join(children)},
    )
