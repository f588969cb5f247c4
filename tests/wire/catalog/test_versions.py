"""Image versions on the wire, from their creation to their end."""

import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.longrunning import operations_pb2
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import (
    image_resolution_pb2,
    image_version_pb2,
    operation_metadata_pb2,
    provisioning_state_pb2,
    version_profiles_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as pb
from stoa.replication.v1 import copy_state_pb2
from stoa.type.v1 import replication_state_pb2 as states
from stoa.type.v1 import storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import Refusal, World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED

Code = grpc.StatusCode
CREATING = provisioning_state_pb2.PROVISIONING_STATE_CREATING
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
BOTH = ("eastus", "West US")


def _resolve(world: World, image: str, location: str = "eastus", **more: object) -> str:
    request = image_resolution_pb2.ResolveImageVersionRequest(
        image=image,
        location=location,
        **more,  # type: ignore[arg-type]
    )
    return world.owner.versions.ResolveImageVersion(request).image_version


def _delete(world: World, name: str, **more: object) -> operations_pb2.Operation:
    request = pb.DeleteImageVersionRequest(name=name, **more)  # type: ignore[arg-type]
    return world.owner.versions.DeleteImageVersion(request)


def test_a_version_is_there_at_once_and_replication_is_told_of_it(world: World) -> None:
    version, operation = world.version(regions=BOTH)
    assert version.provisioning_state == CREATING
    assert [one.location for one in version.target_regions] == ["eastus", "westus"]
    assert version.replica_count == 1
    assert version.storage_account_type == storage_pb2.STORAGE_ACCOUNT_TYPE_STANDARD_LRS
    assert [one.lun for one in version.storage_profile.data_disk_images] == [3]
    assert version.storage_profile.os_disk_image.size_bytes == 1 << 30
    assert not operation.done
    asked = world.replication.await_ensured(version.uid, 1)
    assert [one.location for one in asked.desired.regions] == ["eastus", "westus"]
    assert [one.replica_count for one in asked.desired.regions] == [1, 1]
    assert asked.desired.home_location == "eastus"
    assert len(asked.desired.disks) == 2
    grant = next(one for one in world.replication.grants if one.uid == version.uid)
    assert grant.subject == "tenants/default/users/owner"
    assert {one.action for one in grant.demands} == {
        "Microsoft.Compute/galleries/images/versions/write",
        "Microsoft.Compute/disks/write",
    }
    assert set(grant.sources) == {"os", "3"}


def test_a_region_is_usable_before_the_others_are_and_the_operation_waits_for_all(
    world: World,
) -> None:
    version, operation = world.version(regions=BOTH)
    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.replication.tell(version.uid, "westus", states.REGIONAL_REPLICATION_STATE_REPLICATING)
    definition = version.name.rpartition("/versions/")[0]
    found = world.until(
        version.name, lambda one: one.replication_status.summary[1].progress_percent
    )
    assert _resolve(world, definition) == version.name
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as elsewhere:
        _resolve(world, definition, "westus")
    assert elsewhere.info.metadata["available"] == "eastus"
    assert found.provisioning_state == CREATING
    status = found.replication_status
    assert [one.usable for one in status.summary] == [True, False]
    assert status.aggregated_state == states.AGGREGATED_REPLICATION_STATE_IN_PROGRESS
    pending = world.owner.operations.GetOperation(
        operations_pb2.GetOperationRequest(name=operation.name)
    )
    assert not pending.done
    world.replication.tell(version.uid, "westus", COMPLETED)
    done = world.wait(operation)
    answered = image_version_pb2.ImageVersion()
    assert done.response.Unpack(answered)
    assert answered.provisioning_state == SUCCEEDED
    metadata = operation_metadata_pb2.ImageVersionOperationMetadata()
    assert done.metadata.Unpack(metadata)
    assert (metadata.verb, metadata.generation, metadata.progress_percent) == ("create", 1, 100)
    assert metadata.replication == "replications/r1"


def test_some_regions_failing_is_the_error_of_the_operation_and_the_others_stay(
    world: World,
) -> None:
    version, operation = world.version(regions=BOTH)
    cause = copy_state_pb2.FailureCause(retryable=True)
    cause.status.code = 14
    cause.status.message = "the store does not answer"
    world.replication.tell(version.uid, "westus", FAILED, cause=cause)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    done = world.wait(operation)
    assert done.error.code == Code.ABORTED.value[0]
    found = Refusal()
    found.read(done.error)
    assert found.info.reason == "REGIONS_FAILED"
    assert found.info.metadata["locations"] == "westus"
    assert set(found.preconditions) == {"westus"}
    after = world.get(version.name)
    assert after.provisioning_state == provisioning_state_pb2.PROVISIONING_STATE_FAILED
    failed = after.replication_status.summary[1]
    assert (failed.details, failed.retryable) == ("the store does not answer", True)
    assert _resolve(world, version.name) == version.name
    # A retry of replication at the same generation repairs it without a call here.
    world.replication.tell(version.uid, "westus", COMPLETED)
    world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)
    assert _resolve(world, version.name, "westus") == version.name


@pytest.mark.parametrize("mode", ["ACCEPTED", "HOME_REGION"])
def test_the_operation_is_done_when_its_wait_mode_says_so(world: World, mode: str) -> None:
    wait_for = image_version_pb2.WaitMode.Value(f"WAIT_MODE_{mode}")
    version, operation = world.version(regions=BOTH, wait_for=wait_for)
    assert operation.done == (mode == "ACCEPTED")
    world.replication.tell(version.uid, "eastus", COMPLETED)
    assert world.wait(operation).HasField("response")
    assert world.get(version.name).provisioning_state == CREATING


def test_every_wrong_field_comes_back_in_one_answer(world: World) -> None:
    request = world.version_request(
        number="1.2.3.4",
        regions=(
            "East US 2",
            {"location": "eastus2"},
            {"location": "atlantis", "regional_replica_count": 0},
        ),
    )
    request.image_version.storage_profile.data_disk_images.add(lun=3)
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.versions.CreateImageVersion(request)
    assert dict(found.fields) == {
        "image_version_id": "INVALID_FIELDS",
        "image_version.target_regions[2].regional_replica_count": "INVALID_FIELDS",
        "image_version.target_regions[1].location": "REGION_REPEATED",
        "image_version.target_regions[2].location": "REGION_UNKNOWN",
        "image_version.target_regions": "HOME_REGION_MISSING",
        "image_version.storage_profile.data_disk_images[1].lun": "LUN_REPEATED",
        "image_version.storage_profile.data_disk_images[1].source": "SOURCE_KIND_INVALID",
    }


def test_a_wrong_request_carries_what_the_state_of_regions_forbids_too(world: World) -> None:
    request = world.version_request(
        number="9999999999.0.0",
        regions=("eastus", {"location": "westus", "regional_replica_count": 2}),
    )
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.versions.CreateImageVersion(request)
    assert set(found.fields) == {"image_version_id"}
    assert found.preconditions == {"image_version.target_regions[1]": "REPLICA_CAPACITY"}
    request.image_version_id = "1.0.0"
    with refused(Code.FAILED_PRECONDITION, "REPLICA_CAPACITY") as found:
        world.owner.versions.CreateImageVersion(request)
    assert found.info.metadata["maximum"] == "1"
    assert found.info.metadata["wanted"] == "2"


def test_a_region_that_the_mirror_lacks_is_asked_for_before_it_is_refused(world: World) -> None:
    region = world.id("region")
    world.replication.regions[region] = world.replication.regions["eastus"].__class__()
    world.replication.regions[region].CopyFrom(world.replication.regions["eastus"])
    world.replication.regions[region].name = f"regions/{region}"
    try:
        version, _ = world.version(regions=("eastus", region))
    finally:
        del world.replication.regions[region]
    assert [one.location for one in version.target_regions] == ["eastus", region]


def test_a_disk_beyond_the_limit_and_a_source_elsewhere_are_refused(world: World) -> None:
    request = world.version_request()
    profile = request.image_version.storage_profile
    group = "/".join(request.parent.split("/")[:4])
    profile.os_disk_image.source.blob = world.blob(group, size_bytes=(2048 << 30) + 1)
    profile.data_disk_images[0].source.blob = world.blob(group, "westus")
    with refused(Code.FAILED_PRECONDITION, "PRECONDITION_FAILED") as found:
        world.owner.versions.CreateImageVersion(request)
    assert set(found.preconditions.values()) == {"SOURCE_TOO_LARGE", "SOURCE_LOCATION_MISMATCH"}
    profile.data_disk_images[0].source.blob = f"{group}/blobs/absent"
    with refused(Code.NOT_FOUND, "SOURCE_NOT_FOUND"):
        world.owner.versions.CreateImageVersion(request)


def test_the_right_to_the_source_is_asked_of_the_caller(world: World, policy: Policy) -> None:
    request = world.version_request()
    publisher = policy.user()
    policy.assign(publisher, "Contributor", request.parent)
    stub = world.catalog.user(publisher.rpartition("/")[2])
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as found:
        stub.versions.CreateImageVersion(request)
    assert found.info.metadata["permission"] == "Microsoft.Compute/disks/write"
    assert found.info.metadata["field"] == (
        "image_version.storage_profile.os_disk_image.source.blob"
    )


def test_a_number_in_another_spelling_is_the_same_number(world: World) -> None:
    version, _ = world.version(number="2024.02.20")
    definition = version.name.rpartition("/versions/")[0]
    assert version.name.endswith("/2024.02.20")
    assert world.get(f"{definition}/versions/2024.2.20").uid == version.uid
    with refused(Code.ALREADY_EXISTS, "VERSION_NUMBER_TAKEN"):
        world.version(definition, "2024.2.20")
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        world.version(definition, "2024.02.20")


def test_latest_is_the_highest_number_that_is_not_excluded(world: World) -> None:
    definition = world.definition()
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        _resolve(world, definition)
    world.finished(definition, "1.0.9")
    ten = world.finished(definition, "1.0.10")
    world.finished(definition, "2.0.0", exclude_from_latest=True)
    kept = world.finished(
        definition,
        "3.0.0",
        exclude_from_latest=True,
        regions=("eastus", {"location": "eastus2", "exclude_from_latest": False}),
    )
    assert _resolve(world, definition) == ten.name
    assert _resolve(world, f"{definition}/versions/latest") == ten.name
    assert _resolve(world, definition, "East US 2") == kept.name
    assert _resolve(world, f"{definition}/versions/2.0.0").endswith("/2.0.0")
    gallery = definition.rpartition("/images/")[0]
    read = world.owner.definitions.GetImageDefinition(
        definitions_pb.GetImageDefinitionRequest(name=definition)
    )
    assert _resolve(world, gallery, identifier=read.identifier) == ten.name
    read.identifier.sku = "absent"
    with refused(Code.NOT_FOUND, "IMAGE_IDENTIFIER_NOT_FOUND"):
        _resolve(world, gallery, identifier=read.identifier)
    with refused(Code.INVALID_ARGUMENT) as found:
        _resolve(world, gallery, "")
    assert set(found.fields) == {"identifier", "location"}


def test_a_list_is_in_the_order_of_the_numbers_as_numbers(world: World) -> None:
    definition = world.definition()
    for number in ("1.0.10", "1.0.9", "10.0.0", "2.0.0"):
        world.version(definition, number)
    request = pb.ListImageVersionsRequest(parent=definition, page_size=3)
    with world.catalog.foundation.db.statements() as statements:
        first = world.owner.versions.ListImageVersions(request)
        assert len([one for one in statements if "image_versions.body" in one]) == 1
    request.page_token = first.next_page_token
    second = world.owner.versions.ListImageVersions(request)
    names = [one.name for page in (first, second) for one in page.image_versions]
    assert [one.rpartition("/")[2] for one in names] == ["1.0.9", "1.0.10", "2.0.0", "10.0.0"]
    everywhere = pb.ListImageVersionsRequest(
        parent="subscriptions/default/resourceGroups/-/galleries/-/images/-",
        filter=f'name = "{names[0]}"',
    )
    page = world.owner.versions.ListImageVersions(everywhere)
    assert [one.name for one in page.image_versions] == names[:1]
    filtered = pb.ListImageVersionsRequest(
        parent=definition, filter='target_regions.location = "West US"'
    )
    assert not world.owner.versions.ListImageVersions(filtered).image_versions


def test_a_get_of_any_view_is_one_statement(world: World) -> None:
    version, _ = world.version()
    for view in (
        image_version_pb2.IMAGE_VERSION_VIEW_BASIC,
        image_version_pb2.IMAGE_VERSION_VIEW_FULL,
    ):
        with world.catalog.foundation.db.statements() as statements:
            found = world.get(version.name, view)
            selects = [one for one in statements if "image_versions.body" in one]
        assert len(selects) == 1
        full = view == image_version_pb2.IMAGE_VERSION_VIEW_FULL
        assert found.HasField("replication_status") == full


def test_a_version_shows_the_end_of_life_of_its_definition(world: World) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    definition = world.definition(end_of_life_time=end)
    lent, _ = world.version(definition, "1.0.0")
    assert lent.effective_end_of_life_time.ToDatetime(UTC) == end
    assert not lent.HasField("end_of_life_time")
    own, _ = world.version(definition, "1.0.1", end_of_life_time=end - timedelta(days=60))
    assert own.effective_end_of_life_time == own.end_of_life_time


def test_a_deleted_version_is_gone_everywhere_and_its_number_free(world: World) -> None:
    version = world.finished()
    definition = version.name.rpartition("/versions/")[0]
    operation = _delete(world, version.name)
    assert _delete(world, version.name).name == operation.name
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        _resolve(world, definition)
    world.wait(operation)
    asked = world.replication.await_ensured(version.uid, 2)
    assert not asked.desired.regions
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        world.get(version.name)
    again, _ = world.version(definition, "1.0.0")
    assert again.uid != version.uid
    with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY"):
        world.owner.definitions.DeleteImageDefinition(
            definitions_pb.DeleteImageDefinitionRequest(name=definition)
        )


def test_a_deletion_cancels_a_creation_and_wins(world: World) -> None:
    version, operation = world.version(regions=BOTH)
    deleted = world.wait(_delete(world, version.name))
    assert deleted.HasField("response")
    cancelled = world.wait(operation)
    assert cancelled.error.code == Code.CANCELLED.value[0]
    # What replication tells of it afterwards does not bring it back.
    world.replication.tell(version.uid, "eastus", COMPLETED)
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        world.get(version.name)


def test_a_version_may_be_protected_until_its_end_of_life(world: World) -> None:
    safety = version_profiles_pb2.SafetyProfile(block_deletion_before_end_of_life=True)
    end = datetime.now(UTC) + timedelta(days=1)
    version, _ = world.version(safety_profile=safety, end_of_life_time=end)
    with refused(Code.FAILED_PRECONDITION, "DELETION_BLOCKED_UNTIL_END_OF_LIFE"):
        _delete(world, version.name)


def test_a_version_can_be_made_of_another_one_which_then_must_stay(world: World) -> None:
    source = world.finished()
    definition = source.name.rpartition("/versions/")[0]
    request = world.version_request(definition, "2.0.0")
    request.image_version.ClearField("storage_profile")
    request.image_version.storage_profile.source.image_version = source.name
    world.owner.versions.CreateImageVersion(request)
    made = world.get(f"{definition}/versions/2.0.0")
    assert made.storage_profile.source.image_version == source.name
    asked = world.replication.await_ensured(made.uid, 1)
    assert asked.desired.disks[1].source.image_version.disk.lun == 3
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as found:
        _delete(world, source.name)
    assert found.info.metadata["users"] == made.name
    world.replication.tell(made.uid, "eastus", COMPLETED)
    world.until(made.name, lambda one: one.provisioning_state == SUCCEEDED)
    world.wait(_delete(world, source.name))


def test_a_repeated_creation_answers_the_first_operation(world: World) -> None:
    request = world.version_request(request_id=str(uuid.uuid4()))
    first = world.owner.versions.CreateImageVersion(request)
    assert world.owner.versions.CreateImageVersion(request).name == first.name


def test_a_validated_version_is_answered_and_not_there(world: World) -> None:
    request = world.version_request(validate_only=True)
    operation = world.owner.versions.CreateImageVersion(request)
    assert (operation.name, operation.done) == ("", True)
    answered = image_version_pb2.ImageVersion()
    assert operation.response.Unpack(answered)
    assert answered.provisioning_state == CREATING
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.get(answered.name)


def test_what_replication_refuses_for_good_ends_the_regions_and_the_operation(
    world: World,
) -> None:
    world.replication.refusal = (Code.FAILED_PRECONDITION, "the source has changed")
    try:
        version, operation = world.version()
        done = world.wait(operation)
    finally:
        world.replication.refusal = None
    assert done.error.code == Code.ABORTED.value[0]
    status = world.get(version.name).replication_status.summary[0]
    assert status.details == "the source has changed"


def test_nothing_is_lost_when_the_workers_are_started_anew(world: World) -> None:
    world.replication.refusal = (Code.UNAVAILABLE, "away")
    try:
        version, operation = world.version()
        world.catalog.restart_workers()
    finally:
        world.replication.refusal = None
    snapshots = world.replication.feed.snapshots
    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    assert world.wait(operation).HasField("response")
    # The cursor leads on from where the former follower was.
    assert world.replication.feed.snapshots == snapshots
