"""A world: what somebody has written into the policy, and what follows from where it lies.

The records are those of the policy; how they are kept, moved and taken away here is written
from the comments of policy_change.proto and shares nothing with the index.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Final

from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.model import (
    DenyAssignment,
    EligibleAssignment,
    Entity,
    ManagementGroup,
    Membership,
    Principal,
    RoleAssignment,
    RoleDefinition,
    SharingGrant,
    Subscription,
    Tenant,
)

ROOT: Final = "/"
VIEW_COLLECTIONS: Final = ("sharedgalleries", "communitygalleries")

Held = RoleAssignment | DenyAssignment | EligibleAssignment
#: Where each kind of record is kept, and by what.
_PLACES: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    RoleDefinition: ("roles", attrgetter("id")),
    Tenant: ("tenants", attrgetter("key")),
    ManagementGroup: ("management_groups", attrgetter("key")),
    Subscription: ("subscriptions", attrgetter("key")),
    Principal: ("principals", attrgetter("key")),
    Membership: ("memberships", attrgetter("group", "member")),
    RoleAssignment: ("assignments", attrgetter("name")),
    DenyAssignment: ("denies", attrgetter("name")),
    EligibleAssignment: ("eligibles", attrgetter("name")),
    SharingGrant: ("grants", attrgetter("gallery")),
}


@dataclass
class World:
    """Everything that was written, each kind by what identifies it."""

    roles: dict[str, RoleDefinition] = field(
        default_factory=lambda: {role.id: role for role in BUILT_IN_ROLES}
    )
    tenants: dict[str, Tenant] = field(default_factory=dict)
    management_groups: dict[str, ManagementGroup] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    principals: dict[str, Principal] = field(default_factory=dict)
    memberships: dict[tuple[str, str], Membership] = field(default_factory=dict)
    assignments: dict[str, RoleAssignment] = field(default_factory=dict)
    denies: dict[str, DenyAssignment] = field(default_factory=dict)
    eligibles: dict[str, EligibleAssignment] = field(default_factory=dict)
    grants: dict[str, SharingGrant] = field(default_factory=dict)
    #: What Cedar says for those conditions that this release evaluates.
    conditions: dict[str, str] = field(default_factory=dict)

    def kinds(self) -> tuple[dict[Any, Any], ...]:
        """The dictionaries, what is referred to before what refers to it."""
        return (
            self.roles,
            self.tenants,
            self.management_groups,
            self.subscriptions,
            self.principals,
            self.memberships,
            self.assignments,
            self.denies,
            self.eligibles,
            self.grants,
        )

    def records(self) -> Iterable[Entity]:
        """What a snapshot of the policy would hold."""
        for kind in self.kinds():
            yield from kind.values()

    def copy(self) -> "World":
        """Another world with the same records."""
        return replace(
            self, **{one.name: copy.copy(getattr(self, one.name)) for one in fields(self)}
        )

    def sound(self) -> bool:
        """Whether everything that is referred to, and is not free to be absent, is there."""
        parents: set[str | None] = {one.parent for one in self.subscriptions.values()}
        parents |= {one.parent for one in self.management_groups.values()}
        tenants = {one.tenant for one in self.subscriptions.values()}
        tenants |= {one.tenant for one in self.management_groups.values()}
        roles = {one.role for one in self.assignments.values()}
        roles |= {one.role for one in self.eligibles.values()}
        members = {one for pair in self.memberships for one in pair}
        return (
            parents - {None} <= self.management_groups.keys()
            and tenants <= self.tenants.keys()
            and roles <= self.roles.keys()
            and members <= self.principals.keys()
        )

    def put(self, record: Entity) -> None:
        """Write one record, in place of the one that it names."""
        kind, key = _PLACES[type(record)]
        getattr(self, kind)[key(record)] = record

    def forget(self, goes: Callable[[str, int], bool]) -> None:
        """Drop what is held at a scope, and what is shared of a gallery, that goes.

        `goes` is asked with the scope and the revision at which it was written.
        """
        everything: list[dict[str, Any]] = [self.assignments, self.denies, self.eligibles]
        for held in everything:
            for name, one in list(held.items()):
                if goes(one.scope, one.revision):
                    del held[name]
        for gallery, grant in list(self.grants.items()):
            if goes(gallery, grant.revision):
                del self.grants[gallery]

    def forget_principal(self, key: str) -> tuple[list[DenyAssignment], list[str]]:
        """Drop a principal with its memberships and what it held.

        Answers the denials that had named it, as they are now, and the names of those that were
        for nobody else, which go.
        """
        del self.principals[key]
        for pair in [one for one in self.memberships if key in one]:
            del self.memberships[pair]
        everything: list[dict[str, Any]] = [self.assignments, self.eligibles]
        for held in everything:
            for name in [one.name for one in held.values() if one.principal == key]:
                del held[name]
        changed, gone = [], []
        for deny in list(self.denies.values()):
            left = deny.principals - {key}
            if not left:
                gone.append(deny.name)
                del self.denies[deny.name]
            elif key in deny.principals | deny.exclude_principals:
                excluded = deny.exclude_principals - {key}
                changed.append(replace(deny, principals=left, exclude_principals=excluded))
                self.put(changed[-1])
        return changed, gone

    def above(self, scope: str) -> str | None:
        """The scope that `scope` lies in: its name less one pair, and above that the hierarchy."""
        if scope == ROOT:
            return None
        segments = scope.split("/")
        if len(segments) > 2:
            if segments[-2] == "managementgroups" and scope in self.management_groups:
                within = self.management_groups[scope].parent
                return segments_of_tenant(scope) if within is None else within
            return "/".join(segments[:-2])
        if scope in self.subscriptions:
            return self.subscriptions[scope].parent
        return ROOT

    def chain(self, scope: str) -> list[str]:
        """The scope and all that it lies in, up to the installation."""
        found = [scope]
        while (upper := self.above(found[-1])) is not None:
            found.append(upper)
        return found

    def holders(self, caller: str) -> set[str]:
        """The caller and the groups that it belongs to, through groups as well."""
        found = {caller}
        while grown := {
            group for group, member in self.memberships if member in found and group not in found
        }:
            found |= grown
        return found


def segments_of_tenant(scope: str) -> str:
    """The tenant in whose directory `scope` is."""
    return "/".join(scope.split("/")[:2])


def lies_in(scope: str, upper: str) -> bool:
    """Whether one name is the other or continues it, pair by pair."""
    return f"{scope}/".startswith(f"{upper}/")


def view_of(scope: str) -> tuple[str, str, str] | None:
    """Of a view or what lies in one: its collection, its id and the consumer's subscription."""
    segments = scope.split("/")
    if len(segments) < 6 or segments[0] != "subscriptions" or segments[2] != "locations":
        return None
    if segments[4] not in VIEW_COLLECTIONS:
        return None
    return segments[4], segments[5], "/".join(segments[:2])
