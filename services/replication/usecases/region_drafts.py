"""Regions as callers send them, and what the request alone shows wrong about them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from services.kernel.field_mask import FieldTable
from services.kernel.violations import Violations
from services.replication.domain.region import (
    Capability,
    Limits,
    Prices,
    Region,
    Slot,
    SlotTier,
    StoreAddress,
)
from services.replication.domain.store_urls import parse_store_url


@dataclass(frozen=True, slots=True)
class SlotDraft:
    """A slot as it was sent."""

    id: str
    store_url: str
    failure_domain: str = ""
    zone: str = ""
    tier: SlotTier = SlotTier.STANDARD
    internal_replica_count: int | None = None


@dataclass(frozen=True, slots=True)
class RegionDraft:
    """A region as it was sent; what was not set is None or empty."""

    display_name: str | None = None
    zones: tuple[str, ...] = ()
    slots: tuple[SlotDraft, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    prices: Prices | None = None
    limits: Limits | None = None


FIELDS: Final = FieldTable(
    mutable=frozenset(
        {
            "display_name",
            "zones",
            "slots",
            "capabilities",
            "prices.currency_code",
            "prices.stored_gib_month_micros",
            "prices.crossed_gib_micros",
            "limits.concurrent_copies",
            "limits.bandwidth_bytes_per_second",
            "limits.total_bytes",
        }
    ),
    output_only=frozenset({"capacities", "create_time", "update_time", "uid"}),
)


def updated(
    region: Region, draft: RegionDraft, mask: Sequence[str], found: Violations
) -> RegionDraft:
    """Answer the region as an update wants it."""
    current: dict[str, Any] = {
        "display_name": region.display_name,
        "zones": region.zones,
        "slots": tuple(slot_draft(slot) for slot in region.slots),
        "capabilities": region.capabilities,
        "prices": asdict(region.prices) if region.prices else {},
        "limits": asdict(region.limits) if region.limits else {},
    }
    sent = {
        "display_name": draft.display_name,
        "zones": draft.zones,
        "slots": draft.slots,
        "capabilities": draft.capabilities,
        "prices": asdict(draft.prices) if draft.prices else None,
        "limits": asdict(draft.limits) if draft.limits else None,
    }
    for path, value in FIELDS.changes(mask, sent, current, found).items():
        first, _, rest = path.partition(".")
        if rest:
            current[first] = {**current[first], rest: value}
        else:
            current[first] = value
    return RegionDraft(
        display_name=current["display_name"] or None,
        zones=tuple(current["zones"] or ()),
        slots=tuple(current["slots"] or ()),
        capabilities=tuple(current["capabilities"] or ()),
        prices=_prices(current["prices"]),
        limits=_limits(current["limits"]),
    )


def slot_draft(slot: Slot) -> SlotDraft:
    """Answer a slot as its reader would send it back."""
    return SlotDraft(
        slot.id,
        slot.address.url,
        slot.failure_domain,
        slot.zone,
        slot.tier,
        slot.internal_replica_count,
    )


def check_draft(
    draft: RegionDraft, known: Mapping[str, StoreAddress], found: Violations
) -> dict[str, StoreAddress]:
    """Add what is wrong with a region; answer the addresses of its slots by id."""
    if not draft.slots and not found.has_field("region.slots"):
        found.add("region.slots", "a region has at least one slot")
    if draft.prices is not None and not draft.prices.currency_code:
        found.add("region.prices.currency_code", "prices are in a currency")
    addresses: dict[str, StoreAddress] = {}
    seen: set[str] = set()
    for index, slot in enumerate(draft.slots):
        field = f"region.slots[{index}]"
        if slot.zone and slot.zone not in draft.zones:
            found.add(f"{field}.zone", f"the region has no zone {slot.zone}")
        if found.has_field(f"{field}.store_url"):
            continue
        try:
            address = parse_store_url(slot.store_url, known.get(slot.id))
        except ValueError as error:
            found.add(f"{field}.store_url", str(error))
            continue
        if address.url in seen:
            found.add(f"{field}.store_url", "two slots cannot have one store")
        seen.add(address.url)
        addresses[slot.id] = address
    return addresses


def check_replaced(
    before: Region, wanted: RegionDraft, replaced: Sequence[str], found: Violations
) -> None:
    """Add what is to be replaced and is no slot, before or after."""
    slots = {slot.id for slot in before.slots} & {slot.id for slot in wanted.slots}
    for index, slot in enumerate(replaced):
        if slot not in slots:
            found.add(f"replaced_slots[{index}]", f"the region keeps no slot {slot!r}")


def _prices(values: Mapping[str, Any]) -> Prices | None:
    if not any(value is not None for value in values.values()):
        return None
    return Prices(**{"currency_code": "", **values, **_text(values, "currency_code")})


def _limits(values: Mapping[str, Any]) -> Limits | None:
    return Limits(**values) if any(value is not None for value in values.values()) else None


def _text(values: Mapping[str, Any], name: str) -> dict[str, str]:
    return {name: values.get(name) or ""}
