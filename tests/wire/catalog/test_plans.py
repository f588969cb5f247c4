"""PlanImageVersion: it checks what the planned call checks, changes nothing, and adds it up."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from stoa.catalog.v1 import (
    image_version_pb2,
    image_version_plan_pb2,
    operation_metadata_pb2,
    target_region_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as pb
from stoa.catalog.v1 import target_region_requests_pb2 as regions_pb
from stoa.replication.v1 import copy_state_pb2, replication_plan_pb2
from stoa.type.v1 import money_pb2, storage_pb2

from services.catalog.store import tables
from services.catalog.usecases import version_plan
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import Refusal, World, refused
from tests.wire.catalog.replication import COMPLETED
from tests.wire.catalog.test_shallow import shallow

Code = grpc.StatusCode
Action = image_version_plan_pb2.RegionalPlan
EXACT = replication_plan_pb2.PLAN_EXACTNESS_EXACT
ESTIMATE = replication_plan_pb2.PLAN_EXACTNESS_ESTIMATE
CONTRIBUTOR = "Contributor"


def creating(request: Any) -> pb.PlanImageVersionRequest:
    name = f"{request.parent}/versions/{request.image_version_id}"
    return pb.PlanImageVersionRequest(name=name, create=request)


def adding(name: str, *locations: str, **more: Any) -> pb.PlanImageVersionRequest:
    targets = [target_region_pb2.TargetRegion(location=one) for one in locations]
    change = regions_pb.AddTargetRegionsRequest(name=name, target_regions=targets, **more)
    return pb.PlanImageVersionRequest(name=name, add_target_regions=change)


def planned(world: World, request: pb.PlanImageVersionRequest) -> Any:
    operation = world.wait(world.owner.versions.PlanImageVersion(request))
    assert operation.HasField("response"), operation
    plan = image_version_plan_pb2.ImageVersionPlan()
    assert operation.response.Unpack(plan)
    return plan


def everything(world: World) -> dict[str, list[Any]]:
    """All rows but those by which an operation is known, and asked about."""
    left_out = {tables.operations.name, tables.outbox.name, tables.request_log.name}
    kept = [one for one in tables.metadata.sorted_tables if one.name not in left_out]
    read = world.catalog.foundation.db.read
    return {
        one.name: sorted(map(repr, read(lambda c, t=one: c.execute(t.select()).all())))  # type: ignore[misc]
        for one in kept
        # Leases are renewed, how far the feed is applied goes on, and what others deleted is
        # purged in its time, whatever anybody plans.
        if "lease" not in one.name and "cursor" not in one.name and "deleted" not in one.name
    }


@pytest.fixture
def answered(world: World) -> Iterator[World]:
    """What replication answers is given back after the test."""
    kept = world.replication.plans
    yield world
    world.replication.plans = kept


def test_a_creation_is_planned_without_a_trace_of_it(world: World) -> None:
    request = world.version_request(regions=("eastus", {"location": "westus"}))
    before = everything(world)
    plan = planned(world, creating(request))
    assert everything(world) == before
    assert plan.image_version == f"{request.parent}/versions/1.0.0"
    assert [(one.location, one.action) for one in plan.regions] == [
        ("eastus", Action.PLANNED_ACTION_ADD),
        ("westus", Action.PLANNED_ACTION_ADD),
    ]
    assert [(one.current_replica_count, one.wanted_replica_count) for one in plan.regions] == [
        (0, 1),
        (0, 1),
    ]
    assert plan.exact
    assert plan.HasField("plan_time")
    with refused(Code.NOT_FOUND):
        world.get(plan.image_version)
    (asked,) = [one for one in world.replication.planned if one.image_version == plan.image_version]
    assert (asked.image_version_uid, asked.generation) == ("", 0)
    # What is then created wants what was planned.
    version = world.owner.versions.CreateImageVersion(request)
    made = world.get(plan.image_version)
    wanted = world.replication.await_ensured(made.uid, 1).desired
    assert wanted.regions == asked.regions
    assert wanted.disks == asked.disks
    assert version.name


def test_the_operation_of_a_plan_tells_what_it_looks_at(world: World) -> None:
    request = world.version_request()
    operation = world.wait(world.owner.versions.PlanImageVersion(creating(request)))
    metadata = operation_metadata_pb2.PlanOperationMetadata()
    assert operation.metadata.Unpack(metadata)
    assert (metadata.verb, metadata.target) == ("plan", creating(request).name)
    # Two disks of one GiB each.
    assert metadata.total_bytes == metadata.examined_bytes == 2 << 30
    assert metadata.HasField("end_time")


def test_changes_are_told_by_region(answered: World) -> None:
    world = answered
    version = world.finished(regions=("eastus", "eastus2"))
    plan = planned(world, adding(version.name, "West US"))
    assert [(one.location, one.action) for one in plan.regions] == [
        ("eastus", Action.PLANNED_ACTION_KEEP),
        ("eastus2", Action.PLANNED_ACTION_KEEP),
        ("westus", Action.PLANNED_ACTION_ADD),
    ]
    asked = world.replication.planned[-1]
    assert asked.image_version_uid == version.uid
    change = regions_pb.RemoveTargetRegionsRequest(name=version.name, locations=["eastus2"])
    request = pb.PlanImageVersionRequest(name=version.name, remove_target_regions=change)
    plan = planned(world, request)
    assert [(one.location, one.action, one.wanted_replica_count) for one in plan.regions] == [
        ("eastus", Action.PLANNED_ACTION_KEEP, 1),
        ("eastus2", Action.PLANNED_ACTION_REMOVE, 0),
    ]
    counts = regions_pb.SetReplicaCountsRequest(name=version.name, replica_count=2)
    plan = planned(world, pb.PlanImageVersionRequest(name=version.name, set_replica_counts=counts))
    assert {one.action for one in plan.regions} == {Action.PLANNED_ACTION_RAISE}
    update = pb.UpdateImageVersionRequest(
        image_version=image_version_pb2.ImageVersion(name=version.name, replica_count=2)
    )
    assert planned(world, pb.PlanImageVersionRequest(name=version.name, update=update)) is not None
    assert world.get(version.name).generation == 1
    assert [one.location for one in world.get(version.name).target_regions] == ["eastus", "eastus2"]


def test_a_promotion_is_planned_as_bytes_in_the_place_of_a_reference(world: World) -> None:
    version = shallow(world)
    change = pb.PromoteImageVersionRequest(name=version.name)
    request = pb.PlanImageVersionRequest(name=version.name, promote=change)
    (region,) = planned(world, request).regions
    assert region.action == Action.PLANNED_ACTION_RAISE
    assert (region.current_replica_count, region.wanted_replica_count) == (1, 1)
    asked = world.replication.planned[-1]
    assert asked.replication_mode == storage_pb2.REPLICATION_MODE_FULL
    assert world.get(version.name).replication_mode == storage_pb2.REPLICATION_MODE_SHALLOW
    full = world.finished()
    request.name = request.promote.name = full.name
    with refused(Code.FAILED_PRECONDITION) as found:
        world.owner.versions.PlanImageVersion(request)
    assert found.info.reason.endswith("_NOT_SHALLOW")


def money(micros: int, currency: str = "EUR") -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, micros=micros)


def test_the_regions_are_added_up(answered: World) -> None:
    world = answered
    full = copy_state_pb2.FailureCause()
    full.status.code, full.status.message = 8, "full"
    home = replication_plan_pb2.RegionPlan(
        location="eastus",
        exactness=EXACT,
        size_bytes=100,
        zero_bytes=40,
        deduplicated_bytes=10,
        written_bytes=50,
        expected_duration=Duration(seconds=5),
        crossing_cost=money(0),
        monthly_cost=money(7),
    )
    away = replication_plan_pb2.RegionPlan(
        location="westus",
        source_location="eastus",
        exactness=ESTIMATE,
        size_bytes=100,
        zero_bytes=40,
        crossing_bytes=60,
        written_bytes=60,
        freed_bytes=3,
        expected_duration=Duration(seconds=9),
        crossing_cost=money(2),
        monthly_cost=money(8),
        obstacle=full,
    )
    response = replication_plan_pb2.PlanReplicasResponse(regions=[home, away])
    world.replication.plans = lambda _desired, _context: response
    request = creating(world.version_request(regions=("eastus", "westus")))
    plan = planned(world, request)
    assert plan.total == image_version_plan_pb2.PlannedBytes(
        size_bytes=200,
        zero_bytes=80,
        deduplicated_bytes=10,
        crossing_bytes=60,
        written_bytes=110,
        freed_bytes=3,
    )
    assert (plan.cost.crossing, plan.cost.monthly_storage) == (money(2), money(15))
    # The second region waits for the first one, which it is copied from.
    assert plan.expected_duration.seconds == 14
    assert not plan.exact
    assert [one.exact for one in plan.regions] == [True, False]
    assert plan.regions[1].obstacle.message == "full"
    assert plan.regions[1].source_location == "eastus"
    response.regions[1].monthly_cost.currency_code = "USD"
    response.regions[1].ClearField("expected_duration")
    plan = planned(world, request)
    assert not plan.HasField("cost")
    assert not plan.HasField("expected_duration")
    response.regions[1].ClearField("monthly_cost")
    plan = planned(world, request)
    assert not plan.HasField("cost")
    assert not plan.regions[1].cost.HasField("monthly_storage")
    assert plan.regions[1].cost.crossing == money(2)


def errors(world: World, stub: Any, request: Any, code: Any) -> Refusal:
    with refused(code) as found:
        stub(request)
    return found


def test_a_plan_refuses_what_the_planned_call_refuses(world: World) -> None:
    versions = world.owner.versions
    request = world.version_request(regions=("eastus", "nowhere", "eastus"))
    request.image_version.replica_count = 500
    real = errors(world, versions.CreateImageVersion, request, Code.INVALID_ARGUMENT)
    plan = errors(world, versions.PlanImageVersion, creating(request), Code.INVALID_ARGUMENT)
    assert len(real.fields) >= 3
    assert {f"create.{field}": reason for field, reason in real.fields.items()} == plan.fields
    assert plan.info.reason == real.info.reason
    request = world.version_request(regions=({"location": "westus", "regional_replica_count": 5},))
    request.image_version.location = "westus"
    real = errors(world, versions.CreateImageVersion, request, Code.FAILED_PRECONDITION)
    plan = errors(world, versions.PlanImageVersion, creating(request), Code.FAILED_PRECONDITION)
    assert (plan.info.reason, plan.preconditions) == (real.info.reason, real.preconditions)
    version = world.finished()
    with refused(Code.FAILED_PRECONDITION, "HOME_REGION_REQUIRED"):
        change = regions_pb.RemoveTargetRegionsRequest(name=version.name, locations=["eastus"])
        asked = pb.PlanImageVersionRequest(name=version.name, remove_target_regions=change)
        versions.PlanImageVersion(asked)
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        versions.PlanImageVersion(adding(version.name, "westus", etag='"1-stale"'))
    again = world.version_request(version.name.rpartition("/versions/")[0])
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        versions.PlanImageVersion(creating(again))
    with refused(Code.NOT_FOUND):
        versions.PlanImageVersion(adding(f"{again.parent}/versions/9.9.9", "westus"))


def test_a_plan_of_another_version_or_of_nothing_is_malformed(world: World) -> None:
    request = creating(world.version_request(regions=("nowhere",)))
    request.name = request.name.replace("1.0.0", "1.0.1")
    with refused(Code.INVALID_ARGUMENT) as found:
        world.owner.versions.PlanImageVersion(request)
    # Both at once: what is wrong around the planned call, and what is wrong in it.
    inside = ("target_regions", "target_regions[0].location")
    assert set(found.fields) == {"name", *(f"create.image_version.{one}" for one in inside)}
    with refused(Code.INVALID_ARGUMENT):
        world.owner.versions.PlanImageVersion(pb.PlanImageVersionRequest(name=request.name))
    # A number is the same one however it is spelled.
    request = creating(world.version_request(number="1.2.3"))
    request.name = request.name.replace("1.2.3", "01.2.3")
    assert planned(world, request).image_version.endswith("/versions/1.2.3")


def called(user: str) -> str:
    return user.rpartition("/")[2]


def test_a_plan_needs_the_rights_of_the_planned_call(world: World, policy: Policy) -> None:
    request = creating(world.version_request())
    with refused(Code.UNAUTHENTICATED):
        world.catalog.nobody().versions.PlanImageVersion(request)
    reader = policy.user()
    policy.assign(reader, "Reader", request.create.parent)
    world.catalog.catch_up()
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        world.catalog.user(called(reader)).versions.PlanImageVersion(request)
    writer = policy.user()
    policy.assign(writer, CONTRIBUTOR, request.create.parent)
    world.catalog.catch_up()
    # The right to the definition is not the right to the blobs.
    with refused(Code.PERMISSION_DENIED, "LINKED_PERMISSION_DENIED"):
        world.catalog.user(called(writer)).versions.PlanImageVersion(request)


def test_a_repeated_plan_is_the_first_one(world: World) -> None:
    request = creating(world.version_request())
    request.request_id = "5d1d4f4e-8b0a-4e5a-9f1f-0d6f3f6f9a01"
    first = world.owner.versions.PlanImageVersion(request)
    assert world.owner.versions.PlanImageVersion(request).name == first.name
    request.create.image_version.tags["a"] = "b"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        world.owner.versions.PlanImageVersion(request)


def test_what_goes_wrong_after_the_answer_ends_the_operation(
    answered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = answered
    monkeypatch.setattr(version_plan, "ATTEMPTS", 2)

    def unavailable(_: Any, context: Any) -> Any:
        context.abort(Code.UNAVAILABLE, "not now")

    world.replication.plans = unavailable
    request = creating(world.version_request())
    seen = len(world.replication.planned)
    done = world.wait(world.owner.versions.PlanImageVersion(request))
    assert done.error.code == Code.UNAVAILABLE.value[0]
    assert len(world.replication.planned) >= seen + 2
    found = Refusal()
    found.read(done.error)
    assert (found.info.reason, found.info.domain) == ("DEPENDENCY_UNAVAILABLE", "catalog.stoa.dev")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(Code.NOT_FOUND, "SOURCE_NOT_FOUND"), (Code.INVALID_ARGUMENT, "REGION_UNKNOWN")],
)
def test_what_is_gone_when_replication_looks_ends_the_operation(
    answered: World, code: grpc.StatusCode, reason: str
) -> None:
    world = answered

    def gone(_: Any, context: Any) -> Any:
        info = error_details_pb2.ErrorInfo(
            reason=reason, domain="replication.stoa.dev", metadata={"source": "theirs"}
        )
        status = status_pb2.Status(code=code.value[0], message="theirs is gone")
        status.details.add().Pack(info)
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        context.set_trailing_metadata(details)
        context.abort(code, status.message)

    world.replication.plans = gone
    request = creating(world.version_request())
    done = world.wait(world.owner.versions.PlanImageVersion(request))
    assert done.error.code == code.value[0]
    found = Refusal()
    found.read(done.error)
    assert (found.info.reason, found.info.domain) == (reason, "catalog.stoa.dev")
    # The other service's words may name what only its owner may know.
    assert "theirs" not in str(done)


def test_a_plan_that_is_cancelled_ends_at_once(answered: World) -> None:
    world = answered
    come, go = threading.Event(), threading.Event()

    def slow(desired: Any, context: Any) -> Any:
        come.set()
        go.wait(20)
        return replication_plan_pb2.PlanReplicasResponse()

    world.replication.plans = slow
    version = world.finished()
    operation = world.owner.versions.PlanImageVersion(adding(version.name, "westus"))
    assert come.wait(15)
    # Neither does a plan stand in the way of changes, nor do changes end it.
    world.owner.versions.SetReplicaCounts(
        regions_pb.SetReplicaCountsRequest(name=version.name, replica_count=2)
    )
    world.replication.await_ensured(version.uid, 2)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2, wanted=2, good=2)
    world.until(version.name, lambda one: one.provisioning_state == version.provisioning_state)
    get = operations_pb2.GetOperationRequest(name=operation.name)
    assert not world.owner.operations.GetOperation(get).done
    cancel = operations_pb2.CancelOperationRequest(name=operation.name)
    world.owner.operations.CancelOperation(cancel)
    done = world.owner.operations.GetOperation(get)
    go.set()
    assert done.error.code == Code.CANCELLED.value[0]
    metadata = operation_metadata_pb2.PlanOperationMetadata()
    assert done.metadata.Unpack(metadata)
    assert metadata.cancel_requested
    assert world.owner.operations.GetOperation(get) == done
