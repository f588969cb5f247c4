"""`CheckDeployment` on the wire: would a machine of this shape start from this image?"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import deployment_check_pb2 as pb
from stoa.catalog.v1 import (
    gallery_pb2,
    image_definition_pb2,
    machine_hardware_pb2,
    purchase_plan_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.replication.v1 import region_pb2
from stoa.type.v1 import os_type_pb2
from stoa.type.v1 import replication_state_pb2 as states

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ADD, ENABLE, community, direct, get, share
from tests.wire.catalog.installation import Catalog, World, refused
from tests.wire.catalog.replication import COMPLETED, GIB, Replication
from tests.wire.catalog.test_managed_images import create as create_image
from tests.wire.catalog.test_managed_images import image_request
from tests.wire.catalog.test_views import Consumer, last

Code = grpc.StatusCode
Feature = image_definition_pb2.ImageFeature
Finding = pb.DeploymentFinding
Plan = purchase_plan_pb2.PurchasePlan
DEGRADED = states.REGIONAL_REPLICATION_STATE_DEGRADED
V1, V2 = os_type_pb2.HYPER_V_GENERATION_V1, os_type_pb2.HYPER_V_GENERATION_V2
UNIFORM = pb.CheckDeploymentRequest.DEPLOYMENT_KIND_UNIFORM_SCALE_SET
FLEXIBLE = pb.CheckDeploymentRequest.DEPLOYMENT_KIND_FLEXIBLE_SCALE_SET
# Regions of this module: one that keeps its confidential machines, one that loses them.
FORTRESS, RUIN = "fortress", "ruin"
PLAIN, TRUSTED, CONFIDENTIAL = "STANDARD", "TRUSTED_LAUNCH", "CONFIDENTIAL_VM"
# gallery-semantics 3.7: which machines an image starts as, by its security type.
STARTS = {
    "": {PLAIN},
    "Standard": {PLAIN},
    "TrustedLaunchSupported": {PLAIN, TRUSTED},
    "TrustedLaunch": {TRUSTED},
    "ConfidentialVMSupported": {PLAIN, CONFIDENTIAL},
    "ConfidentialVM": {CONFIDENTIAL},
    "TrustedLaunchAndConfidentialVmSupported": {PLAIN, TRUSTED, CONFIDENTIAL},
}


@dataclass
class Asked:
    """What a check answered."""

    response: pb.CheckDeploymentResponse

    @property
    def kinds(self) -> list[str]:
        return [Finding.FindingKind.Name(one.kind)[13:] for one in self.response.findings]

    @property
    def fields(self) -> dict[str, str]:
        names = Finding.FindingKind.Name
        return {names(one.kind)[13:]: one.field for one in self.response.findings}


def check(stubs: Any, image: str, location: str = "eastus", **more: Any) -> Asked:
    top = {key: more.pop(key) for key in ("kind", "instance_count", "current_image") if key in more}
    machine = pb.MachineShape(**more) if more else None
    request = pb.CheckDeploymentRequest(image=image, location=location, machine=machine, **top)
    found = Asked(stubs.versions.CheckDeployment(request))
    response = found.response
    errors = [one.severity == Finding.SEVERITY_ERROR for one in response.findings]
    assert errors == sorted(errors, reverse=True)
    assert response.deployable == (not any(errors))
    for severity in (True, False):
        kinds = [one.kind for one in response.findings if (one.severity == 1) == severity]
        assert kinds == sorted(kinds)
    assert all(one.description for one in response.findings)
    return found


def ready(world: World, definition: str = "", number: str = "1.0.0", **more: Any) -> Any:
    return world.finished(definition or world.definition(), number, **more)


def definition_of(version: Any) -> str:
    return str(version.name.rpartition("/versions/")[0])


def test_an_ordinary_machine_starts_and_the_exact_version_is_named(world: World) -> None:
    definition = world.definition()
    ready(world, definition, "1.9.0")
    newest = ready(world, definition, "1.10.0")
    asked = check(world.owner, definition, "East US")
    assert asked.response.deployable
    assert not asked.response.findings
    assert asked.response.image_version == newest.name
    assert asked.response.location == "eastus"
    exact = check(world.owner, f"{definition}/versions/1.9.0")
    assert exact.response.image_version == f"{definition}/versions/1.9.0"
    assert check(world.owner, f"{definition}/versions/latest").response.image_version == newest.name


def test_a_specialized_image_has_no_os_profile_and_a_generalized_one_needs_it(
    world: World,
) -> None:
    generalized = definition_of(ready(world))
    specialized = definition_of(
        ready(world, world.definition(os_state=os_type_pb2.OS_STATE_SPECIALIZED))
    )
    asked = check(world.owner, specialized, os_profile_given=True)
    assert asked.kinds == ["OS_PROFILE_NOT_ALLOWED", "SPECIALIZED_IDENTITY"]
    assert asked.fields["OS_PROFILE_NOT_ALLOWED"] == "machine.os_profile_given"
    assert check(world.owner, specialized, os_profile_given=False).kinds == ["SPECIALIZED_IDENTITY"]
    assert check(world.owner, specialized).response.deployable
    asked = check(world.owner, generalized, os_profile_given=False)
    assert asked.kinds == ["OS_PROFILE_REQUIRED"]
    assert check(world.owner, generalized, os_profile_given=True).kinds == []


def test_a_disallowed_kind_of_disk_is_found_wherever_it_is(world: World) -> None:
    premium = machine_hardware_pb2.DISK_TYPE_PREMIUM_LRS
    standard = machine_hardware_pb2.DISK_TYPE_STANDARD_LRS
    disallowed = image_definition_pb2.Disallowed(disk_types=[premium])
    definition = definition_of(ready(world, world.definition(disallowed=disallowed)))
    asked = check(
        world.owner, definition, os_disk_type=premium, data_disk_types=[standard, premium]
    )
    assert [one.field for one in asked.response.findings] == [
        "machine.os_disk_type",
        "machine.data_disk_types[1]",
    ]
    assert set(asked.kinds) == {"DISK_TYPE_DISALLOWED"}
    assert check(world.owner, definition, os_disk_type=standard).kinds == []


def test_generation_and_architecture_are_those_of_the_image(world: World) -> None:
    definition = definition_of(ready(world))
    asked = check(
        world.owner,
        definition,
        hyper_v_generation=V2,
        architecture=os_type_pb2.ARCHITECTURE_ARM64,
    )
    assert asked.kinds == ["GENERATION_MISMATCH", "ARCHITECTURE_MISMATCH"]
    asked = check(
        world.owner, definition, hyper_v_generation=V1, architecture=os_type_pb2.ARCHITECTURE_X64
    )
    assert asked.kinds == []


@pytest.fixture(scope="module")
def secured(catalog: Catalog, replication: Replication) -> Iterator[dict[str, str]]:
    """A definition of each security type, with a version in both regions of this module."""
    world = World(catalog)
    capable = [region_pb2.REGION_CAPABILITY_CONFIDENTIAL]
    for region in (FORTRESS, RUIN):
        replication.add_region(region, region.capitalize(), capabilities=capable)
    found = {}
    for security in STARTS:
        features = [Feature(name="SecurityType", value=security)] if security else []
        definition = world.definition(location=FORTRESS, hyper_v_generation=V2, features=features)
        group = "/".join(definition.split("/")[:4])
        request = world.version_request(definition, regions=(FORTRESS, RUIN), location=FORTRESS)
        profile = request.image_version.storage_profile
        profile.os_disk_image.source.blob = world.blob(group, FORTRESS)
        profile.data_disk_images[0].source.blob = world.blob(group, FORTRESS)
        operation = world.owner.versions.CreateImageVersion(request)
        version = world.get(f"{definition}/versions/1.0.0")
        for region in (FORTRESS, RUIN):
            replication.tell(version.uid, region, COMPLETED)
        assert world.wait(operation).HasField("response")
        found[security] = definition
    replication.add_region(RUIN, "Ruin")
    lost = ("CONFIDENTIAL_REGION_REQUIRED",)
    for _ in range(500):
        kind = machine_hardware_pb2.MACHINE_SECURITY_TYPE_CONFIDENTIAL_VM
        if check(world.owner, found["ConfidentialVM"], RUIN, security_type=kind).kinds == [*lost]:
            break
    else:
        raise AssertionError("the region keeps its capability")
    yield found
    for region in (FORTRESS, RUIN):
        del replication.regions[region]


@pytest.mark.parametrize(
    ("security", "machine", "location"),
    list(itertools.product(STARTS, (PLAIN, TRUSTED, CONFIDENTIAL), (FORTRESS, RUIN))),
)
def test_each_cell_of_the_table_of_security_types(
    world: World, secured: dict[str, str], security: str, machine: str, location: str
) -> None:
    kind = machine_hardware_pb2.MachineSecurityType.Value(f"MACHINE_SECURITY_TYPE_{machine}")
    asked = check(world.owner, secured[security], location, security_type=kind)
    expected = []
    if machine not in STARTS[security]:
        alone = PLAIN not in STARTS[security]
        expected.append("SECURITY_TYPE_REQUIRED" if alone else "SECURITY_TYPE_UNSUPPORTED")
    if machine == CONFIDENTIAL and location == RUIN:
        expected.append("CONFIDENTIAL_REGION_REQUIRED")
    assert asked.kinds == expected
    assert set(asked.fields.values()) <= {"machine.security_type"}
    if machine == PLAIN:
        assert check(world.owner, secured[security], location).kinds == expected


def test_what_the_image_does_not_say_it_can_it_cannot(world: World) -> None:
    features = [
        Feature(name="DiskControllerTypes", value="SCSI, NVMe"),
        Feature(name="IsHibernateSupported", value="True"),
        Feature(name="IsAcceleratedNetworkSupported", value="True"),
    ]
    able = definition_of(ready(world, world.definition(features=features)))
    refusing = [
        Feature(name="DiskControllerTypes", value="SCSI"),
        Feature(name="IsHibernateSupported", value="False"),
        Feature(name="IsAcceleratedNetworkSupported", value="False"),
    ]
    unable = definition_of(ready(world, world.definition(features=refusing)))
    silent = definition_of(ready(world))
    shape: dict[str, Any] = {
        "disk_controller_type": machine_hardware_pb2.DISK_CONTROLLER_TYPE_NVME,
        "hibernation": True,
        "accelerated_networking": True,
    }
    assert check(world.owner, able, **shape).kinds == []
    for definition in (unable, silent):
        asked = check(world.owner, definition, **shape)
        assert asked.fields == {
            "DISK_CONTROLLER_UNSUPPORTED": "machine.disk_controller_type",
            "HIBERNATION_UNSUPPORTED": "machine.hibernation",
            "ACCELERATED_NETWORKING_UNSUPPORTED": "machine.accelerated_networking",
        }
        scsi = machine_hardware_pb2.DISK_CONTROLLER_TYPE_SCSI
        assert check(world.owner, definition, disk_controller_type=scsi).kinds == []


def test_a_feature_holds_from_the_version_that_it_starts_at(world: World) -> None:
    features = [Feature(name="IsHibernateSupported", value="True", starts_at_version="1.10.0")]
    definition = world.definition(features=features)
    ready(world, definition, "1.9.9")
    ready(world, definition, "1.10.0")
    before = check(world.owner, f"{definition}/versions/1.9.9", hibernation=True)
    assert before.kinds == ["HIBERNATION_UNSUPPORTED"]
    assert check(world.owner, f"{definition}/versions/1.10.0", hibernation=True).kinds == []


def test_the_purchase_plan_is_that_of_the_image_and_its_terms_are_accepted(
    world: World,
) -> None:
    definition = world.definition(
        purchase_plan=Plan(name="Gold", publisher="Contoso", product="Backend")
    )
    # Blobs carry no plan, so nothing contradicts that of the definition.
    planned = definition_of(ready(world, definition))
    plan = Plan(name="gold", publisher="CONTOSO", product="backend")
    other = Plan(name="silver", publisher="Contoso", product="Backend")
    assert check(world.owner, planned).kinds == ["PURCHASE_PLAN_REQUIRED", "TERMS_NOT_ACCEPTED"]
    asked = check(world.owner, planned, purchase_plan=other, accept_terms=True)
    assert asked.fields == {"PURCHASE_PLAN_MISMATCH": "machine.purchase_plan"}
    asked = check(world.owner, planned, purchase_plan=plan)
    assert asked.fields == {"TERMS_NOT_ACCEPTED": "machine.accept_terms"}
    assert check(world.owner, planned, purchase_plan=plan, accept_terms=True).kinds == []
    without = definition_of(ready(world))
    assert check(world.owner, without, purchase_plan=plan).kinds == ["PURCHASE_PLAN_MISMATCH"]


def test_a_scale_set_holds_at_most_1000_machines(world: World) -> None:
    definition = definition_of(ready(world))
    for kind in (UNIFORM, FLEXIBLE):
        asked = check(world.owner, definition, kind=kind, instance_count=1001)
        assert asked.fields["INSTANCE_COUNT_TOO_HIGH"] == "instance_count"
        asked = check(world.owner, definition, kind=kind, instance_count=1000)
        assert "INSTANCE_COUNT_TOO_HIGH" not in asked.kinds
    single = check(world.owner, definition, instance_count=1001)
    assert single.response.deployable
    with refused(Code.INVALID_ARGUMENT) as found:
        check(world.owner, definition, instance_count=0)
    assert set(found.fields) == {"instance_count"}


def test_a_scale_set_moves_to_an_image_of_the_same_layout_alone(world: World) -> None:
    definition = world.definition()
    old = ready(world, definition, "1.0.0")
    new = ready(world, definition, "2.0.0")
    moved = check(world.owner, new.name, kind=UNIFORM, current_image=old.name)
    assert moved.kinds == []
    windows = ready(
        world,
        world.definition(os_type=os_type_pb2.OS_TYPE_WINDOWS, hyper_v_generation=V2),
    )
    moved = check(world.owner, new.name, kind=FLEXIBLE, current_image=windows.name)
    assert moved.fields == {
        "SCALE_SET_OS_TYPE_MISMATCH": "current_image",
        "SCALE_SET_GENERATION_MISMATCH": "current_image",
    }


def test_a_move_keeps_the_luns_and_shrinks_no_disk(world: World) -> None:
    definition = world.definition()
    group = "/".join(definition.split("/")[:4])
    old = ready(world, definition, "1.0.0")

    def published(number: str, lun: int, size: int) -> str:
        request = world.version_request(definition, number)
        data = request.image_version.storage_profile.data_disk_images[0]
        data.lun = lun
        data.source.blob = world.blob(group, size_bytes=size)
        operation = world.owner.versions.CreateImageVersion(request)
        name = f"{definition}/versions/{number}"
        world.replication.tell(world.get(name).uid, "eastus", COMPLETED)
        world.wait(operation)
        return name

    def moved(to: str) -> list[str]:
        return check(world.owner, to, kind=UNIFORM, current_image=old.name).kinds

    assert moved(published("2.0.0", 3, 2 * GIB)) == []
    assert moved(published("3.0.0", 3, GIB // 2)) == ["SCALE_SET_DATA_DISKS_MISMATCH"]
    assert moved(published("4.0.0", 4, GIB)) == ["SCALE_SET_DATA_DISKS_MISMATCH"]


def test_a_scale_set_moves_from_a_managed_image_to_a_version(world: World) -> None:
    version = ready(world)

    def moved(lun: int, **more: Any) -> list[str]:
        request = image_request(world, **more)
        del request.managed_image.blobs.data_blobs[:]
        blob = world.blob(request.parent)
        request.managed_image.blobs.data_blobs.add(lun=lun, blob=blob)
        image = create_image(world, request).name
        return check(world.owner, version.name, kind=FLEXIBLE, current_image=image).kinds

    assert moved(3) == []
    assert moved(5) == ["SCALE_SET_DATA_DISKS_MISMATCH"]
    assert moved(3, os_type=os_type_pb2.OS_TYPE_WINDOWS) == ["SCALE_SET_OS_TYPE_MISMATCH"]
    assert moved(3, hyper_v_generation=V2) == ["SCALE_SET_GENERATION_MISMATCH"]


def test_what_is_outside_of_the_recommendation_is_a_warning(world: World) -> None:
    recommended = image_definition_pb2.RecommendedMachine(
        vcpus=image_definition_pb2.ResourceRange(min=2, max=4),
        memory_gb=image_definition_pb2.ResourceRange(max=16),
    )
    definition = definition_of(ready(world, world.definition(recommended=recommended)))
    asked = check(world.owner, definition, vcpus=1, memory_gb=16.5)
    assert asked.response.deployable
    assert asked.fields == {
        "VCPUS_NOT_RECOMMENDED": "machine.vcpus",
        "MEMORY_NOT_RECOMMENDED": "machine.memory_gb",
    }
    assert check(world.owner, definition, vcpus=5).kinds == ["VCPUS_NOT_RECOMMENDED"]
    assert check(world.owner, definition, vcpus=4, memory_gb=0.5).kinds == []


def test_an_end_of_life_that_is_past_is_a_warning(world: World) -> None:
    definition = world.definition()
    past = ready(world, definition, end_of_life_time=Timestamp(seconds=1_000_000_000))
    ahead = ready(world, definition, "2.0.0", end_of_life_time=Timestamp(seconds=4_000_000_000))
    asked = check(world.owner, past.name)
    assert asked.response.deployable
    assert asked.fields == {"END_OF_LIFE_PASSED": ""}
    assert check(world.owner, ahead.name).kinds == []


@pytest.mark.parametrize(
    ("good", "count", "warned"),
    [(1, 1, False), (1, 2, True), (3, 2, False), (3, 150, False), (3, 151, True)],
)
def test_too_few_replicas_for_so_many_machines_is_a_warning(
    world: World, good: int, count: int, warned: bool
) -> None:
    version = ready(world)
    world.replication.tell(version.uid, "eastus", COMPLETED, good=good)
    _until_good(world, version.name, good)
    asked = check(world.owner, version.name, instance_count=count)
    assert asked.response.deployable
    assert asked.kinds == (["TOO_FEW_REPLICAS"] if warned else [])


def test_fewer_good_replicas_than_are_wanted_is_a_warning(world: World) -> None:
    region = {"location": "eastus", "regional_replica_count": 2}
    version = ready(world, regions=(region,))
    world.replication.tell(version.uid, "eastus", COMPLETED, good=2, wanted=2)
    _until_good(world, version.name, 2)
    assert check(world.owner, version.name).kinds == []
    world.replication.tell(version.uid, "eastus", DEGRADED, good=1, wanted=2, usable=True)
    _until_good(world, version.name, 1)
    asked = check(world.owner, version.name)
    assert asked.response.deployable
    assert asked.kinds == ["DEGRADED"]


def _until_good(world: World, name: str, good: int) -> None:
    world.until(name, lambda one: one.replication_status.summary[0].good_replica_count == good)


def test_a_soft_deleted_version_is_for_single_machines_and_uniform_sets_alone(
    world: World,
) -> None:
    policy = gallery_pb2.SoftDeletePolicy(enabled=True)
    version = ready(world, world.definition(world.gallery(soft_delete_policy=policy)))
    request = requests_pb.DeleteImageVersionRequest(name=version.name)
    world.owner.versions.DeleteImageVersion(request)
    end = world.get(version.name).consumption_end_time.ToDatetime().isoformat()
    single = check(world.owner, version.name)
    assert single.response.deployable
    assert single.kinds == ["SOFT_DELETED"]
    assert end in single.response.findings[0].description
    assert check(world.owner, version.name, kind=UNIFORM).response.deployable
    flexible = check(world.owner, version.name, kind=FLEXIBLE)
    assert flexible.fields == {"SOFT_DELETED_IN_FLEXIBLE_SCALE_SET": "kind", "SOFT_DELETED": ""}
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        check(world.owner, definition_of(version))


def test_a_version_that_is_gone_for_good_is_told_as_deleted(world: World) -> None:
    version, other = ready(world), ready(world)
    request = requests_pb.DeleteImageVersionRequest(name=version.name)
    world.wait(world.owner.versions.DeleteImageVersion(request))
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        check(world.owner, version.name)
    with refused(Code.NOT_FOUND, "VERSION_DELETED"):
        check(world.owner, other.name, kind=UNIFORM, current_image=version.name)


def test_what_cannot_be_resolved_is_an_error_as_of_resolve(world: World) -> None:
    definition = world.definition()
    with refused(Code.NOT_FOUND, "NO_LATEST"):
        check(world.owner, definition)
    version = ready(world, definition)
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as found:
        check(world.owner, definition, "westus")
    assert found.info.metadata["available"] == "eastus"
    with refused(Code.NOT_FOUND, "NOT_IN_REGION"):
        check(world.owner, version.name, "westus")
    with refused(Code.INVALID_ARGUMENT, "REGION_UNKNOWN"):
        check(world.owner, definition, "atlantis")
    with refused(Code.INVALID_ARGUMENT) as found:
        check(world.owner, definition, "", current_image="images/what", vcpus=0)
    assert set(found.fields) == {"location", "current_image", "machine.vcpus"}
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        check(world.owner, f"{definition}/versions/7.0.0")


def test_the_right_to_both_images_is_decided_together(world: World, policy: Policy) -> None:
    version, current = ready(world), ready(world)
    reader = policy.user()
    stubs = world.catalog.user(last(reader))
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as found:
        check(stubs, version.name)
    action = "Microsoft.Compute/galleries/images/versions/read"
    assert found.info.metadata["permission"] == action
    policy.assign(reader, "Reader", definition_of(version))
    world.catalog.catch_up()
    assert check(stubs, version.name).response.deployable
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as found:
        check(stubs, version.name, kind=UNIFORM, current_image=current.name)
    assert found.info.metadata["field"] == "current_image"
    assert found.info.metadata["resource"] == current.name
    absent = "/".join(version.name.split("/")[:4]) + "/managedImages/absent"
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED") as found:
        check(stubs, version.name, kind=UNIFORM, current_image=absent)
    assert found.info.metadata["permission"] == "Microsoft.Compute/images/read"
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        check(world.owner, version.name, kind=UNIFORM, current_image=absent)
    with refused(Code.INVALID_ARGUMENT) as found:
        check(world.owner, version.name, current_image=current.name)
    assert set(found.fields) == {"current_image"}


@pytest.fixture
def consumer(world: World, policy: Policy) -> Consumer:
    return Consumer(world, policy)


def test_a_shared_view_is_checked_and_tells_nothing_about_replicas(
    world: World, consumer: Consumer
) -> None:
    gallery = direct(world)
    version = ready(world, world.definition(gallery), regions=("eastus", "westus"))
    share(world, gallery, ADD, consumer.subscription)
    world.catalog.catch_up()
    world.replication.tell(version.uid, "eastus", DEGRADED, good=1, usable=True)
    world.until(version.name, lambda one: one.replication_status.summary[0].state == DEGRADED)
    image = f"{consumer.shared(get(world, gallery))}/images/{last(definition_of(version))}"
    asked = check(consumer.stubs, image, "", instance_count=151)
    assert asked.response.image_version == f"{image}/versions/1.0.0"
    assert asked.response.location == "eastus"
    assert asked.kinds == []
    own = check(world.owner, version.name, instance_count=151)
    assert own.kinds == ["TOO_FEW_REPLICAS", "DEGRADED"]
    with refused(Code.INVALID_ARGUMENT) as found:
        check(consumer.stubs, image, "westus")
    assert set(found.fields) == {"location"}
    with refused(Code.NOT_FOUND, "NOT_IN_REGION") as found:
        check(consumer.stubs, image.replace("/eastus/", "/eastus2/"), "")
    assert "available" not in found.info.metadata
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        check(consumer.stubs, f"{image}/versions/9.0.0", "")
    stranger = Consumer(world, Policy(world.catalog.authz))
    other = image.replace(consumer.subscription, stranger.subscription)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        check(stranger.stubs, other, "")
    with refused(Code.PERMISSION_DENIED):
        check(stranger.stubs, image, "")


def test_the_terms_of_a_community_publisher_are_accepted(world: World, consumer: Consumer) -> None:
    gallery = community(world)
    version = ready(world, world.definition(gallery))
    share(world, gallery, ENABLE)
    world.catalog.catch_up()
    image = f"{consumer.community(get(world, gallery))}/images/{last(definition_of(version))}"
    asked = check(consumer.stubs, image, "")
    assert asked.fields == {"TERMS_NOT_ACCEPTED": "machine.accept_terms"}
    assert check(consumer.stubs, image, "", accept_terms=True).response.deployable
    exact = f"{image}/versions/1.0.0"
    moved = check(consumer.stubs, image, "", accept_terms=True, kind=UNIFORM, current_image=exact)
    assert moved.kinds == []
    assert check(world.owner, version.name).kinds == []


def test_a_check_is_one_read_of_the_version_and_one_of_its_region(
    world: World, consumer: Consumer
) -> None:
    gallery = direct(world)
    version = ready(world, world.definition(gallery))
    share(world, gallery, ADD, consumer.subscription)
    world.catalog.catch_up()
    view = f"{consumer.shared(get(world, gallery))}/images/{last(definition_of(version))}"
    db = world.catalog.foundation.db
    for stubs, image, location, expected in (
        (world.owner, definition_of(version), "eastus", 1),
        (world.owner, version.name, "eastus", 1),
        (consumer.stubs, view, "", 1),
    ):
        with db.statements() as statements:
            check(stubs, image, location)
        read = [one for one in statements if "version_regions" in one]
        assert len(read) == expected, statements
        assert not [one for one in read if not one.startswith("SELECT")]
