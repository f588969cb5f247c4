"""How many eligible assignments and activations there may be."""

import uuid

import grpc
import pytest
from stoa.authz.v1 import eligible_assignment_service_pb2 as pb

from tests.wire.authz.installation import Installation, World, refused
from tests.wire.authz.test_eligible_assignments import activate, deactivate, eligible

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    found = Installation(
        tmp_path_factory.mktemp("small"),
        max_role_assignments_per_subscription=3,
        max_role_assignments_above=4,
        max_activations=2,
    )
    yield World(found)
    found.close()


def world_assign(world, principal, scope):
    return world.assign(principal, "Reader", scope)


def test_role_and_eligible_assignments_of_a_subscription_share_one_limit(small):
    subscription = small.subscription()
    group = f"{subscription}/resourceGroups/rg"
    small.assign(small.user(), "Reader", subscription)
    made = eligible(small, small.user(), group)
    eligible(small, small.user(), subscription)
    for give in (world_assign, eligible):
        with refused(Code.RESOURCE_EXHAUSTED, "ROLE_ASSIGNMENT_LIMIT_EXCEEDED") as refusal:
            give(small, small.user(), group)
        assert dict(refusal.info.metadata) == {"scope": subscription, "limit": "3"}
        assert refusal.quotas == [subscription]
    small.owner.eligible.DeleteEligibleAssignment(
        pb.DeleteEligibleAssignmentRequest(name=made.name)
    )
    small.assign(small.user(), "Reader", group)


def test_above_subscriptions_each_scope_has_a_limit_of_its_own(small):
    root = "tenants/default/managementGroups/default"
    for _ in range(4):
        eligible(small, small.user(), root)
    with refused(Code.RESOURCE_EXHAUSTED, "ROLE_ASSIGNMENT_LIMIT_EXCEEDED") as refusal:
        eligible(small, small.user(), root)
    assert dict(refusal.info.metadata) == {"scope": root.lower(), "limit": "4"}
    eligible(small, small.user(), small.subscription())


def test_so_many_members_activate_the_same_at_once_and_no_more(small):
    users = [small.user() for _ in range(3)]
    made = eligible(small, small.group(*users), small.subscription())
    first, second, third = map(small.called, users)
    activate(first, made)
    activate(second, made)
    with refused(Code.RESOURCE_EXHAUSTED, "ACTIVATION_LIMIT_EXCEEDED") as refusal:
        activate(third, made, request_id=str(uuid.uuid4()))
    assert dict(refusal.info.metadata) == {"eligible_assignment": made.name, "limit": "2"}
    assert refusal.quotas == [made.name]
    deactivate(first, made)
    activate(third, made)
