"""`-` in a list: all that the caller may see, and nothing else, wherever it was granted."""

from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from stoa.authz.v1 import (
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    permission_pb2,
    subscription_pb2,
)
from stoa.authz.v1 import management_group_pb2 as management_pb
from stoa.catalog.v1 import gallery_service_pb2 as galleries_pb
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import image_version_pb2
from stoa.catalog.v1 import image_version_requests_pb2 as versions_pb
from stoa.catalog.v1 import resource_group_service_pb2 as groups_pb
from stoa.type.v1 import os_type_pb2

from services.policy.builtin_roles import COMPUTE_GALLERY_IMAGE_READER
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import SUBSCRIPTION, Stubs, World, refused

Code = grpc.StatusCode
IMAGE_READER = f"roleDefinitions/{COMPUTE_GALLERY_IMAGE_READER.id}"
EVERYWHERE = "subscriptions/-/resourceGroups/-/galleries/-/images/-"


class Reader:
    """Somebody who holds what a test grants, and what their lists show."""

    def __init__(self, world: World, policy: Policy) -> None:
        self._world = world
        self._policy = policy
        self.name = policy.user()
        self._subject = self.name.rpartition("/")[2]

    @property
    def stubs(self) -> Stubs:
        self._world.catalog.catch_up()
        return self._world.catalog.user(self._subject)

    def granted(self, scope: str, role: str = "Reader", principal: str = "") -> None:
        self._policy.assign(principal or self.name, role, scope)

    def denied(self, scope: str, action: str, *, here: bool = False) -> None:
        deny = deny_assignment_pb2.DenyAssignment(
            display_name="Not here",
            principals=[self.name],
            permissions=[permission_pb2.Permission(actions=[action])],
            do_not_apply_to_child_scopes=here,
        )
        self._policy.owner.denies.CreateDenyAssignment(
            deny_assignment_service_pb2.CreateDenyAssignmentRequest(
                parent=scope, deny_assignment=deny
            )
        )

    def groups(self, **more: Any) -> list[str]:
        request = groups_pb.ListResourceGroupsRequest(parent="subscriptions/-", **more)
        return [one.name for one in self.stubs.groups.ListResourceGroups(request).resource_groups]

    def galleries(self, parent: str = "subscriptions/-/resourceGroups/-", **more: Any) -> list[str]:
        request = galleries_pb.ListGalleriesRequest(parent=parent, **more)
        return [one.name for one in self.stubs.galleries.ListGalleries(request).galleries]

    def definitions(self, **more: Any) -> list[str]:
        parent = EVERYWHERE.rpartition("/images/")[0]
        request = definitions_pb.ListImageDefinitionsRequest(parent=parent, **more)
        found = self.stubs.definitions.ListImageDefinitions(request)
        return [one.name for one in found.image_definitions]

    def page(self, parent: str = EVERYWHERE, **more: Any) -> Any:
        request = versions_pb.ListImageVersionsRequest(parent=parent, **more)
        return self.stubs.versions.ListImageVersions(request)

    def versions(self, parent: str = EVERYWHERE, **more: Any) -> list[str]:
        return [one.name for one in self.page(parent, **more).image_versions]


@pytest.fixture
def reader(world: World, policy: Policy) -> Reader:
    return Reader(world, policy)


def versions_of(world: World, definition: str, *numbers: str) -> Sequence[str]:
    for number in numbers:
        world.version(definition, number)
    return [f"{definition}/versions/{number}" for number in numbers]


def test_who_holds_nothing_sees_nothing_and_is_not_refused(reader: Reader) -> None:
    assert reader.groups() == reader.galleries() == reader.definitions() == reader.versions() == []


def test_a_grant_on_a_gallery_shows_it_and_all_that_is_in_it(world: World, reader: Reader) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery)
    world.definition()
    found = versions_of(world, definition, "1.0.0", "1.10.0", "1.9.0")
    reader.granted(gallery)
    assert reader.groups() == []
    assert reader.galleries() == [gallery]
    assert reader.definitions() == [definition]
    assert reader.versions() == [found[0], found[2], found[1]]


def test_a_grant_on_a_definition_shows_it_and_its_versions(world: World, reader: Reader) -> None:
    definition = world.definition()
    (version,) = versions_of(world, definition, "1.0.0")
    reader.granted(definition)
    assert reader.galleries() == []
    assert (reader.definitions(), reader.versions()) == ([definition], [version])


def test_a_version_that_is_granted_alone_is_listed(world: World, reader: Reader) -> None:
    version, _ = versions_of(world, world.definition(), "1.0.0", "2.0.0")
    reader.granted(version)
    assert reader.definitions() == []
    assert reader.versions() == [version]
    with refused(Code.PERMISSION_DENIED):
        reader.versions(version.rpartition("/versions/")[0])


def test_an_image_reader_sees_images_and_versions_and_no_gallery(
    world: World, reader: Reader
) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery)
    (version,) = versions_of(world, definition, "1.0.0")
    reader.granted("/".join(gallery.split("/")[:4]), IMAGE_READER)
    assert reader.groups() == reader.galleries() == []
    assert (reader.definitions(), reader.versions()) == ([definition], [version])


def test_grants_in_several_subscriptions_are_one_list(
    world: World, policy: Policy, reader: Reader
) -> None:
    other = policy.subscription()
    world.catalog.catch_up()
    there, here = world.group(parent=other), world.group()
    galleries = [world.gallery(group) for group in (there, here)]
    reader.granted(other)
    reader.granted(here)
    assert sorted(reader.groups()) == sorted([there, here])
    assert sorted(reader.galleries()) == sorted(galleries)
    assert reader.galleries(f"{other}/resourceGroups/-") == [galleries[0]]
    assert reader.galleries(f"{SUBSCRIPTION}/resourceGroups/-") == [galleries[1]]


def test_a_grant_on_a_management_group_shows_what_its_subscriptions_hold(
    world: World, policy: Policy, reader: Reader
) -> None:
    root = "tenants/default/managementGroups/default"
    made = policy.owner.directory.CreateManagementGroup(
        management_pb.CreateManagementGroupRequest(
            parent="tenants/default",
            management_group_id=policy.id("mg-"),
            management_group=management_pb.ManagementGroup(
                display_name="A group", parent_management_group=root
            ),
        )
    )
    subscription = policy.owner.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=policy.id("sub-"),
            subscription=subscription_pb2.Subscription(
                display_name="A subscription",
                tenant="tenants/default",
                parent_management_group=made.name,
            ),
        )
    ).name
    world.catalog.catch_up()
    world.gallery()
    gallery = world.gallery(world.group(parent=subscription))
    reader.granted(made.name)
    assert reader.galleries() == [gallery]


def test_a_grant_to_a_group_of_groups_shows_what_it_covers(
    world: World, policy: Policy, reader: Reader
) -> None:
    gallery = world.gallery()
    outer = policy.group(policy.group(reader.name))
    reader.granted(gallery, principal=outer)
    assert reader.galleries() == [gallery]


def test_what_is_denied_is_left_out_of_what_is_granted(world: World, reader: Reader) -> None:
    gallery = world.gallery()
    kept, hidden = world.definition(gallery), world.definition(gallery)
    (version,) = versions_of(world, kept, "1.0.0")
    versions_of(world, hidden, "1.0.0")
    reader.granted(gallery)
    reader.denied(hidden, "*/read")
    assert reader.definitions() == [kept]
    assert reader.versions() == [version]


def test_a_deny_of_one_scope_alone_leaves_what_is_below_it(world: World, reader: Reader) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery)
    reader.granted(gallery)
    reader.denied(gallery, "*/read", here=True)
    assert reader.galleries() == []
    assert reader.definitions() == [definition]


def test_pages_of_all_that_is_seen_hold_each_once(world: World, reader: Reader) -> None:
    gallery = world.gallery()
    definitions = [world.definition(gallery) for _ in range(2)]
    expected = [
        one for definition in sorted(definitions)
        for one in versions_of(world, definition, "1.0.9", "1.0.10", "2.0.0")
    ]  # fmt: skip
    reader.granted(gallery)
    for order in ("", "name desc", "publish_time desc", "location"):
        found: list[str] = []
        token = ""
        while True:
            page = reader.page(page_size=4, order_by=order, page_token=token)
            found += [one.name for one in page.image_versions]
            token = page.next_page_token
            if not token:
                break
        assert sorted(found) == sorted(expected), order
        if not order:
            assert found == expected


def test_a_token_belongs_to_its_caller(world: World, policy: Policy, reader: Reader) -> None:
    gallery = world.gallery()
    versions_of(world, world.definition(gallery), "1.0.0", "2.0.0")
    other = Reader(world, policy)
    for one in (reader, other):
        one.granted(gallery)
    token = reader.page(page_size=1).next_page_token
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        other.page(page_size=1, page_token=token)


def test_filters_hold_among_all_that_is_seen(world: World, reader: Reader) -> None:
    gallery = world.gallery()
    definition = world.definition(gallery, os_type=os_type_pb2.OS_TYPE_WINDOWS)
    world.definition(gallery)
    for number, where in (("1.0.0", ("eastus",)), ("2.0.0", ("eastus", "westus"))):
        world.version(definition, number, regions=where, tags={"set": number})
    reader.granted(gallery)
    assert reader.definitions(filter="os_type = WINDOWS") == [definition]
    assert reader.versions(filter='target_regions.location = "West US"') == [
        f"{definition}/versions/2.0.0"
    ]
    assert reader.versions(filter="tags.set = 1.0.0") == [f"{definition}/versions/1.0.0"]
    named = definition.replace(definition.split("/")[5], "-").rpartition("/images/")
    assert reader.versions("/".join([named[0], "images", named[2]])) == [
        f"{definition}/versions/1.0.0",
        f"{definition}/versions/2.0.0",
    ]


def test_a_list_answers_how_far_each_version_has_come_where_that_is_asked(
    world: World, reader: Reader
) -> None:
    definition = world.definition()
    world.version(definition)
    reader.granted(definition)
    for parent in (definition, EVERYWHERE):
        (basic,) = reader.page(parent).image_versions
        assert not basic.HasField("replication_status")
        status = image_version_pb2.IMAGE_VERSION_VIEW_REPLICATION_STATUS
        (found,) = reader.page(parent, view=status).image_versions
        assert [one.location for one in found.replication_status.summary] == ["eastus"]


def test_what_is_taken_away_is_gone_from_the_next_list(
    world: World, policy: Policy, reader: Reader
) -> None:
    gallery = world.gallery()
    reader.granted(gallery)
    assert reader.galleries() == [gallery]
    reader.denied(gallery, "*")
    assert reader.galleries() == []
