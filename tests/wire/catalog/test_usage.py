"""Use and limits on the wire (gallery-semantics 3.3 and 3.13)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_service_pb2,
    image_version_requests_pb2,
    resource_group_pb2,
    resource_group_service_pb2,
    storage_profile_pb2,
    target_region_requests_pb2,
    usage_service_pb2,
)
from stoa.catalog.v1 import usage_pb2 as pb
from stoa.replication.v1 import region_pb2

from services.catalog.domain import names
from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ADD, direct, share
from tests.wire.catalog.installation import Catalog, Stubs, World, refused, status_of
from tests.wire.catalog.replication import COMPLETED, GIB, REMOVED, Replication

Code = grpc.StatusCode
FAR = "pricedfar"
NEAR = "pricednear"
COUNTED = ("galleries", "imageDefinitions", "imageVersions")


@pytest.fixture(scope="module", autouse=True)
def _prices(replication: Replication) -> None:
    def prices(stored: int, crossed: int) -> region_pb2.RegionPrices:
        return region_pb2.RegionPrices(
            currency_code="EUR", stored_gib_month_micros=stored, crossed_gib_micros=crossed
        )

    replication.add_region(NEAR, "Priced Near", prices=prices(20_000, 50_000))
    replication.add_region(FAR, "Priced Far", prices=prices(30_000, 70_000))


@pytest.fixture
def place(world: World, policy: Policy) -> str:
    """A subscription of its own, so that nothing of another test is counted in it."""
    name = policy.subscription()
    world.catalog.catch_up()
    return name


def group_in(world: World, place: str) -> str:
    request = resource_group_service_pb2.CreateResourceGroupRequest(
        parent=place,
        resource_group_id=world.id("group"),
        resource_group=resource_group_pb2.ResourceGroup(location="eastus"),
    )
    return world.owner.groups.CreateResourceGroup(request).name


def definition_in(world: World, place: str, **more: Any) -> str:
    return world.definition(world.gallery(group_in(world, place)), **more)


def usage(stubs: Stubs, place: str, metric: str, location: str = "eastus") -> pb.Usage:
    name = f"{place}/locations/{location}/usages/{metric}"
    return stubs.usages.GetUsage(usage_service_pb2.GetUsageRequest(name=name))


def value(world: World, place: str, metric: str, location: str = "eastus") -> int:
    return usage(world.owner, place, metric, location).current_value


def listed(stubs: Stubs, parent: str, **more: Any) -> list[pb.Usage]:
    request = usage_service_pb2.ListUsagesRequest(parent=parent, **more)
    return list(stubs.usages.ListUsages(request).usages)


def until(world: World, place: str, metric: str, expected: int, location: str = "eastus") -> None:
    """Wait until the feed has brought about what is expected."""
    for _ in range(500):
        found = value(world, place, metric, location)
        if found == expected:
            return
        time.sleep(0.02)
    raise AssertionError((metric, location, found))


def delete(world: World, name: str) -> None:
    """Delete a version, a definition or a gallery, and wait until it is gone."""
    owner = world.owner
    operation: Any
    if "/versions/" in name:
        operation = owner.versions.DeleteImageVersion(
            image_version_requests_pb2.DeleteImageVersionRequest(name=name)
        )
    elif "/images/" in name:
        operation = owner.definitions.DeleteImageDefinition(
            image_definition_service_pb2.DeleteImageDefinitionRequest(name=name)
        )
    else:
        operation = owner.galleries.DeleteGallery(
            gallery_service_pb2.DeleteGalleryRequest(name=name)
        )
    assert world.wait(operation).HasField("response")


def test_galleries_definitions_and_versions_are_counted_where_they_are(
    world: World, place: str
) -> None:
    assert [value(world, place, one) for one in COUNTED] == [0, 0, 0]
    definition = definition_in(world, place, location="eastus2")
    version, _ = world.version(definition)
    assert [value(world, place, one) for one in COUNTED] == [1, 0, 1]
    assert value(world, place, "imageDefinitions", "eastus2") == 1
    delete(world, version.name)
    assert value(world, place, "imageVersions") == 0
    delete(world, definition)
    delete(world, definition.rpartition("/images/")[0])
    assert value(world, place, "galleries") == 0
    assert value(world, place, "imageDefinitions", "eastus2") == 0


def test_a_failed_or_a_validated_create_counts_nothing(world: World, place: str) -> None:
    definition = definition_in(world, place)
    request = world.version_request(definition)
    request.validate_only = True
    assert world.owner.versions.CreateImageVersion(request).done
    request.validate_only = False
    request.image_version.location = "westus"
    with refused(Code.INVALID_ARGUMENT):
        world.owner.versions.CreateImageVersion(request)
    assert value(world, place, "imageVersions") == 0
    world.version(definition)
    with refused(Code.ALREADY_EXISTS):
        world.version(definition)
    assert value(world, place, "imageVersions") == 1


def test_storage_is_counted_for_each_good_replica_and_crossing_once(
    world: World, place: str
) -> None:
    """gallery-semantics 3.13: occupied bytes in every replica, egress once for each region."""
    definition = definition_in(world, place)
    regions = [
        {"location": NEAR, "regional_replica_count": 2},
        {"location": FAR, "regional_replica_count": 2},
    ]
    profile = storage_profile_pb2.StorageProfile()
    profile.os_disk_image.source.blob = world.blob(names.group_of(definition), NEAR)
    version, _ = world.version(definition, location=NEAR, regions=regions, storage_profile=profile)
    tell = world.replication.tell
    stored = {"good": 2, "wanted": 2, "stored_bytes": 20 * GIB}
    tell(version.uid, NEAR, COMPLETED, **stored)
    tell(version.uid, FAR, COMPLETED, crossed_bytes=10 * GIB, **stored)
    # Told again, it counts nothing again.
    tell(version.uid, FAR, COMPLETED, crossed_bytes=10 * GIB, **stored)
    until(world, place, "crossedBytes", 10 * GIB, FAR)
    assert [value(world, place, "replicas", one) for one in (NEAR, FAR)] == [2, 2]
    assert [value(world, place, "storedBytes", one) for one in (NEAR, FAR)] == [20 * GIB] * 2
    assert value(world, place, "crossedBytes", NEAR) == 0

    # What is kept costs what it costs there, what crossed what it costs where it left.
    kept = usage(world.owner, place, "storedBytes", FAR).cost
    assert (kept.currency_code, kept.micros) == ("EUR", 20 * 30_000)
    crossed = usage(world.owner, place, "crossedBytes", FAR)
    assert (crossed.cost.currency_code, crossed.cost.micros) == ("EUR", 10 * 50_000)
    now = datetime.now(UTC)
    month = crossed.period_start_time.ToDatetime(UTC)
    assert (month.day, month.hour, month.minute) == (1, 0, 0)
    assert month <= now
    free = usage(world.owner, place, "storedBytes", "eastus")
    assert not free.HasField("cost")

    # Fewer replicas take less; what crossed in the month has crossed.
    tell(version.uid, FAR, COMPLETED, good=1, stored_bytes=10 * GIB, crossed_bytes=10 * GIB)
    until(world, place, "replicas", 1, FAR)
    assert value(world, place, "storedBytes", FAR) == 10 * GIB
    delete(world, version.name)
    assert [value(world, place, one, FAR) for one in ("replicas", "storedBytes")] == [0, 0]
    assert value(world, place, "storedBytes", NEAR) == 0
    assert value(world, place, "crossedBytes", FAR) == 10 * GIB


def test_a_region_that_is_removed_and_added_again_counts_only_what_crosses_anew(
    world: World, place: str
) -> None:
    definition = definition_in(world, place)
    version, _ = world.version(definition, regions=("eastus", "eastus2"))
    tell = world.replication.tell
    tell(version.uid, "eastus", COMPLETED, stored_bytes=5)
    tell(version.uid, "eastus2", COMPLETED, stored_bytes=5, crossed_bytes=5)
    until(world, place, "crossedBytes", 5, "eastus2")
    world.owner.versions.RemoveTargetRegions(
        target_region_requests_pb2.RemoveTargetRegionsRequest(
            name=version.name, locations=["eastus2"]
        )
    )
    tell(version.uid, "eastus2", REMOVED, generation=2, crossed_bytes=5)
    until(world, place, "storedBytes", 0, "eastus2")
    add = target_region_requests_pb2.AddTargetRegionsRequest(name=version.name)
    add.target_regions.add(location="eastus2")
    world.owner.versions.AddTargetRegions(add)
    tell(version.uid, "eastus2", COMPLETED, generation=3, stored_bytes=5, crossed_bytes=7)
    until(world, place, "storedBytes", 5, "eastus2")
    assert value(world, place, "crossedBytes", "eastus2") == 7


def test_all_metrics_are_listed_with_their_limits_in_the_order_of_the_contract(
    world: World, place: str
) -> None:
    found = listed(world.owner, f"{place}/locations/eastus")
    assert [one.metric for one in found] == list(range(1, 12))
    assert [one.name.rpartition("/")[2] for one in found] == [
        "galleries",
        "imageDefinitions",
        "imageVersions",
        "replicas",
        "storedBytes",
        "crossedBytes",
        "replicasPerVersion",
        "fullDiskBytes",
        "shallowDiskBytes",
        "sharedSubscriptions",
        "sharedTenants",
    ]
    limits = [one.limit if one.HasField("limit") else None for one in found]
    none = [None] * 3
    galleries = world.catalog.config.max_galleries
    assert limits == [galleries, 1_000, 10_000, *none, 100, 2_048 * GIB, 32_768 * GIB, 30, 5]
    values = [one.current_value if one.HasField("current_value") else None for one in found]
    assert values == [0] * 6 + [None] * 5
    unit = pb.Usage.Unit
    counted, in_bytes = unit.UNIT_COUNT, unit.UNIT_BYTES
    assert [one.unit for one in found] == (
        [counted] * 4 + [in_bytes] * 2 + [counted] + [in_bytes] * 2 + [counted] * 2
    )
    assert {one.location for one in found} == {"eastus"}
    assert [one for one in found if one.HasField("period_start_time")] == [found[5]]
    assert [usage(world.owner, place, one.name.rpartition("/")[2]) for one in found] == found


def test_a_list_of_all_regions_holds_those_where_something_is_used_in_their_order(
    world: World, place: str
) -> None:
    group = group_in(world, place)
    for location in ("westus", "eastus2", "eastus"):
        world.gallery(group, location=location)
    parent = f"{place}/locations/-"
    whole = listed(world.owner, parent)
    regions = ["eastus", "eastus2", "westus"]
    assert [one.location for one in whole] == [one for one in regions for _ in range(11)]

    pages: list[pb.Usage] = []
    request = usage_service_pb2.ListUsagesRequest(parent=parent, page_size=4)
    while True:
        page = world.owner.usages.ListUsages(request)
        assert len(page.usages) <= 4
        pages += page.usages
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert pages == whole

    assert listed(world.owner, parent, order_by="name desc") == whole[::-1]
    backwards = usage_service_pb2.ListUsagesRequest(
        parent=parent, page_size=25, order_by="name desc"
    )
    first = world.owner.usages.ListUsages(backwards)
    backwards.page_token = first.next_page_token
    second = world.owner.usages.ListUsages(backwards)
    assert [*first.usages, *second.usages] == whole[::-1]
    assert not second.next_page_token


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("metric = GALLERIES", ["galleries"] * 2),
        ("metric = GALLERIES AND location = eastus2", ["galleries"]),
        ("current_value > 0", ["galleries"] * 2),
        ("unit = BYTES AND current_value = 0", ["storedBytes", "crossedBytes"] * 2),
        ("limit < 31 AND location != eastus", ["sharedSubscriptions", "sharedTenants"]),
        ('location = "East US 2" AND limit = 100', ["replicasPerVersion"]),
        ("location:us2 AND metric != GALLERIES AND current_value >= 1", []),
    ],
)
def test_usages_are_filtered_by_what_they_say(
    world: World, place: str, condition: str, expected: list[str]
) -> None:
    group = group_in(world, place)
    world.gallery(group)
    world.gallery(group, location="eastus2")
    found = listed(world.owner, f"{place}/locations/-", filter=condition)
    assert [one.name.rpartition("/")[2] for one in found] == expected


def test_a_list_of_all_subscriptions_holds_those_where_the_caller_has_the_action(
    world: World, policy: Policy, place: str
) -> None:
    other, nothing = policy.subscription(), policy.subscription()
    reader = policy.user()
    for one in (place, nothing):
        policy.assign(reader, "Reader", one)
    world.catalog.catch_up()
    for one in (place, other):
        world.gallery(group_in(world, one))
    stubs = world.catalog.user(reader.rpartition("/")[2])
    found = listed(stubs, "subscriptions/-/locations/-", filter="metric = GALLERIES")
    assert [one.name for one in found] == [f"{place}/locations/eastus/usages/galleries"]
    assert listed(stubs, "subscriptions/-/locations/eastus2") == []
    stranger = world.catalog.user(policy.user().rpartition("/")[2])
    world.catalog.catch_up()
    assert listed(stranger, "subscriptions/-/locations/-") == []


def test_use_is_seen_by_those_who_may(world: World, policy: Policy, place: str) -> None:
    stranger = world.catalog.user(policy.user().rpartition("/")[2])
    world.catalog.catch_up()
    for call in (
        lambda: usage(stranger, place, "galleries"),
        lambda: listed(stranger, f"{place}/locations/eastus"),
        lambda: listed(stranger, f"{place}/locations/-"),
    ):
        with refused(Code.PERMISSION_DENIED) as found:
            call()
        permission = found.info.metadata["permission"]
        assert permission == "Microsoft.Compute/locations/usages/read"


def test_an_unknown_region_is_told_with_those_that_there_are(world: World, place: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN") as found:
        usage(world.owner, place, "galleries", "atlantis")
    assert set(found.fields) == {"name"}
    assert "eastus" in found.info.metadata["known"]
    for parent in (f"{place}/locations/atlantis", "subscriptions/-/locations/atlantis"):
        with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN") as found:
            listed(world.owner, parent)
        assert set(found.fields) == {"parent"}


def test_an_unknown_metric_or_subscription_is_not_found(
    world: World, policy: Policy, place: str
) -> None:
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        usage(world.owner, place, "machines")
    reader = policy.user()
    policy.assign(reader, "Reader", "/")
    world.catalog.catch_up()
    operator, absent = world.catalog.user(reader.rpartition("/")[2]), "subscriptions/absent"
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        usage(operator, absent, "galleries")
    for location in ("eastus", "-"):
        with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
            listed(operator, f"{absent}/locations/{location}")


def test_a_page_token_is_of_one_list(world: World, place: str) -> None:
    request = usage_service_pb2.ListUsagesRequest(parent=f"{place}/locations/eastus", page_size=1)
    request.page_token = world.owner.usages.ListUsages(request).next_page_token
    request.filter = "metric = GALLERIES"
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        world.owner.usages.ListUsages(request)


def test_everything_that_is_wrong_with_a_list_comes_back_at_once(world: World, place: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        listed(
            world.owner, f"{place}/locations/-", filter="cost = 1", order_by="cost", page_size=-1
        )
    assert set(found.fields) == {"filter", "order_by", "page_size"}


def test_use_is_answered_by_two_statements(world: World, place: str) -> None:
    world.gallery(group_in(world, place))
    for call in (
        lambda: usage(world.owner, place, "galleries"),
        lambda: listed(world.owner, f"{place}/locations/eastus"),
        lambda: listed(world.owner, f"{place}/locations/-"),
    ):
        with world.catalog.foundation.db.statements() as statements:
            call()
        read = [one for one in statements if "usage_counters" in one]
        mirrored = [one for one in statements if "FROM regions" in one]
        assert (len(read), len(mirrored)) == (1, 1), statements


@pytest.fixture(scope="module")
def small(
    authz: Installation, replication: Replication, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A catalog of an operator who allows little."""
    made = Catalog(
        authz,
        replication,
        tmp_path_factory.mktemp("small"),
        max_galleries=3,
        max_image_definitions=2,
        max_image_versions=3,
        max_replicas_per_version=1,
    )
    yield World(made)
    made.close()


@pytest.fixture
def tight(small: World, policy: Policy) -> str:
    name = policy.subscription()
    small.catalog.catch_up()
    return name


def failure(error: grpc.RpcError) -> error_details_pb2.QuotaFailure:
    found = error_details_pb2.QuotaFailure()
    assert [one.Unpack(found) for one in status_of(error).details].count(True) == 1
    return found


def test_a_limit_that_is_reached_is_told_with_the_usage_that_counts_it(
    small: World, tight: str
) -> None:
    group = group_in(small, tight)
    for _ in range(3):
        small.gallery(group)
    with pytest.raises(grpc.RpcError) as raised:
        small.gallery(group)
    (violation,) = failure(raised.value).violations
    subject = f"{tight}/locations/eastus/usages/galleries"
    assert violation.subject == subject
    assert "at most 3 galleries in eastus" in violation.description
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as found:
        small.gallery(group)
    assert dict(found.info.metadata) == {
        "usage": subject,
        "subscription": tight,
        "location": "eastus",
        "metric": "galleries",
        "limit": "3",
        "used": "3",
    }
    # A limit is that of one region of one subscription.
    small.gallery(group, location="westus")
    assert value(small, tight, "galleries") == 3
    assert usage(small.owner, tight, "galleries").limit == 3


def test_too_many_consumers_of_a_gallery_name_the_usage_of_their_kind(
    world: World, policy: Policy
) -> None:
    gallery = direct(world)
    consumers = [policy.subscription() for _ in range(31)]
    world.catalog.catch_up()
    with pytest.raises(grpc.RpcError) as raised:
        share(world, gallery, ADD, *consumers)
    (violation,) = failure(raised.value).violations
    place = names.subscription_of(gallery)
    assert violation.subject == f"{place}/locations/eastus/usages/sharedSubscriptions"
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as found:
        share(world, gallery, ADD, *consumers)
    assert found.info.metadata["usage"] == violation.subject
    assert found.info.metadata["limit"] == "30"


def test_what_is_deleted_makes_room(small: World, tight: str) -> None:
    gallery = small.gallery(group_in(small, tight))
    first, _ = small.definition(gallery), small.definition(gallery)
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as found:
        small.definition(gallery)
    assert found.info.metadata["metric"] == "imageDefinitions"
    delete(small, first)
    small.definition(gallery)


def test_a_version_beyond_the_limit_is_refused_when_it_is_validated_only_too(
    small: World, tight: str
) -> None:
    definition = definition_in(small, tight)
    for number in ("1.0.0", "1.0.1", "1.0.2"):
        small.version(definition, number)
    for validate_only in (True, False):
        request = small.version_request(definition, "1.0.3", validate_only=validate_only)
        with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as found:
            small.owner.versions.CreateImageVersion(request)
        assert found.info.metadata["metric"] == "imageVersions"
    # What is wrong with the request itself comes first.
    request.image_version.target_regions[0].regional_replica_count = 101
    with refused(Code.INVALID_ARGUMENT):
        small.owner.versions.CreateImageVersion(request)
    delete(small, f"{definition}/versions/1.0.1")
    small.version(definition, "1.0.3")


def test_replicas_of_a_version_in_a_region_have_the_limit_of_the_operator(
    small: World, tight: str
) -> None:
    definition = definition_in(small, tight)
    regions = [{"location": "eastus", "regional_replica_count": 2}]
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as found:
        small.version(definition, regions=regions)
    assert found.info.metadata["usage"] == f"{tight}/locations/eastus/usages/replicasPerVersion"
    assert found.info.metadata["limit"] == "1"
    version, _ = small.version(definition)
    counts = target_region_requests_pb2.SetReplicaCountsRequest(name=version.name, replica_count=2)
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"):
        small.owner.versions.SetReplicaCounts(counts)
    add = target_region_requests_pb2.AddTargetRegionsRequest(name=version.name)
    add.target_regions.add(location="eastus2", regional_replica_count=2)
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as found:
        small.owner.versions.AddTargetRegions(add)
    assert found.info.metadata["location"] == "eastus2"
    add.target_regions[0].regional_replica_count = 1
    small.owner.versions.AddTargetRegions(add)


def test_of_many_who_want_the_last_places_exactly_as_many_get_one(small: World, tight: str) -> None:
    group = group_in(small, tight)

    def create(number: int) -> grpc.StatusCode:
        request = gallery_service_pb2.CreateGalleryRequest(
            parent=group,
            gallery_id=f"race{number}",
            gallery=gallery_pb2.Gallery(location="eastus2"),
        )
        try:
            small.owner.galleries.CreateGallery(request)
        except grpc.RpcError as error:
            return error.code()
        return Code.OK

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(create, range(8)))
    assert sorted(one.name for one in answers) == ["OK"] * 3 + ["RESOURCE_EXHAUSTED"] * 5
    assert value(small, tight, "galleries", "eastus2") == 3
