"""A second evaluator, written from the text of the rules alone: slow, and obvious.

It keeps every entity in one list and shares no code with the one that is tested, apart
from the entities themselves.
"""

from dataclasses import dataclass, field
from datetime import datetime

from services.policy.model import (
    EVERYONE,
    DenyAssignment,
    EligibleAssignment,
    Entity,
    ManagementGroup,
    Membership,
    Permissions,
    Plane,
    Principal,
    RoleAssignment,
    RoleDefinition,
    SharingGrant,
    SharingMode,
    Subscription,
)


def glob(pattern: str, text: str) -> bool:
    """The textbook dynamic programme: row i says which prefixes of text the pattern covers."""
    pattern, text = pattern.lower(), text.lower()
    row = [True] + [False] * len(text)
    for char in pattern:
        below = [char == "*" and row[0]]
        for place, letter in enumerate(text):
            if char == "*":
                below.append(row[place + 1] or below[place])
            else:
                below.append(row[place] and char == letter)
        row = below
    return row[-1]


def permits(permissions: tuple[Permissions, ...], action: str, plane: Plane) -> bool:
    for one in permissions:
        yes = one.actions if plane is Plane.CONTROL else one.data_actions
        no = one.not_actions if plane is Plane.CONTROL else one.not_data_actions
        if any(glob(p, action) for p in yes) and not any(glob(p, action) for p in no):
            return True
    return False


@dataclass
class Naive:
    entities: list[Entity] = field(default_factory=list)

    def all(self, kind):
        return [one for one in self.entities if isinstance(one, kind)]

    def knows(self, key: str) -> bool:
        return any(one.key == key and one.enabled for one in self.all(Principal))

    def identities(self, caller: str) -> set[str]:
        found = {caller} if self.knows(caller) else set()
        for _ in self.entities:
            for one in self.all(Membership):
                if one.member in found and self.knows(one.group):
                    found.add(one.group)
        return found

    def chain(self, scope: str) -> list[str]:
        parts = scope.split("/") if scope != "/" else []
        found = ["/".join(parts[:end]) for end in range(len(parts), 0, -2)]
        group = None
        for subscription in self.all(Subscription):
            if subscription.key in found:
                group = subscription.parent
                found.append(subscription.tenant)
        for one in found:
            if one.count("/") == 3 and "/managementgroups/" in one:
                group = one
        while group is not None:
            found.append(group)
            parents = [one.parent for one in self.all(ManagementGroup) if one.key == group]
            group = parents[0] if parents else None
        return [*found, "/"]

    def allowed(self, caller: str, action: str, scope: str, now: datetime, plane: Plane) -> bool:
        chain, who = self.chain(scope), self.identities(caller)
        for deny in self.all(DenyAssignment):
            here = scope == deny.scope or not deny.do_not_apply_to_child_scopes
            meant = EVERYONE in deny.principals or who & deny.principals
            fits = deny.scope in chain and here and permits(deny.permissions, action, plane)
            if fits and meant and not who & deny.exclude_principals:
                return False
        held_here = [
            held
            for held in (*self.all(RoleAssignment), *self.all(EligibleAssignment))
            if held.scope in chain and self._holds(held, caller, who, now)
        ]
        if not any(self._role_permits(held.role, action, plane) for held in held_here):
            return False
        return self._view_open(scope, action)

    def _holds(self, held, caller, who, now) -> bool:
        if held.principal not in who or held.condition:
            return False
        if (held.start and now < held.start) or (held.end and not now < held.end):
            return False
        return isinstance(held, RoleAssignment) or any(
            one.principal == caller and one.start <= now < one.end for one in held.activations
        )

    def _role_permits(self, id: str, action: str, plane: Plane) -> bool:
        roles = [one for one in self.all(RoleDefinition) if one.id == id]
        return any(permits(one.permissions, action, plane) for one in roles)

    def _view_open(self, scope: str, action: str) -> bool:
        parts = scope.split("/")
        if len(parts) < 6 or parts[4] not in {"sharedgalleries", "communitygalleries"}:
            return True
        if not glob(f"microsoft.compute/locations/{parts[4]}/*read", action):
            return False
        consumers = [one for one in self.all(Subscription) if one.key == "/".join(parts[:2])]
        return any(
            self._covers(grant, consumer, parts[4], parts[5])
            for grant in self.all(SharingGrant)
            for consumer in consumers
        )

    def _covers(self, grant, consumer, kind: str, id: str) -> bool:
        if grant.blocked & {consumer.key, consumer.tenant}:
            return False
        if kind == "communitygalleries":
            community = grant.mode is SharingMode.COMMUNITY and grant.community_enabled
            return community and grant.public_name == id
        listed = consumer.key in grant.subscriptions or consumer.tenant in grant.tenants
        return grant.mode is SharingMode.GROUPS and listed and grant.shared_id == id
