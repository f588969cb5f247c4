"""DiskService and SnapshotService on the wire: what is theirs alone."""

import threading
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from stoa.catalog.v1 import machine_hardware_pb2, purchase_plan_pb2
from stoa.replication.v1 import copy_state_pb2
from stoa.type.v1 import os_type_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.sources import (
    CREATING,
    DISK,
    ENCRYPTION_SET,
    FAILED,
    SNAPSHOT,
    SUCCEEDED,
    Source,
)

BOTH = pytest.mark.parametrize("kind", [DISK, SNAPSHOT], ids=lambda one: one.plural)
SYSTEM: dict[str, Any] = {
    "os_type": os_type_pb2.OS_TYPE_WINDOWS,
    "os_state": os_type_pb2.OS_STATE_SPECIALIZED,
    "hyper_v_generation": os_type_pb2.HYPER_V_GENERATION_V2,
    "architecture": os_type_pb2.ARCHITECTURE_ARM64,
    "security_type": machine_hardware_pb2.MACHINE_SECURITY_TYPE_TRUSTED_LAUNCH,
    "carries_vm_guest_state": True,
    "accelerated_networking_supported": False,
    "disk_controller_types": [machine_hardware_pb2.DISK_CONTROLLER_TYPE_NVME],
    "purchase_plan": purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="o"),
}


def held_by(world: World, uid: str) -> set[str]:
    return {name for name, source in world.replication.held if source == uid}


def until_it_is_not_creating(world: World, kind: Source, name: str) -> Any:
    for _ in range(300):
        found = kind.get(world, name)
        if found.provisioning_state != CREATING:
            return found
        threading.Event().wait(0.05)
    raise AssertionError(found)


def problem(reason: str) -> copy_state_pb2.FailureCause:
    found = copy_state_pb2.FailureCause()
    found.status.code = 9
    found.status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain="replication.stoa.dev")
    )
    return found


@BOTH
def test_what_is_known_of_the_system_is_kept(world: World, kind: Source) -> None:
    made = kind.create(world, kind.request(world, **SYSTEM))

    for field, value in SYSTEM.items():
        assert getattr(made, field) == value, field
    assert made.HasField("accelerated_networking_supported")
    assert made.size_bytes == 1 << 30
    assert kind.get(world, made.name) == made


@BOTH
def test_what_is_not_said_has_its_default(world: World, kind: Source) -> None:
    made = kind.create(world)

    assert made.os_type == os_type_pb2.OS_TYPE_UNSPECIFIED
    assert made.os_state == os_type_pb2.OS_STATE_UNSPECIFIED
    assert made.hyper_v_generation == os_type_pb2.HYPER_V_GENERATION_V1
    assert made.architecture == os_type_pb2.ARCHITECTURE_X64
    assert made.security_type == machine_hardware_pb2.MACHINE_SECURITY_TYPE_STANDARD
    assert not made.HasField("accelerated_networking_supported")
    assert not made.HasField("purchase_plan")
    if kind is DISK:
        assert made.disk_type == machine_hardware_pb2.DISK_TYPE_STANDARD_LRS


def test_an_ultra_disk_can_be_a_disk(world: World) -> None:
    ultra = machine_hardware_pb2.DISK_TYPE_ULTRA_SSD_LRS
    assert DISK.create(world, DISK.request(world, disk_type=ultra)).disk_type == ultra


@BOTH
def test_its_blob_is_held_until_it_is_deleted(world: World, kind: Source) -> None:
    request = kind.request(world)
    made = kind.create(world, request)
    assert held_by(world, made.uid) == {kind.of(request).blob}

    kind.delete(world, made.name)

    with world.replication.arrived:
        assert world.replication.arrived.wait_for(lambda: not held_by(world, made.uid), 15)


@BOTH
def test_it_becomes_ready_by_itself_when_replication_comes_back(world: World, kind: Source) -> None:
    world.replication.holds_nothing = True
    try:
        made = kind.create(world)
        assert made.provisioning_state == CREATING
    finally:
        world.replication.holds_nothing = False

    found = until_it_is_not_creating(world, kind, made.name)
    assert found.provisioning_state == SUCCEEDED
    assert found.etag == made.etag
    assert len(held_by(world, made.uid)) == 1


@BOTH
def test_it_fails_when_its_blob_goes_before_it_is_held(world: World, kind: Source) -> None:
    request = kind.request(world)
    world.replication.holds_nothing = True
    try:
        made = kind.create(world, request)
        del world.replication.blobs[kind.of(request).blob]
    finally:
        world.replication.holds_nothing = False

    found = until_it_is_not_creating(world, kind, made.name)
    assert found.provisioning_state == FAILED
    kind.delete(world, made.name)


@BOTH
def test_one_that_is_deleted_before_it_is_held_holds_nothing(world: World, kind: Source) -> None:
    world.replication.holds_nothing = True
    try:
        made = kind.create(world)
        kind.delete(world, made.name)
    finally:
        world.replication.holds_nothing = False
    later = kind.create(world)

    # Messages of others do not wait, so wait for those of this one.
    for _ in range(300):
        if not _unsent(world, made.uid):
            break
        threading.Event().wait(0.05)
    assert not _unsent(world, made.uid)
    assert not held_by(world, made.uid)
    assert held_by(world, later.uid)


def _unsent(world: World, uid: str) -> int:
    table = world.catalog.foundation.stores.outbox.table
    statement = table.select().where(table.c.aggregate == uid, table.c.sent_time.is_(None))
    rows = world.catalog.foundation.db.read(lambda c: c.execute(statement).all())
    return len(rows)


@BOTH
def test_everything_wrong_is_told_at_once(world: World, kind: Source) -> None:
    request = kind.request(world, location="mars", blob="", disk_encryption_set="key")
    kind.of(request).purchase_plan.name = "only"
    path = kind.singular

    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS") as refusal:
        kind.create(world, request)

    assert set(refusal.fields) == {
        f"{path}.location",
        f"{path}.blob",
        f"{path}.disk_encryption_set",
        f"{path}.purchase_plan.publisher",
        f"{path}.purchase_plan.product",
    }
    kind.of(request).blob = f"{request.parent}/disks/d"
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        kind.create(world, request)
    assert f"{path}.blob" in refusal.fields


@BOTH
def test_a_blob_that_is_not_there_is_not_found(world: World, kind: Source) -> None:
    group = world.group()
    request = kind.request(world, group, blob=f"{group}/blobs/nothing")

    with refused(grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        kind.create(world, request)

    assert refusal.info.metadata["resource"] == f"{group}/blobs/nothing"


@BOTH
def test_a_blob_that_is_not_committed_is_not_ready(world: World, kind: Source) -> None:
    group = world.group()
    blob = world.blob(group, problem=problem("BLOB_NOT_COMMITTED"))

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_NOT_READY") as refusal:
        kind.create(world, kind.request(world, group, blob=blob))

    assert refusal.preconditions == {blob: "SOURCE_NOT_READY"}


@BOTH
def test_a_blob_of_a_wrong_format_is_refused(world: World, kind: Source) -> None:
    group = world.group()
    blob = world.blob(group, problem=problem("SOURCE_FORMAT_INVALID"))

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_FORMAT_INVALID"):
        kind.create(world, kind.request(world, group, blob=blob))


@BOTH
def test_a_blob_in_another_region_is_refused(world: World, kind: Source) -> None:
    group = world.group()
    blob = world.blob(group, "westus")

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_LOCATION_MISMATCH") as refusal:
        kind.create(world, kind.request(world, group, blob=blob))

    assert refusal.info.metadata["location"] == "westus"


@BOTH
def test_nothing_is_made_while_replication_does_not_answer(world: World, kind: Source) -> None:
    request = kind.request(world)
    world.replication.silent = True
    try:
        with refused(grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
            kind.create(world, request)
    finally:
        world.replication.silent = False

    assert kind.listed(world, request.parent) == []


@BOTH
def test_the_right_to_the_blob_is_needed_beside_that_to_the_group(
    world: World, policy: Policy, kind: Source
) -> None:
    elsewhere = world.group()
    blob = world.blob(elsewhere)
    request = kind.request(world, blob=blob)
    user = policy.user()
    policy.assign(user, "Contributor", request.parent)
    stubs = world.catalog.user(user.rpartition("/")[2])

    with refused(grpc.StatusCode.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        kind.create(world, request, stubs)

    assert dict(refusal.info.metadata) == {
        "permission": "Microsoft.Compute/disks/write",
        "resource": blob,
        "field": f"{kind.singular}.blob",
    }
    policy.assign(user, "Contributor", elsewhere)
    assert kind.create(world, request, stubs).provisioning_state == SUCCEEDED


@BOTH
def test_an_encryption_set_is_kept_as_long_as_something_refers_to_it(
    world: World, kind: Source
) -> None:
    group = world.group()
    key = ENCRYPTION_SET.create(world, ENCRYPTION_SET.request(world, group))
    made = kind.create(world, kind.request(world, group, disk_encryption_set=key.name))
    assert made.disk_encryption_set == key.name

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE") as refusal:
        ENCRYPTION_SET.delete(world, key.name)
    assert refusal.info.metadata["users"] == made.name

    kind.delete(world, made.name)
    ENCRYPTION_SET.delete(world, key.name)


@BOTH
def test_an_encryption_set_must_be_there_in_the_region_and_readable(
    world: World, policy: Policy, kind: Source
) -> None:
    request = kind.request(world)
    elsewhere = world.group("westus")
    key = ENCRYPTION_SET.request(world, elsewhere, location="westus")
    far = ENCRYPTION_SET.create(world, key).name

    kind.of(request).disk_encryption_set = f"{request.parent}/diskEncryptionSets/none"
    with refused(grpc.StatusCode.NOT_FOUND, "ENCRYPTION_SET_NOT_FOUND"):
        kind.create(world, request)
    kind.of(request).disk_encryption_set = far
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_OTHER_REGION"):
        kind.create(world, request)
    user = policy.user()
    policy.assign(user, "Contributor", request.parent)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        kind.create(world, request, world.catalog.user(user.rpartition("/")[2]))
    assert refusal.info.metadata["field"] == f"{kind.singular}.disk_encryption_set"


@BOTH
def test_an_encryption_set_of_another_subscription_is_refused(
    world: World, policy: Policy, kind: Source
) -> None:
    other = policy.subscription()
    world.catalog.catch_up()
    policy.assign("tenants/default/users/owner", "Owner", other)
    request = kind.request(world)
    kind.of(request).disk_encryption_set = f"{other}/resourceGroups/g/diskEncryptionSets/k"

    reason = "ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION"
    with refused(grpc.StatusCode.FAILED_PRECONDITION, reason):
        kind.create(world, request)


@BOTH
def test_they_are_filtered_by_what_they_are(world: World, kind: Source) -> None:
    group = world.group()
    windows = kind.create(world, kind.request(world, group, **SYSTEM))
    data = kind.create(world, kind.request(world, group))
    ids = {one.name: one.name.rpartition("/")[2] for one in (windows, data)}

    for text in (
        "os_type = WINDOWS",
        "os_state = SPECIALIZED",
        "architecture = ARM64",
        "hyper_v_generation = V2",
        f'blob = "{windows.blob.upper().replace("SUBSCRIPTIONS", "subscriptions")}"',
        f'blob:"{windows.blob.rpartition("/")[2]}"',
    ):
        assert kind.listed(world, group, filter=text) == [ids[windows.name]], text
    assert kind.listed(world, group, filter="os_type != WINDOWS") == [ids[data.name]]
    if kind is DISK:
        assert len(kind.listed(world, group, filter="disk_type = STANDARD_LRS")) == 2
        assert kind.listed(world, group, filter="disk_type = PREMIUM_LRS") == []
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        kind.page(world, group, filter="os_type = BEOS")
