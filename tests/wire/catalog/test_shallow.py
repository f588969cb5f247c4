"""Shallow versions: what they need lives on, and promotion alone makes them full."""

from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from stoa.catalog.v1 import (
    disk_service_pb2,
    image_version_pb2,
    operation_metadata_pb2,
    provisioning_state_pb2,
    target_region_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1 import target_region_requests_pb2 as regions_pb
from stoa.replication.v1 import copy_state_pb2
from stoa.type.v1 import os_type_pb2, storage_pb2
from stoa.type.v1 import replication_state_pb2 as states

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.deletions import delete, gone, keeping, soft_deleted
from tests.wire.catalog.installation import Refusal, World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED, GIB
from tests.wire.catalog.sources import DISK

Code = grpc.StatusCode
FULL = storage_pb2.REPLICATION_MODE_FULL
SHALLOW = storage_pb2.REPLICATION_MODE_SHALLOW
UPDATING = provisioning_state_pb2.PROVISIONING_STATE_UPDATING
FAILED_STATE = provisioning_state_pb2.PROVISIONING_STATE_FAILED
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
REPLICATING = states.REGIONAL_REPLICATION_STATE_REPLICATING


def promote(world: World, name: str, **more: Any) -> operations_pb2.Operation:
    request = requests_pb.PromoteImageVersionRequest(name=name, **more)
    return world.owner.versions.PromoteImageVersion(request)


def complete(world: World, version: Any) -> Any:
    """Have replication say that the shallow version can be read; answer it."""
    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, version.location, COMPLETED)
    return world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)


def shallow(world: World, **more: Any) -> Any:
    """Answer a shallow version that can be read."""
    version, _ = world.version(replication_mode=SHALLOW, **more)
    return complete(world, version)


def held(world: World, version: Any) -> set[str]:
    return {name for name, source in world.replication.held if source == version.uid}


def blobs_of(version: Any) -> set[str]:
    profile = version.storage_profile
    images = (profile.os_disk_image, *profile.data_disk_images)
    return {one.source.blob for one in images}


def of_disk(world: World, disk: str) -> Any:
    """Answer a shallow version that is made of a managed disk."""
    request = world.version_request(replication_mode=SHALLOW)
    profile = request.image_version.storage_profile
    profile.os_disk_image.source.disk = disk
    del profile.data_disk_images[:]
    world.owner.versions.CreateImageVersion(request)
    return complete(world, world.get(f"{request.parent}/versions/1.0.0"))


def test_promotion_is_the_one_way_to_full_and_keeps_version_and_use(world: World) -> None:
    version = shallow(world)
    assert version.replication_mode == SHALLOW
    operation = promote(world, version.name)
    changed = world.get(version.name)
    assert (changed.replication_mode, changed.generation) == (FULL, 2)
    assert (changed.uid, changed.provisioning_state) == (version.uid, UPDATING)
    assert changed.replication_status.summary[0].usable
    asked = world.replication.await_ensured(version.uid, 2).desired
    assert asked.replication_mode == FULL
    assert [(one.location, one.replica_count) for one in asked.regions] == [("eastus", 1)]
    world.replication.tell(version.uid, "eastus", REPLICATING, generation=2, usable=True)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    done = world.wait(operation)
    answered = image_version_pb2.ImageVersion()
    assert done.response.Unpack(answered)
    assert (answered.uid, answered.replication_mode) == (version.uid, FULL)
    metadata = operation_metadata_pb2.ImageVersionOperationMetadata()
    assert done.metadata.Unpack(metadata)
    assert (metadata.verb, metadata.generation, metadata.progress_percent) == ("promote", 2, 100)
    counted = regions_pb.SetReplicaCountsRequest(name=version.name, replica_count=2)
    assert world.owner.versions.SetReplicaCounts(counted).name
    assert world.get(version.name).generation == 3


def test_the_source_of_a_shallow_version_lives_on_until_it_is_promoted(world: World) -> None:
    known: dict[str, Any] = {
        "os_type": os_type_pb2.OS_TYPE_LINUX,
        "os_state": os_type_pb2.OS_STATE_GENERALIZED,
    }
    disk = DISK.create(world, DISK.request(world, **known))
    version = of_disk(world, disk.name)
    request = disk_service_pb2.DeleteDiskRequest(name=disk.name)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as found:
        world.owner.disks.DeleteDisk(request)
    assert found.info.metadata["users"] == version.name
    operation = promote(world, version.name)
    world.replication.tell(version.uid, "eastus", REPLICATING, generation=2, usable=True)
    world.until(version.name, lambda one: one.replication_status.summary[0].state == REPLICATING)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE"):
        world.owner.disks.DeleteDisk(request)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    world.wait(operation)
    world.owner.disks.DeleteDisk(request)


def test_a_version_of_which_a_shallow_one_is_made_is_not_deleted(world: World) -> None:
    source = world.finished()
    request = world.version_request(replication_mode=SHALLOW)
    request.image_version.storage_profile.Clear()
    request.image_version.storage_profile.source.image_version = source.name
    world.owner.versions.CreateImageVersion(request)
    user = complete(world, world.get(f"{request.parent}/versions/1.0.0"))
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as found:
        delete(world, source.name)
    assert found.info.metadata["users"] == user.name
    gone(world, delete(world, user.name))
    gone(world, delete(world, source.name))


def test_blobs_are_held_as_long_as_they_are_read_and_let_go_of_by_promotion(world: World) -> None:
    version = shallow(world)
    assert held(world, version) == blobs_of(version)
    operation = promote(world, version.name)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    world.wait(operation)
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, version), 15)


def test_blobs_are_let_go_of_with_a_deleted_version(world: World) -> None:
    version = shallow(world)
    gone(world, delete(world, version.name))
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, version), 15)


def test_a_promotion_that_fails_leaves_the_version_usable_and_its_sources_held(
    world: World,
) -> None:
    version = shallow(world)
    operation = promote(world, version.name)
    cause = copy_state_pb2.FailureCause(retryable=True)
    cause.status.code = 14
    world.replication.tell(version.uid, "eastus", FAILED, generation=2, usable=True, cause=cause)
    done = world.wait(operation)
    found = Refusal()
    found.read(done.error)
    assert found.info.reason == "REGIONS_FAILED"
    after = world.get(version.name)
    assert (after.provisioning_state, after.replication_mode) == (FAILED_STATE, FULL)
    assert after.replication_status.summary[0].usable
    assert held(world, version) == blobs_of(version)
    # A retry of replication at the same generation repairs it without a call here.
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, version), 15)


def test_a_version_may_be_promoted_before_it_can_be_read(world: World) -> None:
    version, created = world.version(replication_mode=SHALLOW)
    operation = promote(world, version.name)
    assert world.replication.await_ensured(version.uid, 2).desired.replication_mode == FULL
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    assert world.wait(operation).HasField("response")
    assert world.wait(created).HasField("response")
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held(world, version), 15)


def test_a_shallow_version_has_no_other_regions_and_counts(world: World) -> None:
    version = shallow(world)
    more = regions_pb.AddTargetRegionsRequest(
        name=version.name, target_regions=[target_region_pb2.TargetRegion(location="westus")]
    )
    with refused(Code.FAILED_PRECONDITION, "VERSION_SHALLOW") as found:
        world.owner.versions.AddTargetRegions(more)
    assert found.info.metadata["resource"] == version.name
    count = regions_pb.SetReplicaCountsRequest(name=version.name, replica_count=2)
    with refused(Code.FAILED_PRECONDITION, "VERSION_SHALLOW"):
        world.owner.versions.SetReplicaCounts(count)
    assert world.get(version.name).generation == 1


def test_a_full_version_is_not_promoted(world: World) -> None:
    version = world.finished()
    with refused(Code.FAILED_PRECONDITION, "VERSION_NOT_SHALLOW") as found:
        promote(world, version.name)
    assert dict(found.info.metadata) == {"resource": version.name}
    again = shallow(world)
    promote(world, again.name)
    with refused(Code.FAILED_PRECONDITION, "VERSION_NOT_SHALLOW"):
        promote(world, again.name)


@pytest.mark.parametrize("change", ["replaced", "gone"])
def test_a_source_that_is_not_the_same_any_more_is_not_copied(world: World, change: str) -> None:
    version = shallow(world)
    blob = version.storage_profile.os_disk_image.source.blob
    if change == "gone":
        del world.replication.blobs[blob]
    else:
        world.replication.add_blob(blob, "eastus", uid="f" * 32)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_CHANGED") as found:
        promote(world, version.name)
    assert found.info.metadata["resource"] == blob
    assert world.get(version.name).replication_mode == SHALLOW


def test_what_is_too_large_to_be_copied_stays_shallow(world: World) -> None:
    request = world.version_request(replication_mode=SHALLOW)
    group = "/".join(request.parent.split("/")[:4])
    large = world.blob(group, size_bytes=2048 * GIB + (1 << 20))
    request.image_version.storage_profile.os_disk_image.source.blob = large
    world.owner.versions.CreateImageVersion(request)
    version = complete(world, world.get(f"{request.parent}/versions/1.0.0"))
    with refused(Code.FAILED_PRECONDITION, "SOURCE_TOO_LARGE") as found:
        promote(world, version.name)
    assert found.info.metadata["maximum_bytes"] == str(2048 * GIB)
    assert world.get(version.name).generation == 1


def test_a_region_without_a_store_takes_no_copy(world: World) -> None:
    location = world.id("region")
    world.replication.add_region(location)
    request = world.version_request(
        world.definition(
            world.gallery(world.group(location), location=location), location=location
        ),
        regions=(location,),
        location=location,
        replication_mode=SHALLOW,
    )
    for one in (
        request.image_version.storage_profile.os_disk_image,
        *request.image_version.storage_profile.data_disk_images,
    ):
        world.replication.add_blob(one.source.blob, location)
    world.owner.versions.CreateImageVersion(request)
    version = world.get(f"{request.parent}/versions/1.0.0")
    world.replication.add_region(location, slots=0)
    # Told of after the region, and applied after it.
    complete(world, version)
    with refused(Code.FAILED_PRECONDITION, "STORAGE_TYPE_UNAVAILABLE"):
        promote(world, version.name)


def test_a_promotion_that_is_validated_only_changes_nothing(world: World) -> None:
    version = shallow(world)
    operation = promote(world, version.name, validate_only=True)
    assert (operation.done, operation.name) == (True, "")
    shown = image_version_pb2.ImageVersion()
    assert operation.response.Unpack(shown)
    assert (shown.replication_mode, shown.generation) == (FULL, 2)
    assert world.get(version.name) == version


def test_a_request_id_promotes_once(world: World) -> None:
    version, other = shallow(world), shallow(world)
    request_id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    first = promote(world, version.name, request_id=request_id)
    assert promote(world, version.name, request_id=request_id).name == first.name
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        promote(world, other.name, request_id=request_id)


def test_the_state_of_a_version_decides(world: World) -> None:
    version = shallow(world)
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        promote(world, version.name, etag='"other"')
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        promote(world, version.name.replace("1.0.0", "9.9.9"))
    world.replication.stubborn.add(version.uid)
    delete(world, version.name)
    with refused(Code.ABORTED, "OPERATION_IN_PROGRESS"):
        promote(world, version.name)
    world.replication.stubborn.discard(version.uid)


def test_a_soft_deleted_version_is_not_promoted(world: World) -> None:
    version = soft_deleted(world, keeping(world), replication_mode=SHALLOW)
    with refused(Code.FAILED_PRECONDITION, "VERSION_SOFT_DELETED"):
        promote(world, version.name)


def test_nothing_is_promoted_while_replication_is_silent(world: World) -> None:
    version = shallow(world)
    world.replication.silent = True
    try:
        with refused(Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
            promote(world, version.name)
    finally:
        world.replication.silent = False
    assert world.get(version.name).replication_mode == SHALLOW


def test_who_may_not_write_the_version_does_not_promote_it(world: World, policy: Policy) -> None:
    version = shallow(world)
    reader = policy.user()
    policy.assign(reader, "Reader", version.name)
    world.catalog.catch_up()
    stubs = world.catalog.user(reader.rpartition("/")[2])
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        stubs.versions.PromoteImageVersion(
            requests_pb.PromoteImageVersionRequest(name=version.name)
        )
