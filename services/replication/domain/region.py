"""A region and the stores that it has."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.replication.domain.states import StorageType


class SlotTier(enum.Enum):
    """The tier of a store."""

    STANDARD = "STANDARD"
    PREMIUM = "PREMIUM"
    PREMIUM_V2 = "PREMIUM_V2"


TIER_OF: Final[Mapping[StorageType, SlotTier]] = {
    StorageType.STANDARD_LRS: SlotTier.STANDARD,
    StorageType.STANDARD_ZRS: SlotTier.STANDARD,
    StorageType.PREMIUM_LRS: SlotTier.PREMIUM,
    StorageType.PREMIUM_V2_LRS: SlotTier.PREMIUM_V2,
}


class SlotHealth(enum.Enum):
    """Whether a store can be used."""

    UNSPECIFIED = "UNSPECIFIED"
    AVAILABLE = "AVAILABLE"
    FULL = "FULL"
    UNREACHABLE = "UNREACHABLE"
    WRONG_ROOT = "WRONG_ROOT"


class SlotWarning(enum.Enum):
    """What the operator should know about the place of a store."""

    DEVICE_SHARED = "DEVICE_SHARED"
    FAILURE_DOMAIN_SHARED = "FAILURE_DOMAIN_SHARED"


class Capability(enum.Enum):
    """What a region may keep beyond ordinary images."""

    CONFIDENTIAL = "CONFIDENTIAL"


@dataclass(frozen=True, slots=True)
class Prices:
    """What bytes cost, in millionths of the currency unit; None: not known."""

    currency_code: str
    stored_gib_month_micros: int | None = None
    crossed_gib_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a region may be used; None: no limit of its own."""

    concurrent_copies: int | None = None
    bandwidth_bytes_per_second: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where a store is: the URL as it is shown, and the settings that are kept secret."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SlotProbe:
    """What was last found out about a store; `device` tells local stores on one disk."""

    health: SlotHealth = SlotHealth.UNSPECIFIED
    free_bytes: int | None = None
    device: str = ""
    time: datetime | None = None


NOT_PROBED: Final = SlotProbe()


@dataclass(frozen=True, slots=True)
class Slot:
    """One store of a region; `replica_id` is empty until the store was opened."""

    id: str
    address: StoreAddress
    failure_domain: str = ""
    zone: str = ""
    tier: SlotTier = SlotTier.STANDARD
    internal_replica_count: int | None = None
    replica_id: str = ""
    probe: SlotProbe = NOT_PROBED
    stored_bytes: int = 0

    @property
    def is_local(self) -> bool:
        """Whether the store lies in the file system of the machine."""
        return self.address.url.startswith("file:")

    @property
    def usable(self) -> bool:
        """Whether a new replica may be put here, as far as is known."""
        return self.probe.health in {SlotHealth.AVAILABLE, SlotHealth.UNSPECIFIED}


@dataclass(frozen=True, slots=True)
class TierCapacity:
    """How many replicas of one version fit into a tier of a region."""

    tier: SlotTier
    replica_count: int
    zonal_replica_count: int
    zone_count: int


@dataclass(frozen=True, slots=True)
class Region:
    """A place that versions are replicated into; `id` is what a location names."""

    id: str
    uid: str
    display_name: str
    zones: tuple[str, ...]
    slots: tuple[Slot, ...]
    capabilities: tuple[Capability, ...]
    prices: Prices | None
    limits: Limits | None
    create_time: datetime
    update_time: datetime
    revision: int = 1
    feed_position: int = 0

    def slot(self, slot_id: str) -> Slot | None:
        """Answer the slot with that id."""
        return next((slot for slot in self.slots if slot.id == slot_id), None)

    def capacities(self) -> tuple[TierCapacity, ...]:
        """Answer how many replicas of one version fit, for each tier that is there."""
        found: list[TierCapacity] = []
        for tier in SlotTier:
            slots = [slot for slot in self.slots if slot.tier is tier]
            zones = [slot.zone for slot in slots if slot.zone]
            if slots:
                found.append(TierCapacity(tier, len(slots), len(zones), len(set(zones))))
        return tuple(found)

    def warnings(self, slot: Slot) -> tuple[SlotWarning, ...]:
        """Answer what is risky about the place of a slot among the others."""
        others = [other for other in self.slots if other.id != slot.id]
        found: list[SlotWarning] = []
        if slot.probe.device and slot.probe.device in {one.probe.device for one in others}:
            found.append(SlotWarning.DEVICE_SHARED)
        if slot.failure_domain and slot.failure_domain in {one.failure_domain for one in others}:
            found.append(SlotWarning.FAILURE_DOMAIN_SHARED)
        return tuple(found)
