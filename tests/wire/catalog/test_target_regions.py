"""Changes of where a version is wanted: none gets in another's way."""

from typing import Any

import grpc
from google.longrunning import operations_pb2
from stoa.catalog.v1 import (
    image_resolution_pb2,
    image_version_pb2,
    operation_metadata_pb2,
    provisioning_state_pb2,
    target_region_pb2,
    version_profiles_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1 import target_region_requests_pb2 as pb
from stoa.type.v1 import replication_state_pb2 as states
from stoa.type.v1 import storage_pb2

from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.replication import COMPLETED, REMOVED

Code = grpc.StatusCode


def _add(world: World, name: str, *regions: Any, **more: Any) -> operations_pb2.Operation:
    targets = [
        target_region_pb2.TargetRegion(**(one if isinstance(one, dict) else {"location": one}))
        for one in regions
    ]
    request = pb.AddTargetRegionsRequest(name=name, target_regions=targets, **more)
    return world.owner.versions.AddTargetRegions(request)


def _remove(world: World, name: str, *locations: str, **more: Any) -> operations_pb2.Operation:
    request = pb.RemoveTargetRegionsRequest(name=name, locations=locations, **more)
    return world.owner.versions.RemoveTargetRegions(request)


def _locations(version: Any) -> list[str]:
    return [one.location for one in version.target_regions]


def test_a_region_is_added_as_the_next_generation_and_the_others_stay_usable(
    world: World,
) -> None:
    version = world.finished()
    operation = _add(world, version.name, "West US")
    changed = world.get(version.name)
    assert changed.generation == 2
    assert changed.provisioning_state == provisioning_state_pb2.PROVISIONING_STATE_UPDATING
    assert _locations(changed) == ["eastus", "westus"]
    assert [one.usable for one in changed.replication_status.summary] == [True, False]
    asked = world.replication.await_ensured(version.uid, 2)
    assert [one.location for one in asked.desired.regions] == ["eastus", "westus"]
    # What is told of an older generation does not end it.
    world.replication.tell(version.uid, "westus", COMPLETED, generation=1)
    world.replication.tell(version.uid, "westus", COMPLETED, generation=2)
    done = world.wait(operation)
    metadata = operation_metadata_pb2.ImageVersionOperationMetadata()
    assert done.metadata.Unpack(metadata)
    assert (metadata.verb, metadata.generation) == ("add_target_regions", 2)
    assert [one.location for one in metadata.regions] == ["westus"]


def test_a_change_does_not_wait_for_one_that_is_under_way(world: World) -> None:
    version, created = world.version()
    added = _add(world, version.name, "eastus2")
    again = _add(world, version.name, "westus")
    assert world.get(version.name).generation == 3
    world.replication.await_ensured(version.uid, 3)
    for location in ("eastus", "eastus2", "westus"):
        world.replication.tell(version.uid, location, COMPLETED, generation=3)
    for operation in (created, added, again):
        assert world.wait(operation).HasField("response")


def test_a_region_that_is_there_as_it_is_wanted_is_no_change(world: World) -> None:
    version = world.finished()
    operation = _add(world, version.name, "eastus")
    assert operation.done
    after = world.get(version.name)
    assert (after.generation, after.etag) == (1, version.etag)
    with refused(Code.FAILED_PRECONDITION, "REGION_TARGETED_OTHERWISE"):
        _add(world, version.name, {"location": "eastus", "regional_replica_count": 2})


def test_a_removed_region_cannot_be_used_from_the_moment_that_the_call_returns(
    world: World,
) -> None:
    version = world.finished(regions=("eastus", "westus"))
    operation = _remove(world, version.name, "West US")
    after = world.get(version.name)
    assert _locations(after) == ["eastus"]
    going = after.replication_status.summary[1]
    assert (going.location, going.usable) == ("westus", False)
    assert going.state == states.REGIONAL_REPLICATION_STATE_REMOVING
    asked = world.replication.await_ensured(version.uid, 2)
    assert [one.location for one in asked.desired.regions] == ["eastus"]
    world.replication.tell(version.uid, "westus", COMPLETED, generation=1)
    world.replication.tell(version.uid, "westus", REMOVED, generation=2, usable=False)
    assert world.wait(operation).HasField("response")
    assert len(world.get(version.name).replication_status.summary) == 1


def test_the_home_region_and_what_the_guard_forbids_are_not_removed(world: World) -> None:
    safety = version_profiles_pb2.SafetyProfile(allow_deletion_of_replicated_locations=False)
    version, _ = world.version(regions=("eastus", "westus"), safety_profile=safety)
    with refused(Code.FAILED_PRECONDITION, "HOME_REGION_REQUIRED"):
        _remove(world, world.version()[0].name, "eastus")
    with refused(Code.FAILED_PRECONDITION, "REGION_REMOVAL_FORBIDDEN") as found:
        _remove(world, version.name, "westus")
    assert found.info.metadata["locations"] == "westus"


def test_a_count_is_raised_for_the_regions_that_follow_it(world: World) -> None:
    version = world.finished(regions=({"location": "eastus"}, {"location": "eastus2"}))
    request = pb.SetReplicaCountsRequest(name=version.name, replica_count=2)
    request.regional_replica_counts.add(location="eastus2", replica_count=1)
    operation = world.owner.versions.SetReplicaCounts(request)
    asked = world.replication.await_ensured(version.uid, 2)
    assert [one.replica_count for one in asked.desired.regions] == [2, 1]
    assert world.get(version.name).replication_status.summary[0].usable
    # Only eastus has something to do; eastus2 was named, and is done when the whole is.
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    world.replication.tell(version.uid, "eastus2", COMPLETED, generation=2)
    assert world.wait(operation).HasField("response")


def test_more_replicas_than_slots_name_the_maximum(world: World) -> None:
    version = world.finished(regions=("eastus", "westus"))
    request = pb.SetReplicaCountsRequest(name=version.name, replica_count=2)
    with refused(Code.FAILED_PRECONDITION, "REPLICA_CAPACITY") as found:
        world.owner.versions.SetReplicaCounts(request)
    assert dict(found.info.metadata) == {
        "location": "westus",
        "storage_account_type": "STANDARD_LRS",
        "wanted": "2",
        "maximum": "1",
    }
    request.ClearField("replica_count")
    request.regional_replica_counts.add(location="eastus2", replica_count=1)
    with refused(Code.FAILED_PRECONDITION, "REGION_NOT_TARGETED"):
        world.owner.versions.SetReplicaCounts(request)


def test_a_stale_etag_and_a_deleted_version_are_told(world: World) -> None:
    version, _ = world.version()
    _add(world, version.name, "westus", etag=version.etag)
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        _add(world, version.name, "eastus2", etag=version.etag)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        _add(world, f"{version.name}9", "westus")


def test_a_validated_change_is_answered_and_not_made(world: World) -> None:
    version, _ = world.version()
    operation = _add(world, version.name, "westus", validate_only=True)
    answered = image_version_pb2.ImageVersion()
    assert operation.response.Unpack(answered)
    assert _locations(answered) == ["eastus", "westus"]
    assert _locations(world.get(version.name)) == ["eastus"]


def _update(world: World, version: Any, *paths: str, **more: Any) -> operations_pb2.Operation:
    request = requests_pb.UpdateImageVersionRequest(image_version=version, **more)
    request.update_mask.paths.extend(paths)
    return world.owner.versions.UpdateImageVersion(request)


def test_an_update_of_what_is_not_copied_is_done_at_once(world: World) -> None:
    version = world.finished()
    definition = version.name.rpartition("/versions/")[0]
    version.exclude_from_latest = True
    version.tags["a"] = "b"
    operation = _update(world, version, "exclude_from_latest", "tags")
    assert operation.done
    after = world.get(version.name)
    assert (after.exclude_from_latest, dict(after.tags), after.generation) == (True, {"a": "b"}, 1)
    resolve = image_resolution_pb2.ResolveImageVersionRequest(image=definition, location="eastus")
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        world.owner.versions.ResolveImageVersion(resolve)


def test_an_update_gives_the_regions_whole_and_the_guard_keeps_those_left_out(
    world: World,
) -> None:
    version = world.finished(regions=("eastus", "westus"))
    del version.target_regions[1]
    version.target_regions.add(location="East US 2")
    with refused(Code.FAILED_PRECONDITION, "REGION_REMOVAL_FORBIDDEN"):
        _update(world, version, "target_regions")
    version.safety_profile.allow_deletion_of_replicated_locations = True
    assert _update(world, version, "safety_profile").done
    version.etag = ""
    operation = _update(world, version, "target_regions")
    after = world.get(version.name)
    assert _locations(after) == ["eastus", "eastus2"]
    assert after.generation == 2
    for location in ("eastus", "eastus2"):
        world.replication.tell(version.uid, location, COMPLETED, generation=2)
    world.replication.tell(version.uid, "westus", REMOVED, generation=2, usable=False)
    assert world.wait(operation).HasField("response")


def test_what_may_not_change_is_named_by_its_path(world: World) -> None:
    version, _ = world.version()
    version.location = "westus"
    version.storage_profile.os_disk_image.source.blob += "x"
    version.replication_mode = storage_pb2.REPLICATION_MODE_SHALLOW
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
        _update(world, version)
    assert set(found.preconditions) == {"location", "storage_profile", "replication_mode"}
    with refused(Code.INVALID_ARGUMENT) as wrong:
        _update(world, version, "unheard_of")
    assert set(wrong.fields) == {"update_mask"}
