"""Regions to and from messages."""

from collections.abc import Mapping
from typing import Any

from stoa.replication.v1 import region_pb2 as pb

from services.kernel.etag import etag_of
from services.replication.convert.common import (
    CAPABILITY,
    SLOT_HEALTH,
    TIER,
    WARNING,
    number,
    timestamp,
    word,
)
from services.replication.domain.names import region_name
from services.replication.domain.region import Capability, Limits, Prices, Region, Slot, SlotTier
from services.replication.usecases.region_drafts import RegionDraft, SlotDraft


def region_message(
    region: Region,
    *,
    stored: Mapping[str, int] | None = None,
    slots: bool = True,
    urls: bool = True,
) -> pb.Region:
    """Answer a region; `slots` shows slots and limits, `urls` the addresses of stores too."""
    message = pb.Region(
        name=region_name(region.id),
        display_name=region.display_name,
        zones=region.zones,
        capabilities=[number(CAPABILITY, one) for one in region.capabilities],
        capacities=[
            pb.TierCapacity(
                tier=number(TIER, one.tier),
                replica_count=one.replica_count,
                zonal_replica_count=one.zonal_replica_count,
                zone_count=one.zone_count,
            )
            for one in region.capacities()
        ],
        create_time=timestamp(region.create_time),
        update_time=timestamp(region.update_time),
        uid=region.uid,
        etag=etag_of(region.revision, region.uid),
    )
    if region.prices is not None:
        message.prices.CopyFrom(_prices(region.prices))
    if slots:
        message.slots.extend(_slot(region, one, stored or {}, urls=urls) for one in region.slots)
        if region.limits is not None:
            message.limits.CopyFrom(_limits(region.limits))
    return message


def region_draft(message: pb.Region) -> RegionDraft:
    """Answer what a caller sent of a region."""
    return RegionDraft(
        display_name=message.display_name or None,
        zones=tuple(message.zones),
        slots=tuple(_slot_draft(one) for one in message.slots),
        capabilities=tuple(
            Capability(word(CAPABILITY, one))
            for one in message.capabilities
            if one in _CAPABILITIES
        ),
        prices=_optional(message, "prices", _prices_of),
        limits=_optional(message, "limits", _limits_of),
    )


_CAPABILITIES = frozenset(
    value for name, value in CAPABILITY.items() if not name.endswith("_UNSPECIFIED")
)
_TIERS = frozenset(value for name, value in TIER.items() if not name.endswith("_UNSPECIFIED"))


def _slot(region: Region, slot: Slot, stored: Mapping[str, int], *, urls: bool) -> pb.ReplicaSlot:
    return pb.ReplicaSlot(
        id=slot.id,
        store_url=slot.address.url if urls else "",
        failure_domain=slot.failure_domain,
        zone=slot.zone,
        tier=number(TIER, slot.tier),
        internal_replica_count=slot.internal_replica_count,
        replica_id=slot.replica_id,
        health=number(SLOT_HEALTH, slot.probe.health),
        warnings=[number(WARNING, one) for one in region.warnings(slot)],
        direct_read=not slot.is_local,
        stored_bytes=stored.get(slot.id, 0),
        free_bytes=slot.probe.free_bytes,
        probe_time=timestamp(slot.probe.time),
    )


def _slot_draft(message: pb.ReplicaSlot) -> SlotDraft:
    tier = SlotTier(word(TIER, message.tier)) if message.tier in _TIERS else SlotTier.STANDARD
    count = message.internal_replica_count if message.HasField("internal_replica_count") else None
    return SlotDraft(
        id=message.id,
        store_url=message.store_url,
        failure_domain=message.failure_domain,
        zone=message.zone,
        tier=tier,
        internal_replica_count=count,
    )


def _prices(prices: Prices) -> pb.RegionPrices:
    return pb.RegionPrices(
        currency_code=prices.currency_code,
        stored_gib_month_micros=prices.stored_gib_month_micros,
        crossed_gib_micros=prices.crossed_gib_micros,
    )


def _prices_of(message: pb.RegionPrices) -> Prices:
    return Prices(
        message.currency_code,
        _given(message, "stored_gib_month_micros"),
        _given(message, "crossed_gib_micros"),
    )


def _limits(limits: Limits) -> pb.RegionLimits:
    return pb.RegionLimits(
        concurrent_copies=limits.concurrent_copies,
        bandwidth_bytes_per_second=limits.bandwidth_bytes_per_second,
        total_bytes=limits.total_bytes,
    )


def _limits_of(message: pb.RegionLimits) -> Limits:
    return Limits(
        _given(message, "concurrent_copies"),
        _given(message, "bandwidth_bytes_per_second"),
        _given(message, "total_bytes"),
    )


def _given(message: Any, field: str) -> int | None:
    return getattr(message, field) if message.HasField(field) else None


def _optional(message: Any, field: str, convert: Any) -> Any:
    return convert(getattr(message, field)) if message.HasField(field) else None
