"""The calls that the model knows, as data; the machine sends what they say."""

from dataclasses import dataclass
from datetime import datetime

from tests.wire.catalog.model.words import Etag, Storage, Wait

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SoftDelete:
    """A soft-delete policy; times in whole hours."""

    enabled: bool
    retention_hours: int | None = None
    grace_hours: int | None = None


@dataclass(frozen=True, slots=True)
class CreateGallery:
    parent: str
    id: str
    location: str
    description: str = ""
    tags: Tags = ()
    soft_delete: SoftDelete | None = None
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class UpdateGallery:
    name: str
    # None: no mask is sent.
    mask: tuple[str, ...] | None
    location: str = ""
    description: str = ""
    tags: Tags = ()
    soft_delete: SoftDelete | None = None
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CreateDefinition:
    parent: str
    id: str
    location: str
    publisher: str
    offer: str
    sku: str
    os_type: str = "LINUX"
    os_state: str = "GENERALIZED"
    generation: str = "UNSPECIFIED"
    description: str = ""
    end_of_life: datetime | None = None
    vcpus: tuple[int, int] | None = None
    features: tuple[Feature, ...] = ()
    tags: Tags = ()
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class UpdateDefinition:
    name: str
    mask: tuple[str, ...] | None
    os_type: str = "UNSPECIFIED"
    sku: str = ""
    location: str = ""
    description: str = ""
    end_of_life: datetime | None = None
    vcpus: tuple[int, int] | None = None
    features: tuple[Feature, ...] = ()
    tags: Tags = ()
    allow_update_image: bool = False
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Of a gallery, a definition or a version, by its name."""

    name: str
    force: bool = False
    purge: bool = False
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    location: str
    count: int | None = None
    storage: Storage = Storage.UNSPECIFIED
    exclude: bool | None = None


@dataclass(frozen=True, slots=True)
class CreateVersion:
    parent: str
    number: str
    location: str
    targets: tuple[Target, ...] = ()
    count: int | None = None
    exclude: bool | None = None
    storage: Storage = Storage.UNSPECIFIED
    end_of_life: datetime | None = None
    guard: bool | None = None
    block: bool | None = None
    tags: Tags = ()
    sourceless: bool = False
    wait: Wait = Wait.UNSPECIFIED
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class UpdateVersion:
    name: str
    mask: tuple[str, ...] | None
    location: str = ""
    targets: tuple[Target, ...] = ()
    count: int | None = None
    exclude: bool | None = None
    storage: Storage = Storage.UNSPECIFIED
    end_of_life: datetime | None = None
    guard: bool | None = None
    block: bool | None = None
    tags: Tags = ()
    wait: Wait = Wait.UNSPECIFIED
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class AddRegions:
    name: str
    targets: tuple[Target, ...]
    wait: Wait = Wait.UNSPECIFIED
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class RemoveRegions:
    name: str
    locations: tuple[str, ...]
    wait: Wait = Wait.UNSPECIFIED
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class SetCounts:
    name: str
    count: int | None
    regions: tuple[tuple[str, int | None], ...] = ()
    wait: Wait = Wait.UNSPECIFIED
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Undelete:
    name: str
    wait: Wait = Wait.UNSPECIFIED
    etag: Etag = Etag.NONE
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Resolve:
    image: str
    location: str
    identifier: tuple[str, str, str] | None = None


Change = AddRegions | RemoveRegions | SetCounts | UpdateVersion | Undelete
