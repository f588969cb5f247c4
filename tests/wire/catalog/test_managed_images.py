"""ManagedImageService on the wire, with a replication service that the tests conduct."""

import threading
import uuid
from dataclasses import replace
from typing import Any

import grpc
from google.rpc import error_details_pb2
from stoa.catalog.v1 import (
    image_version_requests_pb2,
    managed_image_pb2,
    managed_image_service_pb2,
    provisioning_state_pb2,
)
from stoa.replication.v1 import copy_state_pb2
from stoa.type.v1 import os_type_pb2

from services.catalog.domain.resource import ProvisioningState
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import source_holds
from services.kernel.names import key
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused

CREATING = provisioning_state_pb2.PROVISIONING_STATE_CREATING
FAILED = provisioning_state_pb2.PROVISIONING_STATE_FAILED
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
Image = managed_image_pb2.ManagedImage


def image_request(world: World, group: str = "", **more: Any) -> Any:
    group = group or world.group()
    fields: dict[str, Any] = {
        "location": "eastus",
        "os_type": os_type_pb2.OS_TYPE_LINUX,
        "os_state": os_type_pb2.OS_STATE_GENERALIZED,
    }
    image = Image(**(fields | more))
    if image.WhichOneof("source") is None:
        image.blobs.os_blob = world.blob(group)
        image.blobs.data_blobs.add(lun=7, blob=world.blob(group))
        image.blobs.data_blobs.add(lun=2, blob=world.blob(group))
    return managed_image_service_pb2.CreateManagedImageRequest(
        parent=group, managed_image_id=world.id("Image"), managed_image=image
    )


def version_request(world: World, image: str) -> Any:
    request = image_version_requests_pb2.CreateImageVersionRequest(
        parent=world.definition(), image_version_id="1.0.0"
    )
    request.image_version.location = "eastus"
    request.image_version.target_regions.add(location="eastus")
    request.image_version.storage_profile.source.managed_image = image
    return request


def create(world: World, request: Any = None) -> Any:
    return world.owner.images.CreateManagedImage(request or image_request(world))


def get(world: World, name: str) -> Any:
    request = managed_image_service_pb2.GetManagedImageRequest(name=name)
    return world.owner.images.GetManagedImage(request)


def delete(world: World, name: str, **more: Any) -> Any:
    request = managed_image_service_pb2.DeleteManagedImageRequest(name=name, **more)
    return world.owner.images.DeleteManagedImage(request)


def held_by(world: World, uid: str) -> set[str]:
    return {name for name, source in world.replication.held if source == uid}


def test_an_image_is_ready_once_its_blobs_are_held(world: World) -> None:
    request = image_request(world)
    made = create(world, request)

    blobs = request.managed_image.blobs
    assert made.provisioning_state == SUCCEEDED
    assert held_by(world, made.uid) == {
        blobs.os_blob,
        *(one.blob for one in blobs.data_blobs),
    }
    assert get(world, made.name.upper().replace("SUBSCRIPTIONS", "subscriptions")) == made


def test_an_image_becomes_ready_by_itself_when_replication_comes_back(world: World) -> None:
    request = image_request(world)
    world.replication.holds_nothing = True
    try:
        made = create(world, request)
        assert made.provisioning_state == CREATING
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_NOT_READY"):
            world.owner.versions.CreateImageVersion(version_request(world, made.name))
    finally:
        world.replication.holds_nothing = False

    for _ in range(300):
        if get(world, made.name).provisioning_state == SUCCEEDED:
            break
        threading.Event().wait(0.05)
    found = get(world, made.name)
    assert found.provisioning_state == SUCCEEDED
    assert found.etag == made.etag
    assert len(held_by(world, made.uid)) == 3


def test_an_image_fails_when_a_blob_goes_before_it_is_held(world: World) -> None:
    request = image_request(world)
    request.managed_image.ClearField("blobs")
    blob = world.blob(request.parent)
    request.managed_image.blobs.os_blob = blob
    world.replication.holds_nothing = True
    try:
        made = create(world, request)
        del world.replication.blobs[blob]
    finally:
        world.replication.holds_nothing = False

    for _ in range(300):
        if get(world, made.name).provisioning_state != CREATING:
            break
        threading.Event().wait(0.05)
    assert get(world, made.name).provisioning_state == FAILED
    delete(world, made.name)


def test_disks_are_answered_in_their_order_with_sizes(world: World) -> None:
    made = create(world)

    assert [one.disk.os for one in made.disks] == [True, False, False]
    assert [one.disk.lun for one in made.disks[1:]] == [2, 7]
    assert {one.size_bytes for one in made.disks} == {1 << 30}


def test_everything_wrong_with_a_request_is_told_at_once(world: World) -> None:
    group = world.group()
    blob = world.blob(group)
    request = image_request(world, group, location="mars", os_type=0, os_state=0)
    request.managed_image.blobs.CopyFrom(managed_image_pb2.ManagedImageBlobs(os_blob=blob))
    request.managed_image.blobs.data_blobs.add(lun=1, blob=blob)
    request.managed_image.blobs.data_blobs.add(lun=1, blob=f"{group}/disks/d")

    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS") as refusal:
        create(world, request)

    assert refusal.fields == {
        "managed_image.location": "REGION_UNKNOWN",
        "managed_image.os_type": "INVALID_FIELDS",
        "managed_image.os_state": "INVALID_FIELDS",
        "managed_image.blobs.data_blobs[0].blob": "SOURCE_REPEATED",
        "managed_image.blobs.data_blobs[1].lun": "LUN_REPEATED",
        "managed_image.blobs.data_blobs[1].blob": "SOURCE_KIND_INVALID",
    }


def test_an_image_without_a_source_is_refused(world: World) -> None:
    request = image_request(world)
    request.managed_image.ClearField("blobs")

    with refused(grpc.StatusCode.INVALID_ARGUMENT, "SOURCE_KIND_INVALID"):
        create(world, request)


def test_a_blob_in_another_region_is_refused(world: World) -> None:
    group = world.group()
    request = image_request(world, group)
    request.managed_image.blobs.os_blob = elsewhere = world.blob(group, "westus")

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH") as refusal:
        create(world, request)

    assert refusal.preconditions == {elsewhere: "SOURCE_LOCATION_MISMATCH"}


def test_a_blob_that_is_not_committed_is_refused(world: World) -> None:
    group = world.group()
    problem = copy_state_pb2.FailureCause()
    problem.status.code = 9
    detail = problem.status.details.add()
    detail.Pack(
        error_details_pb2.ErrorInfo(reason="BLOB_NOT_COMMITTED", domain="replication.stoa.dev")
    )
    request = image_request(world, group)
    request.managed_image.blobs.os_blob = world.blob(group, problem=problem)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_NOT_READY"):
        create(world, request)


def test_a_blob_that_does_not_exist_is_not_found(world: World) -> None:
    group = world.group()
    request = image_request(world, group)
    request.managed_image.blobs.os_blob = f"{group}/blobs/nothing"

    with refused(grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        create(world, request)

    assert refusal.info.metadata["resource"] == f"{group}/blobs/nothing"


def test_a_group_that_does_not_exist_is_not_found(world: World) -> None:
    request = image_request(world)
    request.parent = f"{request.parent}x"

    with refused(grpc.StatusCode.NOT_FOUND, "PARENT_NOT_FOUND"):
        create(world, request)


def test_a_name_that_is_taken_says_where(world: World) -> None:
    request = image_request(world)
    create(world, request)

    with refused(grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        create(world, request)


def test_a_repeated_request_is_answered_as_the_first_time(world: World) -> None:
    request = image_request(world)
    request.request_id = str(uuid.uuid4())

    first, second = create(world, request), create(world, request)

    assert first.uid == second.uid
    request.managed_image.location = "westus"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        create(world, request)


def test_a_right_on_the_image_alone_is_not_enough(world: World, policy: Policy) -> None:
    request = image_request(world)
    elsewhere = world.group()
    request.managed_image.blobs.os_blob = world.blob(elsewhere)
    user = policy.user()
    policy.assign(user, "Contributor", request.parent)
    stubs = world.catalog.user(user.rpartition("/")[2])

    with refused(grpc.StatusCode.PERMISSION_DENIED) as refusal:
        stubs.images.CreateManagedImage(request)

    assert "Microsoft.Compute/disks/write" in refusal.message
    policy.assign(user, "Contributor", elsewhere)
    assert stubs.images.CreateManagedImage(request).provisioning_state == SUCCEEDED


def test_a_caller_without_a_role_sees_nothing(world: World, policy: Policy) -> None:
    made = create(world)
    stubs = world.catalog.user(policy.user().rpartition("/")[2])

    with refused(grpc.StatusCode.PERMISSION_DENIED):
        stubs.images.GetManagedImage(
            managed_image_service_pb2.GetManagedImageRequest(name=made.name)
        )
    found = stubs.images.ListManagedImages(
        managed_image_service_pb2.ListManagedImagesRequest(
            parent="subscriptions/default/resourceGroups/-"
        )
    )
    assert not found.managed_images


def test_images_are_listed_in_pages_by_filter(world: World) -> None:
    group = world.group()
    names = [create(world, image_request(world, group)).name for _ in range(3)]
    request = managed_image_service_pb2.ListManagedImagesRequest(parent=group, page_size=2)

    first = world.owner.images.ListManagedImages(request)
    request.page_token = first.next_page_token
    second = world.owner.images.ListManagedImages(request)

    assert [one.name for one in (*first.managed_images, *second.managed_images)] == names
    request.page_token = ""
    request.filter = "os_type = WINDOWS"
    assert not world.owner.images.ListManagedImages(request).managed_images
    request.parent = f"{group}x"
    with refused(grpc.StatusCode.NOT_FOUND, "PARENT_NOT_FOUND"):
        world.owner.images.ListManagedImages(request)


def test_a_deleted_image_is_gone_at_once_and_lets_go_of_its_blobs(world: World) -> None:
    request = image_request(world)
    made = create(world, request)

    delete(world, made.name)

    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world, made.name)
    assert create(world, request).uid != made.uid
    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held_by(world, made.uid), 15)


def test_a_deletion_that_an_older_release_began_is_finished(world: World) -> None:
    made = create(world)

    def begin(tx: Tx) -> None:
        image = tx.managed_images.get(key(made.name), lock=True)
        assert image is not None
        tx.managed_images.update(replace(image, state=ProvisioningState.DELETING))
        message = source_holds.message_of(image)
        tx.outbox.add(image.uid, "delete_managed_image", message)

    world.catalog.foundation.transact(begin)

    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held_by(world, made.uid), 15)
    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world, made.name)


def test_deleting_with_a_stale_etag_is_aborted(world: World) -> None:
    made = create(world)

    with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
        delete(world, made.name, etag='"stale"')
    delete(world, made.name, etag=made.etag)


def test_an_image_stays_while_an_unfinished_version_needs_it(world: World) -> None:
    made = create(world)
    request = version_request(world, made.name)
    operation = world.owner.versions.CreateImageVersion(request)
    version = world.get(f"{request.parent}/versions/1.0.0")

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_IN_USE") as refusal:
        delete(world, made.name)
    assert refusal.info.metadata["users"] == version.name

    world.replication.await_ensured(version.uid, 1)
    world.replication.tell(version.uid, "eastus", 3)
    world.wait(operation)
    delete(world, made.name)
