"""What answers reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from services.catalog.domain.version import VersionState
from services.catalog.ports.deployment import Deployments
from services.catalog.ports.views import Views
from services.kernel.filter import Comparison, Order
from services.kernel.names import ROOT, WILDCARD, Name

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it is read for an answer: the serialized message, and what says whether it may be.

    `position` holds the values of the list's order, which no other row has.
    """

    key: str
    body: bytes
    policy_revision: int
    position: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Visible:
    """Keys of scopes at and below which a caller may see rows, less others.

    What lies at or below `denied` is not seen, and the scopes of `denied_here` themselves are
    not. No allowed scope lies below another, and no denied one outside the allowed ones.
    """

    allowed: Sequence[str]
    denied: Sequence[str] = ()
    denied_here: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of a list.

    `parent` may hold `-`; `visible` then says which rows the caller may see, all of them below
    `above_wildcards(parent)`. `after` is the position of the last row of the page before. `view`
    is one of the views that a reader has.
    """

    parent: Name
    limit: int
    comparisons: Sequence[Comparison] = ()
    order: Sequence[Order] = ()
    after: tuple[Any, ...] | None = None
    visible: Visible | None = None
    show_deleted: bool = False
    view: str = ""


def above_wildcards(parent: Name) -> str:
    """Answer the key of what holds everything that a name with `-` may mean."""
    segments = parent.key.split("/")
    return "/".join(segments[: segments.index(WILDCARD) - 1]) or ROOT


class Reader(Protocol):
    """Answers the stored messages of one kind of resource, by one statement each."""

    def get(self, key: str, view: str = "") -> Stored | None:
        """Answer one."""

    def page(self, query: ListQuery) -> Sequence[Stored]:
        """Answer at most `query.limit` rows in the order that is asked for."""

    def exists(self, key: str) -> bool:
        """Whether there is one of this key."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A version that an image was resolved to."""

    name: str
    publish_time: datetime
    end_of_life_time: datetime | None
    state: VersionState
    consumption_end_time: datetime | None
    policy_revision: int


class Lookup(Protocol[T_co]):
    """Finds a version that can be used in a region, and answers what it knows of it."""

    def latest(self, definition_key: str, location: str) -> T_co | None:
        """Answer the highest version that `latest` may mean in a region."""

    def usable(self, key: str, location: str) -> T_co | None:
        """Answer a version where it can be used in a region."""


class VersionReader(Reader, Protocol):
    """Image versions, and which of them is meant."""

    def latest(self, definition_key: str, location: str) -> Resolved | None:
        """Answer the highest version that `latest` may mean in a region."""

    def usable(self, key: str, location: str) -> Resolved | None:
        """Answer a version where it can be used in a region."""

    def latest_locations(self, definition_key: str) -> Sequence[str]:
        """Answer the regions in which `latest` means some version, in the order of their ids."""

    def usable_locations(self, key: str) -> Sequence[str]:
        """Answer the regions in which a version can be used, in the order of their ids."""

    def deleted(self, key: str) -> datetime | None:
        """Answer when the last version of this name was deleted for good."""


class DefinitionReader(Reader, Protocol):
    """Image definitions, by what they are found by."""

    def with_identifier(self, gallery_key: str, identifier_key: str) -> str | None:
        """Answer the name of the definition that has this publisher, offer and SKU."""


class Readers(Protocol):
    """The readers."""

    @property
    def views(self) -> Views:
        """What others have opened."""

    @property
    def deployments(self) -> Deployments:
        """What machines are made from."""

    @property
    def groups(self) -> Reader:
        """Resource groups."""

    @property
    def galleries(self) -> Reader:
        """Galleries."""

    @property
    def definitions(self) -> DefinitionReader:
        """Image definitions."""

    @property
    def versions(self) -> VersionReader:
        """Image versions."""

    @property
    def managed_images(self) -> Reader:
        """Managed images."""

    @property
    def virtual_machines(self) -> Reader:
        """Virtual machines."""

    @property
    def disks(self) -> Reader:
        """Managed disks."""

    @property
    def snapshots(self) -> Reader:
        """Snapshots of disks."""

    @property
    def storage_accounts(self) -> Reader:
        """Storage accounts."""

    @property
    def encryption_sets(self) -> Reader:
        """Disk encryption sets."""
