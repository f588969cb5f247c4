"""Deletions that are refused, and that take along what is below (gallery-semantics 3.6)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import deny_assignment_pb2, deny_assignment_service_pb2, permission_pb2
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_service_pb2,
    image_version_pb2,
    provisioning_state_pb2,
    resource_group_service_pb2,
    storage_profile_pb2,
    version_profiles_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as pb

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog import galleries, sources
from tests.wire.catalog.deletions import (
    delete,
    gone,
    keeping,
    numbers,
    resolve,
    soft_deleted,
    told,
)
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.test_views import Consumer

Code = grpc.StatusCode
DELETING = provisioning_state_pb2.PROVISIONING_STATE_DELETING
VERSION_DELETE = "Microsoft.Compute/galleries/images/versions/delete"


@contextmanager
def paused(world: World) -> Iterator[None]:
    """Have the workers stand still."""
    world.catalog.duties.stop()
    try:
        yield
    finally:
        world.catalog.restart_workers()


def above(name: str, levels: int = 1) -> str:
    return "/".join(name.split("/")[: -2 * levels])


def exists(world: World, name: str) -> bool:
    try:
        match len(name.split("/")):
            case 4:
                group = resource_group_service_pb2.GetResourceGroupRequest(name=name)
                world.owner.groups.GetResourceGroup(group)
            case 6:
                galleries.get(world, name)
            case 8:
                request = image_definition_service_pb2.GetImageDefinitionRequest(name=name)
                world.owner.definitions.GetImageDefinition(request)
            case _:
                world.get(name)
    except grpc.RpcError as error:
        if error.code() is not Code.NOT_FOUND:
            raise
        return False
    return True


@contextmanager
def unchanged(world: World, *versions: str) -> Iterator[None]:
    """Check that the block changes nothing of some versions, nor of what holds them."""
    before = [world.get(one) for one in versions]
    yield
    assert [world.get(one) for one in versions] == before
    for one in versions:
        assert galleries.get(world, above(one, 2)).provisioning_state != DELETING


# What is in the way.


def test_what_holds_something_is_refused_with_the_names_of_what_it_holds(world: World) -> None:
    version, _ = world.version()
    definition, gallery, group = (above(version.name, level) for level in (1, 2, 3))
    disk = sources.DISK.create(world, sources.DISK.request(world, group))
    for holder, held in (
        (definition, {version.name}),
        (gallery, {definition}),
        (group, {gallery, disk.name}),
    ):
        with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY") as found:
            delete(world, holder)
        assert set(found.preconditions) == held
        assert found.info.metadata["resource"] == holder
        assert set(found.info.metadata["children"].split(",")) == held
    assert exists(world, version.name)


def test_soft_deleted_versions_are_named_as_such(world: World) -> None:
    definition = keeping(world)
    version = soft_deleted(world, definition)
    with refused(Code.FAILED_PRECONDITION, "SOFT_DELETED_CHILDREN") as found:
        delete(world, definition)
    assert found.preconditions == {version.name: "SOFT_DELETED_CHILDREN"}
    assert found.info.metadata["children"] == version.name
    gallery, group = above(definition), above(definition, 2)
    for holder, held in ((gallery, definition), (group, gallery)):
        with refused(Code.FAILED_PRECONDITION, "PRECONDITION_FAILED") as found:
            delete(world, holder)
        assert found.preconditions == {
            held: "RESOURCE_NOT_EMPTY",
            version.name: "SOFT_DELETED_CHILDREN",
        }
    other, _ = world.version(definition, "2.0.0")
    with refused(Code.FAILED_PRECONDITION, "PRECONDITION_FAILED") as found:
        delete(world, definition)
    assert found.preconditions == {
        other.name: "RESOURCE_NOT_EMPTY",
        version.name: "SOFT_DELETED_CHILDREN",
    }


def test_of_many_children_the_first_are_named(world: World) -> None:
    gallery = world.gallery()
    held = [world.definition(gallery) for _ in range(22)]
    with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY") as found:
        delete(world, gallery)
    # As many as fit, and that there are more.
    named = set(found.preconditions)
    assert named
    assert named < set(held)


def test_a_gallery_that_is_shared_is_reset_first(world: World, policy: Policy) -> None:
    gallery = galleries.direct(world)
    galleries.share(world, gallery, galleries.ADD, policy.subscription())
    for force in (False, True):
        with refused(Code.FAILED_PRECONDITION, "STILL_SHARED") as found:
            delete(world, gallery, force=force)
        assert found.info.metadata["resource"] == gallery
    galleries.share(world, gallery, galleries.RESET)
    gone(world, delete(world, gallery))


def test_the_ways_out_of_the_block_before_the_end_of_life(world: World) -> None:
    blocked = version_profiles_pb2.SafetyProfile(block_deletion_before_end_of_life=True)
    end = datetime.now(UTC) + timedelta(days=1)
    first, _ = world.version(safety_profile=blocked, end_of_life_time=end)
    second, _ = world.version(safety_profile=blocked, end_of_life_time=end)
    with refused(Code.FAILED_PRECONDITION, "DELETION_BLOCKED_UNTIL_END_OF_LIFE") as found:
        delete(world, first.name)
    assert found.info.metadata["resource"] == first.name
    assert datetime.fromisoformat(found.info.metadata["end_of_life_time"]) == end
    turned_off = pb.UpdateImageVersionRequest(
        image_version=image_version_pb2.ImageVersion(
            name=first.name,
            safety_profile=version_profiles_pb2.SafetyProfile(
                block_deletion_before_end_of_life=False
            ),
        )
    )
    world.owner.versions.UpdateImageVersion(turned_off)
    gone(world, delete(world, first.name))
    moved = image_version_pb2.ImageVersion(name=second.name)
    moved.end_of_life_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    world.owner.versions.UpdateImageVersion(
        pb.UpdateImageVersionRequest(
            image_version=moved, update_mask=FieldMask(paths=["end_of_life_time"])
        )
    )
    gone(world, delete(world, second.name))


def copy_of(world: World, version: Any, definition: str = "") -> Any:
    """Answer an unfinished version that is made from another one."""
    request = world.version_request(definition)
    profile = storage_profile_pb2.StorageProfile()
    profile.source.image_version = version.name
    request.image_version.storage_profile.CopyFrom(profile)
    world.owner.versions.CreateImageVersion(request)
    return world.get(f"{request.parent}/versions/{request.image_version_id}")


def test_the_source_of_an_unfinished_version_stays_until_that_is_finished(world: World) -> None:
    version = world.finished()
    user = copy_of(world, version)
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as found:
        delete(world, version.name)
    assert found.info.metadata["resource"] == version.name
    assert found.info.metadata["users"] == user.name
    gone(world, delete(world, user.name))
    gone(world, delete(world, version.name))


def test_who_needs_a_version_is_named_to_those_alone_who_may_see_it(
    world: World, policy: Policy
) -> None:
    version = world.finished()
    user = copy_of(world, version)
    editor = policy.user()
    policy.assign(editor, "Contributor", above(version.name))
    stubs = world.catalog.user(editor.rpartition("/")[2])
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE") as found:
        delete(world, version.name, by=stubs)
    assert user.name not in found.message
    assert found.info.metadata["users"] == ""


# Strong consistency.


def test_a_parent_goes_right_after_its_last_child(world: World) -> None:
    version, _ = world.version()
    for name in (version.name, *(above(version.name, level) for level in (1, 2, 3))):
        gone(world, delete(world, name))
        assert not exists(world, name)


def test_a_repeated_deletion_answers_the_operation_that_is_under_way(world: World) -> None:
    gallery = world.gallery()
    with paused(world):
        operation = delete(world, gallery)
        assert delete(world, gallery).name == operation.name
        assert delete(world, gallery, force=True).name == operation.name
        with refused(Code.ABORTED, "OPERATION_IN_PROGRESS") as added:
            world.definition(gallery)
        assert added.info.metadata["operation"] == operation.name
    gone(world, operation)


def test_a_stale_etag_deletes_nothing(world: World) -> None:
    version, _ = world.version()
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        delete(world, version.name, etag="stale")
    for name in (above(version.name), above(version.name, 2)):
        with refused(Code.ABORTED, "ETAG_MISMATCH"):
            delete(world, name, etag="stale", force=True)
    assert exists(world, version.name)


def test_a_view_tells_that_a_version_is_gone_until_there_is_another(
    world: World, policy: Policy
) -> None:
    consumer = Consumer(world, policy)
    gallery = galleries.get(world, galleries.direct(world))
    definition = world.definition(gallery.name)
    galleries.share(world, gallery.name, galleries.ADD, consumer.subscription)
    version = world.finished(definition)
    view = f"{consumer.shared(gallery)}/images/{definition.rpartition('/')[2]}/versions/1.0.0"
    assert consumer.shared_version(view).name == view
    gone(world, delete(world, version.name))
    with refused(Code.NOT_FOUND, "VERSION_DELETED") as deleted:
        consumer.shared_version(view)
    assert deleted.info.metadata["resource"] == view
    world.version(definition)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.shared_version(view)


# Force.


def full_group(world: World) -> tuple[str, list[str]]:
    """Make a group with one of everything; answer it, and what goes with it."""
    definition = keeping(world)
    gallery, group = above(definition), above(definition, 2)
    finished = world.finished(definition, "1.10.0")
    unfinished, _ = world.version(definition, "1.9.0")
    softly = soft_deleted(world, definition, "1.0.0")
    made = [kind.create(world, kind.request(world, group)).name for kind in sources.ALL]
    # The machine brought a disk of its own.
    disks = [f"{group}/disks/{one}" for one in sources.DISK.listed(world, group)]
    versions = [softly.name, unfinished.name, finished.name]
    return group, [*versions, definition, gallery, *{*made, *disks}]


def test_force_takes_along_all_that_is_below_children_first(world: World) -> None:
    group, below = full_group(world)
    answer = delete(world, group, force=True, validate_only=True)
    planned = told(answer)
    assert (answer.name, answer.done) == ("", True)
    assert list(planned.resources[:5]) == below[:5]
    assert set(planned.resources) == {*below, group}
    assert planned.resources[-1] == group
    assert (planned.resource_count, planned.deleted_count) == (len(below) + 1, 0)
    assert all(exists(world, one) for one in below[:5])

    operation = delete(world, group, force=True)

    gone(world, operation)
    done = told(world.wait(operation))
    assert done.resources == planned.resources
    assert (done.target, done.verb) == (group, "delete")
    assert done.deleted_count == done.resource_count == len(below) + 1
    assert not any(exists(world, one) for one in (*below[:5], group))
    for name in below[:3]:
        for ask in (world.get, lambda name: resolve(world, name)):
            with refused(Code.NOT_FOUND, "VERSION_DELETED"):
                ask(name)


def test_force_on_a_definition_and_a_gallery(world: World) -> None:
    first = keeping(world)
    gallery = above(first)
    second = world.definition(gallery)
    for definition in (first, second):
        world.finished(definition, "1.0.0")
        soft_deleted(world, definition, "2.0.0")
    gone(world, delete(world, first, force=True))
    assert not exists(world, first)
    assert exists(world, second)
    gone(world, delete(world, gallery, force=True))
    assert not exists(world, gallery)


def test_everything_is_on_its_way_when_the_call_returns(world: World) -> None:
    version = world.finished()
    definition, gallery, group = (above(version.name, level) for level in (1, 2, 3))
    update = gallery_service_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(name=gallery, description="too late")
    )
    with paused(world):
        operation = delete(world, group, force=True)
        assert world.get(version.name).provisioning_state == DELETING
        with refused(Code.NOT_FOUND):
            resolve(world, definition)
        for change in (
            lambda: world.version(definition, "9.0.0"),
            lambda: world.definition(gallery),
            lambda: world.gallery(group),
            lambda: sources.SNAPSHOT.create(world, sources.SNAPSHOT.request(world, group)),
            lambda: world.owner.galleries.UpdateGallery(update),
        ):
            with refused(Code.ABORTED, "OPERATION_IN_PROGRESS"):
                change()
    gone(world, operation)


def test_a_deletion_tells_how_much_of_it_is_gone(world: World) -> None:
    definition = world.definition()
    for patch in range(3):
        world.finished(definition, f"1.0.{patch}")
    stuck = world.get(f"{definition}/versions/1.0.2")
    world.replication.stubborn.add(stuck.uid)
    try:
        operation = delete(world, definition, force=True)
        seen = _until_told(world, operation, lambda one: one.deleted_count == 2)
        assert (seen.resource_count, seen.status_message) == (4, "2 of 4 are gone")
        assert numbers(world, definition) == ["1.0.2"]
    finally:
        world.replication.stubborn.clear()
    gone(world, operation)


def test_force_names_everything_in_the_way_and_deletes_nothing(
    world: World, policy: Policy
) -> None:
    group = world.group()
    shared = world.gallery(group, sharing_profile=galleries.Profile(mode=galleries.GROUPS))
    galleries.share(world, shared, galleries.ADD, policy.subscription())
    blocked = version_profiles_pb2.SafetyProfile(block_deletion_before_end_of_life=True)
    definition = world.definition(world.gallery(group))
    kept, _ = world.version(
        definition,
        safety_profile=blocked,
        end_of_life_time=datetime.now(UTC) + timedelta(days=1),
    )
    used = world.finished(definition, "2.0.0")
    copy_of(world, used)
    for validate_only in (True, False):
        with (
            unchanged(world, kept.name, used.name),
            refused(Code.FAILED_PRECONDITION, "PRECONDITION_FAILED") as found,
        ):
            delete(world, group, force=True, validate_only=validate_only)
        assert found.preconditions == {
            shared: "STILL_SHARED",
            kept.name: "DELETION_BLOCKED_UNTIL_END_OF_LIFE",
            used.name: "SOURCE_IN_USE",
        }


def test_what_is_needed_by_something_that_goes_too_is_not_in_the_way(world: World) -> None:
    definition = world.definition()
    version = world.finished(definition)
    copy_of(world, version, world.definition(above(definition)))
    with refused(Code.FAILED_PRECONDITION, "SOURCE_IN_USE"):
        delete(world, definition, force=True)
    gone(world, delete(world, above(definition), force=True))


def test_an_encryption_set_that_is_needed_elsewhere_stops_its_group(world: World) -> None:
    group = world.group()
    kind = sources.ENCRYPTION_SET
    found = kind.create(world, kind.request(world, group))
    user = sources.DISK.create(world, sources.DISK.request(world, disk_encryption_set=found.name))
    with refused(Code.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE") as needed:
        delete(world, group, force=True)
    assert needed.info.metadata["users"] == user.name
    gone(world, delete(world, above(user.name), force=True))
    gone(world, delete(world, group, force=True))


def deny(policy: Policy, principal: str, scope: str, action: str) -> None:
    policy.owner.denies.CreateDenyAssignment(
        deny_assignment_service_pb2.CreateDenyAssignmentRequest(
            parent=scope,
            deny_assignment=deny_assignment_pb2.DenyAssignment(
                display_name="No deleting",
                permissions=[permission_pb2.Permission(actions=[action])],
                principals=[principal],
            ),
            wait_for_replicas=True,
        )
    )


@pytest.mark.parametrize(
    ("level", "denied_at", "action"),
    [
        (1, 1, VERSION_DELETE),
        (2, 2, "Microsoft.Compute/galleries/images/delete"),
        (2, 0, VERSION_DELETE),
        (3, 2, "Microsoft.Compute/galleries/delete"),
        (3, 0, VERSION_DELETE),
    ],
)
def test_force_needs_the_right_to_delete_everything_below(
    world: World, policy: Policy, level: int, denied_at: int, action: str
) -> None:
    version, _ = world.version()
    target = above(version.name, level)
    editor = policy.user()
    policy.assign(editor, "Contributor", target)
    deny(policy, editor, above(version.name, denied_at) if denied_at else version.name, action)
    stubs = world.catalog.user(editor.rpartition("/")[2])
    with (
        unchanged(world, version.name),
        refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as found,
    ):
        delete(world, target, by=stubs, force=True)
    assert found.info.metadata["permission"] == action
    assert found.info.metadata["field"] == "name"


def test_a_source_that_may_not_be_deleted_stops_its_group(world: World, policy: Policy) -> None:
    group = world.group()
    kind = sources.SNAPSHOT
    snapshot = kind.create(world, kind.request(world, group))
    editor = policy.user()
    policy.assign(editor, "Contributor", group)
    deny(policy, editor, group, "Microsoft.Compute/snapshots/delete")
    stubs = world.catalog.user(editor.rpartition("/")[2])
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        delete(world, group, by=stubs, force=True)
    assert kind.get(world, snapshot.name)
    gone(world, delete(world, group, force=True))


def test_a_deletion_of_less_and_one_of_more_end_together(world: World) -> None:
    version = world.finished()
    definition, gallery, group = (above(version.name, level) for level in (1, 2, 3))
    with paused(world):
        operations = [
            delete(world, version.name),
            delete(world, definition, force=True),
            delete(world, gallery, force=True),
            delete(world, group, force=True),
        ]
        assert len({one.name for one in operations}) == 4
    for operation, count in zip(operations, (1, 2, 3, 4), strict=True):
        gone(world, operation)
        done = told(world.wait(operation))
        assert (done.deleted_count, done.resource_count) == (count, count)


def test_a_repeated_request_id_answers_the_first_reply(world: World) -> None:
    version, _ = world.version()
    request_id = "6f1f6a52-2f0c-4a05-9a63-9a2c3f1f0a11"
    first = delete(world, above(version.name), force=True, request_id=request_id)
    gone(world, first)
    assert delete(world, above(version.name), force=True, request_id=request_id) == first


def test_a_deletion_that_someone_cancels_goes_on(world: World) -> None:
    version, _ = world.version()
    with paused(world):
        operation = delete(world, above(version.name), force=True)
        world.owner.operations.CancelOperation(
            operations_pb2.CancelOperationRequest(name=operation.name)
        )
    gone(world, operation)
    assert told(world.wait(operation)).cancel_requested
    assert not exists(world, version.name)


def _until_told(world: World, operation: Any, condition: Callable[[Any], bool]) -> Any:
    request = operations_pb2.GetOperationRequest(name=operation.name)
    for _ in range(500):
        found = told(world.owner.operations.GetOperation(request))
        if condition(found):
            return found
        time.sleep(0.02)
    raise AssertionError(found)
