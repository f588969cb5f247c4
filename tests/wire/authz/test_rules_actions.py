"""Which actions each operation on roles and assignments needs (gallery-semantics 5.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from stoa.authz.v1 import (
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    eligible_assignment_pb2,
    eligible_assignment_service_pb2,
    role_assignment_service_pb2,
    role_definition_service_pb2,
)

from tests.wire.authz.installation import ROLES, Stubs, World, refused
from tests.wire.authz.roles import create, permission, role

Code = grpc.StatusCode
PREFIX: Final = "Microsoft.Authorization"
READ_ROLES: Final = f"{PREFIX}/roleDefinitions/read"
DELEGATE: Final = f"{PREFIX}/roleEligibilityScheduleRequests/write"


class Scene:
    """A subscription of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.subscription = world.subscription()

    def holding(self, *actions: str, minus: tuple[str, ...] = ()) -> Stubs:
        """Answer the calls of somebody who holds so much in the subscription."""
        user = self.world.user()
        what = role(self.world, self.subscription, permissions=[permission(*actions, minus=minus)])
        self.world.assign(user, create(self.world.owner, what).name, self.subscription)
        return self.world.called(user)

    def assignment(self) -> str:
        return str(self.world.assign(self.world.user(), "Reader", self.subscription).name)

    def role(self) -> Any:
        return create(self.world.owner, role(self.world, self.subscription))

    def deny(self) -> Any:
        return deny_assignment_service_pb2.CreateDenyAssignmentRequest(
            parent=self.subscription,
            deny_assignment=deny_assignment_pb2.DenyAssignment(
                display_name="No deleting",
                permissions=[permission("*/delete")],
                principals=[self.world.user()],
            ),
        )

    def eligible(self) -> Any:
        return eligible_assignment_service_pb2.CreateEligibleAssignmentRequest(
            parent=self.subscription,
            eligible_assignment=eligible_assignment_pb2.EligibleAssignment(
                principal=self.world.user(), role_definition=ROLES["Reader"]
            ),
        )


@dataclass(frozen=True)
class Operation:
    """A call, and all actions that it needs."""

    method: str
    stub: str
    actions: tuple[str, ...]
    request: Callable[[Scene], Any]

    def __str__(self) -> str:
        return self.method

    def call(self, stubs: Stubs, request: Any) -> Any:
        return getattr(getattr(stubs, self.stub), self.method)(request)


ASSIGNMENTS: Final = tuple(
    Operation(method, "assignments", (f"{PREFIX}/roleAssignments/{action}",), request)
    for method, action, request in (
        (
            "CreateRoleAssignment",
            "write",
            lambda s: s.world.assignment(s.world.user(), "Reader", s.subscription),
        ),
        (
            "GetRoleAssignment",
            "read",
            lambda s: role_assignment_service_pb2.GetRoleAssignmentRequest(name=s.assignment()),
        ),
        (
            "ListRoleAssignments",
            "read",
            lambda s: role_assignment_service_pb2.ListRoleAssignmentsRequest(parent=s.subscription),
        ),
        (
            "DeleteRoleAssignment",
            "delete",
            lambda s: role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=s.assignment()),
        ),
    )
)
DEFINITIONS: Final = (
    Operation(
        "CreateRoleDefinition",
        "roles",
        (f"{PREFIX}/roleDefinitions/write",),
        lambda s: role_definition_service_pb2.CreateRoleDefinitionRequest(
            role_definition=role(s.world, s.subscription)
        ),
    ),
    # Whether there is a role is told to those alone who may read it.
    Operation(
        "GetRoleDefinition",
        "roles",
        (READ_ROLES,),
        lambda s: role_definition_service_pb2.GetRoleDefinitionRequest(name=s.role().name),
    ),
    Operation(
        "UpdateRoleDefinition",
        "roles",
        (READ_ROLES, f"{PREFIX}/roleDefinitions/write"),
        lambda s: role_definition_service_pb2.UpdateRoleDefinitionRequest(role_definition=s.role()),
    ),
    Operation(
        "DeleteRoleDefinition",
        "roles",
        (READ_ROLES, f"{PREFIX}/roleDefinitions/delete"),
        lambda s: role_definition_service_pb2.DeleteRoleDefinitionRequest(name=s.role().name),
    ),
)
DENIES: Final = (
    Operation(
        "CreateDenyAssignment", "denies", (f"{PREFIX}/denyAssignments/write",), lambda s: s.deny()
    ),
    Operation(
        "GetDenyAssignment",
        "denies",
        (f"{PREFIX}/denyAssignments/read",),
        lambda s: deny_assignment_service_pb2.GetDenyAssignmentRequest(
            name=s.world.owner.denies.CreateDenyAssignment(s.deny()).name
        ),
    ),
    Operation(
        "ListDenyAssignments",
        "denies",
        (f"{PREFIX}/denyAssignments/read",),
        lambda s: deny_assignment_service_pb2.ListDenyAssignmentsRequest(parent=s.subscription),
    ),
    Operation(
        "DeleteDenyAssignment",
        "denies",
        (f"{PREFIX}/denyAssignments/delete",),
        lambda s: deny_assignment_service_pb2.DeleteDenyAssignmentRequest(
            name=s.world.owner.denies.CreateDenyAssignment(s.deny()).name
        ),
    ),
)
ELIGIBLE: Final = (
    Operation("CreateEligibleAssignment", "eligible", (DELEGATE,), lambda s: s.eligible()),
    Operation(
        "DeleteEligibleAssignment",
        "eligible",
        (DELEGATE,),
        lambda s: eligible_assignment_service_pb2.DeleteEligibleAssignmentRequest(
            name=s.world.owner.eligible.CreateEligibleAssignment(s.eligible()).name
        ),
    ),
    Operation(
        "GetEligibleAssignment",
        "eligible",
        (f"{PREFIX}/roleEligibilitySchedules/read",),
        lambda s: eligible_assignment_service_pb2.GetEligibleAssignmentRequest(
            name=s.world.owner.eligible.CreateEligibleAssignment(s.eligible()).name
        ),
    ),
)


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def needs(scene: Scene, operation: Operation) -> None:
    """Try an operation with all actions but one of those that it needs, then with these alone."""
    request = operation.request(scene)
    for lacking in operation.actions:
        if lacking == READ_ROLES:
            with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
                operation.call(scene.holding("*", minus=(lacking,)), request)
            continue
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as found:
            operation.call(scene.holding("*", minus=(lacking,)), request)
        assert found.info.metadata["permission"] == lacking
    operation.call(scene.holding(*operation.actions), request)


@pytest.mark.parametrize("operation", ASSIGNMENTS, ids=str)
def test_a_role_assignment_is_read_written_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", DEFINITIONS, ids=str)
def test_a_role_definition_is_read_written_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


def test_a_role_definition_is_listed_to_who_may_read_it(scene: Scene) -> None:
    made = scene.role()
    request = role_definition_service_pb2.ListRoleDefinitionsRequest(page_size=1000)
    for stubs, is_shown in (
        (scene.holding("*", minus=(READ_ROLES,)), False),
        (scene.holding(READ_ROLES), True),
    ):
        names = [one.name for one in stubs.roles.ListRoleDefinitions(request).role_definitions]
        assert (made.name in names) is is_shown
        # The built-in ones are everybody's to read.
        assert ROLES["Reader"] in names


@pytest.mark.parametrize("operation", DENIES, ids=str)
def test_a_deny_assignment_is_read_written_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", ELIGIBLE, ids=str)
def test_an_eligible_assignment_is_read_and_written_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)
