"""Who may use what: every cell of the table of sharing (gallery-semantics 5.5)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import pytest
from stoa.authz.v1 import subscription_pb2, tenant_pb2, user_pb2
from stoa.catalog.v1 import (
    community_gallery_service_pb2,
    deployment_check_pb2,
    gallery_pb2,
    gallery_service_pb2,
    image_definition_service_pb2,
    image_resolution_pb2,
    image_version_requests_pb2,
    shared_gallery_service_pb2,
)

from services.policy.builtin_roles import (
    COMPUTE_GALLERY_IMAGE_READER,
    COMPUTE_GALLERY_SHARING_ADMIN,
)
from tests.wire.authz import installation as authz_wire
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ADD, BLOCK, ENABLE, UNBLOCK, community, direct, share
from tests.wire.catalog.galleries import request as share_request
from tests.wire.catalog.installation import Stubs, World, refused

Code = grpc.StatusCode
KINDS = ("user", "group", "service principal")
IMAGE_READER = f"roleDefinitions/{COMPUTE_GALLERY_IMAGE_READER.id}"
SHARING_ADMIN = f"roleDefinitions/{COMPUTE_GALLERY_SHARING_ADMIN.id}"


class Principal(NamedTuple):
    """Somebody: who roles are given to, and the calls that they make."""

    assignee: str
    stubs: Stubs


class Real(NamedTuple):
    """A version under its real name, and what it lies in."""

    gallery: str
    definition: str
    version: str


def principal(world: World, policy: Policy, kind: str) -> Principal:
    if kind == "service principal":
        name = assignee = policy.service_principal()
    else:
        name = assignee = policy.user()
    if kind == "group":
        # Membership reaches through groups in groups.
        assignee = policy.group(policy.group(name))
    return Principal(assignee, world.catalog.user(last(name)))


class Abroad(NamedTuple):
    """Another tenant, two subscriptions of it, and who owns them."""

    tenant: str
    subscriptions: tuple[str, str]
    owner: str
    stubs: Stubs


def abroad(world: World, policy: Policy, **more: Any) -> Abroad:
    tenant, owner = world.id("tenant-"), world.id("ann")
    made = policy.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=tenant,
            tenant=tenant_pb2.Tenant(display_name="Abroad", **more),
            initial_owner=user_pb2.User(
                display_name="Ann", user_principal_name=f"{owner}@example.org"
            ),
            initial_owner_id=owner,
        )
    )
    directory = world.catalog.authz.user(owner, tenant).directory
    names = [
        directory.CreateSubscription(
            subscription_pb2.CreateSubscriptionRequest(
                subscription_id=world.id("abroad-"),
                subscription=subscription_pb2.Subscription(display_name="S", tenant=made.name),
            )
        ).name
        for _ in range(2)
    ]
    world.catalog.catch_up()
    return Abroad(
        made.name,
        (names[0], names[1]),
        f"{made.name}/users/{owner}",
        world.catalog.user(owner, tenant),
    )


def last(name: str) -> str:
    return name.rpartition("/")[2]


def published(world: World, gallery: str = "") -> Real:
    gallery = gallery or world.gallery()
    definition = world.definition(gallery)
    return Real(gallery, definition, world.finished(definition).name)


def get_gallery(stubs: Stubs, name: str) -> Any:
    return stubs.galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=name))


def get_definition(stubs: Stubs, name: str) -> Any:
    request = image_definition_service_pb2.GetImageDefinitionRequest(name=name)
    return stubs.definitions.GetImageDefinition(request)


def get_version(stubs: Stubs, name: str) -> Any:
    request = image_version_requests_pb2.GetImageVersionRequest(name=name)
    return stubs.versions.GetImageVersion(request)


def resolve(stubs: Stubs, image: str, location: str = "") -> str:
    request = image_resolution_pb2.ResolveImageVersionRequest(image=image, location=location)
    return str(stubs.versions.ResolveImageVersion(request).image_version)


def deploys(stubs: Stubs, image: str, location: str = "") -> bool:
    request = deployment_check_pb2.CheckDeploymentRequest(image=image, location=location)
    request.machine.accept_terms = True
    return bool(stubs.versions.CheckDeployment(request).deployable)


class View(NamedTuple):
    """The names that a version is seen under from a subscription, and the calls about them."""

    gallery: str
    image: str
    version: str

    @property
    def get(self) -> Callable[[Stubs], Any]:
        shared = "/sharedGalleries/" in self.gallery

        def ask(stubs: Stubs) -> Any:
            if shared:
                request = shared_gallery_service_pb2.GetSharedGalleryImageVersionRequest(
                    name=self.version
                )
                return stubs.shared.GetSharedGalleryImageVersion(request)
            asked = community_gallery_service_pb2.GetCommunityGalleryImageVersionRequest(
                name=self.version
            )
            return stubs.community.GetCommunityGalleryImageVersion(asked)

        return ask

    def used(self, stubs: Stubs) -> None:
        """Check that somebody finds, resolves and may deploy the version."""
        assert self.gallery in self.listed(stubs)
        assert self.get(stubs).name == self.version
        assert resolve(stubs, self.image) == self.version
        assert deploys(stubs, self.image)

    def unknown(self, stubs: Stubs) -> None:
        """Check that the version is to somebody as if it were not there."""
        assert self.gallery not in self.listed(stubs)
        for call in (
            lambda: self.get(stubs),
            lambda: resolve(stubs, self.image),
            lambda: deploys(stubs, self.version),
        ):
            with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
                call()

    def listed(self, stubs: Stubs) -> set[str]:
        parent = "/".join(self.gallery.split("/")[:4])
        if "/communityGalleries/" in self.gallery:
            request = community_gallery_service_pb2.ListCommunityGalleriesRequest(
                parent=parent, page_size=1000
            )
            page = stubs.community.ListCommunityGalleries(request)
            return {one.name for one in page.community_galleries}
        found = set()
        for shared_to in (
            shared_gallery_service_pb2.SHARED_TO_SUBSCRIPTION,
            shared_gallery_service_pb2.SHARED_TO_TENANT,
        ):
            asked = shared_gallery_service_pb2.ListSharedGalleriesRequest(
                parent=parent, page_size=1000, shared_to=shared_to
            )
            found |= {one.name for one in stubs.shared.ListSharedGalleries(asked).shared_galleries}
        return found


def view(world: World, real: Real, subscription: str) -> View:
    found = get_gallery(world.owner, real.gallery)
    info = found.sharing_profile.community_gallery_info
    place = f"{subscription}/locations/eastus"
    gallery = f"{place}/sharedGalleries/{found.unique_name}"
    if info.public_names:
        gallery = f"{place}/communityGalleries/{info.public_names[0]}"
    image = f"{gallery}/images/{last(real.definition)}"
    return View(gallery, image, f"{image}/versions/{last(real.version)}")


# By roles.


@pytest.mark.parametrize("kind", KINDS)
def test_by_a_role_people_groups_and_service_principals_use_the_real_version(
    world: World, policy: Policy, kind: str
) -> None:
    real, who = published(world), principal(world, policy, kind)
    for call in (
        lambda: get_version(who.stubs, real.version),
        lambda: resolve(who.stubs, real.definition, "eastus"),
        lambda: deploys(who.stubs, real.definition, "eastus"),
    ):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
            call()
    policy.assign(who.assignee, IMAGE_READER, real.definition)
    world.catalog.catch_up()
    assert get_version(who.stubs, real.version).name == real.version
    assert resolve(who.stubs, real.definition, "eastus") == real.version
    assert deploys(who.stubs, real.definition, "eastus")


@pytest.mark.parametrize("level", ["gallery", "definition", "version"])
def test_a_role_holds_at_its_scope_and_below(world: World, policy: Policy, level: str) -> None:
    real, who = published(world), principal(world, policy, "user")
    scopes = list(real)
    policy.assign(who.assignee, "Reader", getattr(real, level))
    world.catalog.catch_up()
    seen = scopes.index(getattr(real, level))
    calls: list[Callable[[Stubs, str], Any]] = [get_gallery, get_definition, get_version]
    for at, (call, name) in enumerate(zip(calls, scopes, strict=True)):
        if at >= seen:
            assert call(who.stubs, name).name == name
        else:
            with refused(Code.PERMISSION_DENIED):
                call(who.stubs, name)


@pytest.mark.parametrize("nobody", ["subscriptions/default", "tenants/default", "*"])
def test_a_role_is_given_to_principals_alone(world: World, policy: Policy, nobody: str) -> None:
    with authz_wire.refused(Code.INVALID_ARGUMENT):
        policy.assign(nobody, "Reader", world.gallery())


def test_a_principal_of_another_tenant_may_have_a_role(world: World, policy: Policy) -> None:
    real, other = published(world), abroad(world, policy)
    with refused(Code.PERMISSION_DENIED):
        get_version(other.stubs, real.version)
    policy.assign(other.owner, "Reader", real.gallery)
    world.catalog.catch_up()
    assert get_version(other.stubs, real.version).name == real.version
    assert resolve(other.stubs, real.definition, "eastus") == real.version


# Directly.


@pytest.mark.parametrize("kind", KINDS)
def test_shared_with_a_subscription_its_principals_use_the_view(
    world: World, policy: Policy, kind: str
) -> None:
    real, who = published(world, direct(world)), principal(world, policy, kind)
    subscription = policy.subscription()
    policy.assign(who.assignee, "Reader", subscription)
    world.catalog.catch_up()
    seen = view(world, real, subscription)
    seen.unknown(who.stubs)
    share(world, real.gallery, ADD, subscription)
    seen.used(who.stubs)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_with_a_tenant_it_is_used_in_all_of_its_subscriptions(
    world: World, policy: Policy, kind: str
) -> None:
    real, other = published(world, direct(world)), abroad(world, policy)
    at_home, who = policy.subscription(), principal(world, policy, kind)
    for subscription in (*other.subscriptions, at_home):
        # It is the subscription that counts, not whence its principals are.
        giver = policy if subscription == at_home else None
        give(world, giver, other, who.assignee, subscription)
    world.catalog.catch_up()
    share(world, real.gallery, ADD, other.tenant)
    for subscription in other.subscriptions:
        view(world, real, subscription).used(who.stubs)
        view(world, real, subscription).used(other.stubs)
    view(world, real, at_home).unknown(who.stubs)


def give(
    world: World, policy: Policy | None, other: Abroad, assignee: str, subscription: str
) -> None:
    """Make somebody a reader of a subscription, by its owner."""
    if policy is not None:
        policy.assign(assignee, "Reader", subscription)
        return
    stubs = world.catalog.authz.user(last(other.owner), last(other.tenant))
    asked = Policy(world.catalog.authz).assignment(assignee, "Reader", subscription)
    stubs.assignments.CreateRoleAssignment(asked)


def test_what_is_shared_directly_is_nothing_to_others(world: World, policy: Policy) -> None:
    real, other = published(world, direct(world)), abroad(world, policy)
    inside, outside = policy.subscription(), policy.subscription()
    who = principal(world, policy, "user")
    for subscription in (inside, outside):
        policy.assign(who.assignee, "Reader", subscription)
    world.catalog.catch_up()
    share(world, real.gallery, ADD, inside)
    view(world, real, inside).used(who.stubs)
    view(world, real, outside).unknown(who.stubs)
    view(world, real, other.subscriptions[0]).unknown(other.stubs)
    # From a subscription that they hold nothing in, they are not even told that.
    with refused(Code.PERMISSION_DENIED):
        view(world, real, inside).get(other.stubs)


# With the community.


@pytest.mark.parametrize("kind", KINDS)
def test_a_community_gallery_is_used_from_every_subscription_of_every_tenant(
    world: World, policy: Policy, kind: str
) -> None:
    real, other = published(world, community(world)), abroad(world, policy)
    subscription, who = policy.subscription(), principal(world, policy, kind)
    policy.assign(who.assignee, "Reader", subscription)
    world.catalog.catch_up()
    view(world, real, subscription).unknown(who.stubs)
    share(world, real.gallery, ENABLE)
    view(world, real, subscription).used(who.stubs)
    for abroad_too in other.subscriptions:
        view(world, real, abroad_too).used(other.stubs)


def test_a_blocked_subscription_or_tenant_sees_no_community_gallery(
    world: World, policy: Policy
) -> None:
    real, other = published(world, community(world)), abroad(world, policy)
    share(world, real.gallery, ENABLE)
    first, second = (view(world, real, one) for one in other.subscriptions)
    share(world, real.gallery, BLOCK, other.subscriptions[0])
    first.unknown(other.stubs)
    second.used(other.stubs)
    share(world, real.gallery, BLOCK, other.tenant)
    second.unknown(other.stubs)
    share(world, real.gallery, UNBLOCK, other.tenant)
    second.used(other.stubs)
    first.unknown(other.stubs)


def test_a_community_gallery_is_opened_to_nobody_in_particular(
    world: World, policy: Policy
) -> None:
    gallery = community(world)
    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_MISMATCH"):
        share(world, gallery, ADD, policy.subscription())
    with refused(Code.INVALID_ARGUMENT):
        share(world, gallery, ENABLE, policy.subscription())


# What no view gives.


@pytest.mark.parametrize("make", [direct, community])
def test_through_a_view_nobody_reaches_the_real_resource(
    world: World, policy: Policy, make: Callable[[World], str]
) -> None:
    real = published(world, make(world))
    subscription, who = policy.subscription(), principal(world, policy, "user")
    policy.assign(who.assignee, "Owner", subscription)
    world.catalog.catch_up()
    step = (ADD, subscription) if make is direct else (ENABLE,)
    share(world, real.gallery, *step)
    view(world, real, subscription).used(who.stubs)
    change = gallery_service_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(name=real.gallery, description="mine")
    )
    gone = image_version_requests_pb2.DeleteImageVersionRequest(name=real.version)
    for call in (
        lambda: get_gallery(who.stubs, real.gallery),
        lambda: get_definition(who.stubs, real.definition),
        lambda: get_version(who.stubs, real.version),
        lambda: resolve(who.stubs, real.definition, "eastus"),
        lambda: deploys(who.stubs, real.version, "eastus"),
        lambda: who.stubs.galleries.UpdateGallery(change),
        lambda: who.stubs.galleries.ShareGallery(share_request(real.gallery, *step)),
        lambda: who.stubs.versions.DeleteImageVersion(gone),
    ):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
            call()


# Who shares.


def test_a_sharing_admin_shares_and_cannot_even_read(world: World, policy: Policy) -> None:
    gallery, who = direct(world), principal(world, policy, "user")
    policy.assign(who.assignee, SHARING_ADMIN, gallery)
    world.catalog.catch_up()
    who.stubs.galleries.ShareGallery(share_request(gallery, ADD, policy.subscription()))
    with refused(Code.PERMISSION_DENIED):
        get_gallery(who.stubs, gallery)


def test_a_contributor_who_is_a_sharing_admin_too_shares(world: World, policy: Policy) -> None:
    gallery, who = direct(world), principal(world, policy, "user")
    policy.assign(who.assignee, "Contributor", gallery)
    wanted = share_request(gallery, ADD, policy.subscription())
    with refused(Code.PERMISSION_DENIED):
        who.stubs.galleries.ShareGallery(wanted)
    policy.assign(who.assignee, SHARING_ADMIN, gallery)
    who.stubs.galleries.ShareGallery(wanted)
