"""Random worlds: small ones, in which everything is likely to meet everything else.

Names are chosen to lie in wait for whoever compares prefixes of text: `s` and `s1`, `g` and `g1`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeVar

from services.policy.builtin_roles import BUILT_IN_ROLES, READER
from services.policy.model import (
    EVERYONE,
    Activation,
    DenyAssignment,
    EligibleAssignment,
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
    Tenant,
)
from tests.unit.policy.oracle.conditions import condition
from tests.unit.policy.oracle.questions import EPOCH, REGISTRY, any_case
from tests.unit.policy.oracle.worlds import ROOT, World

T = TypeVar("T")

#: Conditions that no release understands; two are none at all.
UNSUPPORTED: Final = (
    "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'golden'",
    "SubOperationMatches{'Blob.List'} AND NOT",
    "true",
    "@Request[Microsoft.Authorization/roleAssignments:Moon] StringEquals 'full'",
)
HOURS: Final = tuple(EPOCH + timedelta(hours=hour) for hour in range(6))
REGIONS: Final = ("eastus", "westeurope")
LEVELS: Final = 6


class Maker:
    """Makes a world, and things to be written into one that is there."""

    def __init__(self, random: Random, moments: Sequence[datetime] = HOURS) -> None:
        self.random = random
        self._moments = moments
        self._number = 0

    def world(self) -> World:
        """A whole world."""
        world = World()
        for tenant in ("t", "t1"):
            self.hierarchy(world, f"tenants/{tenant}")
            self.people(world, f"tenants/{tenant}")
        for _ in range(self.random.randint(1, 4)):
            world.put(self.role())
        makers = (
            (self.assignment, 1, 8),
            (self.deny, 0, 3),
            (self.eligible, 0, 3),
            (self.grant, 0, 5),
            (self.reader, 0, 2),
        )
        for make, least, most in makers:
            for _ in range(self.random.randint(least, most)):
                world.put(make(world))
        return world

    def hierarchy(self, world: World, tenant: str) -> None:
        """A tenant with its management groups and subscriptions."""
        world.put(Tenant(tenant, uid=tenant[-2:].rjust(32, "0")))
        root = f"{tenant}/managementgroups/{tenant.partition('/')[2]}"
        world.put(ManagementGroup(root, tenant, None))
        depths = {root: 0}
        for number in range(self.random.choice((0, 1, 3, LEVELS))):
            # Mostly a line, as deep as it may be; sometimes a fork.
            parent = self.random.choice([list(depths)[-1]] * 3 + list(depths))
            if depths[parent] == LEVELS:
                continue
            group = f"{tenant}/managementgroups/m{number}"
            world.put(ManagementGroup(group, tenant, parent))
            depths[group] = depths[parent] + 1
        for name in self.random.sample(("s", "s1", "s12"), self.random.randint(1, 2)):
            key = f"subscriptions/{name}{tenant[9:]}"
            parent = self.random.choice([list(depths)[-1], self.random.choice(list(depths))])
            enabled = self.random.random() < 0.9
            world.put(Subscription(key, tenant, parent, enabled=enabled))

    def people(self, world: World, tenant: str) -> None:
        """Users, a program and groups of a tenant, and who is in which."""
        for name in ("u", "u1", "u2"):
            disabled = self.random.random() < 0.1
            key = f"{tenant}/users/{name}"
            world.put(Principal(key, PrincipalKind.USER, enabled=not disabled))
        world.put(Principal(f"{tenant}/serviceprincipals/sp", PrincipalKind.SERVICE_PRINCIPAL))
        for name in ("g", "g1", "g2", "g3"):
            world.put(Principal(f"{tenant}/groups/{name}", PrincipalKind.GROUP))
        for _ in range(self.random.randint(0, 9)):
            world.put(self.membership(world, tenant))

    def membership(self, world: World, tenant: str) -> Membership:
        """Somebody in a group of the same tenant; groups may come to contain themselves."""
        inside = [key for key in world.principals if key.startswith(f"{tenant}/")]
        groups = [key for key in inside if "/groups/" in key]
        return Membership(self.random.choice(groups), self.random.choice(inside))

    def role(self) -> RoleDefinition:
        """A custom role."""
        permissions = tuple(self.permissions() for _ in range(self.random.choice((1, 1, 2))))
        return RoleDefinition(f"custom-{self.number()}", "A custom role", permissions)

    def permissions(self) -> Permissions:
        return Permissions(
            actions=self._patterns(Plane.CONTROL, 0, 3),
            not_actions=self._patterns(Plane.CONTROL, 0, 2),
            data_actions=self._patterns(Plane.DATA, 0, 2),
            not_data_actions=self._patterns(Plane.DATA, 0, 1),
        )

    def _patterns(self, plane: Plane, least: int, most: int) -> tuple[str, ...]:
        count = self.random.randint(least, most)
        return tuple(self.pattern(plane) for _ in range(count))

    def pattern(self, plane: Plane) -> str:
        """An action with runs of it, of any length and anywhere, replaced by wildcards."""
        random = self.random
        if random.random() < 0.15:
            return random.choice(("*", "*/read", "*/write", "Microsoft.Compute/*", "*/*/read"))
        action = random.choice(REGISTRY.names(plane))
        if random.random() < 0.4:
            action = random.choice([one for one in REGISTRY.names(plane) if "/galleries" in one])
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            begin = random.randint(0, len(action))
            end = random.choice((begin, random.randint(begin, len(action)), len(action)))
            action = f"{action[:begin]}*{action[end:]}"
        return any_case(random, action) if random.random() < 0.2 else action

    def assignment(self, world: World) -> RoleAssignment:
        scope = self.scope(world)
        start, end = self._window()
        return RoleAssignment(
            f"{_under(scope)}roleassignments/{self.number()}",
            scope,
            self._somebody(world),
            self._a_role(world),
            start=start,
            end=end,
            condition=self._condition(world),
        )

    def reader(self, world: World) -> RoleAssignment:
        """Somebody who reads everything in a subscription, views included."""
        scope = self.random.choice(list(world.subscriptions))
        name = f"{scope}/roleassignments/{self.number()}"
        return RoleAssignment(name, scope, self._somebody(world), READER.id)

    def deny(self, world: World) -> DenyAssignment:
        scope = self.scope(world)
        everyone = self.random.random() < 0.4
        some = {self._somebody(world) for _ in range(self.random.randint(1, 2))}
        excluded = {self._somebody(world) for _ in range(self.random.randint(0, 2))}
        if everyone and not excluded:
            excluded = some
        return DenyAssignment(
            f"{_under(scope)}denyassignments/{self.number()}",
            scope,
            frozenset({EVERYONE} if everyone else some),
            tuple(self.permissions() for _ in range(self.random.choice((1, 1, 2)))),
            exclude_principals=frozenset(excluded),
            do_not_apply_to_child_scopes=self.random.random() < 0.3,
        )

    def eligible(self, world: World) -> EligibleAssignment:
        scope = self.scope(world)
        start, end = self._window()
        principal = self._somebody(world)
        found = EligibleAssignment(
            f"{_under(scope)}eligibleassignments/{self.number()}",
            scope,
            principal,
            self._a_role(world),
            start=start,
            end=end,
            condition=self._condition(world),
        )
        return self.activated(world, found) if self.random.random() < 0.7 else found

    def activated(self, world: World, found: EligibleAssignment) -> EligibleAssignment:
        """The same, switched on by one or two, who may not be entitled any more."""
        callers = [key for key in world.principals if "/groups/" not in key]
        entitled = [key for key in callers if found.principal in world.holders(key)]
        activations = []
        for _ in range(self.random.randint(1, 2)):
            who = self.random.choice(entitled or callers)
            activations.append(Activation(who, *self._hours()))
        return EligibleAssignment(
            found.name,
            found.scope,
            found.principal,
            found.role,
            start=found.start,
            end=found.end,
            condition=found.condition,
            activations=tuple(activations),
        )

    def grant(self, world: World) -> SharingGrant:
        """What a gallery is shared with; also what its mode makes meaningless."""
        gallery = self.random.choice(galleries(world))
        mode = self.random.choice(
            (SharingMode.GROUPS, SharingMode.GROUPS, SharingMode.COMMUNITY, SharingMode.PRIVATE)
        )
        number = self.random.choice(("1", "2"))
        everywhere = [*world.subscriptions, *world.tenants]
        return SharingGrant(
            gallery,
            gallery.rpartition("/")[2].rjust(32, "0"),
            mode,
            shared_id=f"shared-{number}",
            public_name=f"public-{number}",
            community_enabled=self.random.random() < 0.7,
            subscriptions=frozenset(self._some(list(world.subscriptions), 2)),
            tenants=frozenset(self._some(list(world.tenants), 1)),
            blocked=frozenset(self._some(everywhere, 1) if self.random.random() < 0.5 else ()),
        )

    def scope(self, world: World) -> str:
        """Where something is held: any level, the same probability for high ones and low ones."""
        random = self.random
        resources = scopes(world)
        by_level = (
            [ROOT, *world.tenants],
            list(world.management_groups),
            list(world.subscriptions),
            [one for one in resources if one.count("/") == 3],
            [one for one in resources if one.count("/") >= 5],
        )
        return random.choice(random.choice(by_level))

    def number(self) -> int:
        self._number += 1
        return self._number

    def _some(self, of: Sequence[T], most: int) -> list[T]:
        return self.random.sample(of, self.random.randint(0, min(most, len(of))))

    def _somebody(self, world: World) -> str:
        groups = [key for key in world.principals if "/groups/" in key]
        return self.random.choice((self.random.choice(list(world.principals)), *groups[:1]))

    def _a_role(self, world: World) -> str:
        built_in = self.random.choice(BUILT_IN_ROLES).id
        custom = [role.id for role in world.roles.values() if not role.built_in]
        return self.random.choice((built_in, *custom)) if custom else built_in

    def _window(self) -> tuple[datetime | None, datetime | None]:
        start, end = self._hours()
        begun = start if self.random.random() < 0.3 else None
        return begun, end if self.random.random() < 0.3 else None

    def _hours(self) -> tuple[datetime, datetime]:
        start, end = sorted(self.random.sample(self._moments, 2))
        return start, end

    def _condition(self, world: World) -> str:
        chance = self.random.random()
        if chance < 0.1:
            return self.random.choice(UNSUPPORTED)
        if chance < 0.25:
            made = condition(self.random)
            world.conditions[made.text] = made.grants
            return made.text
        return ""


def _under(scope: str) -> str:
    return "" if scope == ROOT else f"{scope}/"


def galleries(world: World) -> list[str]:
    """The galleries that there may be; two of a subscription bear the same name."""
    return [
        f"{subscription}/resourcegroups/{group}/galleries/{gallery}"
        for subscription in world.subscriptions
        for group, gallery in (("rg", "g"), ("rg", "g1"), ("rg1", "g"))
    ]


def views(world: World) -> list[str]:
    """Views of everything that may be shared, and of what is not, in each subscription."""
    names = {"sharedgalleries": ["shared-1", "shared-2"], "communitygalleries": []}
    names["communitygalleries"] += ["public-1", "public-2", "shared-1"]
    for gallery in world.grants:
        segments = gallery.split("/")
        names["sharedgalleries"].append(f"{segments[1]}-{segments[-1]}")
    return [
        f"{subscription}/locations/{REGIONS[0]}/{kind}/{name}{below}"
        for subscription in (*world.subscriptions, "subscriptions/nowhere")
        for kind, found in names.items()
        for name in found
        for below in ("", "/images/i/versions/1.0.0")
    ]


def scopes(world: World) -> list[str]:
    """Everything below the top that may be asked about, or where something may be held."""
    found = [f"regions/{REGIONS[0]}", "tenants/nowhere", "subscriptions/nowhere"]
    found += [f"{tenant}/users/u" for tenant in world.tenants]
    for subscription in world.subscriptions:
        found.append(f"{subscription}/locations/{REGIONS[0]}")
        for group in ("rg", "rg1"):
            within = f"{subscription}/resourcegroups/{group}"
            found += [within, f"{within}/disks/d", f"{within}/storageaccounts/a"]
    for gallery in galleries(world):
        for image in ("i", "i1"):
            version = f"{gallery}/images/{image}/versions"
            found += [gallery, f"{gallery}/images/{image}", f"{version}/1.0.0", f"{version}/1.0.10"]
    return found + views(world)


def all_scopes(world: World) -> list[str]:
    """Everything that may be asked about, each level about as often as another."""
    high = [ROOT, *world.tenants, *world.management_groups, *world.subscriptions]
    return high * 2 + scopes(world)
