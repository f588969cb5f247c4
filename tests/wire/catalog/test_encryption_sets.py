"""DiskEncryptionSetService on the wire: what is its alone."""

import grpc
import pytest
from stoa.catalog.v1 import disk_encryption_set_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.sources import DISK
from tests.wire.catalog.sources import ENCRYPTION_SET as SET

Kept = disk_encryption_set_pb2.DiskEncryptionSet


def test_a_set_protects_disks_at_rest_unless_it_says_otherwise(world: World) -> None:
    assert SET.create(world).encryption_type == Kept.ENCRYPTION_TYPE_AT_REST_WITH_CUSTOMER_KEY

    confidential = Kept.ENCRYPTION_TYPE_CONFIDENTIAL_VM_WITH_CUSTOMER_KEY
    made = SET.create(world, SET.request(world, encryption_type=confidential))
    assert made.encryption_type == confidential
    assert made.key_uri == "https://vault.example.org/keys/k/1"


@pytest.mark.parametrize("uri", ["", "no uri", "/relative", "https://" + "x" * 2050])
def test_a_key_is_an_absolute_uri(world: World, uri: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        SET.create(world, SET.request(world, key_uri=uri))

    assert set(refusal.fields) == {"disk_encryption_set.key_uri"}


def test_sets_are_filtered_by_what_they_protect(world: World) -> None:
    made = SET.create(world)
    group = made.name.partition("/diskEncryptionSets/")[0]

    at_rest = "encryption_type = AT_REST_WITH_CUSTOMER_KEY"
    assert SET.listed(world, group, filter=at_rest) == [made.name.rpartition("/")[2]]
    assert SET.listed(world, group, filter=at_rest.replace("=", "!=")) == []


def test_who_may_not_see_a_user_of_a_set_is_not_told_its_name(world: World, policy: Policy) -> None:
    made = SET.create(world)
    disk = DISK.create(world, DISK.request(world, disk_encryption_set=made.name))
    user = policy.user()
    policy.assign(user, "Contributor", made.name)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ENCRYPTION_SET_IN_USE") as refusal:
        SET.delete(world, made.name, world.catalog.user(user.rpartition("/")[2]))

    assert refusal.info.metadata["users"] == ""
    assert refusal.preconditions == {made.name: "ENCRYPTION_SET_IN_USE"}
    assert disk.name not in refusal.message
