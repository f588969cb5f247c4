"""Image definitions."""

from dataclasses import dataclass
from datetime import datetime

from services.catalog.domain.hardware import (
    Architecture,
    DiskType,
    HyperVGeneration,
    OsState,
    OsType,
    PurchasePlan,
)
from services.catalog.domain.resource import Resource
from services.kernel.names import fold


@dataclass(frozen=True, slots=True)
class Identifier:
    """Publisher, offer and SKU: together unique in a gallery, compared without case."""

    publisher: str
    offer: str
    sku: str

    @property
    def key(self) -> str:
        """What identifiers are compared by; none of the three can hold a slash."""
        return fold(f"{self.publisher}/{self.offer}/{self.sku}")


@dataclass(frozen=True, slots=True)
class ResourceRange:
    """A range with both ends in it; None leaves an end open."""

    min: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Recommended:
    """The machines that an image is made for; memory in GB."""

    vcpus: ResourceRange | None = None
    memory_gb: ResourceRange | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that an image can do, from a version on where `starts_at_version` names one."""

    name: str
    value: str
    starts_at_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Resource):
    """An image definition."""

    os_type: OsType
    os_state: OsState
    identifier: Identifier
    hyper_v_generation: HyperVGeneration = HyperVGeneration.V1
    architecture: Architecture = Architecture.X64
    description: str = ""
    eula: str = ""
    privacy_statement_uri: str = ""
    release_note_uri: str = ""
    end_of_life_time: datetime | None = None
    recommended: Recommended | None = None
    disallowed_disk_types: tuple[DiskType, ...] = ()
    purchase_plan: PurchasePlan | None = None
    features: tuple[Feature, ...] = ()
