"""Which actions each operation needs: the tables of gallery-semantics 5.1 and 5.4, row by row.

Nobody who holds every action but one of them gets through, and who holds them alone does.
"""

import grpc
import pytest

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog import action_tables as tables
from tests.wire.catalog import source_actions
from tests.wire.catalog.actions import SERVICES, Operation, Scene, of_service
from tests.wire.catalog.installation import World, refused


@pytest.fixture
def scene(world: World, policy: Policy) -> Scene:
    return Scene(world, policy)


def needs(scene: Scene, operation: Operation) -> None:
    """Try an operation with all actions but one of those that it needs, then with these alone."""
    request = operation.request(scene)
    for lacking in operation.actions:
        stubs = scene.holding("*", minus=(lacking,))
        with refused(grpc.StatusCode.PERMISSION_DENIED) as found:
            operation.call(stubs, request)
        assert found.info.metadata["permission"] == lacking
    operation.call(scene.holding(*operation.actions), request)


@pytest.mark.parametrize("operation", tables.GALLERIES, ids=str)
def test_a_gallery_is_read_written_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.SHARING, ids=str)
def test_every_step_of_sharing_needs_the_action_of_sharing(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.DEFINITIONS, ids=str)
def test_a_definition_is_read_written_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.VERSIONS, ids=str)
def test_a_version_is_read_written_restored_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.SOURCES, ids=str)
def test_a_version_needs_the_action_of_its_source_too(scene: Scene, operation: Operation) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.POLLS, ids=str)
def test_an_operation_of_another_is_polled_by_its_action(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.VIEWS, ids=str)
def test_a_direct_view_is_read_by_its_action(scene: Scene, operation: Operation) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.PUBLIC, ids=str)
def test_a_community_view_is_read_by_its_action(scene: Scene, operation: Operation) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", tables.DEPLOYMENTS, ids=str)
def test_an_image_is_deployed_by_who_may_read_the_version_or_the_view(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", source_actions.GROUPS_OF_RESOURCES, ids=str)
def test_a_resource_group_is_read_written_and_deleted_by_its_actions(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


@pytest.mark.parametrize("operation", source_actions.OF_SOURCES, ids=str)
def test_a_source_is_read_written_and_deleted_by_the_actions_of_its_kind(
    scene: Scene, operation: Operation
) -> None:
    needs(scene, operation)


def test_every_operation_is_in_one_of_the_tables() -> None:
    every = {one.full_name for name in SERVICES for one in of_service(name).methods}
    assert {one.rpartition(".")[2] for one in every} == {
        one.method
        for table in (tables.ALL, source_actions.GROUPS_OF_RESOURCES, source_actions.OF_SOURCES)
        for one in table
    }
