"""The part of the policy that no scope holds: roles, groups, subscriptions, hierarchy.

This is the tenants' shard of the index (authorization.md section 3, The replica).
"""

from typing import Final

from services.kernel.names import fold
from services.policy.matching import PermissionMatcher
from services.policy.model import (
    ManagementGroup,
    Membership,
    Plane,
    Principal,
    RoleDefinition,
    Subscription,
)
from services.policy.persistent_map import PersistentMap
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

    __slots__ = ("_above", "_closures", "groups_of", "management_groups", "principals", "roles",
                 "subscriptions")  # fmt: skip

    def __init__(
        self,
        roles: PersistentMap[Role],
        subscriptions: PersistentMap[Subscription],
        management_groups: PersistentMap[ManagementGroup],
        *,
        principals: PersistentMap[Principal],
        groups_of: PersistentMap[frozenset[str]],
    ) -> None:
        self.roles = roles
        self.subscriptions = subscriptions
        self.management_groups = management_groups
        self.principals = principals
        self.groups_of = groups_of
        # Both are functions of what is above, which never changes: a successor of the
        # directory starts with empty ones.
        self._closures: dict[str, frozenset[str]] = {}
        self._above: dict[str, tuple[Scope, ...]] = {}

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

    def above(self, scope: Scope) -> tuple[Scope, ...]:
        """Answer what is above the steps of a scope, the nearest first, `/` left out.

        Above a subscription: its management groups and its tenant. Above a management
        group: its parents, because its own steps hold the tenant. Else nothing.
        """
        start = scope.subscription or scope.management_group
        if start is None:
            return ()
        known = self._above.get(start)
        if known is None:
            known = tuple(map(Scope.parse, self._climb(start)))
            if len(self._above) >= _MAX_REMEMBERED:
                self._above.clear()
            self._above[start] = known
        return known

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

    def _climb(self, start: str) -> tuple[str, ...]:
        group: str | None = start
        found: list[str] = []
        subscription = self.subscriptions.get(start)
        if subscription is not None:
            group = subscription.parent
        elif start.startswith("subscriptions/"):
            return ()
        while group is not None and group not in found:
            found.append(group)
            parent = self.management_groups.get(group)
            group = None if parent is None else parent.parent
        if subscription is not None:
            return (*found, subscription.tenant)
        # A management group's own key is among its steps, and so is its tenant.
        return tuple(found[1:])


EMPTY_DIRECTORY: Final = Directory(
    PersistentMap(), PersistentMap(), PersistentMap(), principals=PersistentMap(),
    groups_of=PersistentMap(),
)  # fmt: skip


class DirectoryEditor:
    """A successor of a directory in the making."""

    def __init__(self, base: Directory) -> None:
        self._base = base
        self._roles = base.roles.edit()
        self._subscriptions = base.subscriptions.edit()
        self._management_groups = base.management_groups.edit()
        self._principals = base.principals.edit()
        self._groups_of = base.groups_of.edit()

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

    def put_principal(self, principal: Principal) -> None:
        """Add, enable or disable a principal."""
        self._principals.set(principal.key, principal)

    def remove_principal(self, key: str) -> None:
        """Forget a principal; what still names it holds nothing."""
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

    def freeze(self) -> Directory:
        """Answer the successor; the base itself where nothing was written."""
        base = self._base
        parts = (
            self._roles.freeze(),
            self._subscriptions.freeze(),
            self._management_groups.freeze(),
            self._principals.freeze(),
            self._groups_of.freeze(),
        )
        before = (
            base.roles,
            base.subscriptions,
            base.management_groups,
            base.principals,
            base.groups_of,
        )
        if all(new is old for new, old in zip(parts, before, strict=True)):
            return base
        roles, subscriptions, management_groups, principals, groups_of = parts
        return Directory(
            roles,
            subscriptions,
            management_groups,
            principals=principals,
            groups_of=groups_of,
        )
