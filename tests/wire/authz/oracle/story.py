"""One world in one service, and what happens to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from services.policy.builtin_roles import OWNER
from services.policy.model import (
    DenyAssignment,
    EligibleAssignment,
    ManagementGroup,
    Membership,
    Principal,
    PrincipalKind,
    RoleAssignment,
    RoleDefinition,
    Subscription,
    Tenant,
)
from tests.unit.policy.oracle.generation import Maker, galleries, scopes
from tests.unit.policy.oracle.worlds import ROOT, World, view_of
from tests.wire.authz.installation import Installation
from tests.wire.authz.oracle.directory import Directory
from tests.wire.authz.oracle.grants import Grants
from tests.wire.authz.oracle.sharing import Sharing
from tests.wire.authz.oracle.writing import ME, Writer


class Story:
    """Settles a random world and changes it, through the methods of the service alone."""

    def __init__(self, installation: Installation, seed: str) -> None:
        hours = [timedelta(hours=by) for by in (-30, -20, -10, 10, 20, 30)]
        self.random = Random(f"story {seed}")
        self.writer = Writer(installation, self.random)
        self.world = self.writer.world
        self._maker = Maker(self.random, [datetime.now(UTC) + by for by in hours])
        self._directory = Directory(self.writer)
        self._grants = Grants(self.writer)
        self._sharing = Sharing(self.writer)
        self._ways = {
            Tenant: self._directory.tenant,
            ManagementGroup: self._directory.management_group,
            Subscription: self._directory.subscription,
            Principal: self._directory.principal,
            Membership: self._directory.membership,
            RoleDefinition: self._grants.role,
            RoleAssignment: self._grants.assignment,
            DenyAssignment: self._grants.deny,
            EligibleAssignment: self._grants.eligible,
        }
        self.world.put(Principal(ME, PrincipalKind.USER))
        self._write(RoleAssignment("", ROOT, ME, OWNER.id))
        self._settle()

    def _write(self, record: Any) -> Any:
        if view_of(getattr(record, "scope", "")) is not None:
            return None  # A view can only be read: nobody may assign anything there.
        way: Any = self._ways[type(record)]
        done = self.writer.attempt(type(record).__name__, lambda: way(record))
        if done is not None:
            self.world.put(done)
        return done

    def _settle(self) -> None:
        scratch = World()
        for tenant in ("t", "t1"):
            self._maker.hierarchy(scratch, f"tenants/{tenant}")
            self._maker.people(scratch, f"tenants/{tenant}")
        for record in scratch.records():
            if not getattr(record, "built_in", False):
                # Only a group that would come to contain itself may be refused.
                assert self._write(record) is not None or isinstance(record, Membership)
        for _ in range(4):
            self._add_role()
        for _ in range(10):
            self._write(self._maker.assignment(self.world))
            self._write(self._maker.eligible(self.world))
            self._share()
        for _ in range(6):
            self.add_reader()
        for _ in range(4):
            self._deny()
        for eligible in list(self.world.eligibles.values()):
            self._grants.activate(eligible)

    def add_reader(self) -> None:
        """Let somebody read a subscription."""
        self._write(self._maker.reader(self.world))

    def _share(self) -> None:
        self._sharing.share(self.random.choice(galleries(self.world)))

    def _deny(self) -> None:
        """Seldom above the subscriptions, or soon everything would be forbidden."""
        made = self._maker.deny(self.world)
        if made.scope.startswith("subscriptions/") or self.random.random() < 0.2:
            self._write(made)

    def _add_role(self) -> None:
        self._write(self._without_data(self._maker.role()))

    def _without_data(self, role: RoleDefinition) -> RoleDefinition:
        """Not to be refused at management groups."""
        permissions = tuple(
            replace(one, data_actions=(), not_data_actions=()) for one in role.permissions
        )
        return replace(role, permissions=permissions)

    def change(self) -> None:
        """Change something through the service."""
        self.random.choice(
            (
                lambda: self._write(self._maker.assignment(self.world)),
                lambda: self._write(self._maker.eligible(self.world)),
                self._deny,
                self._share,
                self._activate,
                self._activate,
                self._delete,
                self._join,
                self._leave,
                self._toggle,
                self._principal_goes,
                self._move,
                self._resource_goes,
                self._role_changes,
            )
        )()

    def _activate(self) -> None:
        if self.world.eligibles:
            self._grants.activate(self.random.choice(list(self.world.eligibles.values())))

    def _delete(self) -> None:
        world = self.world
        kinds: list[dict[str, Any]] = [world.assignments, world.denies, world.eligibles]
        held = [one for kind in kinds for one in kind.values()]
        self._grants.delete(
            self.random.choice([one for one in held if getattr(one, "principal", "") != ME])
        )

    def _join(self) -> None:
        tenant = self.random.choice(("tenants/t", "tenants/t1"))
        self._write(self._maker.membership(self.world, tenant))

    def _leave(self) -> None:
        if self.world.memberships:
            self._directory.remove_member(self.random.choice(list(self.world.memberships.values())))

    def _others(self) -> list[Principal]:
        return [one for one in self.world.principals.values() if one.key != ME]

    def _toggle(self) -> None:
        found = [one for one in self._others() if one.kind is not PrincipalKind.GROUP]
        someone = self.random.choice(found)
        self._write(replace(someone, enabled=not someone.enabled))

    def _principal_goes(self) -> None:
        found = self._others()
        if len(found) > 10:
            self._directory.delete_principal(self.random.choice(found))

    def _resource_goes(self) -> None:
        resources = [one for one in scopes(self.world) if "/resourcegroups/" in one]
        self._grants.tombstone(
            self.random.choice(resources), f"{self.random.getrandbits(128):032x}"
        )

    def _move(self) -> None:
        """A subscription or a management group to another place, or an empty group away."""
        random, world = self.random, self.world
        kind = random.choice(("subscription", "group", "gone"))
        groups = [one for one in world.management_groups.values() if one.parent is not None]
        if kind == "subscription" or not groups:
            found = random.choice(list(world.subscriptions.values()))
            tenant = [one for one in world.management_groups.values() if one.tenant == found.tenant]
            enabled = random.random() < 0.8
            self._write(replace(found, parent=random.choice(tenant).key, enabled=enabled))
        elif kind == "group":
            group = random.choice(groups)
            places = [one for one in world.management_groups.values() if one.tenant == group.tenant]
            self._write(replace(group, parent=random.choice(places).key))
        else:
            self._directory.delete_management_group(random.choice(groups))

    def _role_changes(self) -> None:
        custom = [role for role in self.world.roles.values() if not role.built_in]
        if custom and self.random.random() < 0.7:
            found = replace(self.random.choice(custom), permissions=(self._maker.permissions(),))
            self._write(self._without_data(found))
        else:
            self._add_role()
