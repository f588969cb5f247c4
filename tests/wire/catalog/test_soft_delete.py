"""Soft delete of versions on the wire (gallery-semantics 3.8 and 1.4)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_version_pb2,
    provisioning_state_pb2,
    target_region_requests_pb2,
    version_profiles_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as pb
from stoa.replication.v1 import copy_state_pb2

from services.policy.builtin_roles import (
    COMPUTE_GALLERY_IMAGE_READER,
    COMPUTE_GALLERY_SHARING_ADMIN,
)
from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog import galleries
from tests.wire.catalog.clocks import ShiftedClock
from tests.wire.catalog.deletions import (
    DAY,
    delete,
    gone,
    keeping,
    numbers,
    resolve,
    settle,
    soft_deleted,
    told,
    undelete,
)
from tests.wire.catalog.installation import Catalog, Refusal, World, refused, status_of
from tests.wire.catalog.replication import COMPLETED, FAILED, REMOVED, Replication
from tests.wire.catalog.test_views import Consumer

Code = grpc.StatusCode
ACTIVE = image_version_pb2.IMAGE_VERSION_STATE_ACTIVE
SOFT_DELETED = image_version_pb2.IMAGE_VERSION_STATE_SOFT_DELETED
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
IMAGE_READER = f"roleDefinitions/{COMPUTE_GALLERY_IMAGE_READER.id}"
SHARING_ADMIN = f"roleDefinitions/{COMPUTE_GALLERY_SHARING_ADMIN.id}"
UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "not now")
BOTH: Any = ({"location": "eastus", "regional_replica_count": 2}, "westus")


@pytest.fixture(scope="module")
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture(scope="module")
def replication(authz: Installation, clock: ShiftedClock) -> Iterator[Replication]:
    found = Replication(authz.layout, clock)  # type: ignore[abstract] # the rest is not called
    found.add_region("eastus", "East US")
    found.add_region("westus", "West US", slots=1)
    yield found
    found.close()


@pytest.fixture(scope="module")
def catalog(
    authz: Installation,
    replication: Replication,
    clock: ShiftedClock,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Catalog]:
    found = Catalog(authz, replication, tmp_path_factory.mktemp("aging"), clock=clock)
    yield found
    found.close()


def _policy(world: World, gallery: str, *paths: str, **policy: Any) -> Any:
    request = gallery_service_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(
            name=gallery, soft_delete_policy=gallery_pb2.SoftDeletePolicy(**policy)
        ),
        update_mask=FieldMask(paths=[f"soft_delete_policy.{one}" for one in paths]),
    )
    return world.owner.galleries.UpdateGallery(request)


def _gallery_of(name: str) -> str:
    return "/".join(name.split("/")[:6])


# What a soft-deleted version is.


def test_a_soft_deleted_version_keeps_one_replica_in_each_region(world: World) -> None:
    version = world.finished(keeping(world), regions=BOTH)
    operation = delete(world, version.name)
    asked = world.replication.await_ensured(version.uid, 2)
    kept = {one.location: one.replica_count for one in asked.desired.regions}
    assert kept == {"eastus": 1, "westus": 1}
    grant = next(
        one for one in world.replication.grants if (one.uid, one.generation) == (version.uid, 2)
    )
    assert grant.subject == "tenants/default/users/owner"
    assert grant.action == "Microsoft.Compute/galleries/images/versions/delete"
    gone(world, operation)
    found = world.get(version.name)
    assert asked.desired.read_end_time == found.consumption_end_time
    assert [one.usable for one in found.replication_status.summary] == [True, True]
    assert [one.wanted_replica_count for one in found.replication_status.summary] == [1, 1]
    settle(world, found, 2)
    after = world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)
    assert after.state == SOFT_DELETED
    assert after.target_regions[0].regional_replica_count == 2


def test_a_soft_deleted_version_shows_its_times_and_who_asks_sees_it(world: World) -> None:
    definition = keeping(world, retention=3 * DAY, grace=2 * DAY)
    version = world.finished(definition)
    assert version.state == ACTIVE
    assert not version.HasField("delete_time")
    operation = delete(world, version.name)
    gone(world, operation)
    after = world.get(version.name)
    assert (after.state, after.uid) == (SOFT_DELETED, version.uid)
    assert after.etag != version.etag
    deleted = after.delete_time.ToDatetime()
    assert after.consumption_end_time.ToDatetime() - deleted == timedelta(days=3)
    assert after.purge_time.ToDatetime() - deleted == timedelta(days=5)
    metadata = told(world.wait(operation))
    assert list(metadata.resources) == [version.name]
    # Its name is not free.
    assert (metadata.resource_count, metadata.deleted_count) == (1, 0)


def test_retention_is_seven_days_and_grace_nothing_unless_said_otherwise(world: World) -> None:
    policy = gallery_pb2.SoftDeletePolicy(enabled=True)
    definition = world.definition(world.gallery(soft_delete_policy=policy))
    version = world.finished(definition)
    gone(world, delete(world, version.name))
    after = world.get(version.name)
    assert after.consumption_end_time == after.purge_time
    spent = after.purge_time.ToDatetime() - after.delete_time.ToDatetime()
    assert spent == timedelta(days=7)


def test_a_soft_deleted_version_is_never_latest_and_usable_by_its_number(world: World) -> None:
    definition = keeping(world)
    older = world.finished(definition, "1.0.0")
    newer = world.finished(definition, "2.0.0")
    assert resolve(world, definition).image_version == newer.name
    gone(world, delete(world, newer.name))
    assert resolve(world, definition).image_version == older.name
    found = resolve(world, newer.name)
    assert (found.image_version, found.state) == (newer.name, SOFT_DELETED)
    assert found.consumption_end_time == world.get(newer.name).consumption_end_time
    gone(world, delete(world, older.name))
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        resolve(world, definition)


def test_lists_leave_soft_deleted_versions_out_unless_they_are_asked_for(world: World) -> None:
    definition = keeping(world)
    version = world.finished(definition, "1.0.0")
    world.finished(definition, "2.0.0")
    gone(world, delete(world, version.name))
    assert numbers(world, definition) == ["2.0.0"]
    assert numbers(world, definition, show_deleted=True) == ["1.0.0", "2.0.0"]


@pytest.mark.parametrize("number", ["1.0.0", "1.00.0"])
def test_the_number_of_a_soft_deleted_version_stays_taken(world: World, number: str) -> None:
    definition = keeping(world)
    version = soft_deleted(world, definition)
    with refused(Code.ALREADY_EXISTS, "VERSION_NUMBER_SOFT_DELETED") as taken:
        world.version(definition, number)
    assert taken.info.metadata["resource"] == version.name
    assert taken.info.metadata["purge_time"]


def test_a_soft_deleted_version_cannot_be_changed(world: World) -> None:
    version = soft_deleted(world, keeping(world))
    owner = world.owner.versions
    update = pb.UpdateImageVersionRequest(
        image_version=image_version_pb2.ImageVersion(name=version.name, replica_count=2)
    )
    add = target_region_requests_pb2.AddTargetRegionsRequest(name=version.name)
    add.target_regions.add(location="westus")
    remove = target_region_requests_pb2.RemoveTargetRegionsRequest(
        name=version.name, locations=["westus"]
    )
    counts = target_region_requests_pb2.SetReplicaCountsRequest(name=version.name, replica_count=2)
    for change in (
        lambda: owner.UpdateImageVersion(update),
        lambda: owner.AddTargetRegions(add),
        lambda: owner.RemoveTargetRegions(remove),
        lambda: owner.SetReplicaCounts(counts),
        lambda: owner.DeleteImageVersion(pb.DeleteImageVersionRequest(name=version.name)),
    ):
        with refused(Code.FAILED_PRECONDITION, "VERSION_SOFT_DELETED") as found:
            change()
        assert found.info.metadata["resource"] == version.name
        assert found.info.metadata["purge_time"]


def test_views_show_a_soft_deleted_version_by_its_number_alone(
    world: World, policy: Policy
) -> None:
    consumer = Consumer(world, policy)
    definition = keeping(world, sharing_profile=galleries.Profile(mode=galleries.GROUPS))
    gallery = galleries.get(world, _gallery_of(definition))
    galleries.share(world, gallery.name, galleries.ADD, consumer.subscription)
    world.finished(definition, "2.0.0")
    version = soft_deleted(world, definition)
    image = f"{consumer.shared(gallery)}/images/{definition.rpartition('/')[2]}"
    seen = consumer.shared_version(f"{image}/versions/1.0.0")
    assert seen.state == SOFT_DELETED
    assert seen.consumption_end_time == version.consumption_end_time
    (listed,) = consumer.shared_versions(image).shared_gallery_image_versions
    assert listed.name == f"{image}/versions/2.0.0"


def test_a_deletion_that_is_only_validated_leaves_the_version_as_it_is(world: World) -> None:
    version = world.finished(keeping(world))
    answer = delete(world, version.name, validate_only=True)
    assert answer.done
    assert list(told(answer).resources) == [version.name]
    assert world.get(version.name) == version


# Failed and unfinished versions.


def test_a_failed_version_can_be_soft_deleted_and_its_failed_region_is_not_tried_again(
    world: World,
) -> None:
    version, operation = world.version(keeping(world), regions=("eastus", "westus"))
    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.replication.tell(version.uid, "westus", FAILED, cause=copy_state_pb2.FailureCause())
    world.wait(operation)
    removing = delete(world, version.name)
    asked = world.replication.await_ensured(version.uid, 2)
    assert [one.location for one in asked.desired.regions] == ["eastus"]
    gone(world, removing)
    assert [one.location for one in told(removing).regions] == ["westus"]
    world.replication.tell(version.uid, "westus", REMOVED, generation=2)
    world.until(version.name, lambda one: len(one.replication_status.summary) == 1)
    restored = undelete(world, version.name)
    asked = world.replication.await_ensured(version.uid, 3)
    assert [one.location for one in asked.desired.regions] == ["eastus", "westus"]
    settle(world, version, 3)
    assert world.wait(restored).HasField("response")


def test_a_failed_version_without_any_replica_can_be_deleted_both_ways(world: World) -> None:
    definition = keeping(world)
    for number, purge in (("1.0.0", False), ("2.0.0", True)):
        version, operation = world.version(definition, number)
        world.replication.await_ensured(version.uid, 1)
        world.replication.tell(version.uid, "eastus", FAILED, cause=copy_state_pb2.FailureCause())
        world.wait(operation)
        gone(world, delete(world, version.name, purge=purge))
        assert not world.replication.await_ensured(version.uid, 2).desired.regions
    assert numbers(world, definition, show_deleted=True) == ["1.0.0"]


def test_a_soft_delete_during_creating_cancels_the_creation_and_wins(world: World) -> None:
    version, creating = world.version(keeping(world))
    gone(world, delete(world, version.name))
    assert world.wait(creating).error.code == Code.CANCELLED.value[0]
    after = world.get(version.name)
    assert after.state == SOFT_DELETED
    # Its source stays needed: it may have to be copied when the version is had back.
    restored = undelete(world, version.name)
    world.replication.await_ensured(version.uid, 3)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=3)
    assert world.wait(restored).HasField("response")


# Purge.


def test_purge_deletes_for_good_whatever_the_policy_says(world: World) -> None:
    definition = keeping(world)
    version = world.finished(definition)
    gone(world, delete(world, version.name, purge=True))
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        world.get(version.name)
    assert world.version(definition, "1.0.0")[0].uid != version.uid


def test_purge_ends_a_soft_deleted_version_and_frees_its_number(world: World) -> None:
    definition = keeping(world)
    version = soft_deleted(world, definition)
    gone(world, delete(world, version.name, purge=True))
    for call in (world.get, lambda name: resolve(world, name)):
        with refused(Code.NOT_FOUND, "VERSION_DELETED"):
            call(version.name)
    assert numbers(world, definition, show_deleted=True) == []
    world.version(definition, "1.0.0")


def test_a_purge_overtakes_a_soft_delete_that_is_not_done(world: World) -> None:
    version = world.finished(keeping(world))
    with unreachable(world):
        soft = delete(world, version.name)
        assert delete(world, version.name).name == soft.name
        hard = delete(world, version.name, purge=True)
        assert hard.name != soft.name
        assert delete(world, version.name).name == hard.name
    gone(world, soft)
    gone(world, hard)
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        world.get(version.name)


def test_a_soft_delete_in_another_gallery_is_for_good(world: World) -> None:
    version = world.finished()
    gone(world, delete(world, version.name))
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        world.get(version.name)


def test_a_stale_etag_deletes_nothing(world: World) -> None:
    version = soft_deleted(world, keeping(world))
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        delete(world, version.name, purge=True, etag="stale")
    gone(world, delete(world, version.name, purge=True, etag=version.etag))


# Undelete.


def test_an_undeleted_version_has_its_counts_back_as_a_new_generation(world: World) -> None:
    definition = keeping(world)
    version = world.finished(definition, regions=BOTH)
    gone(world, delete(world, version.name))
    operation = undelete(world, version.name)
    after = world.get(version.name)
    assert (after.state, after.generation) == (ACTIVE, 3)
    for field in ("delete_time", "consumption_end_time", "purge_time"):
        assert not after.HasField(field)
    # What was kept can be used at once, the rest is copied meanwhile.
    assert resolve(world, definition).image_version == version.name
    asked = world.replication.await_ensured(version.uid, 3)
    counts = {one.location: one.replica_count for one in asked.desired.regions}
    assert counts == {"eastus": 2, "westus": 1}
    assert not asked.desired.HasField("read_end_time")
    settle(world, version, 3)
    done = world.wait(operation)
    answered = image_version_pb2.ImageVersion()
    assert done.response.Unpack(answered)
    assert (answered.state, answered.provisioning_state) == (ACTIVE, SUCCEEDED)


def test_an_undelete_comes_back_in_the_home_region_first_where_that_is_waited_for(
    world: World,
) -> None:
    version = soft_deleted(world, keeping(world), regions=("eastus", "westus"))
    operation = undelete(world, version.name, wait_for=image_version_pb2.WAIT_MODE_HOME_REGION)
    world.replication.await_ensured(version.uid, 3)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=3)
    assert world.wait(operation).HasField("response")


def test_an_undelete_is_done_at_once_where_nothing_is_waited_for(world: World) -> None:
    version = soft_deleted(world, keeping(world))
    accepted = undelete(world, version.name, wait_for=image_version_pb2.WAIT_MODE_ACCEPTED)
    assert accepted.done
    assert world.get(version.name).state == ACTIVE


def test_only_a_soft_deleted_version_is_undeleted(world: World) -> None:
    definition = keeping(world)
    version = world.finished(definition)
    with refused(Code.FAILED_PRECONDITION, "VERSION_NOT_DELETED"):
        undelete(world, version.name)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        undelete(world, f"{definition}/versions/9.0.0")
    gone(world, delete(world, version.name, purge=True))
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        undelete(world, version.name)


def test_an_undelete_waits_for_its_soft_delete(world: World) -> None:
    version = world.finished(keeping(world))
    with unreachable(world):
        operation = delete(world, version.name)
        with refused(Code.ABORTED, "OPERATION_IN_PROGRESS") as early:
            undelete(world, version.name)
        assert early.info.metadata["operation"] == operation.name
    gone(world, operation)
    undelete(world, version.name)


def test_nothing_but_a_delete_comes_between_an_undelete(world: World) -> None:
    version = soft_deleted(world, keeping(world))
    operation = undelete(world, version.name)
    add = target_region_requests_pb2.AddTargetRegionsRequest(name=version.name)
    add.target_regions.add(location="westus")
    update = pb.UpdateImageVersionRequest(
        image_version=image_version_pb2.ImageVersion(name=version.name, tags={"a": "b"})
    )
    for call in (
        lambda: undelete(world, version.name),
        lambda: world.owner.versions.AddTargetRegions(add),
        lambda: world.owner.versions.UpdateImageVersion(update),
    ):
        with refused(Code.ABORTED, "OPERATION_IN_PROGRESS") as found:
            call()
        assert found.info.metadata["operation"] == operation.name
    gone(world, delete(world, version.name))
    assert world.wait(operation).error.code == Code.CANCELLED.value[0]
    assert world.get(version.name).state == SOFT_DELETED


def test_a_version_being_purged_is_not_undeleted(world: World) -> None:
    version = soft_deleted(world, keeping(world))
    with unreachable(world):
        operation = delete(world, version.name, purge=True)
        with refused(Code.ABORTED, "OPERATION_IN_PROGRESS"):
            undelete(world, version.name)
    gone(world, operation)


def test_a_stale_etag_and_a_dry_run_undelete_nothing(world: World) -> None:
    version = soft_deleted(world, keeping(world))
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        undelete(world, version.name, etag="stale")
    answer = undelete(world, version.name, validate_only=True)
    answered = image_version_pb2.ImageVersion()
    assert answer.response.Unpack(answered)
    assert (answer.name, answered.state, answered.generation) == ("", ACTIVE, 3)
    assert world.get(version.name) == version


def test_a_region_that_has_no_room_any_more_refuses_the_undelete(world: World) -> None:
    world.replication.add_region("shrinking", slots=2)
    wanted: Any = ("eastus", {"location": "shrinking", "regional_replica_count": 2})
    version = soft_deleted(world, keeping(world), regions=wanted)
    world.replication.add_region("shrinking", slots=1)
    probe = keeping(world)

    def room() -> bool:
        try:
            world.owner.versions.CreateImageVersion(
                world.version_request(probe, regions=wanted, validate_only=True)
            )
        except grpc.RpcError:
            return False
        return True

    for _ in range(500):
        if not room():
            break
        time.sleep(0.02)
    with refused(Code.FAILED_PRECONDITION, "REPLICA_CAPACITY") as full:
        undelete(world, version.name)
    assert full.info.metadata["maximum"] == "1"


def test_readers_cannot_undelete(world: World, policy: Policy) -> None:
    version = soft_deleted(world, keeping(world))
    reader = policy.user()
    policy.assign(reader, "Reader", _gallery_of(version.name))
    stubs = world.catalog.user(reader.rpartition("/")[2])
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        stubs.versions.UndeleteImageVersion(pb.UndeleteImageVersionRequest(name=version.name))


# Times.


def test_after_retention_it_cannot_be_used_and_can_be_had_back_until_it_is_purged(
    world: World, clock: ShiftedClock, policy: Policy
) -> None:
    definition = keeping(world, retention=2 * DAY, grace=2 * DAY)
    version = soft_deleted(world, definition)
    clock.advance(timedelta(days=1))
    assert resolve(world, version.name).image_version == version.name
    clock.advance(timedelta(days=1, hours=1))
    world.until(version.name, lambda one: not one.replication_status.summary[0].usable)
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as ended:
        resolve(world, version.name)
    assert ended.info.metadata["available"] == ""
    # What replication tells of its replicas changes nothing of that.
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2)
    settled = world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)
    assert not settled.replication_status.summary[0].usable
    assert settled.state == SOFT_DELETED
    undelete(world, version.name)
    assert resolve(world, definition).image_version == version.name


def test_a_version_is_purged_by_itself_at_its_purge_time(world: World, clock: ShiftedClock) -> None:
    definition = keeping(world, retention=DAY, grace=DAY)
    version = soft_deleted(world, definition)
    other = soft_deleted(world, keeping(world, retention=30 * DAY))
    clock.advance(timedelta(days=2, hours=1))
    asked = world.replication.await_ensured(version.uid, 3)
    assert not asked.desired.regions
    grant = next(
        one for one in world.replication.grants if (one.uid, one.generation) == (version.uid, 3)
    )
    assert (grant.subject, grant.demands) == ("workloads/catalog", ())
    _await_deleted(world, version.name)
    assert numbers(world, definition, show_deleted=True) == []
    # What has more time left is as it was.
    assert world.get(other.name).state == SOFT_DELETED
    gone(world, delete(world, definition))


def test_what_is_past_its_purge_time_is_not_had_back(world: World, clock: ShiftedClock) -> None:
    version = soft_deleted(world, keeping(world, retention=DAY))
    world.catalog.duties.stop()
    clock.advance(timedelta(days=1, hours=1))
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        undelete(world, version.name)
    world.catalog.restart_workers()
    _await_deleted(world, version.name)


def test_assignments_on_a_version_live_through_a_soft_delete_and_end_with_its_purge(
    world: World, policy: Policy
) -> None:
    definition = keeping(world)
    version = world.finished(definition)
    reader = policy.user()
    policy.assign(reader, IMAGE_READER, version.name)
    stubs = world.catalog.user(reader.rpartition("/")[2])
    request = pb.GetImageVersionRequest(name=version.name)
    _await_allowed(lambda: stubs.versions.GetImageVersion(request))
    gone(world, delete(world, version.name))
    world.catalog.catch_up()
    assert stubs.versions.GetImageVersion(request).state == SOFT_DELETED
    gone(world, delete(world, version.name, purge=True))
    world.version(definition)
    world.catalog.catch_up()
    with refused(Code.PERMISSION_DENIED):
        stubs.versions.GetImageVersion(request)


# The policy of a gallery.


def test_the_policy_is_switched_by_who_may_share(world: World, policy: Policy) -> None:
    gallery = world.gallery()
    writer = policy.user()
    policy.assign(writer, "Contributor", gallery)
    stubs = world.catalog.user(writer.rpartition("/")[2])
    request = gallery_service_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(
            name=gallery, soft_delete_policy=gallery_pb2.SoftDeletePolicy(enabled=True)
        )
    )
    with refused(Code.PERMISSION_DENIED) as denied:
        stubs.galleries.UpdateGallery(request)
    assert denied.info.metadata["permission"] == "Microsoft.Compute/galleries/share/action"
    policy.assign(writer, SHARING_ADMIN, gallery)
    assert stubs.galleries.UpdateGallery(request).soft_delete_policy.enabled


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("retention_duration", 3599),
        ("retention_duration", 365 * DAY + 1),
        ("grace_duration", -1),
        ("grace_duration", 365 * DAY + 1),
    ],
)
def test_times_beyond_a_year_or_below_an_hour_are_refused(
    world: World, field: str, seconds: int
) -> None:
    gallery = world.gallery()
    with refused(Code.INVALID_ARGUMENT) as wrong:
        _policy(world, gallery, field, **{field: Duration(seconds=seconds)})
    assert set(wrong.fields) == {f"gallery.soft_delete_policy.{field}"}


def test_the_policy_is_not_enabled_where_regions_differ(world: World) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery, location="westus")
    version = world.get(_create_in_west(world, world.definition(gallery)))
    with refused(Code.FAILED_PRECONDITION, "SOFT_DELETE_REGION_MISMATCH") as refusal:
        _policy(world, gallery, "enabled", enabled=True)
    assert set(refusal.preconditions) == {definition, version.name}
    assert refusal.info.metadata["location"] == "eastus"


def test_what_is_made_later_obeys_the_policy(world: World) -> None:
    definition = keeping(world)
    elsewhere = world.definition_request(_gallery_of(definition), location="westus")
    with refused(Code.FAILED_PRECONDITION, "SOFT_DELETE_REGION_MISMATCH"):
        world.owner.definitions.CreateImageDefinition(elsewhere)
    with refused(Code.FAILED_PRECONDITION, "SOFT_DELETE_REGION_MISMATCH"):
        _create_in_west(world, definition)


def test_a_version_keeps_the_times_of_the_policy_that_it_was_deleted_under(world: World) -> None:
    definition = keeping(world)
    gallery = _gallery_of(definition)
    before = soft_deleted(world, definition)
    paths = ("enabled", "retention_duration")
    _policy(world, gallery, *paths, enabled=False, retention_duration=Duration(seconds=DAY))
    assert world.get(before.name) == before
    version = world.finished(definition, "2.0.0")
    gone(world, delete(world, version.name))
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        world.get(version.name)
    # It goes for good only where that is asked for.
    with refused(Code.FAILED_PRECONDITION, "VERSION_SOFT_DELETED"):
        delete(world, before.name)
    undelete(world, before.name)


def test_a_policy_that_is_enabled_later_holds_for_what_is_deleted_from_then_on(
    world: World,
) -> None:
    version = world.finished()
    _policy(world, _gallery_of(version.name), "enabled", enabled=True)
    gone(world, delete(world, version.name))
    assert world.get(version.name).state == SOFT_DELETED


def test_the_block_before_the_end_of_life_holds_for_a_soft_delete_too(
    world: World, clock: ShiftedClock
) -> None:
    end = clock.now() + timedelta(days=400)
    blocked = version_profiles_pb2.SafetyProfile(block_deletion_before_end_of_life=True)
    version = world.finished(keeping(world), end_of_life_time=end, safety_profile=blocked)
    reason = "DELETION_BLOCKED_UNTIL_END_OF_LIFE"
    for purge in (False, True):
        with refused(Code.FAILED_PRECONDITION, reason):
            delete(world, version.name, purge=purge)
    clock.advance(timedelta(days=401))
    gone(world, delete(world, version.name))


def _create_in_west(world: World, definition: str) -> str:
    request = world.version_request(definition, location="westus", regions=["westus"])
    profile = request.image_version.storage_profile
    group = "/".join(definition.split("/")[:4])
    profile.os_disk_image.source.blob = world.blob(group, "westus")
    profile.data_disk_images[0].source.blob = world.blob(group, "westus")
    world.owner.versions.CreateImageVersion(request)
    return f"{definition}/versions/1.0.0"


@contextmanager
def unreachable(world: World) -> Iterator[None]:
    """Have replication not answer."""
    world.replication.refusal = UNAVAILABLE
    try:
        yield
    finally:
        world.replication.refusal = None


def _await_deleted(world: World, name: str) -> None:
    for _ in range(500):
        try:
            world.get(name)
        except grpc.RpcError as error:
            found = Refusal()
            found.read(status_of(error))
            if found.info.reason != "VERSION_DELETED":
                raise
            return
        time.sleep(0.02)
    raise AssertionError(f"{name} is still there")


def _await_allowed(call: Callable[[], Any]) -> Any:
    for _ in range(500):
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() is not Code.PERMISSION_DENIED:
                raise
        time.sleep(0.02)
    raise AssertionError("the role has not arrived")
