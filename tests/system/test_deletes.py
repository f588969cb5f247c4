"""Deletions killed at any point end all the same, and leave nothing behind."""

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.empty_pb2 import Empty
from stoa.catalog.v1 import (
    disk_pb2,
    disk_service_pb2,
    gallery_pb2,
    gallery_service_pb2,
    image_version_pb2,
    image_version_requests_pb2,
    operation_metadata_pb2,
    resource_group_service_pb2,
)
from stoa.catalog.v1.disk_service_pb2_grpc import DiskServiceStub
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.resource_group_service_pb2_grpc import ResourceGroupServiceStub
from stoa.replication.v1 import image_disk_service_pb2
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub

from tests.system.disks import Disk, noise
from tests.system.errors import Refusal, refusal
from tests.system.installation import Client, Installation, eventually, installed
from tests.system.invariants import assert_at_rest
from tests.system.publishing import (
    HOME,
    OS,
    Place,
    Shop,
    get_version,
    make_image,
    make_regions,
    make_shop,
    publish,
    read,
    store_of,
    upload,
    version_request,
)
from tests.system.stores import StoreFiles

pytestmark = pytest.mark.timeout(240)

AWAY = "westus"
REGIONS = {HOME: 1, AWAY: 1}
# How long work stays with a process that was killed: short, so that tests are.
LEASE_SECONDS = "3"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    settings = {"STOA_CATALOG_LEASE_SECONDS": LEASE_SECONDS}
    with installed(tmp_path_factory.mktemp("deletes"), **settings) as installation:
        make_regions(installation, [Place(HOME, "East US"), Place(AWAY, "West US")])
        yield installation


@pytest.fixture
def fragile(standing: Installation) -> Installation:
    """An installation that tests may kill; the one before may have left it so."""
    standing.up()
    return standing


def shop_of(installation: Installation, disk: Disk) -> tuple[Shop, str]:
    """Make a shop, and an image in it."""
    shop = make_shop(installation.client())
    return shop, make_image(shop.owner, shop.group, disk)


def keep_deleted(shop: Shop) -> None:
    """Switch soft delete on."""
    policy = gallery_pb2.SoftDeletePolicy(enabled=True)
    gallery = gallery_pb2.Gallery(name=shop.gallery, soft_delete_policy=policy)
    request = gallery_service_pb2.UpdateGalleryRequest(gallery=gallery)
    shop.owner.of(GalleryServiceStub).UpdateGallery(request)


def delete(owner: Client, version: str, *, purge: bool = False) -> operations_pb2.Operation:
    return owner.of(ImageVersionServiceStub).DeleteImageVersion(
        image_version_requests_pb2.DeleteImageVersionRequest(name=version, purge=purge)
    )


def undelete(owner: Client, version: str) -> operations_pb2.Operation:
    return owner.of(ImageVersionServiceStub).UndeleteImageVersion(
        image_version_requests_pb2.UndeleteImageVersionRequest(name=version)
    )


def told(
    owner: Client, operation: operations_pb2.Operation
) -> tuple[bool, operation_metadata_pb2.DeleteOperationMetadata]:
    """Answer whether a deletion is done, and what it tells."""
    stub: Any = operations_pb2_grpc.OperationsStub(owner.channel("catalog"))
    found = stub.GetOperation(operations_pb2.GetOperationRequest(name=operation.name))
    metadata = operation_metadata_pb2.DeleteOperationMetadata()
    assert found.metadata.Unpack(metadata)
    return found.done, metadata


def missing(owner: Client, version: str) -> str:
    """Answer the reason why a version is not found."""
    request = image_version_requests_pb2.GetImageVersionRequest(name=version)
    found = refusal(owner.of(ImageVersionServiceStub).GetImageVersion, request)
    assert found.code == grpc.StatusCode.NOT_FOUND
    return str(found.info.reason)


def unreadable(owner: Client, version: str) -> None:
    request = image_disk_service_pb2.ReadDiskRequest(name=version, location=HOME, disk=OS)
    found = refusal(owner.of(ImageDiskServiceStub).ReadDisk, request)
    assert (found.code, found.info.reason) == (
        grpc.StatusCode.NOT_FOUND,
        "RESOURCE_NOT_FOUND",
    )


def await_no_ref(installation: Installation, *uids: str) -> None:
    """Wait until no region holds any of the versions."""
    stores = [StoreFiles(store_of(installation, region)) for region in REGIONS]
    eventually(
        lambda: not any(store.ref(uid) for store in stores for uid in uids),
        "no store has a ref of what was deleted",
    )


def kill_workers(installation: Installation) -> None:
    os.kill(installation.workers("catalog"), signal.SIGKILL)


def test_a_deletion_by_force_goes_on_after_each_kill_between_its_steps(
    fragile: Installation,
) -> None:
    shop, image = shop_of(fragile, noise(1, 1))
    owner = shop.owner
    versions = [publish(shop, image, REGIONS, f"1.0.{patch}") for patch in range(3)]
    # Nothing begins before what is killed is known.
    fragile.hold_workers("catalog")
    request = resource_group_service_pb2.DeleteResourceGroupRequest(name=shop.group, force=True)
    operation = owner.of(ResourceGroupServiceStub).DeleteResourceGroup(request)
    _, planned = told(owner, operation)
    assert planned.resource_count == len(versions) + 4
    assert list(planned.resources)[-1] == shop.group
    kill_workers(fragile)

    kills, last = 1, 0
    while True:
        done, now = told(owner, operation)
        if done:
            break
        assert now.deleted_count >= last
        if now.deleted_count > last:
            last = now.deleted_count
            kill_workers(fragile)
            kills += 1

    owner.result(operation, Empty)
    _, ended = told(owner, operation)
    assert ended.deleted_count == ended.resource_count == planned.resource_count
    assert kills > 1
    for version in versions:
        assert missing(owner, version.name) == "VERSION_DELETED"
    group = resource_group_service_pb2.GetResourceGroupRequest(name=shop.group)
    gone = refusal(owner.of(ResourceGroupServiceStub).GetResourceGroup, group)
    assert gone.code == grpc.StatusCode.NOT_FOUND
    await_no_ref(fragile, *(one.uid for one in versions))


def test_a_catalog_killed_right_after_it_answered_deletes_all_the_same(
    fragile: Installation,
) -> None:
    shop, image = shop_of(fragile, noise(1, 2))
    version = publish(shop, image, REGIONS)
    fragile.hold_workers("catalog")
    request = gallery_service_pb2.DeleteGalleryRequest(name=shop.gallery, force=True)
    operation = shop.owner.of(GalleryServiceStub).DeleteGallery(request)

    fragile.kill("catalog")
    fragile.restart("catalog")

    owner = fragile.client()
    owner.result(operation, Empty)
    assert missing(owner, version.name) == "VERSION_DELETED"
    await_no_ref(fragile, version.uid)


def test_a_purge_killed_between_its_steps_ends_and_nothing_can_be_read(
    fragile: Installation,
) -> None:
    disk = noise(1, 3)
    shop, image = shop_of(fragile, disk)
    keep_deleted(shop)
    owner = shop.owner
    version = publish(shop, image, REGIONS)
    owner.result(delete(owner, version.name), Empty)
    # What is soft-deleted is read by its number until it is purged.
    assert get_version(owner, version.name).state == (
        image_version_pb2.IMAGE_VERSION_STATE_SOFT_DELETED
    )
    assert read(owner, version.name, OS, AWAY).digest == disk.digest

    # Replication is not there, so the purge stands between its commit and its end.
    fragile.kill("replication")
    operation = delete(owner, version.name, purge=True)
    kill_workers(fragile)
    fragile.restart("replication")

    owner = fragile.client()
    owner.result(operation, Empty)
    assert missing(owner, version.name) == "VERSION_DELETED"
    unreadable(owner, version.name)
    await_no_ref(fragile, version.uid)
    # Its name, and that of what held it, are free at once.
    publish(shop, image, REGIONS)


def test_an_undeleted_version_is_as_it_was_in_every_region(fragile: Installation) -> None:
    disk = noise(1, 4)
    shop, image = shop_of(fragile, disk)
    keep_deleted(shop)
    owner = shop.owner
    version = publish(shop, image, REGIONS)
    owner.result(delete(owner, version.name), Empty)

    restored = owner.result(undelete(owner, version.name), image_version_pb2.ImageVersion)

    assert (restored.uid, restored.state) == (
        version.uid,
        image_version_pb2.IMAGE_VERSION_STATE_ACTIVE,
    )
    for region in REGIONS:
        assert read(owner, version.name, OS, region).digest == disk.digest


def test_what_is_due_is_purged_by_itself_by_the_right_of_the_catalog_alone(
    fragile: Installation,
) -> None:
    shop, image = shop_of(fragile, noise(1, 5))
    keep_deleted(shop)
    owner = shop.owner
    version = publish(shop, image, REGIONS)
    owner.result(delete(owner, version.name), Empty)

    make_due(fragile, version.uid)

    eventually(lambda: is_gone(owner, version.name), "the version is purged")
    unreadable(owner, version.name)
    await_no_ref(fragile, version.uid)


# What may be answered to a creation that races with the deletion of all that is above it.
LATE = {"OPERATION_IN_PROGRESS", "PARENT_NOT_FOUND", "SOURCE_NOT_FOUND", "SOURCE_NOT_READY"}


def test_what_is_made_while_its_group_is_deleted_by_force_goes_or_was_never_made(
    fragile: Installation,
) -> None:
    reasons: set[str] = set()
    for _ in range(5):
        shop, image = shop_of(fragile, noise(1, 6))
        blob = upload(shop.owner, shop.group, noise(1, 7))
        begun = threading.Barrier(3)

        def make_versions(shop: Shop = shop, image: str = image, begun: Any = begun) -> None:
            begun.wait()
            for patch in range(8):
                request = version_request(shop, image, {HOME: 1}, f"1.0.{patch}")
                attempt(shop.owner.of(ImageVersionServiceStub).CreateImageVersion, request, reasons)

        def make_disks(shop: Shop = shop, blob: str = blob, begun: Any = begun) -> None:
            begun.wait()
            for number in range(8):
                request = disk_service_pb2.CreateDiskRequest(
                    parent=shop.group,
                    disk_id=f"disk{number}",
                    disk=disk_pb2.Disk(location=HOME, blob=blob),
                )
                attempt(shop.owner.of(DiskServiceStub).CreateDisk, request, reasons)

        makers = [threading.Thread(target=one) for one in (make_versions, make_disks)]
        for maker in makers:
            maker.start()
        begun.wait()
        request = resource_group_service_pb2.DeleteResourceGroupRequest(name=shop.group, force=True)
        operation = shop.owner.of(ResourceGroupServiceStub).DeleteResourceGroup(request)
        for maker in makers:
            maker.join()
        shop.owner.result(operation, Empty)
        group = resource_group_service_pb2.GetResourceGroupRequest(name=shop.group)
        gone = refusal(shop.owner.of(ResourceGroupServiceStub).GetResourceGroup, group)
        assert gone.code == grpc.StatusCode.NOT_FOUND
    assert reasons <= LATE
    assert reasons


def attempt(send: Any, request: Any, reasons: set[str]) -> None:
    try:
        send(request)
    except grpc.RpcError as error:
        reasons.add(Refusal(error).info.reason)


def test_nothing_is_left_half_done_by_deletions(fragile: Installation) -> None:
    assert_at_rest(fragile)


def make_due(installation: Installation, uid: str) -> None:
    """Move the times of a soft-deleted version into the past, as days would."""
    database = installation.layout.state("catalog") / "catalog.db"
    past = int((datetime.now(UTC).timestamp() - 1) * 1_000_000)
    with sqlite3.connect(database, timeout=30) as connection:
        connection.execute(
            "UPDATE image_versions SET expiry_time = :t, consumption_end_time = :t, "
            "purge_time = :t, document = json_set(document, '$.consumption_end_time', :t, "
            "'$.purge_time', :t) WHERE uid = :uid",
            {"t": past, "uid": uid},
        )
    connection.close()


def is_gone(owner: Client, version: str) -> bool:
    try:
        get_version(owner, version)
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.NOT_FOUND
    return False
