"""Rows of resources in a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.region import Region
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.resource import Resource
from services.catalog.domain.uefi import UefiSettings
from services.catalog.domain.version import Number, Version

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class ExposedDefinition:
    """A definition with usable versions: how many, and the regions in which any can be used."""

    name: str
    versions: int
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What can be used of a gallery: the first definitions, and how much there is in all."""

    definitions: Sequence[ExposedDefinition] = ()
    definition_count: int = 0
    version_count: int = 0


@dataclass(frozen=True, slots=True)
class ShownGallery:
    """A gallery with the regions in which something of it can be used, as a Get answers it."""

    gallery: Gallery
    locations: Sequence[str] = ()


class Resources(Protocol[R]):
    """The rows of one kind of resource."""

    def get(self, key: str, *, lock: bool = False, share: bool = False) -> R | None:
        """Answer a resource; `lock` keeps others from changing it, `share` from deleting it."""

    def insert(self, resource: R) -> None:
        """Add a resource.

        Raises:
            AlreadyExists: the name, or another unique property, was taken at the same moment.
        """

    def update(self, resource: R) -> None:
        """Replace a resource."""

    def delete(self, key: str) -> None:
        """Remove a resource."""

    def within(self, scope_key: str) -> Sequence[R]:
        """Answer all resources below a scope, in the order of their keys, locked."""

    def names_below(self, parent_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of what has this parent, in the order of their keys."""


class Galleries(Resources[Gallery], Protocol):
    """Galleries."""

    def named(self, subscription_key: str, id_key: str) -> str | None:
        """Answer the name of the gallery that has this id in a subscription."""

    def reserve_public_name(self, public_name: str, gallery_uid: str) -> bool:
        """Keep a public name for ever; False where it was given before."""

    def contents(self, gallery_key: str, limit: int) -> Contents:
        """Answer what can be used of a gallery somewhere, with at most `limit` definitions."""

    def view_locations(self, gallery_key: str) -> Sequence[str]:
        """Answer the regions in which something of a gallery can be used, in their order."""

    def pending_shares(self, before: datetime, limit: int) -> Sequence[Gallery]:
        """Answer galleries with a change of sharing that began before a time, oldest first."""


class Definitions(Resources[Definition], Protocol):
    """Image definitions."""

    def with_identifier(self, gallery_key: str, identifier_key: str) -> Definition | None:
        """Answer the definition of a gallery that has this publisher, offer and SKU."""

    def below(self, gallery_key: str) -> Sequence[Definition]:
        """Answer all definitions of a gallery, in the order of their keys."""


class Versions(Resources[Version], Protocol):
    """Image versions with their regions."""

    def insert(self, resource: Version, *, uefi: UefiSettings | None = None) -> None:
        """Add a version with its UEFI settings, which nothing changes.

        Raises:
            AlreadyExists: the number was taken at the same moment.
        """

    def by_uid(self, uid: str, *, lock: bool = False) -> Version | None:
        """Answer a version."""

    def regions(self, uid: str) -> Sequence[RegionStatus]:
        """Answer the regions of a version: wanted ones in their order, then those removed."""

    def put_regions(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Replace all regions of a version, and what a Get says of them."""

    def write(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Replace a version together with its regions."""

    def forget(self, version: Version) -> None:
        """Remove a version with its regions, and remember that it was deleted."""

    def deleted(self, key: str) -> datetime | None:
        """Answer when the last version of this name was deleted for good."""

    def soft_deleted(self, scope_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of soft-deleted versions below a scope."""

    def expiring(
        self, now: datetime, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Version]:
        """Answer soft-deleted versions to which something happens by now, by (time, key).

        `after` is the time and the key of the last one of the page before.
        """

    def outside(self, gallery_key: str, location: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of versions of a gallery that are in another region."""

    def numbered(self, definition_key: str, low: Number, high: Number | None) -> str | None:
        """Answer the name of the first version from one number on, below another or any."""

    def encrypted(self, gallery_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of versions of a gallery that have encryption sets."""

    def is_usable(self, uid: str, location: str) -> bool:
        """Whether a version can be used in a region."""


class Uses(Protocol):
    """Who needs what: what is needed may not be deleted."""

    def add(self, used_key: str, user_name: str) -> None:
        """Record that a resource needs another."""

    def remove(self, user_key: str) -> None:
        """Forget everything that a resource needs."""

    def replace(self, user_name: str, used_keys: Sequence[str]) -> None:
        """Record what a resource needs now, all of it."""

    def from_outside(self, scope_key: str, limit: int) -> Sequence[tuple[str, str]]:
        """Answer at most `limit` uses of what is at or below a scope by what is not.

        Each is the key of what is used and the name of what uses it.
        """

    def users(self, used_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of what needs a resource."""


class RegionMirror(Protocol):
    """The regions, as the feed tells of them."""

    def of(self, ids: Sequence[str]) -> Mapping[str, Region]:
        """Answer the regions with these ids; unknown ones are left out."""

    def put(self, region: Region, position: int) -> None:
        """Add or replace a region, unless what is there is newer."""

    def remove(self, region_id: str, uid: str) -> None:
        """Remove a region, unless another one has its id now."""

    def keep_only(self, ids: Sequence[str]) -> None:
        """Remove every region that is not among these."""
