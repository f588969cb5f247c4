"""What the services of all sources do alike, on the wire."""

import uuid
from dataclasses import replace
from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import resource_group_service_pb2

from services.catalog.domain.resource import ProvisioningState
from services.catalog.ports.transaction import Tx
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.sources import ALL, DISK, MACHINE, SUCCEEDED, Source

EVERY = pytest.mark.parametrize("kind", ALL, ids=lambda one: one.plural)


def caller(world: World, policy: Policy, role: str = "", scope: str = "") -> Any:
    user = policy.user()
    if role:
        policy.assign(user, role, scope)
        world.catalog.catch_up()
    return world.catalog.user(user.rpartition("/")[2])


@EVERY
def test_a_source_is_answered_as_it_was_made(world: World, kind: Source) -> None:
    request = kind.request(world, location="East US", tags={"env": "test"})

    made = kind.create(world, request)

    source_id = getattr(request, f"{kind.singular}_id")
    collection = made.name.split("/")[4]
    assert made.name == f"{request.parent}/{collection}/{source_id}"
    assert made.location == "eastus"
    assert made.provisioning_state == SUCCEEDED
    assert len(made.uid) == 32
    assert made.etag
    assert made.create_time == made.update_time
    assert dict(made.tags) == {"env": "test"}
    assert kind.get(world, made.name) == made
    assert kind.get(world, made.name.replace(source_id, source_id.upper())) == made


@EVERY
def test_a_region_that_is_not_there_is_refused_with_those_that_are(
    world: World, kind: Source
) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REGION_UNKNOWN") as refusal:
        kind.create(world, kind.request(world, location="mars"))

    assert "eastus2" in refusal.info.metadata["known"]
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        kind.create(world, kind.request(world, location=""))
    assert f"{kind.singular}.location" in refusal.fields


@EVERY
def test_a_name_that_is_taken_says_where(world: World, kind: Source) -> None:
    request = kind.request(world)
    made = kind.create(world, request)

    with refused(grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS") as refusal:
        kind.create(world, request)
    assert refusal.info.metadata["resource"] == made.name

    elsewhere = kind.request(world, request.parent)
    kind.of(elsewhere).ClearField("location")
    if hasattr(made, "blob"):
        kind.of(elsewhere).blob = world.blob(request.parent, "westus")
    if kind is MACHINE:
        far = DISK.request(world, location="westus", os_type=kind.of(elsewhere).os_type)
        DISK.of(far).blob = world.blob(request.parent, "westus")
        kind.of(elsewhere).os_disk.disk = DISK.create(world, far).name
    if hasattr(made, "store"):
        kind.of(elsewhere).store = "western"
    kind.of(elsewhere).location = "westus"
    setattr(elsewhere, f"{kind.singular}_id", getattr(request, f"{kind.singular}_id"))
    with refused(grpc.StatusCode.ALREADY_EXISTS, "LOCATION_CONFLICT") as refusal:
        kind.create(world, elsewhere)
    assert refusal.info.metadata["location"] == "eastus"


@EVERY
def test_a_group_that_is_not_there_is_not_found(world: World, kind: Source) -> None:
    request = kind.request(world)
    request.parent = f"{request.parent}x"

    with refused(grpc.StatusCode.NOT_FOUND, "PARENT_NOT_FOUND"):
        kind.create(world, request)
    with refused(grpc.StatusCode.NOT_FOUND, "PARENT_NOT_FOUND"):
        kind.page(world, request.parent)


@EVERY
def test_a_repeated_request_is_answered_as_the_first_time(world: World, kind: Source) -> None:
    request = kind.request(world)
    request.request_id = str(uuid.uuid4())

    assert kind.create(world, request) == kind.create(world, request)

    kind.of(request).tags["other"] = "body"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        kind.create(world, request)


@EVERY
def test_a_repeated_delete_is_answered_as_the_first_time(world: World, kind: Source) -> None:
    made = kind.create(world)
    other = kind.create(world)
    again = str(uuid.uuid4())

    kind.delete(world, made.name, request_id=again)
    kind.delete(world, made.name, request_id=again)

    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        kind.delete(world, other.name, request_id=again)


@EVERY
def test_what_is_deleted_is_gone_and_its_name_free_at_once(world: World, kind: Source) -> None:
    request = kind.request(world)
    made = kind.create(world, request)

    kind.delete(world, made.name, etag=made.etag)

    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        kind.get(world, made.name)
    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        kind.delete(world, made.name)
    assert kind.create(world, request).uid != made.uid


@EVERY
def test_deleting_with_a_stale_etag_is_aborted(world: World, kind: Source) -> None:
    made = kind.create(world)

    with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
        kind.delete(world, made.name, etag='"stale"')

    assert kind.get(world, made.name) == made


@EVERY
def test_a_group_with_a_source_stays(world: World, kind: Source) -> None:
    made = kind.create(world)
    group = made.name.rpartition("/")[0].rpartition("/")[0]
    request = resource_group_service_pb2.DeleteResourceGroupRequest(name=group)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY") as refusal:
        world.owner.groups.DeleteResourceGroup(request)

    assert made.name in refusal.info.metadata["children"].split(",")


@EVERY
def test_nothing_is_added_to_a_group_that_is_going(world: World, kind: Source) -> None:
    request = kind.request(world)
    group = request.parent.lower()

    def begin_to_delete(tx: Tx) -> None:
        found = tx.groups.get(group, lock=True)
        assert found is not None
        tx.groups.update(replace(found, state=ProvisioningState.DELETING))

    world.catalog.foundation.transact(begin_to_delete)

    with refused(grpc.StatusCode.ABORTED, "OPERATION_IN_PROGRESS"):
        kind.create(world, request)


@EVERY
def test_only_who_may_makes_sees_and_deletes(world: World, policy: Policy, kind: Source) -> None:
    request = kind.request(world)
    made = kind.create(world, request)
    reader = caller(world, policy, "Reader", request.parent)
    nobody = caller(world, policy)

    for call in (
        lambda: kind.get(world, made.name, nobody),
        lambda: kind.page(world, request.parent, nobody),
        lambda: kind.delete(world, made.name, nobody),
        lambda: kind.create(world, request, nobody),
        lambda: kind.delete(world, made.name, reader),
        lambda: kind.create(world, request, reader),
    ):
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            call()
    assert kind.get(world, made.name, reader) == made


@EVERY
def test_everybody_lists_what_they_may_see_across_groups(
    world: World, policy: Policy, kind: Source
) -> None:
    seen, unseen = kind.create(world), kind.create(world)
    group = seen.name.rpartition("/")[0].rpartition("/")[0]
    reader = caller(world, policy, "Reader", group)
    everywhere = "subscriptions/-/resourceGroups/-"

    assert kind.listed(world, everywhere, reader) == [seen.name.rpartition("/")[2]]
    assert kind.listed(world, everywhere, caller(world, policy)) == []
    found = kind.listed(world, "subscriptions/default/resourceGroups/-", page_size=1000)
    assert {seen.name.rpartition("/")[2], unseen.name.rpartition("/")[2]} <= set(found)


@EVERY
def test_lists_are_ordered_filtered_and_paged(world: World, kind: Source) -> None:
    group = world.group()
    ids = []
    for number in range(3):
        request = kind.request(world, group, tags={"number": str(number)})
        setattr(request, f"{kind.singular}_id", f"abc{number}")
        ids.append(kind.create(world, request).name.rpartition("/")[2])

    first = kind.page(world, group, page_size=2)
    second = kind.page(world, group, page_size=2, page_token=first.next_page_token)

    found = [*getattr(first, kind.plural), *getattr(second, kind.plural)]
    assert [one.name.rpartition("/")[2] for one in found] == ids
    assert not second.next_page_token
    backwards = kind.page(world, group, page_size=2, order_by="create_time desc")
    assert [one.name.rpartition("/")[2] for one in getattr(backwards, kind.plural)] == ids[:0:-1]
    rest = kind.listed(
        world, group, order_by="create_time desc", page_token=backwards.next_page_token, page_size=2
    )
    assert rest == ids[:1]
    assert kind.listed(world, group, filter="tags.number = 1") == ids[1:2]
    assert kind.listed(world, group, filter="location = westus") == []
    assert kind.listed(world, group, filter="provisioning_state = SUCCEEDED") == ids
    assert kind.listed(world, group, filter="name:ABC2") == ids[2:]
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        kind.page(world, group, filter="uid = 5")
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        kind.page(world, group, order_by="tags")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        kind.page(world, group, page_token=first.next_page_token, filter="location = eastus")
