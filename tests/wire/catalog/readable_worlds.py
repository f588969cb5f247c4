"""Random worlds of what somebody may read: where they hold roles, and where they are denied."""

import random
from collections.abc import Callable
from typing import Final

from stoa.authz.v1 import (
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    management_group_pb2,
    role_assignment_service_pb2,
    subscription_pb2,
)

from services.policy.builtin_roles import (
    COMPUTE_GALLERY_IMAGE_READER,
    CONTRIBUTOR,
    OWNER,
    READER,
)
from tests.wire.authz import roles
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World

ROOT: Final = "tenants/default/managementGroups/default"
BUILT_IN: Final = (READER, CONTRIBUTOR, OWNER, COMPUTE_GALLERY_IMAGE_READER)
#: Actions of custom roles, and what each leaves out of them.
CUSTOM: Final = (
    (("Microsoft.Compute/galleries/images/read",), ()),
    (("*/read",), ("Microsoft.Compute/galleries/images/*",)),
    (("Microsoft.Compute/*",), ("Microsoft.Compute/galleries/read",)),
    (("Microsoft.Compute/galleries/images/versions/*", "*/write"), ()),
)
DENIED: Final = (
    "*",
    "*/read",
    "Microsoft.Compute/galleries/read",
    "Microsoft.Compute/galleries/images/*",
    "Microsoft.Compute/galleries/images/versions/read",
    "Microsoft.Compute/galleries/write",
)


class Place:
    """One management group in another, three subscriptions in them, and all that these hold."""

    def __init__(self, world: World, policy: Policy) -> None:
        outer = _management_group(policy, ROOT)
        inner = _management_group(policy, outer)
        self.groups: list[str] = []
        self.galleries: list[str] = []
        self.definitions: list[str] = []
        self.versions: list[str] = []
        subscriptions = [_subscription(policy, parent) for parent in (outer, inner, inner)]
        world.catalog.catch_up()
        for subscription in subscriptions:
            self._fill(world, subscription)
        #: Where something may be granted or denied, level by level.
        self.levels = (
            [outer, inner],
            subscriptions,
            self.groups,
            self.galleries,
            self.definitions,
            self.versions,
        )
        self.roles = [f"roleDefinitions/{one.id}" for one in BUILT_IN]
        for actions, minus in CUSTOM:
            permission = roles.permission(*actions, minus=minus)
            role = roles.role(policy, outer, permissions=[permission])
            self.roles.append(roles.create(policy.owner, role).name)

    def _fill(self, world: World, subscription: str) -> None:
        for _ in range(2):
            group = world.group(parent=subscription)
            galleries = [world.gallery(group) for _ in range(2)]
            definitions = [world.definition(gallery) for gallery in galleries for _ in range(2)]
            for number in ("1.0.0", "1.1.0"):
                world.version(definitions[0], number)
                self.versions.append(f"{definitions[0]}/versions/{number}")
            self.groups.append(group)
            self.galleries += galleries
            self.definitions += definitions


class Story:
    """Somebody in a group of a group, whom roles are granted and denied to at random."""

    def __init__(self, seed: int, place: Place, policy: Policy) -> None:
        self.random: Final = random.Random(seed)
        self._place = place
        self._policy = policy
        user = policy.user()
        inner = policy.group(user)
        self.subject = user.rpartition("/")[2]
        self._principals = [user, inner, policy.group(inner)]
        #: The names of role assignments, with what each says.
        self._grants: dict[str, tuple[str, str, str]] = {}
        self._denials: list[str] = []
        for _ in range(self.random.randint(4, 8)):
            self._grant()
        for _ in range(self.random.randint(1, 4)):
            self._deny()

    def go_on(self) -> None:
        """Change one thing."""
        ways: list[Callable[[], None]] = [self._grant, self._deny]
        if self._grants:
            ways.append(self._revoke)
        if self._denials:
            ways.append(self._lift)
        self.random.choice(ways)()

    def _scope(self) -> str:
        return self.random.choice(self.random.choice(self._place.levels))

    def _grant(self) -> None:
        said = (
            self.random.choice(self._principals),
            self.random.choice(self._place.roles),
            self._scope(),
        )
        # What is there already cannot be granted once more.
        if said not in self._grants.values():
            self._grants[self._policy.assign(*said).name] = said

    def _revoke(self) -> None:
        name = self.random.choice(list(self._grants))
        del self._grants[name]
        self._policy.owner.assignments.DeleteRoleAssignment(
            role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=name)
        )

    def _deny(self) -> None:
        principal, *others = self.random.sample(self._principals, 3)
        deny = deny_assignment_pb2.DenyAssignment(
            display_name="Not here",
            principals=[principal],
            # As a rule nobody is left out: all three are the same person.
            exclude_principals=others[:1] if self.random.random() < 0.2 else [],
            permissions=[roles.permission(self.random.choice(DENIED))],
            do_not_apply_to_child_scopes=self.random.random() < 0.4,
        )
        made = self._policy.owner.denies.CreateDenyAssignment(
            deny_assignment_service_pb2.CreateDenyAssignmentRequest(
                parent=self._scope(), deny_assignment=deny
            )
        )
        self._denials.append(made.name)

    def _lift(self) -> None:
        name = self._denials.pop(self.random.randrange(len(self._denials)))
        self._policy.owner.denies.DeleteDenyAssignment(
            deny_assignment_service_pb2.DeleteDenyAssignmentRequest(name=name)
        )


def _management_group(policy: Policy, parent: str) -> str:
    group = management_group_pb2.ManagementGroup(
        display_name="A group", parent_management_group=parent
    )
    request = management_group_pb2.CreateManagementGroupRequest(
        parent="tenants/default", management_group_id=policy.id("mg-"), management_group=group
    )
    return policy.owner.directory.CreateManagementGroup(request).name


def _subscription(policy: Policy, parent: str) -> str:
    subscription = subscription_pb2.Subscription(
        display_name="A subscription", tenant="tenants/default", parent_management_group=parent
    )
    request = subscription_pb2.CreateSubscriptionRequest(
        subscription_id=policy.id("sub-"), subscription=subscription
    )
    return policy.owner.directory.CreateSubscription(request).name
