"""What use cases need of the world: transactions with their stores, other services, the policy.

How a use case is written. It is a function of a command, the `Context` of the call and what it
depends on. Whatever needs another service, or can be said without the database, comes first;
then `mutation.commit` runs the rest, as a function of `Tx`, in one transaction. That function
may run more than once and has no effect outside of the transaction. It collects violations in a
copy of the context's (`context.violations.copy()`), and raises them once.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from services.catalog.domain.definition import Definition
from services.catalog.domain.disk_source import ByteSource
from services.catalog.domain.gallery import Consumers, Gallery, PendingShare
from services.catalog.domain.hardware import DiskFormat
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.region import Region
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.resource import Resource
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.domain.version import Number, Version, VersionState, WaitMode
from services.kernel.clock import Clock
from services.kernel.filter import Comparison, Order
from services.kernel.names import Name
from services.kernel.rpc.access import Access, Caller
from services.kernel.violations import Violations

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Context:
    """A call, as a use case sees it.

    `access` is pinned at one revision; the action of the method was demanded already.
    `violations` holds what the contract's rules found.
    """

    caller: Caller
    access: Access
    violations: Violations
    clock: Clock


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """A subscription of the directory; `tenant` is the key of its tenant, `tenants/{t}`."""

    key: str
    tenant: str
    enabled: bool


class Subscriptions(Protocol):
    """The directory of subscriptions, as this process's copy of the policy has it."""

    def find(self, key: str) -> SubscriptionInfo | None:
        """Answer the subscription with this key."""


class Regions(Protocol):
    """The regions of the installation."""

    def find(self, spellings: Iterable[str]) -> Mapping[str, Region | None]:
        """Answer the region that each id or display name means, None for an unknown one.

        What the mirror lacks is asked for once at the replication service.

        Raises:
            Unavailable: it does not answer.
        """

    def known(self) -> Sequence[str]:
        """Answer the ids of all regions, in their order."""


class RegionRows(Protocol):
    """The mirror of the regions, as the database has it."""

    def spelled(self, spellings: Sequence[str]) -> Mapping[str, Region]:
        """Answer the region that each id or display name means; unknown ones are left out."""

    def known(self) -> Sequence[str]:
        """Answer the ids of all regions, in their order."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the replication service says of a source; `problem` is a reason of its own, or empty."""

    location: str
    size_bytes: int
    format: DiskFormat
    uid: str = ""
    etag: str = ""
    root_digest: str = ""
    problem: str = ""


class Sources(Protocol):
    """The bytes that versions and managed images are made from."""

    def inspect(self, source: ByteSource) -> Inspection | None:
        """Answer what a source is now, None where there is none.

        Raises:
            Unavailable: the replication service does not answer.
        """


class BlobHolds(Protocol):
    """Keeps blobs for the sources that are made of them; by the source's uid, idempotent."""

    def hold(self, blob: ByteSource, source_uid: str, source: str) -> bool:
        """Keep a blob for a source; False where it is gone, replaced or unfinished.

        Raises:
            Unavailable: the replication service does not answer.
        """

    def release(self, blob: ByteSource, source_uid: str) -> None:
        """Forget that a source needs a blob.

        Raises:
            Unavailable: the replication service does not answer.
        """


class Scopes(Protocol):
    """The scopes of the policy."""

    def tombstone(self, name: str, uid: str) -> None:
        """Remove everything granted at or below a resource that is going; again: nothing.

        Raises:
            Unavailable: the authz service does not answer.
        """


@dataclass(frozen=True, slots=True)
class ShareAnswer:
    """What the policy says of a gallery after a step in its sharing.

    `lagging` are the ids of the replicas of the policy that had not applied it in time.
    """

    groups: Consumers
    blocked: Consumers
    community_enabled: bool
    revision: int
    consistency_token: str = ""
    simulation_digest: str = ""
    lagging: tuple[str, ...] = ()


class SharingAuthority(Protocol):
    """What galleries are shared with, as the policy has it."""

    def apply(
        self, gallery: Gallery, share: PendingShare, *, wait: bool = False, dry: bool = False
    ) -> ShareAnswer:
        """Take a step for a gallery; again: the same answer.

        `wait` waits until every live replica of the policy has it, 5 seconds at most; `dry`
        checks everything and changes nothing.

        Raises:
            InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, Aborted: refused,
                for good.
            Unavailable, DeadlineExceeded: the authz service does not answer.
        """


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

    def outside(self, gallery_key: str, location: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of versions of a gallery that are in another region."""

    def is_usable(self, uid: str, location: str) -> bool:
        """Whether a version can be used in a region."""


class Uses(Protocol):
    """Who needs what: what is needed may not be deleted."""

    def add(self, used_key: str, user_name: str) -> None:
        """Record that a resource needs another."""

    def remove(self, user_key: str) -> None:
        """Forget everything that a resource needs."""

    def users(self, used_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of what needs a resource."""


@dataclass(frozen=True, slots=True)
class StartedOperation:
    """An operation as it is answered by the call that starts it.

    `name` is empty where nothing was started (`validate_only`). One that is `done` ended at once.
    `serialized` is the whole message.
    """

    name: str
    done: bool
    serialized: bytes


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What an operation on a version waits for; `regions` are ids, in their order."""

    verb: str
    version_uid: str
    generation: int
    wait_for: WaitMode
    regions: tuple[str, ...]
    home: str


class Operations(Protocol):
    """Long-running operations."""

    def start_version_change(
        self,
        change: VersionChange,
        version: Version,
        regions: Sequence[RegionStatus],
        *,
        owner: str,
        done: bool,
    ) -> StartedOperation:
        """Begin the operation of a change of a version; `done` ends it at once."""

    def start_delete(
        self, target: str, *, owner: str, resources: Sequence[str], detail: Mapping[str, Any]
    ) -> StartedOperation:
        """Begin the operation that deletes `target`, the last of `resources`."""

    def preview_version(
        self, version: Version, regions: Sequence[RegionStatus]
    ) -> StartedOperation:
        """Answer a finished operation without a name, with the version as it would be."""

    def preview_delete(self, resources: Sequence[str]) -> StartedOperation:
        """Answer a finished operation without a name, with what would be deleted."""

    def unfinished_delete(self, target: str) -> StartedOperation | None:
        """Answer the operation that deletes `target` already."""

    def blocking(self, target: str) -> str:
        """Answer the name of the oldest unfinished operation on `target`, empty for none."""

    def advance(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Bring the operations on a version up to date, and end those that are done."""

    def cancel_changes(self, target: str, message: str) -> None:
        """End the unfinished changes of `target` as CANCELLED."""

    def finish_delete(self, target: str) -> None:
        """End the operation that deletes `target`."""


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


class Outbox(Protocol):
    """Messages that are sent after the commit, in their order for each aggregate."""

    def add(self, aggregate: str, kind: str, payload: object) -> None:
        """Add a message; the payload is a value of the domain, or a mapping."""


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """How far the feed of replication is applied: a position of the log with this uid."""

    log_uid: str
    position: int


class Tx(Protocol):
    """One transaction and its stores."""

    @property
    def groups(self) -> Resources[ResourceGroup]:
        """Resource groups."""

    @property
    def galleries(self) -> Galleries:
        """Galleries."""

    @property
    def definitions(self) -> Definitions:
        """Image definitions."""

    @property
    def versions(self) -> Versions:
        """Image versions."""

    @property
    def managed_images(self) -> Resources[ManagedImage]:
        """Managed images."""

    @property
    def uses(self) -> Uses:
        """Who needs what."""

    @property
    def operations(self) -> Operations:
        """Long-running operations."""

    @property
    def outbox(self) -> Outbox:
        """Messages to other services."""

    @property
    def regions(self) -> RegionMirror:
        """The mirror of the regions."""

    def set_cursor(self, cursor: FeedCursor) -> None:
        """Record how far the feed of replication is applied, in the transaction that applied it."""


class Transact(Protocol):
    """Runs transactions that are not the one of a call."""

    def __call__(self, work: Callable[[Tx], T]) -> T:
        """Run `work`, perhaps more than once, and answer what it answered."""


class Mutation(Protocol, Generic[T_contra]):
    """The one transaction of a call that changes something.

    It knows the request id and `validate_only`: a repeated request is answered as the first time
    without running `work`, and a validated one leaves nothing behind.
    """

    def commit(self, work: Callable[[Tx], T_contra]) -> bytes:
        """Run `work` in a transaction and answer the serialized reply made from its result."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it is read for an answer: the serialized message, and what says whether it may be.

    `position` holds the values of the list's order, the last one the key of the row.
    """

    key: str
    body: bytes
    policy_revision: int
    position: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Visible:
    """The scopes at and below which a caller may see rows, except at and below others."""

    allowed: Sequence[str]
    denied: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of a list.

    `parent` may hold `-`; `visible` then says which rows the caller may see. `after` is the
    position of the last row of the page before. `view` is one of the views that a reader has.
    """

    parent: Name
    limit: int
    comparisons: Sequence[Comparison] = ()
    order: Sequence[Order] = ()
    after: tuple[Any, ...] | None = None
    visible: Visible | None = None
    show_deleted: bool = False
    view: str = ""


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


class ViewId(enum.Enum):
    """Which of its ids a gallery is known by in a kind of view."""

    SHARED = "shared_id"
    PUBLIC = "public_name"


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """What is looked for in the galleries that a consumer sees.

    `galleries` are their uids, `across` whether rows are ordered by gallery too; `location` is
    empty for every region, `image` the key of an id or empty for every image, `number` that of
    one version, `selectable` whether only what `latest` may mean is looked for. `order` names
    fields of the view; `after` is the position of the last row of the page before. Positions
    hold nothing private.
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
    order: Sequence[Order] = ()
    after: tuple[Any, ...] | None = None


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
    """A version that can be used in a region, and what it is in."""

    gallery: Gallery
    definition: Definition
    version: Version
    location: str
    policy_revision: int
    position: tuple[Any, ...]


class Views(Protocol):
    """What can be used in regions, for those who see more than they own."""

    def galleries(
        self, uids: Sequence[str], location: str
    ) -> Sequence[tuple[Gallery, Sequence[str]]]:
        """Answer galleries of which something can be used, with the regions where it can."""

    def definitions(self, query: ViewQuery) -> Sequence[DefinitionView]:
        """Answer at most `query.limit` definitions."""

    def versions(self, query: ViewQuery) -> Sequence[VersionView]:
        """Answer at most `query.limit` versions."""


class Readers(Protocol):
    """The readers."""

    @property
    def views(self) -> Views:
        """What others have opened."""

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
