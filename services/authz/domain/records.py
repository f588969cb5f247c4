"""What authz keeps: the facts of the policy with the texts that people see beside them.

Names are spelled as they were created; `key` is what they are compared by. `version` counts
the writes of a record and makes its etag. What a decision needs of each goes into the policy
log (`changes.py`), as the entities of `services.policy.model`.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.names import root_of
from services.kernel import names
from services.policy.model import Permissions, PrincipalKind, SharingMode


class CommunitySharing(enum.Enum):
    """Whether galleries of a tenant may be opened to the community."""

    ALLOWED = "allowed"
    SIMULATION_REQUIRED = "simulationRequired"
    FORBIDDEN = "forbidden"


class SubscriptionState(enum.Enum):
    """Whether a subscription can be used; it is never deleted."""

    ENABLED = "enabled"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation; its root management group has its id."""

    name: str
    display_name: str
    uid: str
    create_time: datetime
    update_time: datetime
    community_sharing: CommunitySharing = CommunitySharing.ALLOWED
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)

    @property
    def root_management_group(self) -> str:
        """The name of the management group at the top."""
        return root_of(self.name)


@dataclass(frozen=True, slots=True)
class ManagementGroup:
    """A node of a tenant's tree above its subscriptions; the root has no parent."""

    name: str
    display_name: str
    parent: str
    uid: str
    create_time: datetime
    update_time: datetime
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)

    @property
    def tenant(self) -> str:
        """The name of its tenant."""
        return names.parent(self.name)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What resource groups lie in; of one tenant for ever."""

    name: str
    display_name: str
    tenant: str
    parent: str
    uid: str
    create_time: datetime
    update_time: datetime
    tags: Mapping[str, str]
    state: SubscriptionState = SubscriptionState.ENABLED
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, group or service principal; what a kind does not have is empty."""

    name: str
    kind: PrincipalKind
    display_name: str
    uid: str
    create_time: datetime
    update_time: datetime
    description: str = ""
    user_principal_name: str = ""
    issuer: str = ""
    subject: str = ""
    enabled: bool = True
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)

    @property
    def tenant(self) -> str:
        """The name of its tenant."""
        return names.parent(self.name)


@dataclass(frozen=True, slots=True)
class Member:
    """A direct membership."""

    group: str
    member: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class RoleDefinition:
    """A custom role; the built-in ones are in `services.policy.builtin_roles`."""

    name: str
    role_name: str
    tenant: str
    permissions: tuple[Permissions, ...]
    assignable_scopes: tuple[str, ...]
    uid: str
    create_time: datetime
    update_time: datetime
    description: str = ""
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A role held by a principal at a scope and below it, in `[start, end)`."""

    name: str
    scope: str
    principal: str
    principal_kind: PrincipalKind
    role_definition: str
    uid: str
    create_time: datetime
    description: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    condition: str = ""
    condition_version: str = ""
    creator: str = ""

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)

    @property
    def scope_key(self) -> str:
        """What the scope is compared by."""
        return names.key(self.scope)

    def holds(self, now: datetime) -> bool:
        """Whether it grants everything of its role at `now`: one with a condition may not."""
        begun = self.start_time is None or self.start_time <= now
        ended = self.end_time is not None and self.end_time <= now
        return begun and not ended and not self.condition


@dataclass(frozen=True, slots=True)
class DenyAssignment:
    """Actions forbidden to principals, or to everyone, at a scope."""

    name: str
    scope: str
    display_name: str
    permissions: tuple[Permissions, ...]
    uid: str
    create_time: datetime
    description: str = ""
    principals: tuple[str, ...] = ()
    everyone: bool = False
    exclude_principals: tuple[str, ...] = ()
    do_not_apply_to_child_scopes: bool = False
    creator: str = ""
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)

    @property
    def scope_key(self) -> str:
        """What the scope is compared by."""
        return names.key(self.scope)


@dataclass(frozen=True, slots=True)
class SharingGrant:
    """What a gallery is shared with; names in the lists are ordered by key.

    `sequence` is that of the request that wrote it and `content` the digest of that request,
    by which a repeat is told from another one.
    """

    gallery: str
    gallery_uid: str
    shared_id: str
    sequence: int
    content: bytes
    update_time: datetime
    mode: SharingMode = SharingMode.PRIVATE
    public_name: str = ""
    allow_copy: bool = False
    subscriptions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    community_enabled: bool = False
    blocked_subscriptions: tuple[str, ...] = ()
    blocked_tenants: tuple[str, ...] = ()
    revision: int = 0

    @property
    def key(self) -> str:
        """What the gallery is compared by."""
        return names.key(self.gallery)

    @property
    def shares_anything(self) -> bool:
        """Whether somebody is let in, or would be by a mode of the same kind."""
        return bool(self.subscriptions or self.tenants or self.community_enabled)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The resource with this uid is gone, and what was granted at it and below."""

    uid: str
    scope: str
    revision: int
    removed_count: int
    create_time: datetime


Record = (
    Tenant
    | ManagementGroup
    | Subscription
    | Principal
    | RoleDefinition
    | RoleAssignment
    | DenyAssignment
    | EligibleAssignment
    | SharingGrant
)
