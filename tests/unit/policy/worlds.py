"""Small policies to ask about, and short spellings for what is in them."""

from datetime import UTC, datetime

from services.policy.decision import Decision, Question
from services.policy.evaluation import evaluate
from services.policy.index import IndexEditor, PolicyIndex, empty_index
from services.policy.model import (
    Change,
    DenyAssignment,
    EligibleAssignment,
    Entity,
    ManagementGroup,
    Membership,
    Permissions,
    Plane,
    Principal,
    PrincipalKind,
    RoleAssignment,
    RoleDefinition,
    SharingGrant,
    SharingMode,
    Subscription,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

TENANT = "tenants/t1"
OTHER_TENANT = "tenants/t2"
ROOT_GROUP = f"{TENANT}/managementgroups/t1"
PLATFORM = f"{TENANT}/managementgroups/platform"
IMAGES = f"{TENANT}/managementgroups/images"
SUBSCRIPTION = "subscriptions/s1"
CONSUMER = "subscriptions/s2"
FOREIGN = "subscriptions/s3"
GROUP = f"{SUBSCRIPTION}/resourcegroups/rg"
GALLERY = f"{GROUP}/galleries/golden"
DEFINITION = f"{GALLERY}/images/ubuntu"
VERSION = f"{DEFINITION}/versions/1.2.3"

READ = "Microsoft.Compute/galleries/images/versions/read"
WRITE = "Microsoft.Compute/galleries/images/versions/write"
GALLERY_READ = "Microsoft.Compute/galleries/read"
SHARE = "Microsoft.Compute/galleries/share/action"
SHARED_READ = "Microsoft.Compute/locations/sharedGalleries/read"
SHARED_VERSION_READ = "Microsoft.Compute/locations/sharedGalleries/images/versions/read"
COMMUNITY_READ = "Microsoft.Compute/locations/communityGalleries/read"

HIERARCHY: tuple[Entity, ...] = (
    ManagementGroup(ROOT_GROUP, TENANT, None),
    ManagementGroup(PLATFORM, TENANT, ROOT_GROUP),
    ManagementGroup(IMAGES, TENANT, PLATFORM),
    ManagementGroup(f"{OTHER_TENANT}/managementgroups/t2", OTHER_TENANT, None),
    Subscription(SUBSCRIPTION, TENANT, IMAGES),
    Subscription(CONSUMER, TENANT, PLATFORM),
    Subscription(FOREIGN, OTHER_TENANT, f"{OTHER_TENANT}/managementgroups/t2"),
)


def user(name: str, tenant: str = TENANT) -> str:
    return f"{tenant}/users/{name}"


def group(name: str, tenant: str = TENANT) -> str:
    return f"{tenant}/groups/{name}"


ALICE = user("alice")
BOB = user("bob")
PRINCIPALS: tuple[Entity, ...] = (
    Principal(ALICE, PrincipalKind.USER),
    Principal(BOB, PrincipalKind.USER),
    *(Principal(group(f"g{number}"), PrincipalKind.GROUP) for number in range(5)),
    Principal(user("carol", OTHER_TENANT), PrincipalKind.USER),
)


def role(
    *actions: str,
    minus: tuple[str, ...] = (),
    data: tuple[str, ...] = (),
    minus_data: tuple[str, ...] = (),
    id: str = "r1",
) -> RoleDefinition:
    return RoleDefinition(id, id, (Permissions(actions, minus, data, minus_data),))


def assign(
    role: str, scope: str, principal: str = ALICE, *, id: str = "", **more
) -> RoleAssignment:
    prefix = "" if scope == "/" else f"{scope}/"
    own = id or f"{role}-{principal.rpartition('/')[2]}"
    return RoleAssignment(f"{prefix}roleassignments/{own}", scope, principal, role, **more)


def eligible(role: str, scope: str, principal: str = ALICE, **more) -> EligibleAssignment:
    name = f"{scope}/eligibleassignments/{role}-{principal.rpartition('/')[2]}"
    return EligibleAssignment(name, scope, principal, role, **more)


def deny(scope: str, *principals: str, actions: tuple[str, ...] = ("*",), **more) -> DenyAssignment:
    permissions = more.pop("permissions", (Permissions(actions),))
    name = f"{scope}/denyassignments/{more.pop('id', 'd1')}"
    return DenyAssignment(name, scope, frozenset(principals), permissions, **more)


def member(of: str, who: str) -> Membership:
    return Membership(group=of, member=who)


def grant(mode: SharingMode = SharingMode.GROUPS, gallery: str = GALLERY, **more) -> SharingGrant:
    for name in ("subscriptions", "tenants", "blocked"):
        more[name] = frozenset(more.get(name, ()))
    more.setdefault("shared_id", "opaque-1")
    return SharingGrant(gallery, "uid-1", mode, **more)


def world(*changes: Change, base: PolicyIndex | None = None, revision: int = 1) -> PolicyIndex:
    """The hierarchy and principals above, and `changes`."""
    editor = IndexEditor(base or empty_index())
    if base is None:
        editor.apply((*HIERARCHY, *PRINCIPALS), revision=revision)
    editor.apply(changes, revision=revision)
    return editor.freeze(revision)


def ask(index: PolicyIndex, action: str, scope: str, caller: str = ALICE, **more) -> Decision:
    plane = more.pop("plane", Plane.CONTROL)
    more.setdefault("now", NOW)
    return evaluate(index, caller, Question(action, scope, plane), **more)
