"""Random changes of a world, and what they mean for it (policy_change.proto)."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from services.policy.model import (
    Change,
    Entity,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Membership,
    Removed,
    ScopeTombstone,
    Tenant,
    Transaction,
)
from tests.unit.policy.oracle.generation import Maker, scopes
from tests.unit.policy.oracle.worlds import ROOT, World, lies_in

#: A tenant that comes and goes; the others hold subscriptions, and thus stay for ever.
PASSING = "tenants/t2"


class Changer:
    """Writes transactions into a world, one revision after the other."""

    def __init__(self, maker: Maker, world: World) -> None:
        self.world = world
        self._maker = maker
        self._random: Random = maker.random
        self._revision = 1
        self._tombstones: list[ScopeTombstone] = []
        self._changes: list[Change] = []

    def step(self) -> Transaction:
        """Change something, and answer how the log tells of it."""
        self._revision += 1
        self._changes = []
        for _ in range(self._random.choice((1, 1, 2, 3))):
            self._random.choice(self._kinds())()
        return Transaction(self._revision, tuple(self._changes))

    def _kinds(self) -> tuple[Callable[[], None], ...]:
        return (
            self._add,
            self._add,
            self._replace,
            self._remove,
            self._member,
            self._unmember,
            self._principal_toggled,
            self._principal_removed,
            self._role_changed,
            self._subscription_moved,
            self._group_moved,
            self._group_removed,
            self._tenant_passes,
            self._tombstone,
        )

    def _put(self, record: Entity) -> None:
        if not isinstance(record, Membership):
            record = replace(record, revision=self._revision)
        self.world.put(record)
        self._changes.append(record)

    def _removed(self, kind: Kind, name: str) -> None:
        self._changes.append(Removed(kind, name))

    def _add(self) -> None:
        maker = self._maker
        make = self._random.choice((maker.assignment, maker.deny, maker.eligible, maker.grant))
        self._put(make(self.world))

    def _replace(self) -> None:
        """The whole new state of something that is there."""
        maker, world = self._maker, self.world
        choice = self._random.choice
        if world.assignments:
            old = choice(list(world.assignments.values()))
            self._put(replace(maker.assignment(world), name=old.name, scope=old.scope))
        if world.denies:
            held = choice(list(world.denies.values()))
            self._put(replace(maker.deny(world), name=held.name, scope=held.scope))
        if world.eligibles:
            eligible = choice(list(world.eligibles.values()))
            self._put(choice((maker.activated(world, eligible), replace(eligible, activations=()))))
        if world.grants:
            gallery = choice(list(world.grants))
            self._put(replace(maker.grant(world), gallery=gallery))

    def _remove(self) -> None:
        world = self.world
        for kind, held in (
            (Kind.ROLE_ASSIGNMENT, world.assignments),
            (Kind.DENY_ASSIGNMENT, world.denies),
            (Kind.ELIGIBLE_ASSIGNMENT, world.eligibles),
            (Kind.SHARING_GRANT, world.grants),
        ):
            if held and self._random.random() < 0.4:
                name = self._random.choice(list(held))
                del held[name]
                self._removed(kind, name)

    def _member(self) -> None:
        self._put(
            self._maker.membership(self.world, self._random.choice(("tenants/t", "tenants/t1")))
        )

    def _unmember(self) -> None:
        if self.world.memberships:
            group, member = self._random.choice(list(self.world.memberships))
            del self.world.memberships[group, member]
            self._changes.append(MemberRemoved(group, member))

    def _principal_toggled(self) -> None:
        people = [one for key, one in self.world.principals.items() if "/groups/" not in key]
        found = self._random.choice(people)
        self._put(replace(found, enabled=not found.enabled))

    def _principal_removed(self) -> None:
        """With its memberships and what it held; denials that named it are written anew."""
        world = self.world
        key = self._random.choice(list(world.principals))
        groups = [one for one in world.principals if "/groups/" in one]
        if len(world.principals) < 8 or (key in groups and len(groups) < 5):
            return
        changed, gone = world.forget_principal(key)
        for deny in changed:
            self._put(deny)
        for name in gone:
            self._removed(Kind.DENY_ASSIGNMENT, name)
        self._removed(Kind.PRINCIPAL, key)

    def _role_changed(self) -> None:
        """A custom role with other permissions, or one less that nobody holds."""
        world = self.world
        custom = [role for role in world.roles.values() if not role.built_in]
        if not custom:
            self._put(self._maker.role())
            return
        role = self._random.choice(custom)
        held = {one.role for one in world.assignments.values()}
        held |= {one.role for one in world.eligibles.values()}
        if role.id in held:
            self._put(replace(role, permissions=(self._maker.permissions(),)))
        else:
            del world.roles[role.id]
            self._removed(Kind.ROLE_DEFINITION, role.id)

    def _subscription_moved(self) -> None:
        found = self._random.choice(list(self.world.subscriptions.values()))
        parents = [
            key for key, one in self.world.management_groups.items() if one.tenant == found.tenant
        ]
        enabled = self._random.random() < 0.9
        self._put(replace(found, parent=self._random.choice(parents), enabled=enabled))

    def _group_moved(self) -> None:
        """A management group to another one that does not lie below it."""
        groups = self.world.management_groups
        found = self._random.choice(list(groups.values()))
        parents = [
            key
            for key, one in groups.items()
            if one.tenant == found.tenant and found.key not in self.world.chain(key)
        ]
        if found.parent is not None and parents:
            self._put(replace(found, parent=self._random.choice(parents)))

    def _group_removed(self) -> None:
        """A management group in which nothing lies, with what was held at it."""
        world = self.world
        used = {one.parent for one in world.management_groups.values()}
        used |= {one.parent for one in world.subscriptions.values()}
        leaves = [
            key
            for key, one in world.management_groups.items()
            if key not in used and one.parent is not None
        ]
        if leaves:
            key = self._random.choice(leaves)
            del world.management_groups[key]
            world.forget(lambda scope, revision: scope == key)
            self._removed(Kind.MANAGEMENT_GROUP, key)

    def _tenant_passes(self) -> None:
        world = self.world
        root = f"{PASSING}/managementgroups/t2"
        if PASSING not in world.tenants:
            self._put(Tenant(PASSING, uid="2" * 32))
            self._put(ManagementGroup(root, PASSING, None))
            for scope in (PASSING, root):
                assigned = self._maker.assignment(world)
                name = f"{scope}/roleassignments/{self._maker.number()}"
                self._put(replace(assigned, name=name, scope=scope))
            return
        shared = [one for one in world.grants.values() if PASSING in one.tenants | one.blocked]
        if not shared:
            del world.tenants[PASSING], world.management_groups[root]
            world.forget(lambda scope, revision: scope in {PASSING, root})
            self._removed(Kind.TENANT, PASSING)

    def _tombstone(self) -> None:
        """A resource goes, or the end of one is told again, which takes nothing away."""
        world = self.world
        if self._tombstones and self._random.random() < 0.4:
            told = self._random.choice(self._tombstones)
        else:
            gone = [one for one in scopes(world) if _may_go(one)]
            uid = f"{self._maker.number():032x}"
            told = ScopeTombstone(self._random.choice(gone), uid, self._revision)
            self._tombstones.append(told)
        world.forget(
            lambda scope, revision: revision <= told.revision and lies_in(scope, told.scope)
        )
        self._changes.append(told)


def _may_go(scope: str) -> bool:
    """A resource group, something in one, or a region."""
    return scope != ROOT and ("/resourcegroups/" in scope or scope.startswith("regions/"))
