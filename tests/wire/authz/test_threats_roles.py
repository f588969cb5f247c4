"""Threats T20 and T21: nobody raises their own rights, and no author shares by accident."""

import random
from collections import defaultdict

import grpc
import pytest
from stoa.authz.v1 import (
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    group_pb2,
    management_group_pb2,
    role_assignment_service_pb2,
    role_definition_pb2,
    subscription_pb2,
    user_pb2,
)

from services.policy.actions import KNOWN
from services.policy.decision import Question
from services.policy.evaluation import evaluate
from tests.wire.authz import roles
from tests.wire.authz.installation import ROLES, Installation, refused
from tests.wire.authz.roles import allowed, permission, role
from tests.wire.authz.test_eligible_assignments import activate, creation

Code = grpc.StatusCode
SHARE = "Microsoft.Compute/galleries/share/action"
OPERATOR = "tenants/default/managementGroups/default"


@pytest.fixture(scope="module")
def authz(tmp_path_factory):
    """An installation of its own: those who are made here hold much of the tenant."""
    found = Installation(tmp_path_factory.mktemp("own"))
    yield found
    found.close()


class Place:
    """A part of the tenant with things to be had, and somebody who has less than all of them."""

    def __init__(self, world, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = world
        self.mallory = world.user()
        self.left, self.right = self.management_group(), self.management_group()
        self.subscriptions = [world.subscription() for _ in range(3)]
        for one, above in zip(self.subscriptions, (self.left, self.left, self.right), strict=True):
            self.move(world.owner, one, above)
        owners, self.denied, self.excluded, plain = (world.group() for _ in range(4))
        self.groups = [owners, self.denied, self.excluded, plain, world.group(plain)]
        self.join(world.owner, self.denied, self.mallory)
        world.assign(owners, "Owner", self.subscriptions[0])
        world.assign(self.mallory, "Contributor", "tenants/default")
        self.deny(world.owner, self.subscriptions[1], principals=[self.denied])
        self.deny(world.owner, self.subscriptions[2], everyone=True, excluded=[self.excluded])
        self.role = roles.create(world.owner, role(world, self.subscriptions[0]))
        world.assign(self.mallory, self.role.name, self.subscriptions[0])
        world.assign(self.mallory, "Owner", f"{self.subscriptions[0]}/resourceGroups/mine")
        # Which she would take, if she were in the group.
        self.eligible = world.owner.eligible.CreateEligibleAssignment(
            creation(owners, self.subscriptions[2], "Owner")
        )
        self.scopes = [
            "/",
            "tenants/default",
            self.left,
            self.right,
            *self.subscriptions,
            f"{self.subscriptions[0]}/resourceGroups/other",
            f"{self.subscriptions[1]}/resourceGroups/rg/galleries/g",
        ]

    def rights(self) -> set[tuple[str, str]]:
        """All that Mallory may do at the scopes there were from the beginning."""
        installation = self.world.installation
        index, now = installation.stores.head.current(), installation.stores.clock.now()
        who = self.mallory.lower()
        return {
            (action, scope)
            for scope in self.scopes
            for action in KNOWN.names()
            if evaluate(index, who, Question(action, scope), now=now).allowed
        }

    def management_group(self) -> str:
        return str(
            self.world.owner.directory.CreateManagementGroup(
                management_group_pb2.CreateManagementGroupRequest(
                    parent="tenants/default",
                    management_group_id=self.world.id("mg-"),
                    management_group=management_group_pb2.ManagementGroup(
                        display_name="A group", parent_management_group=OPERATOR
                    ),
                )
            ).name
        )

    def move(self, stubs, name: str, above: str) -> None:
        if name.startswith("subscriptions/"):
            subscription = subscription_pb2.Subscription(name=name, parent_management_group=above)
            request = subscription_pb2.UpdateSubscriptionRequest(subscription=subscription)
            stubs.directory.UpdateSubscription(request)
            return
        group = management_group_pb2.ManagementGroup(name=name, parent_management_group=above)
        stubs.directory.UpdateManagementGroup(
            management_group_pb2.UpdateManagementGroupRequest(management_group=group)
        )

    def join(self, stubs, group: str, member: str) -> None:
        stubs.directory.AddGroupMembers(
            group_pb2.AddGroupMembersRequest(group=group, members=[member])
        )

    def leave(self, stubs, group: str, member: str) -> None:
        stubs.directory.RemoveGroupMembers(
            group_pb2.RemoveGroupMembersRequest(group=group, members=[member])
        )

    def deny(self, stubs, scope: str, principals=(), excluded=(), *, everyone=False) -> None:
        stubs.denies.CreateDenyAssignment(
            deny_assignment_service_pb2.CreateDenyAssignmentRequest(
                parent=scope,
                deny_assignment=deny_assignment_pb2.DenyAssignment(
                    display_name="A deny",
                    permissions=[permission("Microsoft.Compute/*")],
                    principals=principals,
                    everyone=everyone,
                    exclude_principals=excluded,
                ),
            )
        )

    def undeny(self, stubs, scope: str) -> None:
        listed = self.world.owner.denies.ListDenyAssignments(
            deny_assignment_service_pb2.ListDenyAssignmentsRequest(parent=scope)
        )
        for one in listed.deny_assignments:
            stubs.denies.DeleteDenyAssignment(
                deny_assignment_service_pb2.DeleteDenyAssignmentRequest(name=one.name)
            )

    def attempt(self, stubs) -> tuple[str, grpc.StatusCode]:
        """Try something; answer what, and how it ended."""
        one = self.random.choice
        named = [*self.groups, self.mallory]
        tries = {
            "assign": lambda: stubs.assignments.CreateRoleAssignment(
                self.world.assignment(
                    one(named),
                    one([*ROLES.values(), self.role.name]),
                    one([one(self.scopes), f"{self.subscriptions[0]}/resourceGroups/mine"]),
                )
            ),
            "take": lambda: self.take(stubs),
            "make eligible": lambda: stubs.eligible.CreateEligibleAssignment(
                creation(
                    one(named),
                    one([*self.scopes, f"{self.subscriptions[0]}/resourceGroups/mine"]),
                    one(["Owner", "Contributor", "Reader"]),
                )
            ),
            "activate": lambda: activate(stubs, self.eligible),
            "join": lambda: self.join(stubs, one(self.groups), one(named)),
            "leave": lambda: self.leave(stubs, one(self.groups), one(named)),
            "delete group": lambda: stubs.directory.DeleteGroup(
                group_pb2.DeleteGroupRequest(name=one(self.groups))
            ),
            "make role": lambda: roles.create(
                stubs, role(self.world, one(self.scopes[1:]), actions=["*"])
            ),
            "change role": lambda: roles.update(
                stubs,
                role_definition_pb2.RoleDefinition(
                    name=self.role.name,
                    permissions=[permission("*")],
                    assignable_scopes=[one(self.scopes[1:])],
                ),
                *one([("permissions",), ("assignable_scopes",), ("*",), ()]),
            ),
            "move": lambda: self.move(
                stubs,
                one([*self.subscriptions, self.left, self.right]),
                one([self.left, self.right, OPERATOR]),
            ),
            "deny": lambda: self.deny(stubs, one(self.scopes), [one(named)]),
            "undeny": lambda: self.undeny(stubs, one(self.subscriptions[1:])),
            "disable": lambda: stubs.directory.UpdateUser(
                user_pb2.UpdateUserRequest(
                    user=user_pb2.User(name=self.world.user(), account_enabled=False)
                )
            ),
        }
        what = self.random.choice(list(tries))
        try:
            tries[what]()
        except grpc.RpcError as error:
            return what, error.code()
        return what, Code.OK

    def take(self, stubs) -> None:
        listed = self.world.owner.assignments.ListRoleAssignments(
            role_assignment_service_pb2.ListRoleAssignmentsRequest(
                parent=self.random.choice(self.scopes[:-2])
            )
        )
        for one in listed.role_assignments:
            if one.principal == self.mallory:
                stubs.assignments.DeleteRoleAssignment(
                    role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=one.name)
                )


@pytest.mark.parametrize("seed", range(3))
def test_t20_no_sequence_of_calls_raises_the_rights_of_the_caller(world, seed):
    place = Place(world, seed)
    stubs = world.called(place.mallory)
    first = place.rights()
    for gaining in (
        lambda: place.join(stubs, place.groups[0], place.mallory),
        lambda: place.join(stubs, place.excluded, place.mallory),
        lambda: place.leave(stubs, place.denied, place.mallory),
    ):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
            gaining()
    ended: dict[Code, set[str]] = defaultdict(set)
    for _ in range(170):
        what, code = place.attempt(stubs)
        ended[code].add(what)
        assert place.rights() <= first, (what, ended)
    # Otherwise nothing was tried, or nothing came through.
    assert {"join", "disable"} <= ended[Code.OK]
    denied = {"assign", "make role", "change role", "move", "undeny", "deny", "make eligible"}
    assert denied <= ended[Code.PERMISSION_DENIED]
    assert "activate" not in ended[Code.OK]
    assert not {Code.INTERNAL, Code.UNKNOWN} & set(ended)


def test_t20_who_may_edit_a_role_at_one_of_its_scopes_does_not_reach_the_other(world):
    mine, theirs, mallory = world.subscription(), world.subscription(), world.user()
    world.assign(mallory, "Owner", mine)
    shared = roles.create(world.owner, role(world, mine, theirs))
    world.assign(mallory, shared.name, theirs)
    stubs = world.called(mallory)
    shared.permissions[0].actions[:] = ["*"]
    for paths in (("permissions",), ("*",), ()):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            roles.update(stubs, shared, *paths)
        assert refusal.info.metadata["resource"] == theirs
    shared.assignable_scopes[:] = [mine]
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        roles.update(stubs, shared)
    assert not allowed(stubs, theirs, SHARE)
    # In their own subscription an owner does as they like.
    own = roles.create(stubs, role(world, mine))
    own.permissions[0].actions[:] = ["*"]
    assert roles.update(stubs, own).permissions == own.permissions


def test_t21_a_wildcard_that_grants_sharing_is_named_to_its_author(world):
    sent = role(world, world.subscription(), actions=["Microsoft.Compute/galleries/*"])
    warned = role_definition_pb2.RoleDefinition.Warning(
        kind=role_definition_pb2.RoleDefinition.Warning.KIND_GRANTS_SHARING,
        pattern="Microsoft.Compute/galleries/*",
    )
    assert list(roles.create(world.owner, sent, validate_only=True).warnings) == [warned]
    made = roles.create(world.owner, sent)
    assert list(made.warnings) == [warned]
    made.permissions[0].not_actions.append(SHARE)
    assert not roles.update(world.owner, made, "permissions").warnings
