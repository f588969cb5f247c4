"""The part of the policy that no scope holds: roles, groups, subscriptions, hierarchy.

This is the tenants' shard of the index (authorization.md section 3, The replica).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from services.kernel.names import ROOT, fold
from services.policy.matching import PermissionMatcher
from services.policy.model import (
    ExternalIdentity,
    ManagementGroup,
    Membership,
    Plane,
    Principal,
    RoleDefinition,
    Subscription,
    Tenant,
)
from services.policy.persistent_map import MapEditor
from services.policy.scopes import Scope

NOBODY: Final[frozenset[str]] = frozenset()
_COLLECTIONS: Final = ("users", "serviceprincipals", "groups")
_MAX_REMEMBERED: Final = 50_000


class Role:
    """A role definition with its permissions ready to be asked."""

    __slots__ = ("_matcher", "definition")

    def __init__(self, definition: RoleDefinition) -> None:
        self.definition = definition
        self._matcher = PermissionMatcher(definition.permissions)

    def permits(self, action: str, plane: Plane) -> bool:
        """Whether the role grants `action`, folded, on `plane`."""
        return self._matcher.permits(action, plane)


class Directory:
    """Roles by id; groups of each member; the chain above each subscription."""

    __slots__ = (
        "_closures",
        "_in_order",
        "_members_of",
        "externals",
        "groups_of",
        "management_groups",
        "principals",
        "roles",
        "subscriptions",
        "tenants",
    )

    def __init__(
        self,
        roles: Mapping[str, Role],
        subscriptions: Mapping[str, Subscription],
        management_groups: Mapping[str, ManagementGroup],
        *,
        tenants: Mapping[str, Tenant],
        principals: Mapping[str, Principal],
        externals: Mapping[str, str],
        groups_of: Mapping[str, frozenset[str]],
    ) -> None:
        self.roles = roles
        self.subscriptions = subscriptions
        self.management_groups = management_groups
        self.tenants = tenants
        self.principals = principals
        self.externals = externals
        self.groups_of = groups_of
        # A function of what is above, which never changes: a successor starts afresh.
        self._closures: dict[str, frozenset[str]] = {}
        self._in_order: tuple[str, ...] | None = None
        self._members_of: dict[str, list[str]] | None = None

    @property
    def in_order(self) -> tuple[str, ...]:
        """The keys of all subscriptions, sorted."""
        if self._in_order is None:
            self._in_order = tuple(sorted(self.subscriptions))
        return self._in_order

    @property
    def members_of(self) -> Mapping[str, Sequence[str]]:
        """The direct members of each group: what no decision needs, so made when asked for."""
        if self._members_of is None:
            found: dict[str, list[str]] = {}
            for member, groups in self.groups_of.items():
                for group in groups:
                    found.setdefault(group, []).append(member)
            self._members_of = found
        return self._members_of

    def identities(self, caller: str) -> frozenset[str]:
        """Answer the caller and every group they belong to, through other groups too.

        Cycles are tolerated. A caller that the directory does not know or has disabled
        is nobody; a group that it does not know passes nothing on.
        """
        known = self._closures.get(caller)
        if known is None:
            known = self._close(caller)
            if len(self._closures) >= _MAX_REMEMBERED:
                self._closures.clear()
            self._closures[caller] = known
        return known

    def principal(self, tenant: str, id: str) -> Principal | None:
        """Answer the user, service principal or group with this id in a tenant.

        An id belongs to one principal of its tenant, whatever its kind, for ever.
        """
        for collection in _COLLECTIONS:
            found = self.principals.get(f"tenants/{fold(tenant)}/{collection}/{fold(id)}")
            if found is not None:
                return found
        return None

    def external_principal(self, issuer: str, subject: str) -> Principal | None:
        """Answer whom a token of another issuer is about."""
        return self.principals.get(self.externals.get(_external(issuer, subject), ""))

    def above(self, scope: Scope) -> tuple[str, ...]:
        """Answer the keys of what is above the steps of a scope, the nearest first, no `/`.

        Above a subscription: its management groups and its tenant. Above a management
        group: its parents, because its own steps hold the tenant. Else nothing.
        """
        if scope.subscription is not None:
            subscription = self.subscriptions.get(scope.subscription)
            if subscription is None:
                return ()
            return (*self._climb(subscription.parent), subscription.tenant)
        return self._climb(scope.management_group)[1:]

    def chain(self, scope: Scope) -> tuple[str, ...]:
        """Answer the keys of a scope and of everything above it, the nearest first, `/` last."""
        steps = scope.steps
        own = ["/".join(steps[:end]) for end in range(len(steps), 0, -1)]
        above = self.above(scope)
        if scope.management_group is not None:
            # Its own steps hold the tenant, which is above all management groups.
            return (*own[:-1], *above, own[-1], ROOT)
        return (*own, *above, ROOT)

    def tenant_of(self, scope: Scope) -> str | None:
        """Answer the key of the tenant that the scope belongs to, None where it has none."""
        if scope.subscription is not None:
            subscription = self.subscriptions.get(scope.subscription)
            return None if subscription is None else subscription.tenant
        if scope.steps and scope.steps[0].startswith("tenants/"):
            return scope.steps[0]
        return None

    def _close(self, caller: str) -> frozenset[str]:
        if not self._enabled(caller):
            return NOBODY
        found = {caller}
        pending = [caller]
        while pending:
            for group in self.groups_of.get(pending.pop()) or ():
                if group not in found and self._enabled(group):
                    found.add(group)
                    pending.append(group)
        return frozenset(found)

    def _enabled(self, key: str) -> bool:
        principal = self.principals.get(key)
        return principal is not None and principal.enabled

    def _climb(self, group: str | None) -> tuple[str, ...]:
        found: list[str] = []
        while group is not None and group not in found:
            found.append(group)
            known = self.management_groups.get(group)
            group = None if known is None else known.parent
        return tuple(found)


def _external(issuer: str, subject: str) -> str:
    # No issuer holds a space.
    return f"{issuer} {subject}"


EMPTY_DIRECTORY: Final = Directory(
    {}, {}, {}, tenants={}, principals={}, externals={}, groups_of={}
)


class DirectoryEditor:
    """A successor of a directory in the making."""

    def __init__(self, base: Directory) -> None:
        self._base = base
        self._roles = MapEditor(base.roles)
        self._subscriptions = MapEditor(base.subscriptions)
        self._management_groups = MapEditor(base.management_groups)
        self._tenants = MapEditor(base.tenants)
        self._principals = MapEditor(base.principals)
        self._externals = MapEditor(base.externals)
        self._groups_of = MapEditor(base.groups_of)

    def put_role(self, definition: RoleDefinition) -> None:
        """Add or replace a role definition."""
        self._roles.set(definition.id, Role(definition))

    def remove_role(self, id: str) -> None:
        """Remove a role definition; what still refers to it grants nothing."""
        self._roles.pop(id)

    def put_subscription(self, subscription: Subscription) -> None:
        """Add, move, enable or disable a subscription."""
        self._subscriptions.set(subscription.key, subscription)

    def put_management_group(self, group: ManagementGroup) -> None:
        """Add or move a management group."""
        self._management_groups.set(group.key, group)

    def remove_management_group(self, key: str) -> None:
        """Remove a management group."""
        self._management_groups.pop(key)

    def put_tenant(self, tenant: Tenant) -> None:
        """Add a tenant."""
        self._tenants.set(tenant.key, tenant)

    def remove_tenant(self, key: str) -> None:
        """Remove a tenant and its root management group."""
        self._tenants.pop(key)
        self._management_groups.pop(f"{key}/managementgroups/{key.partition('/')[2]}")

    def put_principal(self, principal: Principal) -> None:
        """Add, enable or disable a principal, or change who it is elsewhere."""
        self._forget_external(principal.key)
        self._principals.set(principal.key, principal)
        if principal.external is not None:
            self._externals.set(_external_key(principal.external), principal.key)

    def remove_principal(self, key: str) -> None:
        """Forget a principal; what still names it holds nothing."""
        self._forget_external(key)
        self._principals.pop(key)

    def add_member(self, membership: Membership) -> None:
        """Put a principal or a group into a group."""
        groups = self._groups_of.get(membership.member) or NOBODY
        self._groups_of.set(membership.member, groups | {membership.group})

    def remove_member(self, group: str, member: str) -> None:
        """Take a principal or a group out of a group."""
        left = (self._groups_of.get(member) or NOBODY) - {group}
        if left:
            self._groups_of.set(member, left)
        else:
            self._groups_of.pop(member)

    def _forget_external(self, key: str) -> None:
        known = self._principals.get(key)
        if known is not None and known.external is not None:
            self._externals.pop(_external_key(known.external))

    def freeze(self) -> Directory:
        """Answer the successor; the base itself where nothing was written."""
        editors = (
            self._roles,
            self._subscriptions,
            self._management_groups,
            self._tenants,
            self._principals,
            self._externals,
            self._groups_of,
        )
        if not any(editor.is_edited for editor in editors):
            return self._base
        return Directory(
            self._roles.freeze(),
            self._subscriptions.freeze(),
            self._management_groups.freeze(),
            tenants=self._tenants.freeze(),
            principals=self._principals.freeze(),
            externals=self._externals.freeze(),
            groups_of=self._groups_of.freeze(),
        )


def _external_key(identity: ExternalIdentity) -> str:
    return _external(identity.issuer, identity.subject)
