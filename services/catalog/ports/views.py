"""What can be used in regions, for those who see more than they own."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Number, Version, WholeSource
from services.kernel.filter import Comparison, Order


class ViewId(enum.Enum):
    """Which of its ids a gallery is known by in a kind of view."""

    SHARED = "shared_id"
    PUBLIC = "public_name"


@dataclass(frozen=True, slots=True)
class Sought:
    """What a definition has to say of itself and of its gallery, in any letter case.

    Every one of `words` occurs in the public name, the publisher's URI or contact, the id of the
    image, its publisher, offer or SKU; `comparisons` are over `STATED` alone.
    """

    words: Sequence[str] = ()
    comparisons: Sequence[Comparison] = ()


STATED: Final = frozenset({
    "identifier.publisher",
    "identifier.offer",
    "identifier.sku",
    "os_type",
    "os_state",
    "hyper_v_generation",
    "architecture",
})  # fmt: skip
"""The fields of a definition that its view shows as they are, so that a database can compare."""


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """What is looked for in the galleries that a consumer sees.

    `galleries` are their uids, `across` whether rows are ordered by gallery too; `location` is
    empty for every region, `image` the key of an id or empty for every image, `number` that of
    one version, `selectable` whether only what `latest` may mean is looked for; `with_status` asks
    for the status of the region too, `sought` narrows definitions. `order` names fields of the
    view; `after` is the position of the last row of the page before. Positions hold nothing
    private.
    """

    id: ViewId
    galleries: Sequence[str]
    location: str
    limit: int
    image: str = ""
    number: Number | None = None
    across: bool = False
    selectable: bool = False
    with_deleted: bool = False
    with_status: bool = False
    sought: Sought = Sought()
    order: Sequence[Order] = ()
    after: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class GalleryView:
    """A gallery of which something can be used in a region."""

    gallery: Gallery
    location: str
    position: tuple[Any, ...]

    @property
    def policy_revision(self) -> int:
        """The revision of the policy that the gallery was written under."""
        return self.gallery.policy_revision


@dataclass(frozen=True, slots=True)
class DefinitionView:
    """A definition that can be used in a region, and the gallery that it is in."""

    gallery: Gallery
    definition: Definition
    location: str
    policy_revision: int
    position: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version that can be used in a region, and what it is in; `status` where it is asked for."""

    gallery: Gallery
    definition: Definition
    version: Version
    location: str
    policy_revision: int
    position: tuple[Any, ...]
    status: RegionStatus | None = None


@dataclass(frozen=True, slots=True)
class OpenedVersion:
    """A version of somebody else's gallery; `name` is what the caller knows it by.

    `asked_by` is the name of the principal who asked, empty where the directory has none.
    """

    name: str
    view: VersionView
    asked_by: str


class OpenedVersions(Protocol):
    """The versions that publishers have opened to the caller."""

    def find(self, source: WholeSource) -> OpenedVersion | None:
        """Answer the version that a source names, None where it cannot be seen or used.

        Raises:
            Unavailable: the copy of the policy here is too old to tell.
        """


class Views(Protocol):
    """What can be used in regions, for those who see more than they own."""

    def galleries(self, query: ViewQuery) -> Sequence[GalleryView]:
        """Answer at most `query.limit` galleries, for each region in which one can be used."""

    def definitions(self, query: ViewQuery) -> Sequence[DefinitionView]:
        """Answer at most `query.limit` definitions."""

    def versions(self, query: ViewQuery) -> Sequence[VersionView]:
        """Answer at most `query.limit` versions."""
