"""`latest`, rule by rule (gallery-semantics 3.9), of private names and of views."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import (
    gallery_pb2,
    image_definition_pb2,
    image_resolution_pb2,
    image_version_pb2,
    target_region_requests_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.replication.v1 import copy_state_pb2
from stoa.type.v1 import replication_state_pb2 as states

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ADD, direct, get, share
from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED
from tests.wire.catalog.test_views import Consumer, last

Code = grpc.StatusCode
REPLICATING = states.REGIONAL_REPLICATION_STATE_REPLICATING
DEGRADED = states.REGIONAL_REPLICATION_STATE_DEGRADED
Identifier = image_definition_pb2.ImageIdentifier
IMAGE_READER = "roleDefinitions/cf7c76d2-98a3-4358-a134-615aa78bf44d"


def resolved(stubs: Any, image: str, location: str = "eastus", **more: Any) -> Any:
    request = image_resolution_pb2.ResolveImageVersionRequest(
        image=image, location=location, **more
    )
    return stubs.versions.ResolveImageVersion(request)


def latest(world: World, image: str, location: str = "eastus", **more: Any) -> str:
    return last(resolved(world.owner, image, location, **more).image_version)


@pytest.fixture
def consumer(world: World, policy: Policy) -> Consumer:
    return Consumer(world, policy)


def test_numbers_are_compared_as_numbers_in_each_of_their_parts(world: World) -> None:
    definition = world.definition()
    highest = ""
    for number in ("1.9.9", "1.9.10", "1.10.0", "2.0.0", "10.0.0", "10.0.2147483647"):
        world.finished(definition, number)
        highest = latest(world, definition)
        assert highest == number
    world.finished(definition, "9.99.99")
    assert latest(world, definition) == highest


def test_leading_zeros_are_kept_in_the_answer_and_not_counted(world: World) -> None:
    definition = world.definition()
    world.finished(definition, "2024.02.20")
    world.finished(definition, "2024.2.3")
    assert latest(world, definition) == "2024.02.20"
    assert latest(world, f"{definition}/versions/2024.2.20") == "2024.02.20"


def test_latest_is_what_the_region_has_completed_and_nothing_newer(world: World) -> None:
    definition = world.definition()
    both = ("eastus", "westus")
    world.finished(definition, "1.0.0", regions=both)
    newer, _ = world.version(definition, "2.0.0", regions=both)
    assert latest(world, definition) == "1.0.0"
    world.replication.tell(newer.uid, "eastus", COMPLETED)
    world.replication.tell(newer.uid, "westus", REPLICATING)
    world.until(newer.name, lambda one: one.replication_status.summary[1].progress_percent)
    assert latest(world, definition) == "2.0.0"
    assert latest(world, definition, "West US") == "1.0.0"
    world.replication.tell(newer.uid, "westus", FAILED)
    world.until(newer.name, lambda one: one.replication_status.summary[1].state == FAILED)
    assert latest(world, definition) == "2.0.0"
    assert latest(world, definition, "westus") == "1.0.0"


def test_the_flag_of_a_region_wins_over_that_of_the_version_in_both_directions(
    world: World,
) -> None:
    definition = world.definition()
    world.finished(definition, "1.0.0", regions=("eastus", "eastus2"))
    world.finished(
        definition,
        "2.0.0",
        exclude_from_latest=True,
        regions=("eastus", {"location": "eastus2", "exclude_from_latest": False}),
    )
    world.finished(
        definition,
        "3.0.0",
        regions=(
            {"location": "eastus", "exclude_from_latest": False},
            {"location": "eastus2", "exclude_from_latest": True},
        ),
    )
    assert latest(world, definition) == "3.0.0"
    assert latest(world, definition, "eastus2") == "2.0.0"
    # A number is never excluded.
    for number in ("1.0.0", "2.0.0", "3.0.0"):
        assert latest(world, f"{definition}/versions/{number}", "eastus2") == number


def test_an_exclusion_that_is_lifted_counts_at_once(world: World) -> None:
    definition = world.definition()
    world.finished(definition, "1.0.0")
    hidden = world.finished(definition, "2.0.0", exclude_from_latest=True)
    assert latest(world, definition) == "1.0.0"
    request = requests_pb.UpdateImageVersionRequest()
    request.image_version.name = hidden.name
    request.image_version.exclude_from_latest = False
    request.update_mask.paths.append("exclude_from_latest")
    assert world.owner.versions.UpdateImageVersion(request).done
    assert latest(world, definition) == "2.0.0"
    request.image_version.exclude_from_latest = True
    assert world.owner.versions.UpdateImageVersion(request).done
    assert latest(world, definition) == "1.0.0"
    assert world.get(hidden.name).generation == 1


def test_the_end_of_life_is_not_regarded(world: World) -> None:
    definition = world.definition()
    world.finished(definition, "1.0.0")
    past = datetime.now(UTC) - timedelta(days=1)
    world.finished(definition, "2.0.0", end_of_life_time=past)
    found = resolved(world.owner, definition)
    assert last(found.image_version) == "2.0.0"
    assert found.effective_end_of_life_time.ToDatetime(UTC) == past


def test_no_latest_anywhere_and_not_in_this_region_are_two_answers(world: World) -> None:
    definition = world.definition()
    with refused(Code.NOT_FOUND, "NO_LATEST") as found:
        latest(world, definition)
    assert found.info.metadata["resource"] == definition
    version, _ = world.version(definition, "1.0.0", regions=("eastus", "eastus2"))
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        latest(world, definition)
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as found:
        latest(world, version.name)
    assert found.info.metadata["available"] == ""
    for region in ("eastus", "eastus2"):
        world.replication.tell(version.uid, region, COMPLETED)
    world.until(version.name, lambda one: one.replication_status.summary[1].usable)
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as found:
        latest(world, definition, "West US")
    assert dict(found.info.metadata) == {
        "resource": definition,
        "location": "westus",
        "available": "eastus,eastus2",
    }
    # What is excluded everywhere is no latest, and can be used by its number.
    hidden = world.definition()
    world.finished(hidden, "1.0.0", exclude_from_latest=True)
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        latest(world, hidden)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        latest(world, f"{hidden}x")
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN") as unknown:
        latest(world, hidden, "atlantis")
    assert "eastus" in unknown.info.metadata["known"].split(",")


def test_views_have_the_same_rules_and_name_no_regions(world: World, consumer: Consumer) -> None:
    gallery = direct(world)
    definition = world.definition(gallery, identifier=Identifier(publisher="P", offer="O", sku="S"))
    world.finished(definition, "1.9.0")
    world.finished(definition, "1.10.0")
    world.finished(definition, "2.0.0", exclude_from_latest=True)
    share(world, gallery, ADD, consumer.subscription)
    world.catalog.catch_up()
    view = f"{consumer.shared(get(world, gallery))}/images/{last(definition)}"
    found = resolved(consumer.stubs, view, "")
    assert found.image_version == f"{view}/versions/1.10.0"
    assert found.location == "eastus"
    assert resolved(consumer.stubs, f"{view}/versions/latest").image_version == found.image_version
    exact = f"{view}/versions/2.0.0"
    assert resolved(consumer.stubs, exact, "East US").image_version == exact
    named = consumer.shared(get(world, gallery))
    sent = Identifier(publisher="p", offer="o", sku="s")
    answer = resolved(consumer.stubs, named, "", identifier=sent)
    assert answer.image_version == found.image_version
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as elsewhere:
        resolved(consumer.stubs, view.replace("/eastus/", "/westus/"), "")
    assert "available" not in elsewhere.info.metadata
    assert "eastus" not in elsewhere.message
    hidden = world.definition(gallery)
    world.finished(hidden, "1.0.0", exclude_from_latest=True)
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        resolved(consumer.stubs, f"{view.rpartition('/')[0]}/{last(hidden)}", "")


def test_publisher_offer_and_sku_name_one_image_of_a_gallery_without_regard_to_case(
    world: World,
) -> None:
    gallery = world.gallery()
    triples = [
        ("Contoso", "Finance", "Backend"),
        ("Contoso", "Finance", "Frontend"),
        ("Testing", "Finance", "Frontend"),
    ]
    for at, (publisher, offer, sku) in enumerate(triples):
        identifier = Identifier(publisher=publisher, offer=offer, sku=sku)
        definition = world.definition(gallery, identifier=identifier)
        world.finished(definition, f"{at}.0.0")
    for at, (publisher, offer, sku) in enumerate(triples):
        identifier = Identifier(publisher=publisher.upper(), offer=offer, sku=sku.lower())
        assert latest(world, gallery, identifier=identifier) == f"{at}.0.0"
        with refused(Code.ALREADY_EXISTS, "IMAGE_IDENTIFIER_TAKEN"):
            world.definition(gallery, identifier=identifier)
    with refused(Code.NOT_FOUND, "IMAGE_IDENTIFIER_NOT_FOUND") as found:
        absent = Identifier(publisher="Testing", offer="Finance", sku="Backend")
        latest(world, gallery, identifier=absent)
    assert dict(found.info.metadata) == {
        "publisher": "Testing",
        "offer": "Finance",
        "sku": "Backend",
    }
    with refused(Code.INVALID_ARGUMENT) as wrong:
        latest(world, definition, identifier=absent)
    assert set(wrong.fields) == {"identifier"}
    with refused(Code.INVALID_ARGUMENT) as wrong:
        latest(world, gallery, identifier=Identifier(publisher="Testing"))
    assert set(wrong.fields) == {"identifier.offer", "identifier.sku"}


def test_a_region_once_completed_stays_usable_through_later_generations(world: World) -> None:
    version = world.finished(regions=("eastus", "eastus2"))
    definition = version.name.rpartition("/versions/")[0]
    request = target_region_requests_pb2.SetReplicaCountsRequest(name=version.name, replica_count=2)
    operation = world.owner.versions.SetReplicaCounts(request)
    assert latest(world, definition) == "1.0.0"

    def await_state(state: Any) -> None:
        world.until(version.name, lambda one: one.replication_status.summary[0].state == state)

    for state, more in (
        (REPLICATING, {"usable": True}),
        (FAILED, {"usable": True, "cause": copy_state_pb2.FailureCause(retryable=True)}),
        (DEGRADED, {"usable": True, "good": 1}),
    ):
        world.replication.tell(version.uid, "eastus", state, generation=2, **more)
        await_state(state)
        assert latest(world, definition) == "1.0.0"
        assert latest(world, version.name) == "1.0.0"
        assert world.get(version.name).replication_status.summary[0].usable
    world.replication.tell(version.uid, "eastus2", COMPLETED, generation=2)
    world.wait(operation)
    # With its last good replica it stops being usable.
    world.replication.tell(version.uid, "eastus", DEGRADED, generation=2, usable=False, good=0)
    world.until(version.name, lambda one: not one.replication_status.summary[0].usable)
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as found:
        latest(world, definition)
    assert found.info.metadata["available"] == "eastus2"


def test_a_removed_region_is_no_latest_from_the_moment_that_the_call_returns(
    world: World,
) -> None:
    version = world.finished(regions=("eastus", "eastus2"))
    definition = version.name.rpartition("/versions/")[0]
    assert latest(world, definition, "eastus2") == "1.0.0"
    request = target_region_requests_pb2.RemoveTargetRegionsRequest(
        name=version.name, locations=["East US 2"]
    )
    world.owner.versions.RemoveTargetRegions(request)
    for image in (definition, version.name):
        with refused(Code.NOT_FOUND, "NOT_IN_REGION") as found:
            latest(world, image, "eastus2")
        assert found.info.metadata["available"] == "eastus"


def test_a_deleted_version_is_told_as_deleted_to_those_who_could_read_it(
    world: World, policy: Policy
) -> None:
    version = world.finished()
    request = requests_pb.DeleteImageVersionRequest(name=version.name)
    world.wait(world.owner.versions.DeleteImageVersion(request))
    with refused(Code.NOT_FOUND, "VERSION_DELETED") as found:
        latest(world, version.name)
    assert found.info.metadata["resource"] == version.name
    assert found.info.metadata["delete_time"]
    stranger = world.catalog.user(last(policy.user()))
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        resolved(stranger, version.name)


def test_a_soft_deleted_version_is_never_latest_and_usable_by_its_number(world: World) -> None:
    policy = gallery_pb2.SoftDeletePolicy(enabled=True)
    definition = world.definition(world.gallery(soft_delete_policy=policy))
    world.finished(definition, "1.0.0")
    newest = world.finished(definition, "2.0.0")
    assert latest(world, definition) == "2.0.0"
    request = requests_pb.DeleteImageVersionRequest(name=newest.name)
    operation = world.owner.versions.DeleteImageVersion(request)
    assert latest(world, definition) == "1.0.0"
    found = resolved(world.owner, newest.name)
    assert found.image_version == newest.name
    assert found.state == image_version_pb2.IMAGE_VERSION_STATE_SOFT_DELETED
    assert found.consumption_end_time.ToDatetime(UTC) > datetime.now(UTC)
    world.replication.tell(newest.uid, "eastus", COMPLETED, generation=2)
    world.wait(operation)
    assert latest(world, definition) == "1.0.0"
    only = world.definition(definition.rpartition("/images/")[0])
    alone = world.finished(only, "1.0.0")
    world.owner.versions.DeleteImageVersion(requests_pb.DeleteImageVersionRequest(name=alone.name))
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        latest(world, only)


def test_the_right_to_read_versions_is_asked_at_the_image(world: World, policy: Policy) -> None:
    version = world.finished()
    definition = version.name.rpartition("/versions/")[0]
    reader = policy.user()
    stubs = world.catalog.user(last(reader))
    for image in (definition, version.name, f"{definition}absent"):
        with refused(Code.PERMISSION_DENIED) as found:
            resolved(stubs, image)
        assert found.info.metadata["permission"] == (
            "Microsoft.Compute/galleries/images/versions/read"
        )
    policy.assign(reader, IMAGE_READER, definition)
    world.catalog.catch_up()
    assert resolved(stubs, definition).image_version == version.name
