"""A call that reaches into two tenants carries a token of each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import pytest
from stoa.catalog.v1 import storage_profile_pb2

from cli.installation.identity import make_token
from services.kernel.rpc.access import Caller, Kind
from services.policy.builtin_roles import COMPUTE_GALLERY_IMAGE_READER
from services.replication.clients.rights import PolicyRights
from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import Stubs, World, refused
from tests.wire.catalog.test_rules_sharing_table import Abroad, abroad, last

Code = grpc.StatusCode
READER = f"roleDefinitions/{COMPUTE_GALLERY_IMAGE_READER.id}"


class Two(NamedTuple):
    """A definition of the first tenant, a version of the second, and who owns each."""

    owner: str
    definition: str
    abroad: Abroad
    version: str

    @property
    def foreign_token(self) -> Callable[[Installation], str]:
        tenant, subject = last(self.abroad.tenant), last(self.abroad.owner)
        return lambda authz: make_token(authz.layout, subject=subject, tenant=tenant)


@pytest.fixture
def two(world: World, policy: Policy) -> Two:
    found = abroad(world, policy)
    there = World(world.catalog)
    there.owner = found.stubs
    gallery = there.gallery(there.group(parent=found.subscriptions[0]))
    version = there.finished(there.definition(gallery)).name
    return Two("tenants/default/users/owner", world.definition(), found, version)


def request(world: World, two: Two, **more: Any) -> Any:
    profile = storage_profile_pb2.StorageProfile()
    profile.source.image_version = two.version
    return world.version_request(two.definition, storage_profile=profile, **more)


def reader_abroad(world: World, authz: Installation, two: Two, principal: str) -> None:
    owner = Policy(authz)
    owner.owner = authz.user(last(two.abroad.owner), last(two.abroad.tenant))
    owner.assign(principal, READER, two.abroad.subscriptions[0])
    world.catalog.catch_up()


def with_both(world: World, authz: Installation, two: Two) -> Stubs:
    return world.catalog.user("owner", "default", two.foreign_token(authz))


def test_a_source_of_another_tenant_is_used_with_a_token_of_each(
    world: World, authz: Installation, two: Two
) -> None:
    sent = request(world, two)
    with_both(world, authz, two).versions.CreateImageVersion(sent)
    made = world.get(f"{two.definition}/versions/1.0.0")
    world.replication.await_ensured(made.uid, 1)
    (grant,) = [one for one in world.replication.grants if one.uid == made.uid]
    assert (grant.subject, grant.others) == (two.owner, (two.abroad.owner,))


def test_without_a_token_of_its_tenant_a_source_is_refused_though_a_role_is_held_there(
    world: World, authz: Installation, two: Two
) -> None:
    reader_abroad(world, authz, two, two.owner)
    sent = request(world, two)
    with refused(Code.PERMISSION_DENIED, "LINKED_TENANT_TOKEN_MISSING") as refusal:
        world.owner.versions.CreateImageVersion(sent)
    assert dict(refusal.info.metadata) == {
        "tenant": two.abroad.tenant,
        "field": "image_version.storage_profile.source.image_version",
    }
    with refused(Code.PERMISSION_DENIED, "LINKED_TENANT_TOKEN_MISSING"):
        world.owner.versions.CreateImageVersion(request(world, two, validate_only=True))
    with_both(world, authz, two).versions.CreateImageVersion(sent)


def test_a_target_of_another_tenant_needs_its_token_as_well(
    world: World, authz: Installation, two: Two
) -> None:
    """Who is of the source's tenant and holds a role at the target still proves both."""
    Policy(authz).assign(two.abroad.owner, "Contributor", "/".join(two.definition.split("/")[:4]))
    world.catalog.catch_up()
    with refused(Code.PERMISSION_DENIED, "LINKED_TENANT_TOKEN_MISSING") as refusal:
        two.abroad.stubs.versions.CreateImageVersion(request(world, two))
    assert dict(refusal.info.metadata) == {"tenant": "tenants/default", "field": "parent"}


def test_to_whom_the_source_is_not_it_is_denied_as_if_it_were_not_there(
    world: World, two: Two
) -> None:
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as refusal:
        world.owner.versions.CreateImageVersion(request(world, two))
    assert two.abroad.tenant not in str(refusal.info)
    nowhere = two._replace(version=two.version.replace("1.0.0", "7.7.7"))
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as missing:
        world.owner.versions.CreateImageVersion(request(world, nowhere))
    assert refusal.message.replace("1.0.0", "7.7.7") == missing.message


def test_in_each_tenant_the_principal_of_its_token_is_who_asks(
    world: World, authz: Installation, two: Two
) -> None:
    """A role abroad of the first principal is no help to a token of somebody without one."""
    reader_abroad(world, authz, two, two.owner)
    tenant = last(two.abroad.tenant)
    ghost = make_token(authz.layout, subject="ghost", tenant=tenant)
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        world.catalog.user("owner", "default", ghost).versions.CreateImageVersion(
            request(world, two)
        )


def test_a_token_of_another_tenant_is_verified_like_the_first(
    world: World, authz: Installation, two: Two
) -> None:
    good = two.foreign_token(authz)
    tenant, subject = last(two.abroad.tenant), last(two.abroad.owner)
    for also in (
        ("x",),
        (good[:-4] + "AAAA",),
        (make_token(authz.layout, subject=subject, tenant=tenant, ttl=-60),),
        (
            make_token(
                authz.layout, subject=subject, tenant=tenant, audiences=("replication.stoa.dev",)
            ),
        ),
        (good, good, good, good),
    ):
        with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
            world.catalog.user("owner", "default", *also).versions.CreateImageVersion(
                request(world, two)
            )


def test_replication_asks_again_as_the_principal_of_each_tenant(
    world: World, authz: Installation, two: Two
) -> None:
    with_both(world, authz, two).versions.CreateImageVersion(request(world, two))
    made = world.get(f"{two.definition}/versions/1.0.0")
    world.replication.await_ensured(made.uid, 1)
    (grant,) = [one for one in world.replication.grants if one.uid == made.uid]
    rights = PolicyRights(world.catalog.runtime.control)
    assert rights.lost(grant) is None
    alone = Caller(last(two.owner), "default")
    access = world.catalog.runtime.control.begin(alone, Kind.READ, float("inf"), "")
    source = next(one for one in grant.demands if one.scope == two.version)
    assert not access.allowed(source.action, source.scope)


def test_a_robot_is_named_as_what_it_is(world: World, policy: Policy) -> None:
    robot = policy.service_principal()
    definition = world.definition()
    policy.assign(robot, "Contributor", "/".join(definition.split("/")[:4]))
    world.catalog.catch_up()
    stubs = world.catalog.user(last(robot))
    sent = world.version_request(definition)
    stubs.versions.CreateImageVersion(sent)
    made = world.get(f"{definition}/versions/1.0.0")
    world.replication.await_ensured(made.uid, 1)
    (grant,) = [one for one in world.replication.grants if one.uid == made.uid]
    assert (grant.subject, grant.others) == (robot, ())
