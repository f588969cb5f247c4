"""Regions as the catalog mirrors them, and how callers spell them."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.catalog.domain.hardware import StorageType
from services.kernel.names import fold


@dataclass(frozen=True, slots=True)
class TierCapacity:
    """How many replicas of one version fit into a tier: in all, and in zones."""

    replicas: int
    zonal_replicas: int = 0
    zones: int = 0


@dataclass(frozen=True, slots=True)
class Prices:
    """What bytes cost, in millionths of the unit of a currency; None is what is not known.

    `crossed_gib_micros` is for a GiB that leaves the region.
    """

    currency: str
    stored_gib_month_micros: int | None = None
    crossed_gib_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the installation; `capacities` by tier: STANDARD, PREMIUM, PREMIUM_V2."""

    id: str
    uid: str
    display_name: str
    zones: tuple[str, ...] = ()
    capacities: Mapping[str, TierCapacity] | None = None
    confidential: bool = False
    prices: Prices | None = None

    def capacity(self, storage_type: StorageType) -> int:
        """Answer the most replicas of one version that fit on a kind of storage."""
        found = (self.capacities or {}).get(_TIERS[storage_type])
        if found is None:
            return 0
        zonal = storage_type is StorageType.STANDARD_ZRS
        return found.zonal_replicas if zonal else found.replicas


_TIERS = {
    StorageType.STANDARD_LRS: "STANDARD",
    StorageType.STANDARD_ZRS: "STANDARD",
    StorageType.PREMIUM_LRS: "PREMIUM",
    StorageType.PREMIUM_V2_LRS: "PREMIUM_V2",
}


def location_key(text: str) -> str:
    """Answer what a region's id and its display name are compared by: `East US 2` = `eastus2`."""
    return fold(text).replace(" ", "")
