"""Galleries and how they are shared, rule by rule (gallery-semantics 1.1, 2, 3.1, 3.3, 3.7)."""

from typing import Any

import grpc
import pytest
from stoa.authz.v1 import tenant_pb2
from stoa.catalog.v1 import deployment_check_pb2, gallery_pb2, sharing_profile_pb2
from stoa.catalog.v1 import gallery_service_pb2 as pb

from services.policy.builtin_roles import COMPUTE_GALLERY_SHARING_ADMIN
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.deletions import delete, keeping, resolve, soft_deleted
from tests.wire.catalog.galleries import (
    ADD,
    COMMUNITY,
    ENABLE,
    GROUPS,
    PRIVATE,
    REMOVE,
    RESET,
    Profile,
    community,
    direct,
    get,
    share,
)
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.test_rules_sharing_table import abroad, last, published, view
from tests.wire.catalog.test_views import Consumer

Code = grpc.StatusCode
INFO = "sharing_profile.community_gallery_info"


def texts(**more: Any) -> sharing_profile_pb2.CommunityGalleryInfo:
    fields: dict[str, Any] = {
        "publisher_uri": "https://example.org",
        "publisher_contact": "images@example.org",
        "eula": "Be kind.",
        "public_name_prefix": "Golden",
    }
    return sharing_profile_pb2.CommunityGalleryInfo(**(fields | more))


def update(world: World, name: str, *paths: str, stubs: Any = None, **fields: Any) -> Any:
    request = pb.UpdateGalleryRequest(gallery=gallery_pb2.Gallery(name=name, **fields))
    request.update_mask.paths.extend(paths)
    return (stubs or world.owner).galleries.UpdateGallery(request)


def change_mode(world: World, name: str, mode: Any) -> Any:
    info = texts() if mode == COMMUNITY else None
    profile = Profile(mode=mode, community_gallery_info=info)
    return update(world, name, "sharing_profile", sharing_profile=profile).sharing_profile.mode


def gallery_of(world: World, mode: Any) -> str:
    return {PRIVATE: world.gallery, GROUPS: lambda: direct(world)}.get(
        mode, lambda: community(world)
    )()


@pytest.mark.parametrize("before", [PRIVATE, GROUPS, COMMUNITY])
@pytest.mark.parametrize("after", [PRIVATE, GROUPS, COMMUNITY])
def test_the_mode_changes_from_private_and_back_by_reset_alone(
    world: World, before: Any, after: Any
) -> None:
    name = gallery_of(world, before)
    if before in {PRIVATE, after}:
        assert change_mode(world, name, after) == after
        return
    mode = Profile.SharingMode.Name(before).removeprefix("SHARING_MODE_")
    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_CHANGE_NOT_ALLOWED") as found:
        change_mode(world, name, after)
    assert found.info.metadata["mode"] == mode
    assert get(world, name).sharing_profile.mode == before
    share(world, name, RESET)
    assert change_mode(world, name, after) == after


def test_nothing_but_sharing_changes_with_whom_a_gallery_is_shared(
    world: World, policy: Policy
) -> None:
    consumer, other = policy.subscription(), policy.subscription()
    sent = sharing_profile_pb2.SharingGroups(subscriptions=[other])
    made = world.gallery(sharing_profile=Profile(mode=GROUPS, groups=sent))
    assert not get(world, made).sharing_profile.groups.subscriptions
    share(world, made, ADD, consumer)
    update(world, made, "*", sharing_profile=Profile(mode=GROUPS, groups=sent))
    update(world, made, sharing_profile=Profile(mode=GROUPS, groups=sent))
    assert list(get(world, made).sharing_profile.groups.subscriptions) == [consumer]
    opened = community(world)
    info = texts(community_gallery_enabled=True, public_names=["Golden-mine"])
    profile = Profile(mode=COMMUNITY, community_gallery_info=info)
    after = update(world, opened, sharing_profile=profile).sharing_profile
    assert not after.community_gallery_info.community_gallery_enabled
    assert "Golden-mine" not in after.community_gallery_info.public_names


@pytest.mark.parametrize("prefix", ["abcde", "A1b2C3d4E5f6G7h8", "12345"])
def test_a_prefix_of_5_to_16_letters_and_digits_begins_the_public_name(
    world: World, prefix: str
) -> None:
    info = texts(public_name_prefix=prefix)
    made = world.gallery(sharing_profile=Profile(mode=COMMUNITY, community_gallery_info=info))
    (name,) = get(world, made).sharing_profile.community_gallery_info.public_names
    assert name.startswith(f"{prefix}-")
    assert len(name) > len(prefix) + 30


@pytest.mark.parametrize("prefix", ["abcd", "a" * 17, "with-dash", "with dot.", "ümlaut"])
def test_another_prefix_is_refused(world: World, prefix: str) -> None:
    info = texts(public_name_prefix=prefix)
    with refused(Code.INVALID_ARGUMENT) as found:
        world.gallery(sharing_profile=Profile(mode=COMMUNITY, community_gallery_info=info))
    assert set(found.fields) == {f"gallery.{INFO}.public_name_prefix"}


def test_a_public_name_is_there_at_once_and_never_given_again(world: World) -> None:
    made = community(world)
    info = get(world, made).sharing_profile.community_gallery_info
    (first,) = info.public_names
    assert not info.community_gallery_enabled
    share(world, made, RESET)
    change_mode(world, made, COMMUNITY)
    (second,) = get(world, made).sharing_profile.community_gallery_info.public_names
    assert second != first
    assert second.startswith("Golden-")


def test_the_texts_of_a_community_gallery_change_and_its_prefix_does_not(
    world: World, policy: Policy
) -> None:
    made = community(world)
    (public_name,) = get(world, made).sharing_profile.community_gallery_info.public_names
    wanted = texts(
        publisher_uri="https://example.com",
        publisher_contact="other@example.com",
        eula="Be kinder.",
        privacy_statement_uri="https://example.com/privacy",
    )
    profile = Profile(mode=COMMUNITY, community_gallery_info=wanted)
    after = update(world, made, sharing_profile=profile).sharing_profile.community_gallery_info
    wanted.public_names.append(public_name)
    assert after == wanted
    for path, value in (("eula", ""), ("publisher_contact", ""), ("publisher_uri", "")):
        with refused(Code.INVALID_ARGUMENT, "COMMUNITY_INFO_INCOMPLETE"):
            changed = Profile(community_gallery_info=texts(**{path: value}))
            update(world, made, f"{INFO}.{path}", sharing_profile=changed)
    changed = Profile(community_gallery_info=texts(public_name_prefix="Silver"))
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
        update(world, made, f"{INFO}.public_name_prefix", sharing_profile=changed)
    assert found.info.metadata["field"] == f"{INFO}.public_name_prefix"
    writer = policy.user()
    policy.assign(writer, "Contributor", made)
    stubs = world.catalog.user(writer.rpartition("/")[2])
    with refused(Code.PERMISSION_DENIED) as denied:
        update(world, made, stubs=stubs, sharing_profile=profile)
    assert denied.info.metadata["permission"] == "Microsoft.Compute/galleries/share/action"


def test_the_right_to_share_alone_switches_no_soft_delete(world: World, policy: Policy) -> None:
    made, sharer = world.gallery(), policy.user()
    policy.assign(sharer, f"roleDefinitions/{COMPUTE_GALLERY_SHARING_ADMIN.id}", made)
    stubs = world.catalog.user(sharer.rpartition("/")[2])
    soft = gallery_pb2.SoftDeletePolicy(enabled=True)
    with refused(Code.PERMISSION_DENIED) as denied:
        update(world, made, stubs=stubs, soft_delete_policy=soft)
    assert denied.info.metadata["permission"] == "Microsoft.Compute/galleries/write"


def test_a_gallery_is_shared_with_at_most_five_tenants(world: World, policy: Policy) -> None:
    made = direct(world)
    tenants = [abroad(world, policy).tenant for _ in range(6)]
    share(world, made, ADD, *tenants[:5])
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"):
        share(world, made, ADD, tenants[5])
    share(world, made, REMOVE, tenants[0])
    share(world, made, ADD, tenants[5])


def test_the_last_consumer_of_a_kind_takes_the_kind_along(world: World, policy: Policy) -> None:
    made, consumer = direct(world), policy.subscription()
    share(world, made, ADD, consumer, "tenants/default")
    share(world, made, REMOVE, "tenants/default")
    groups = get(world, made).sharing_profile.groups
    assert groups == sharing_profile_pb2.SharingGroups(subscriptions=[consumer])
    share(world, made, REMOVE, consumer)
    assert get(world, made).sharing_profile == Profile(mode=GROUPS)
    assert change_mode(world, made, GROUPS) == GROUPS


def test_a_reset_takes_back_every_grant(world: World, policy: Policy) -> None:
    consumer = Consumer(world, policy)
    shared, opened = published(world, direct(world)), published(world, community(world))
    share(world, shared.gallery, ADD, consumer.subscription, "tenants/default")
    share(world, opened.gallery, ENABLE)
    seen = [view(world, one, consumer.subscription) for one in (shared, opened)]
    for one, real in zip(seen, (shared, opened), strict=True):
        one.used(consumer.stubs)
        share(world, real.gallery, RESET)
        one.unknown(consumer.stubs)
        assert get(world, real.gallery).sharing_profile == Profile(mode=PRIVATE)


def test_an_open_community_gallery_is_not_deleted(world: World) -> None:
    made = community(world)
    share(world, made, ENABLE)
    with refused(Code.FAILED_PRECONDITION, "STILL_SHARED"):
        delete(world, made)
    share(world, made, RESET)
    assert world.wait(delete(world, made)).HasField("response")


def test_scale_sets_of_consumers_cannot_grow_once_sharing_has_stopped(
    world: World, policy: Policy
) -> None:
    consumer, real = Consumer(world, policy), published(world, direct(world))
    share(world, real.gallery, ADD, consumer.subscription)
    request = deployment_check_pb2.CheckDeploymentRequest(
        image=view(world, real, consumer.subscription).version,
        kind=deployment_check_pb2.CheckDeploymentRequest.DEPLOYMENT_KIND_UNIFORM_SCALE_SET,
        instance_count=2,
    )
    assert consumer.stubs.versions.CheckDeployment(request).deployable
    share(world, real.gallery, REMOVE, consumer.subscription)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        consumer.stubs.versions.CheckDeployment(request)


def test_soft_delete_is_in_galleries_of_every_mode(world: World, policy: Policy) -> None:
    consumer = Consumer(world, policy)
    for profile in (
        Profile(mode=PRIVATE),
        Profile(mode=GROUPS),
        Profile(mode=COMMUNITY, community_gallery_info=texts()),
    ):
        definition = keeping(world, sharing_profile=profile)
        older = world.finished(definition, "0.9.0")
        version = soft_deleted(world, definition)
        assert resolve(world, version.name).image_version == version.name
    gallery = definition.rpartition("/images/")[0]
    share(world, gallery, ENABLE)
    image = f"{consumer.community(get(world, gallery))}/images/{last(definition)}"
    seen = consumer.resolve(f"{image}/versions/1.0.0")
    assert seen.image_version == f"{image}/versions/1.0.0"
    assert seen.consumption_end_time == version.consumption_end_time
    assert consumer.resolve(image).image_version == f"{image}/versions/{last(older.name)}"
    assert world.wait(delete(world, older.name)).HasField("response")
    for left in (f"{image}/versions/1.0.0", f"{image}/versions/0.9.0"):
        assert consumer.resolve(left).image_version == left
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        consumer.resolve(image)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("FORBIDDEN", "COMMUNITY_SHARING_FORBIDDEN"),
        ("SIMULATION_REQUIRED", "SIMULATION_DIGEST_REQUIRED"),
    ],
)
def test_a_tenant_may_forbid_community_sharing_or_demand_a_simulation(
    world: World, policy: Policy, setting: str, reason: str
) -> None:
    kind = tenant_pb2.Tenant.CommunitySharing.Value(f"COMMUNITY_SHARING_{setting}")
    strict = abroad(world, policy, community_sharing=kind)
    owner, world.owner = world.owner, strict.stubs
    try:
        group = world.group(parent=strict.subscriptions[0])
        profile = Profile(mode=COMMUNITY, community_gallery_info=texts())
        made = world.gallery(group, sharing_profile=profile)
        with refused(Code.FAILED_PRECONDITION, reason) as found:
            share(world, made, ENABLE)
        assert found.info.metadata["tenant"] == strict.tenant
        if setting == "FORBIDDEN":
            with refused(Code.FAILED_PRECONDITION, reason):
                share(world, made, ENABLE, validate_only=True)
        else:
            # That is where the digest comes from.
            dry = share(world, made, ENABLE, validate_only=True)
            with refused(Code.FAILED_PRECONDITION, "SIMULATION_DIGEST_STALE"):
                share(world, made, ENABLE, simulation_digest=f"{dry.simulation_digest}x")
            shared = share(world, made, ENABLE, simulation_digest=dry.simulation_digest)
            assert shared.gallery.sharing_profile.community_gallery_info.community_gallery_enabled
        # Sharing with those who are named is another matter.
        named = world.gallery(group, sharing_profile=Profile(mode=GROUPS))
        share(world, named, ADD, "subscriptions/default")
    finally:
        world.owner = owner
