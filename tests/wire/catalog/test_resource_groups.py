"""Resource groups on the wire."""

import uuid

import grpc
import pytest
from stoa.catalog.v1 import provisioning_state_pb2
from stoa.catalog.v1 import resource_group_pb2 as group_pb
from stoa.catalog.v1 import resource_group_service_pb2 as pb

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import SUBSCRIPTION, World, refused

Code = grpc.StatusCode


def _create(
    group_id: str, location: str = "East US", **more: object
) -> pb.CreateResourceGroupRequest:
    return pb.CreateResourceGroupRequest(
        parent=SUBSCRIPTION,
        resource_group_id=group_id,
        resource_group=group_pb.ResourceGroup(location=location),
        **more,  # type: ignore[arg-type]
    )


def test_a_group_is_created_under_its_canonical_region_and_read_back(world: World) -> None:
    made = world.owner.groups.CreateResourceGroup(_create(world.id("Group")))
    assert made.location == "eastus"
    assert made.provisioning_state == provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
    found = world.owner.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=made.name.upper()))
    assert found == made


def test_a_get_is_one_statement_and_so_is_a_page(world: World) -> None:
    name = world.group()
    with world.catalog.foundation.db.statements() as statements:
        world.owner.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=name))
        assert len([one for one in statements if "resource_groups" in one]) == 1
        statements.clear()
        world.owner.groups.ListResourceGroups(pb.ListResourceGroupsRequest(parent=SUBSCRIPTION))
        assert len([one for one in statements if "resource_groups" in one]) == 1


def test_everything_wrong_with_a_request_is_told_at_once(world: World) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.groups.CreateResourceGroup(_create("bad id!", "nowhere", request_id="x"))
    assert set(found.fields) == {"resource_group_id", "resource_group.location", "request_id"}
    assert found.fields["resource_group.location"] == "REGION_UNKNOWN"


def test_a_taken_name_is_told_from_one_in_another_region(world: World) -> None:
    group_id = world.id("Group")
    world.owner.groups.CreateResourceGroup(_create(group_id))
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        world.owner.groups.CreateResourceGroup(_create(group_id.upper()))
    with refused(Code.ALREADY_EXISTS, "LOCATION_CONFLICT") as found:
        world.owner.groups.CreateResourceGroup(_create(group_id, "westus"))
    assert found.info.metadata["location"] == "eastus"


def test_a_repeated_request_id_answers_the_first_reply(world: World) -> None:
    request = _create(world.id("group"), request_id=str(uuid.uuid4()))
    made = world.owner.groups.CreateResourceGroup(request)
    assert world.owner.groups.CreateResourceGroup(request) == made
    request.resource_group.location = "westus"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        world.owner.groups.CreateResourceGroup(request)


def test_a_validated_group_is_answered_and_not_there(world: World) -> None:
    request = _create(world.id("group"), validate_only=True)
    made = world.owner.groups.CreateResourceGroup(request)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.owner.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=made.name))


def test_a_subscription_that_is_not_there_is_refused_as_one_without_a_role(world: World) -> None:
    request = _create(world.id("group"))
    request.parent = "subscriptions/unknown"
    with refused(Code.PERMISSION_DENIED) as found:
        world.owner.groups.CreateResourceGroup(request)
    assert found.message == (
        "Permission 'Microsoft.Resources/subscriptions/resourceGroups/write' denied on resource "
        "'subscriptions/unknown' (or it may not exist)."
    )


def test_a_caller_without_a_role_and_one_without_a_token_are_refused(
    world: World, policy: Policy
) -> None:
    name = world.group()
    stranger = world.catalog.user(policy.user().rpartition("/")[2])
    with world.catalog.foundation.db.statements() as statements:
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
            stranger.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=name))
        assert not [one for one in statements if "resource_groups" in one]
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        world.catalog.nobody().groups.GetResourceGroup(pb.GetResourceGroupRequest(name=name))


def test_an_update_changes_the_tags_and_nothing_else(world: World) -> None:
    name = world.group(tags={"a": "1", "b": "2"})
    before = world.owner.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=name))
    sent = group_pb.ResourceGroup(name=name, tags={"b": "3"}, etag=before.etag)
    request = pb.UpdateResourceGroupRequest(resource_group=sent)
    request.update_mask.paths.append("tags.b")
    after = world.owner.groups.UpdateResourceGroup(request)
    assert dict(after.tags) == {"a": "1", "b": "3"}
    assert after.etag != before.etag
    with refused(Code.ABORTED, "ETAG_MISMATCH") as found:
        world.owner.groups.UpdateResourceGroup(request)
    assert found.info.metadata["etag"] == after.etag
    del request.update_mask.paths[:]
    request.resource_group.etag = ""
    request.resource_group.location = "westus"
    request.update_mask.paths.append("location")
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED"):
        world.owner.groups.UpdateResourceGroup(request)


def test_pages_follow_one_another_in_the_order_of_names(world: World) -> None:
    tag = world.id("tag")
    made = [world.group(tags={"set": tag}) for _ in range(5)]
    request = pb.ListResourceGroupsRequest(
        parent=SUBSCRIPTION, page_size=2, filter=f'tags.set = "{tag}"'
    )
    names: list[str] = []
    while True:
        page = world.owner.groups.ListResourceGroups(request)
        names += [one.name for one in page.resource_groups]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert names == sorted(made)
    request.filter = ""
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        world.owner.groups.ListResourceGroups(request)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('name = "{name}"', True),
        ('location = "East US"', True),
        ("location = westus", False),
        ("provisioning_state = SUCCEEDED", True),
        ('create_time > "2020-01-01T00:00:00Z"', True),
        ("tags:only", True),
        ("tags:other", False),
    ],
)
def test_a_list_is_filtered(world: World, condition: str, found: bool) -> None:
    name = world.group(tags={"only": world.id("v")})
    written = f'name = "{name}" AND {condition.format(name=name)}'
    request = pb.ListResourceGroupsRequest(parent=SUBSCRIPTION, filter=written)
    page = world.owner.groups.ListResourceGroups(request)
    assert [one.name for one in page.resource_groups] == ([name] if found else [])


def test_a_wildcard_lists_exactly_what_the_caller_may_read(world: World, policy: Policy) -> None:
    visible, hidden = world.group(), world.group()
    reader = policy.user()
    policy.assign(reader, "Reader", visible)
    world.catalog.catch_up()
    stub = world.catalog.user(reader.rpartition("/")[2])
    request = pb.ListResourceGroupsRequest(parent="subscriptions/-")
    names = [one.name for one in stub.groups.ListResourceGroups(request).resource_groups]
    assert names == [visible]
    assert hidden not in names
    with refused(Code.PERMISSION_DENIED):
        stub.groups.ListResourceGroups(pb.ListResourceGroupsRequest(parent=SUBSCRIPTION))


def test_a_group_that_holds_something_is_not_deleted(world: World) -> None:
    group = world.group()
    gallery = world.gallery(group)
    with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY") as found:
        world.owner.groups.DeleteResourceGroup(pb.DeleteResourceGroupRequest(name=group))
    assert found.info.metadata["children"] == gallery


def test_a_deleted_group_is_gone_and_what_was_granted_on_it_too(
    world: World, policy: Policy
) -> None:
    group = world.group()
    reader = policy.user()
    policy.assign(reader, "Reader", group)
    world.catalog.catch_up()
    request = pb.DeleteResourceGroupRequest(name=group, validate_only=True)
    assert world.owner.groups.DeleteResourceGroup(request).name == ""
    request.validate_only = False
    done = world.wait(world.owner.groups.DeleteResourceGroup(request))
    assert done.response.TypeName() == "google.protobuf.Empty"
    with refused(Code.NOT_FOUND):
        world.owner.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=group))
    group_id = group.rpartition("/")[2]
    world.owner.groups.CreateResourceGroup(_create(group_id))
    world.catalog.catch_up()
    stub = world.catalog.user(reader.rpartition("/")[2])
    with refused(Code.PERMISSION_DENIED):
        stub.groups.GetResourceGroup(pb.GetResourceGroupRequest(name=group))
