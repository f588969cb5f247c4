"""Deletions, and what they say."""

from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_service_pb2,
    image_resolution_pb2,
    operation_metadata_pb2,
    resource_group_service_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as pb

from tests.wire.catalog.installation import Stubs, World
from tests.wire.catalog.replication import COMPLETED

DAY = 86_400


def keeping(world: World, *, retention: int = 7 * DAY, grace: int = 0, **more: Any) -> str:
    """Make a gallery with soft delete; answer the name of a definition in it."""
    policy = gallery_pb2.SoftDeletePolicy(
        enabled=True,
        retention_duration=Duration(seconds=retention),
        grace_duration=Duration(seconds=grace),
    )
    return world.definition(world.gallery(soft_delete_policy=policy, **more))


def delete(world: World, name: str, *, by: Stubs | None = None, **more: Any) -> Any:
    """Delete a version, a definition, a gallery or a resource group, by its name."""
    stubs = by or world.owner
    match len(name.split("/")):
        case 4:
            group = resource_group_service_pb2.DeleteResourceGroupRequest(name=name, **more)
            return stubs.groups.DeleteResourceGroup(group)
        case 6:
            gallery = gallery_service_pb2.DeleteGalleryRequest(name=name, **more)
            return stubs.galleries.DeleteGallery(gallery)
        case 8:
            definition = image_definition_service_pb2.DeleteImageDefinitionRequest(
                name=name, **more
            )
            return stubs.definitions.DeleteImageDefinition(definition)
        case _:
            return stubs.versions.DeleteImageVersion(
                pb.DeleteImageVersionRequest(name=name, **more)
            )


def undelete(world: World, name: str, **more: Any) -> Any:
    request = pb.UndeleteImageVersionRequest(name=name, **more)
    return world.owner.versions.UndeleteImageVersion(request)


def gone(world: World, operation: Any) -> None:
    """Wait until a deletion has ended well."""
    assert world.wait(operation).HasField("response")


def told(operation: operations_pb2.Operation) -> operation_metadata_pb2.DeleteOperationMetadata:
    metadata = operation_metadata_pb2.DeleteOperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata


def resolve(world: World, image: str, location: str = "eastus") -> Any:
    request = image_resolution_pb2.ResolveImageVersionRequest(image=image, location=location)
    return world.owner.versions.ResolveImageVersion(request)


def numbers(world: World, definition: str, *, show_deleted: bool = False) -> list[str]:
    request = pb.ListImageVersionsRequest(parent=definition, show_deleted=show_deleted)
    found = world.owner.versions.ListImageVersions(request).image_versions
    return [one.name.rpartition("/")[2] for one in found]


def soft_deleted(world: World, definition: str, number: str = "1.0.0", **more: Any) -> Any:
    """Answer a version that was usable and is soft-deleted, of which replication has heard."""
    version = world.finished(definition, number, **more)
    gone(world, delete(world, version.name))
    return world.get(version.name)


def settle(world: World, version: Any, generation: int) -> None:
    """Have every region of a version report a generation as done."""
    world.replication.await_ensured(version.uid, generation)
    for region in version.target_regions:
        world.replication.tell(version.uid, region.location, COMPLETED, generation=generation)
