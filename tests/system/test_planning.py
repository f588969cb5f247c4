"""Plans are kept: what one says of the bytes is what the regions then report of them."""

import json
from collections.abc import Iterable
from typing import Final

import pytest
from stoa.catalog.v1 import image_version_plan_pb2, image_version_requests_pb2
from stoa.catalog.v1 import storage_profile_pb2 as profile_pb
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.replication.v1 import replication_pb2, replication_service_pb2
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from tests.system.disks import MIB, Disk, noise
from tests.system.installation import Client, Installation
from tests.system.publishing import (
    Shop,
    make_image,
    make_shop,
    publish,
    store_of,
    version_request,
)

pytestmark = pytest.mark.timeout(240)

Plan = image_version_plan_pb2.ImageVersionPlan
Request = image_version_requests_pb2.CreateImageVersionRequest
SEGMENT: Final = 4 * MIB


def planned(owner: Client, request: Request) -> Plan:
    name = f"{request.parent}/versions/{request.image_version_id}"
    asked = image_version_requests_pb2.PlanImageVersionRequest(name=name, create=request)
    return owner.result(owner.of(ImageVersionServiceStub).PlanImageVersion(asked), Plan)


def made(owner: Client, request: Request) -> dict[str, replication_pb2.RegionReplication]:
    """Create a version; answer what its regions report once all have it."""
    owner.ended(owner.of(ImageVersionServiceStub).CreateImageVersion(request))
    name = f"{request.parent}/versions/{request.image_version_id}"
    found = owner.of(ReplicationServiceStub).GetReplication(
        replication_service_pb2.GetReplicationRequest(name=name)
    )
    assert found.state == replication_pb2.Replication.STATE_COMPLETED
    return {one.location: one for one in found.regions}


def kept(owner: Client, request: Request) -> Plan:
    """Plan a creation, create, and compare; answer the plan."""
    plan = planned(owner, request)
    regions = made(owner, request)
    assert plan.exact
    assert [one.location for one in plan.regions] == list(regions)
    for one in plan.regions:
        counted = regions[one.location].progress.bytes
        assert one.bytes.written_bytes == counted.copied_bytes, one.location
        assert one.bytes.zero_bytes * one.wanted_replica_count == counted.zero_bytes
        assert one.source_location == regions[one.location].source_location
        if one.wanted_replica_count == 1:
            assert one.bytes.deduplicated_bytes == counted.deduplicated_bytes
    assert plan.total.written_bytes == sum(one.bytes.written_bytes for one in plan.regions)
    return plan


def of(plan: Plan, location: str) -> image_version_plan_pb2.PlannedBytes:
    return next(one.bytes for one in plan.regions if one.location == location)


def from_version(shop: Shop, name: str, locations: Iterable[str], number: str) -> Request:
    request = version_request(shop, "", dict.fromkeys(locations, 1), number)
    source = profile_pb.VersionSource(image_version=name)
    request.image_version.storage_profile.CopyFrom(profile_pb.StorageProfile(source=source))
    return request


def test_what_is_planned_is_what_is_moved(installation: Installation) -> None:
    owner = installation.client()
    shop = make_shop(owner)
    first, second = noise(10, 7001).content, noise(5, 7002).content
    # The data disk has a segment of the OS disk, which has one that is all zero.
    disk = Disk(first[:SEGMENT] + bytes(SEGMENT) + first[SEGMENT:])
    data = Disk(first[:SEGMENT] + second)
    regions = {"eastus": 2, "westus": 1}
    image = make_image(owner, shop.group, disk, data)
    plan = kept(owner, version_request(shop, image, regions))
    assert of(plan, "westus").written_bytes == 15 * MIB
    assert of(plan, "westus").crossing_bytes == 15 * MIB
    assert of(plan, "westus").deduplicated_bytes == SEGMENT
    # The blobs lie in one of the two slots.
    assert of(plan, "eastus").written_bytes == 15 * MIB

    changed = bytearray(disk.content)
    changed[2 * SEGMENT + 17] ^= 1
    image = make_image(owner, shop.group, Disk(bytes(changed)), data)
    plan = kept(owner, version_request(shop, image, regions, "1.0.1"))
    assert 0 < of(plan, "westus").written_bytes <= SEGMENT
    assert of(plan, "westus").deduplicated_bytes > 14 * MIB

    request = from_version(
        shop, f"{shop.definition}/versions/1.0.1", ("eastus", "eastus2", "westus"), "1.0.2"
    )
    plan = kept(owner, request)
    assert of(plan, "westus").written_bytes == of(plan, "eastus").written_bytes == 0
    assert of(plan, "eastus2").written_bytes == 15 * MIB


def test_stores_are_verified_beside_the_services_that_use_them(installation: Installation) -> None:
    shop = make_shop(installation.client())
    image = make_image(shop.owner, shop.group, noise(6, 7003), noise(1, 7004))
    version = publish(shop, image, {"eastus": 1, "westus": 1})
    store = store_of(installation, "westus")
    report = json.loads(installation.stoa("store", "verify", str(store), "--json").stdout)
    assert report["sound"], report["findings"]
    assert (store / "refs" / version.uid).exists()
    assert report["counts"]["versionRefs"] == len(list((store / "refs").iterdir()))
    assert report["readBytes"] > 7 * MIB
