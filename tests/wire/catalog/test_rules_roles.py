"""What each built-in role may and may not do: the consequences in gallery-semantics 5.2."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc
import pytest
from stoa.authz.v1 import role_definition_pb2, role_definition_service_pb2

from services.policy.builtin_roles import BUILT_IN_ROLES
from tests.wire.authz import installation as authz_wire
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.action_tables import (
    DEFINITIONS,
    GALLERIES,
    PUBLIC,
    SHARING,
    SOURCES,
    VERSIONS,
    VIEWS,
)
from tests.wire.catalog.actions import Operation, Scene
from tests.wire.catalog.installation import Stubs, World, refused
from tests.wire.catalog.source_actions import GROUPS_OF_RESOURCES, OF_SOURCES

Code = grpc.StatusCode
ROLE: Final = {one.display_name: f"roleDefinitions/{one.id}" for one in BUILT_IN_ROLES}
EVERY: Final = (
    *GALLERIES,
    *SHARING,
    *DEFINITIONS,
    *VERSIONS,
    *SOURCES,
    *VIEWS,
    *PUBLIC,
    *GROUPS_OF_RESOURCES,
    *OF_SOURCES,
)
# One of each kind of call is enough: which actions it needs is shown elsewhere.
READS: Final = [one for one in EVERY if one.method.startswith(("Get", "List", "Search"))]
CHANGES: Final = list({one.method: one for one in EVERY if one not in READS}.values())
ABOUT_IMAGES: Final = (
    "GetImageDefinition",
    "ListImageDefinitions",
    "GetImageVersion",
    "ListImageVersions",
)


@pytest.fixture
def scene(world: World, policy: Policy) -> Scene:
    return Scene(world, policy)


def may(scene: Scene, stubs: Stubs, operations: Sequence[Operation]) -> None:
    for one in operations:
        # What an operation needs may be used up by the one before it.
        one.call(stubs, one.request(scene if one in READS else scene.anew()))


def may_not(scene: Scene, stubs: Stubs, operations: Sequence[Operation]) -> None:
    for one in operations:
        with refused(Code.PERMISSION_DENIED):
            one.call(stubs, one.request(scene))


def made_of(kind: str) -> list[Operation]:
    return [one for one in SOURCES if one.case == f"of a {kind}"]


def give(scene: Scene, stubs: Any, assignee: str, role: str) -> Any:
    sent = scene.policy.assignment(assignee, ROLE[role], scene.subscription)
    return stubs.assignments.CreateRoleAssignment(sent)


def both(scene: Scene, role: str) -> tuple[str, Stubs, Any]:
    """Answer somebody with a role, and their calls of the catalog and of authz."""
    user = scene.policy.user()
    scene.policy.assign(user, ROLE[role], scene.subscription)
    scene.world.catalog.catch_up()
    return user, scene.world.catalog.user(user.rpartition("/")[2]), scene.policy.called(user)


def defines(scene: Scene, stubs: Any) -> Any:
    role = role_definition_pb2.RoleDefinition(
        role_name=scene.policy.id("Role "), assignable_scopes=[scene.subscription]
    )
    role.permissions.add(actions=["*"])
    request = role_definition_service_pb2.CreateRoleDefinitionRequest(role_definition=role)
    return stubs.roles.CreateRoleDefinition(request)


def denied(call: Callable[[], Any]) -> None:
    with authz_wire.refused(Code.PERMISSION_DENIED):
        call()


@pytest.mark.parametrize("operation", CHANGES, ids=str)
def test_an_owner_does_everything(scene: Scene, operation: Operation) -> None:
    may(scene, scene.assigned(ROLE["Owner"]), [operation])


@pytest.mark.parametrize("operation", CHANGES, ids=str)
def test_a_contributor_changes_everything_and_shares_nothing(
    scene: Scene, operation: Operation
) -> None:
    stubs = scene.assigned(ROLE["Contributor"])
    check = may_not if operation in SHARING or "/share/" in str(operation.actions) else may
    check(scene, stubs, [operation])


def test_a_contributor_gives_no_role(scene: Scene) -> None:
    _, _, stubs = both(scene, "Contributor")
    denied(lambda: give(scene, stubs, scene.policy.user(), "Reader"))
    denied(lambda: defines(scene, stubs))


def test_a_contributor_with_the_sharing_admin_shares(scene: Scene) -> None:
    may(scene, scene.assigned(ROLE["Contributor"], ROLE["Compute Gallery Sharing Admin"]), SHARING)


def test_a_sharing_admin_shares_and_reads_nothing(scene: Scene) -> None:
    stubs = scene.assigned(ROLE["Compute Gallery Sharing Admin"])
    may(scene, stubs, SHARING)
    may_not(scene, stubs, READS)


def test_a_reader_reads_everything_and_changes_nothing(scene: Scene) -> None:
    stubs = scene.assigned(ROLE["Reader"])
    may(scene, stubs, READS)
    may_not(scene, stubs, CHANGES)


def test_an_image_reader_reads_definitions_and_versions_but_no_gallery(scene: Scene) -> None:
    stubs = scene.assigned(ROLE["Compute Gallery Image Reader"])
    may(scene, stubs, [one for one in READS if one.method in ABOUT_IMAGES])
    may_not(scene, stubs, [one for one in READS if one.method not in ABOUT_IMAGES])
    may_not(scene, stubs, CHANGES)


def test_a_user_access_administrator_reads_cannot_share_and_gives_itself_the_right(
    scene: Scene,
) -> None:
    user, stubs, authz = both(scene, "User Access Administrator")
    may(scene, stubs, READS)
    may_not(scene, stubs, CHANGES)
    defines(scene, authz)
    give(scene, authz, user, "Compute Gallery Sharing Admin")
    may(scene, stubs, SHARING)


def test_a_role_based_access_control_administrator_assigns_roles_and_defines_none(
    scene: Scene,
) -> None:
    _, stubs, authz = both(scene, "Role Based Access Control Administrator")
    may(scene, stubs, READS)
    may_not(scene, stubs, CHANGES)
    give(scene, authz, scene.policy.user(), "Reader")
    denied(lambda: defines(scene, authz))


@pytest.mark.parametrize("kind", ["virtual machine", "disk", "blob", "managed image"])
def test_a_publisher_makes_versions_of_machines_disks_and_images(scene: Scene, kind: str) -> None:
    may(scene, scene.assigned(ROLE["Compute Gallery Artifacts Publisher"]), made_of(kind))


@pytest.mark.parametrize("kind", ["snapshot", "vhd"])
def test_a_publisher_makes_no_versions_of_snapshots_and_vhds(scene: Scene, kind: str) -> None:
    stubs = scene.assigned(ROLE["Compute Gallery Artifacts Publisher"])
    (made,) = made_of(kind)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as found:
        made.call(stubs, made.request(scene))
    assert found.info.metadata["permission"] in made.actions


def test_a_publisher_reads_views_and_shares_nothing(scene: Scene) -> None:
    stubs = scene.assigned(ROLE["Compute Gallery Artifacts Publisher"])
    may(scene, stubs, [*VIEWS, *PUBLIC, *DEFINITIONS])
    may_not(scene, stubs, SHARING)


def test_a_storage_account_contributor_has_both_rights_to_a_vhd(scene: Scene) -> None:
    role = ROLE["Storage Account Contributor"]
    publisher = ROLE["Compute Gallery Artifacts Publisher"]
    may(scene, scene.assigned(publisher, role), made_of("vhd"))
    may_not(scene, scene.assigned(role), made_of("vhd"))


def test_a_machine_contributor_sees_views_but_no_version_of_a_private_gallery(
    scene: Scene,
) -> None:
    stubs = scene.assigned(ROLE["Virtual Machine Contributor"])
    may(scene, stubs, [*VIEWS, *PUBLIC])
    may_not(scene, stubs, [*GALLERIES, *DEFINITIONS, *VERSIONS, *SHARING])


def test_an_installation_operator_reads_no_image(scene: Scene) -> None:
    user = scene.policy.user()
    scene.policy.assign(user, ROLE["Installation Operator"], "/")
    scene.world.catalog.catch_up()
    stubs = scene.world.catalog.user(user.rpartition("/")[2])
    may_not(scene, stubs, [*READS, *CHANGES])
