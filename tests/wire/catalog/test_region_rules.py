"""Where a version may be wanted: names, capabilities and stores of regions (semantics 3.4, 3.7)."""

from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from stoa.authz.v1 import subscription_pb2
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_pb2,
    image_version_pb2,
    resource_group_pb2,
    resource_group_service_pb2,
    target_region_pb2,
    target_region_requests_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.replication.v1 import region_pb2
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode
PATH = "image_version.target_regions"
ZRS = storage_pb2.STORAGE_ACCOUNT_TYPE_STANDARD_ZRS
PREMIUM = storage_pb2.STORAGE_ACCOUNT_TYPE_PREMIUM_LRS
CONFIDENTIAL = (
    "ConfidentialVMSupported",
    "ConfidentialVM",
    "TrustedLaunchAndConfidentialVmSupported",
)


@pytest.fixture
def regions(world: World) -> World:
    """Regions that differ in what they have."""
    add = world.replication.add_region
    zonal = region_pb2.Region(name="regions/zonal", uid="f" * 32, zones=["1", "2"])
    zonal.capacities.add(
        tier=region_pb2.SLOT_TIER_STANDARD, replica_count=3, zonal_replica_count=2, zone_count=2
    )
    world.replication.regions["zonal"] = zonal
    add("premium", "Premium", slots=1, capacities=[_premium(1)])
    add("secureus", "Secure US", capabilities=[region_pb2.REGION_CAPABILITY_CONFIDENTIAL])
    add("secureeu", "Secure EU", capabilities=[region_pb2.REGION_CAPABILITY_CONFIDENTIAL])
    return world


def _premium(count: int) -> region_pb2.TierCapacity:
    return region_pb2.TierCapacity(tier=region_pb2.SLOT_TIER_PREMIUM, replica_count=count)


def create(world: World, *targets: Any, **more: Any) -> Any:
    request = world.version_request(regions=targets, **more)
    world.owner.versions.CreateImageVersion(request)
    return world.get(f"{request.parent}/versions/{request.image_version_id}")


def add(world: World, name: str, **target: Any) -> operations_pb2.Operation:
    regions = [target_region_pb2.TargetRegion(**target)]
    request = target_region_requests_pb2.AddTargetRegionsRequest(name=name, target_regions=regions)
    return world.owner.versions.AddTargetRegions(request)


def update(world: World, version: image_version_pb2.ImageVersion, *paths: str) -> Any:
    request = requests_pb.UpdateImageVersionRequest(image_version=version)
    request.update_mask.paths.extend(paths)
    return world.owner.versions.UpdateImageVersion(request)


def locations(version: Any) -> list[str]:
    return [one.location for one in version.target_regions]


def test_display_names_are_taken_ids_are_answered_and_the_order_is_kept(world: World) -> None:
    version = create(world, "West US", "east us 2", "EastUS", location="East US")
    assert version.location == "eastus"
    assert locations(version) == ["westus", "eastus2", "eastus"]


def test_without_target_regions_a_version_is_wanted_in_its_own(world: World) -> None:
    assert locations(create(world)) == ["eastus"]


def test_every_wrong_target_region_is_told_at_once(world: World) -> None:
    request = world.version_request(regions=("East US 2", "eastus2", "atlantis", "westus"))
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.versions.CreateImageVersion(request)
    assert dict(found.fields) == {
        f"{PATH}[1].location": "REGION_REPEATED",
        f"{PATH}[2].location": "REGION_UNKNOWN",
        PATH: "HOME_REGION_MISSING",
    }
    assert "eastus2" in found.info.metadata["known"].split(",")


def test_a_region_without_zones_takes_no_zone_redundant_replica(regions: World) -> None:
    wanted = {"location": "eastus", "storage_account_type": ZRS}
    with refused(Code.FAILED_PRECONDITION, "ZONE_UNAVAILABLE") as found:
        create(regions, wanted)
    assert found.info.metadata == {"location": "eastus"}
    assert set(found.preconditions) == {f"{PATH}[0]"}


def test_zone_redundant_replicas_are_those_of_slots_in_zones(regions: World) -> None:
    wanted = {"location": "zonal", "storage_account_type": ZRS, "regional_replica_count": 2}
    version = create(regions, "eastus", wanted)
    wanted["regional_replica_count"] = 3
    with refused(Code.FAILED_PRECONDITION, "REPLICA_CAPACITY") as found:
        create(regions, "eastus", wanted)
    assert found.info.metadata["maximum"] == "2"
    assert locations(version) == ["eastus", "zonal"]


def test_a_region_without_a_store_of_the_type_takes_none_of_it(regions: World) -> None:
    wanted = {"location": "premium", "storage_account_type": PREMIUM}
    assert locations(create(regions, "eastus", wanted)) == ["eastus", "premium"]
    with refused(Code.FAILED_PRECONDITION, "STORAGE_TYPE_UNAVAILABLE") as found:
        create(regions, "eastus", storage_account_type=PREMIUM)
    assert found.info.metadata == {"location": "eastus", "storage_account_type": "PREMIUM_LRS"}


def test_more_replicas_than_fit_are_refused_with_the_most_that_do(regions: World) -> None:
    with refused(Code.FAILED_PRECONDITION, "REPLICA_CAPACITY") as found:
        create(regions, "eastus", "westus", replica_count=2)
    assert found.info.metadata == {
        "location": "westus",
        "storage_account_type": "STANDARD_LRS",
        "wanted": "2",
        "maximum": "1",
    }
    assert "at most 1" in found.message


@pytest.mark.parametrize("value", CONFIDENTIAL)
def test_confidential_images_go_only_where_there_is_the_capability(
    regions: World, value: str
) -> None:
    definition = confidential(regions, value)
    with refused(Code.FAILED_PRECONDITION, "CONFIDENTIAL_UNAVAILABLE") as found:
        regions.owner.versions.CreateImageVersion(
            secure_request(regions, definition, "secureus", "eastus")
        )
    assert found.info.metadata == {"location": "eastus"}
    assert set(found.preconditions) == {f"{PATH}[1]"}
    version = secure(regions, definition)
    with refused(Code.FAILED_PRECONDITION, "CONFIDENTIAL_UNAVAILABLE"):
        add(regions, version.name, location="eastus")
    version.target_regions.add(location="eastus2")
    with refused(Code.FAILED_PRECONDITION, "CONFIDENTIAL_UNAVAILABLE"):
        update(regions, version, "target_regions")
    add(regions, version.name, location="secureeu")


@pytest.mark.parametrize("value", ["Standard", "TrustedLaunchSupported", "TrustedLaunch"])
def test_other_images_go_anywhere(regions: World, value: str) -> None:
    definition = confidential(regions, value)
    request = secure_request(regions, definition, "secureus", "eastus")
    regions.owner.versions.CreateImageVersion(request)


def test_a_confidential_type_counts_from_its_first_version_on(regions: World) -> None:
    definition = confidential(regions, "ConfidentialVMSupported", starts_at_version="2.0.0")
    group = "/".join(definition.split("/")[:4])
    for number, code in (("1.9.9", None), ("2.0.0", "CONFIDENTIAL_UNAVAILABLE")):
        request = regions.version_request(definition, number)
        assert request.parent.startswith(group)
        if code is None:
            regions.owner.versions.CreateImageVersion(request)
        else:
            with refused(Code.FAILED_PRECONDITION, code):
                regions.owner.versions.CreateImageVersion(request)


def test_a_region_that_is_not_on_the_list_of_the_subscription_is_refused(
    world: World, policy: Policy
) -> None:
    group = narrow_group(world, policy)
    with refused(Code.FAILED_PRECONDITION, "REGION_NOT_ENABLED") as found:
        world.gallery(group, location="westus")
    assert found.info.metadata == {"location": "westus"}
    gallery = world.gallery(group)
    with refused(Code.FAILED_PRECONDITION, "REGION_NOT_ENABLED"):
        world.definition(gallery, location="West US")
    definition = world.definition(gallery)
    with refused(Code.FAILED_PRECONDITION, "REGION_NOT_ENABLED") as found:
        world.version(definition, regions=("eastus", "westus"))
    assert set(found.preconditions) == {f"{PATH}[1]"}
    version, _ = world.version(definition, regions=("eastus", "East US 2"))
    with refused(Code.FAILED_PRECONDITION, "REGION_NOT_ENABLED"):
        add(world, version.name, location="westus")
    version.target_regions.add(location="westus")
    with refused(Code.FAILED_PRECONDITION, "REGION_NOT_ENABLED"):
        update(world, version, "target_regions")
    # Another subscription, for which there is no list, may use it.
    world.version(regions=("eastus", "westus"))


def test_the_home_region_comes_from_no_other_installation(world: World) -> None:
    sent = gallery_pb2.Gallery(location="contosowest")
    request = gallery_service_pb2.CreateGalleryRequest(
        parent=world.group(), gallery_id=world.id("gallery"), gallery=sent
    )
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN") as found:
        world.owner.galleries.CreateGallery(request)
    assert set(found.fields) == {"gallery.location"}


def confidential(world: World, value: str, **more: Any) -> str:
    feature = image_definition_pb2.ImageFeature(name="SecurityType", value=value, **more)
    return world.definition(
        hyper_v_generation=os_type_pb2.HYPER_V_GENERATION_V2, features=[feature]
    )


def secure_request(world: World, definition: str, *targets: str) -> Any:
    request = world.version_request(definition, regions=targets, location="secureus")
    group = "/".join(definition.split("/")[:4])
    profile = request.image_version.storage_profile
    profile.os_disk_image.source.blob = world.blob(group, "secureus")
    profile.data_disk_images[0].source.blob = world.blob(group, "secureus")
    return request


def secure(world: World, definition: str) -> Any:
    request = secure_request(world, definition, "secureus")
    world.owner.versions.CreateImageVersion(request)
    return world.get(f"{definition}/versions/1.0.0")


def narrow_group(world: World, policy: Policy) -> str:
    """A group in the subscription that the catalog's configuration lists regions for."""
    request = subscription_pb2.CreateSubscriptionRequest(
        subscription_id="narrow",
        subscription=subscription_pb2.Subscription(
            display_name="Two regions", tenant="tenants/default"
        ),
    )
    policy.owner.directory.CreateSubscription(request)
    world.catalog.catch_up()
    made = resource_group_service_pb2.CreateResourceGroupRequest(
        parent="subscriptions/narrow",
        resource_group_id=world.id("group"),
        resource_group=resource_group_pb2.ResourceGroup(location="eastus"),
    )
    name: str = world.owner.groups.CreateResourceGroup(made).name
    return name
