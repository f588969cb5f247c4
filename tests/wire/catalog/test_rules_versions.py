"""Versions, rule by rule: defaults, numbers, counts, lists, sources (gallery-semantics 1 to 3)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import (
    image_version_pb2,
    image_version_requests_pb2,
    target_region_pb2,
    target_region_requests_pb2,
    version_profiles_pb2,
    vhd_pb2,
)
from stoa.replication.v1 import region_pb2
from stoa.type.v1 import replication_state_pb2 as states
from stoa.type.v1 import storage_pb2

from services.policy.builtin_roles import STORAGE_ACCOUNT_CONTRIBUTOR
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.deletions import delete, gone
from tests.wire.catalog.installation import Stubs, World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED
from tests.wire.catalog.sources import STORAGE_ACCOUNT
from tests.wire.catalog.test_deletes import deny, paused

Code = grpc.StatusCode
ID = "image_version_id"
HIGHEST = 2_147_483_647
PREMIUM = storage_pb2.STORAGE_ACCOUNT_TYPE_PREMIUM_LRS
REPLICATING = states.REGIONAL_REPLICATION_STATE_REPLICATING


def add(world: World, name: str, **target: Any) -> Any:
    request = target_region_requests_pb2.AddTargetRegionsRequest(
        name=name, target_regions=[target_region_pb2.TargetRegion(**target)]
    )
    return world.owner.versions.AddTargetRegions(request)


def create(stubs: Stubs, request: Any) -> Any:
    return stubs.versions.CreateImageVersion(request)


def listed(world: World, definition: str, **more: Any) -> list[Any]:
    request = image_version_requests_pb2.ListImageVersionsRequest(parent=definition, **more)
    return list(world.owner.versions.ListImageVersions(request).image_versions)


# What is not said, and what is not asked.


def test_a_version_that_says_nothing_has_the_defaults(world: World) -> None:
    version, _ = world.version()
    assert (version.HasField("exclude_from_latest"), version.exclude_from_latest) == (True, False)
    assert version.replica_count == 1
    assert version.replication_mode == storage_pb2.REPLICATION_MODE_FULL
    assert version.storage_account_type == storage_pb2.STORAGE_ACCOUNT_TYPE_STANDARD_LRS
    assert not version.HasField("end_of_life_time")
    assert (version.generation, version.state) == (1, image_version_pb2.IMAGE_VERSION_STATE_ACTIVE)
    # Nothing was said of the region either.
    assert list(version.target_regions) == [target_region_pb2.TargetRegion(location="eastus")]


def test_a_version_demands_a_region(world: World) -> None:
    request = world.version_request()
    request.image_version.location = ""
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world.owner, request)
    assert set(found.fields) == {"image_version.location"}


def test_the_time_of_publication_is_that_of_the_service(world: World) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    version, _ = world.version(publish_time=Timestamp(seconds=1), create_time=Timestamp(seconds=1))
    published = version.publish_time.ToDatetime(UTC)
    assert before < published < datetime.now(UTC) + timedelta(seconds=2)
    assert version.create_time == version.publish_time
    sent = image_version_pb2.ImageVersion(name=version.name, publish_time=Timestamp(seconds=1))
    update = image_version_requests_pb2.UpdateImageVersionRequest(image_version=sent)
    world.owner.versions.UpdateImageVersion(update)
    assert world.get(version.name).publish_time == version.publish_time


# Numbers.


@pytest.mark.parametrize(
    "number", ["0.0.0", f"{HIGHEST}.{HIGHEST}.{HIGHEST}", "1234567890.1234567890.1234567890"]
)
def test_a_version_is_named_by_three_numbers(world: World, number: str) -> None:
    version, _ = world.version(number=number)
    assert version.name.endswith(f"/versions/{number}")


WORDS = ("latest", "recent", "", "1.0", "1.0.0.0", "1..0", "1.0.x", "-1.0.0", "1.0.0-rc")


@pytest.mark.parametrize("number", [*WORDS, f"{HIGHEST + 1}.0.0", f"0.0.{HIGHEST + 1}"])
def test_what_is_not_three_numbers_names_no_version(world: World, number: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world.owner, world.version_request(number=number))
    assert set(found.fields) == {ID}


def test_a_number_that_is_taken_in_another_region_says_so(world: World) -> None:
    version, _ = world.version()
    definition = version.name.rpartition("/versions/")[0]
    request = world.version_request(definition, regions=("eastus2",), location="East US 2")
    profile = request.image_version.storage_profile
    group = "/".join(definition.split("/")[:4])
    profile.os_disk_image.source.blob = world.blob(group, "eastus2")
    profile.data_disk_images[0].source.blob = world.blob(group, "eastus2")
    with refused(Code.ALREADY_EXISTS, "LOCATION_CONFLICT") as found:
        create(world.owner, request)
    assert dict(found.info.metadata) == {"resource": version.name, "location": "eastus"}


def test_versions_are_listed_by_publication_where_that_is_asked(world: World) -> None:
    definition = world.definition()
    numbers = ["3.0.0", "1.0.0", "2.0.0"]
    for number in numbers:
        world.version(definition, number)

    def by(order: str, **more: Any) -> list[str]:
        found = listed(world, definition, order_by=order, **more)
        return [one.name.rpartition("/")[2] for one in found]

    assert by("publish_time") == numbers
    assert by("publish_time desc") == numbers[::-1]
    assert by("publish_time desc", page_size=1) == numbers[2:]
    assert by("") == sorted(numbers)


# Counts and regions.


def test_a_region_takes_1_to_100_replicas(world: World) -> None:
    world.replication.add_region("vast", slots=100)
    regions = ("eastus", {"location": "vast", "regional_replica_count": 100})
    version, _ = world.version(regions=regions)
    assert [one.regional_replica_count for one in version.target_regions] == [0, 100]
    counts = target_region_requests_pb2.SetReplicaCountsRequest(name=version.name)
    counts.regional_replica_counts.add(location="vast", replica_count=1)
    world.owner.versions.SetReplicaCounts(counts)
    for wrong in (0, 101, -1):
        wide = {"location": "vast", "regional_replica_count": wrong}
        with refused(Code.INVALID_ARGUMENT) as found:
            world.version(regions=("eastus", wide), replica_count=wrong)
        assert set(found.fields) == {
            "image_version.target_regions[1].regional_replica_count",
            "image_version.replica_count",
        }
        counts.regional_replica_counts[0].replica_count = wrong
        with refused(Code.INVALID_ARGUMENT):
            world.owner.versions.SetReplicaCounts(counts)
        with refused(Code.INVALID_ARGUMENT):
            add(world, version.name, **(wide | {"location": "westus"}))
    with refused(Code.INVALID_ARGUMENT) as found:
        world.version(replica_count=101)
    # Both bounds are told.
    assert found.message.endswith("to 1 and less than or equal to 100")


def test_a_new_region_may_have_a_storage_type_of_its_own(world: World) -> None:
    premium = region_pb2.TierCapacity(tier=region_pb2.SLOT_TIER_PREMIUM, replica_count=1)
    world.replication.add_region("fast", slots=1, capacities=[premium])
    version, _ = world.version()
    add(world, version.name, location="fast", storage_account_type=PREMIUM)
    after = world.get(version.name)
    assert after.target_regions[1].storage_account_type == PREMIUM
    asked = world.replication.await_ensured(version.uid, 2).desired.regions
    assert [one.storage_account_type for one in asked] == [
        storage_pb2.STORAGE_ACCOUNT_TYPE_STANDARD_LRS,
        PREMIUM,
    ]


def test_the_whole_is_failed_else_in_progress_else_completed(world: World) -> None:
    version, _ = world.version(regions=("eastus", "eastus2", "westus"))
    pending = states.REGIONAL_REPLICATION_STATE_PENDING
    assert {one.state for one in version.replication_status.summary} == {pending}
    aggregate = states.AggregatedReplicationState
    for location, state, expected in (
        ("eastus", REPLICATING, aggregate.AGGREGATED_REPLICATION_STATE_IN_PROGRESS),
        ("eastus", COMPLETED, aggregate.AGGREGATED_REPLICATION_STATE_IN_PROGRESS),
        ("eastus2", FAILED, aggregate.AGGREGATED_REPLICATION_STATE_FAILED),
        ("westus", COMPLETED, aggregate.AGGREGATED_REPLICATION_STATE_FAILED),
        ("eastus2", REPLICATING, aggregate.AGGREGATED_REPLICATION_STATE_IN_PROGRESS),
        ("eastus2", COMPLETED, aggregate.AGGREGATED_REPLICATION_STATE_COMPLETED),
    ):
        world.replication.tell(version.uid, location, state)
        at = ("eastus", "eastus2", "westus").index(location)
        found = world.until(
            version.name,
            _shows(at, state),
        )
        assert found.replication_status.aggregated_state == expected
        assert {one.progress_percent for one in found.replication_status.summary} <= {0, 40, 100}


def _shows(at: int, state: int) -> Callable[[Any], bool]:
    return lambda one: bool(one.replication_status.summary[at].state == state)


def test_the_status_is_answered_where_it_is_asked_for(world: World) -> None:
    version = world.finished()
    definition = version.name.rpartition("/versions/")[0]
    for view, shown in (
        (image_version_pb2.IMAGE_VERSION_VIEW_UNSPECIFIED, False),
        (image_version_pb2.IMAGE_VERSION_VIEW_BASIC, False),
        (image_version_pb2.IMAGE_VERSION_VIEW_REPLICATION_STATUS, True),
        (image_version_pb2.IMAGE_VERSION_VIEW_FULL, True),
    ):
        (one,) = listed(world, definition, view=view)
        assert one == world.get(version.name, view)
        assert one.HasField("replication_status") == shown


# Deletions.


def test_the_end_of_life_of_the_definition_blocks_no_deletion(world: World) -> None:
    safety = version_profiles_pb2.SafetyProfile(block_deletion_before_end_of_life=True)
    ends = Timestamp(seconds=4_000_000_000)
    definition = world.definition(end_of_life_time=ends)
    version, _ = world.version(definition, safety_profile=safety)
    assert version.effective_end_of_life_time == ends
    own, _ = world.version(definition, "2.0.0", safety_profile=safety, end_of_life_time=ends)
    with refused(Code.FAILED_PRECONDITION, "DELETION_BLOCKED_UNTIL_END_OF_LIFE"):
        delete(world, own.name)
    gone(world, delete(world, version.name))


def test_a_version_that_goes_takes_deletions_alone(world: World) -> None:
    version, _ = world.version()
    sent = image_version_pb2.ImageVersion(name=version.name, tags={"a": "b"})
    update = image_version_requests_pb2.UpdateImageVersionRequest(image_version=sent)
    undelete = image_version_requests_pb2.UndeleteImageVersionRequest(name=version.name)
    remove = target_region_requests_pb2.RemoveTargetRegionsRequest(
        name=version.name, locations=["westus"]
    )
    counts = target_region_requests_pb2.SetReplicaCountsRequest(name=version.name, replica_count=2)
    owner = world.owner.versions
    with paused(world):
        operation = delete(world, version.name)
        for call in (
            lambda: owner.UpdateImageVersion(update),
            lambda: owner.UndeleteImageVersion(undelete),
            lambda: owner.RemoveTargetRegions(remove),
            lambda: owner.SetReplicaCounts(counts),
            lambda: add(world, version.name, location="westus"),
        ):
            with refused(Code.ABORTED, "OPERATION_IN_PROGRESS") as found:
                call()
            assert found.info.metadata["operation"] == operation.name
        assert delete(world, version.name).name == operation.name
    gone(world, operation)


def test_what_is_not_there_is_not_deleted(world: World) -> None:
    definition = world.definition()
    for name in (f"{definition}/versions/1.0.0", f"{definition}x", f"{world.gallery()}x"):
        with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND") as found:
            delete(world, name)
        assert found.info.metadata["resource"] == name


# Sources.


def test_no_blob_serves_two_disks(world: World) -> None:
    request = world.version_request()
    profile = request.image_version.storage_profile
    profile.data_disk_images[0].source.blob = profile.os_disk_image.source.blob
    with refused(Code.INVALID_ARGUMENT, "SOURCE_REPEATED") as found:
        create(world.owner, request)
    assert set(found.fields) == {"image_version.storage_profile.data_disk_images[0].source.blob"}


@pytest.mark.parametrize("lacking", ["write", "listKeys/action"])
def test_a_vhd_needs_both_rights_on_its_account(world: World, policy: Policy, lacking: str) -> None:
    group, into, user = world.group(), world.definition(), policy.user()
    account = STORAGE_ACCOUNT.create(world, STORAGE_ACCOUNT.request(world, group)).name
    path = f"{world.id('vhd')}.vhd"
    world.replication.add_file(path)
    request = world.version_request(into)
    profile = request.image_version.storage_profile
    del profile.data_disk_images[:]
    profile.os_disk_image.source.vhd.CopyFrom(vhd_pb2.Vhd(storage_account=account, path=path))
    stubs = world.catalog.user(user.rpartition("/")[2])
    policy.assign(user, "Contributor", "/".join(into.split("/")[:4]))
    policy.assign(user, f"roleDefinitions/{STORAGE_ACCOUNT_CONTRIBUTOR.id}", account)
    action = f"Microsoft.Storage/storageAccounts/{lacking}"
    request.validate_only = True
    create(stubs, request)
    deny(policy, user, account, action)
    request.validate_only = False
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as found:
        create(stubs, request)
    assert found.info.metadata["permission"] == action
    assert found.info.metadata["resource"] == account
