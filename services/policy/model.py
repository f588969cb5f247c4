"""What the policy consists of: the entities of the revision log, as plain values.

Every scope and principal in here is a key (`services.kernel.names.key`), every time
an aware UTC datetime. `revision` is the position of the log at which the entity was
last written; a scope tombstone removes by it (DESIGN section 2).
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

#: The principal of a deny assignment that is meant for everyone (Azure's SystemDefined).
EVERYONE: Final = "00000000-0000-0000-0000-000000000000"


class Plane(enum.Enum):
    """Which pair of lists of a role decides (authorization.md 1.2, Planes)."""

    CONTROL = "control"
    DATA = "data"

    # A member is one object; hashing it by its name, in Python, shows in every decision.
    __hash__ = object.__hash__


class SharingMode(enum.Enum):
    """The mode of a gallery's sharing profile (authorization.md 1.4)."""

    PRIVATE = "Private"
    GROUPS = "Groups"
    COMMUNITY = "Community"


class PrincipalKind(enum.Enum):
    """What a principal is: users and service principals call, groups only hold."""

    USER = "User"
    GROUP = "Group"
    SERVICE_PRINCIPAL = "ServicePrincipal"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Action patterns, as spelled by whoever wrote them."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def patterns(self, plane: Plane) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Answer what is granted on `plane` and what is subtracted from it."""
        if plane is Plane.CONTROL:
            return self.actions, self.not_actions
        return self.data_actions, self.not_data_actions


@dataclass(frozen=True, slots=True)
class RoleDefinition:
    """Permissions under a name; several are united, each subtracts from itself alone.

    `id` is the id of `roleDefinitions/{id}`, lower case. `assignable_scopes` bind
    whoever writes an assignment and are never looked at in a decision.
    """

    id: str
    display_name: str
    permissions: tuple[Permissions, ...]
    assignable_scopes: tuple[str, ...] = ("/",)
    description: str = ""
    built_in: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A role held by a principal at a scope and below it, in `[start, end)`.

    `name` is `{scope}/roleAssignments/{id}`, without the scope at the installation.
    """

    name: str
    scope: str
    principal: str
    role: str
    start: datetime | None = None
    end: datetime | None = None
    condition: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DenyAssignment:
    """Permissions that principals do not have at a scope, whatever roles they hold.

    `principals` may hold `EVERYONE`; who is in `exclude_principals`, by themselves or
    through a group, is left out. With `do_not_apply_to_child_scopes` only decisions
    about the scope itself are denied.
    """

    name: str
    scope: str
    principals: frozenset[str]
    permissions: tuple[Permissions, ...]
    exclude_principals: frozenset[str] = frozenset()
    do_not_apply_to_child_scopes: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Activation:
    """An eligible assignment switched on by one of those entitled, in `[start, end)`."""

    principal: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class EligibleAssignment:
    """A role that a principal may switch on for themselves; inert until then.

    Where the principal is a group, each member activates for themselves alone.
    """

    name: str
    scope: str
    principal: str
    role: str
    start: datetime | None = None
    end: datetime | None = None
    condition: str = ""
    activations: tuple[Activation, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Who a principal is to another issuer of tokens; both are compared exactly."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, group or service principal of the directory.

    A principal that the directory does not know, because it was deleted or never was,
    holds nothing: a token that outlives its subject is worth nothing.
    """

    key: str
    kind: PrincipalKind
    enabled: bool = True
    external: ExternalIdentity | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Membership:
    """`member`, a principal or another group, belongs to `group`."""

    group: str
    member: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant; `uid` is what the stores keep its bytes under."""

    key: str
    uid: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ManagementGroup:
    """A management group; `parent` is another one's key, None for a tenant's root."""

    key: str
    tenant: str
    parent: str | None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; `parent` is the management group that it lies in.

    One that is disabled keeps its grants: what may still be done in it is state, which
    the service that owns a resource judges, and no question of access.
    """

    key: str
    tenant: str
    parent: str
    enabled: bool = True
    uid: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class SharingGrant:
    """What a gallery's publisher has opened to others (authorization.md 1.4).

    `gallery` is the key of the private gallery and `gallery_uid` its uid: a gallery
    that is created again under the name is not shared by what the first one granted.
    `subscriptions` and `tenants` are keys; `blocked` holds keys of both.
    """

    gallery: str
    gallery_uid: str
    mode: SharingMode
    shared_id: str = ""
    public_name: str = ""
    community_enabled: bool = False
    subscriptions: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    allow_copy: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ScopeTombstone:
    """The resource with this uid is gone: what was granted at or below its scope goes.

    `revision` is that of the first tombstone of the uid, so that a repeat removes
    nothing that was granted to a later resource of the same name.
    """

    scope: str
    uid: str
    revision: int


class Kind(enum.Enum):
    """The kinds of entity that are removed by name."""

    ROLE_DEFINITION = "roleDefinition"
    ROLE_ASSIGNMENT = "roleAssignment"
    DENY_ASSIGNMENT = "denyAssignment"
    ELIGIBLE_ASSIGNMENT = "eligibleAssignment"
    PRINCIPAL = "principal"
    TENANT = "tenant"
    MANAGEMENT_GROUP = "managementGroup"
    SHARING_GRANT = "sharingGrant"


@dataclass(frozen=True, slots=True)
class Removed:
    """The entity of this name is gone; of a tenant or management group, what it held too.

    `name` is what identifies the kind: a role definition's id, a grant's gallery, else
    the key.
    """

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class MemberRemoved:
    """`member` no longer belongs to `group`."""

    group: str
    member: str


Entity = (
    RoleDefinition
    | RoleAssignment
    | DenyAssignment
    | EligibleAssignment
    | Principal
    | Membership
    | Tenant
    | ManagementGroup
    | Subscription
    | SharingGrant
)
Change = Entity | ScopeTombstone | Removed | MemberRemoved


@dataclass(frozen=True, slots=True)
class Transaction:
    """Changes that take effect together, at one position of the log."""

    revision: int
    changes: tuple[Change, ...]
