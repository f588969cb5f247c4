"""Long-running operations on the wire: wait modes, metadata, cancelling, expiry, failure."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from sqlalchemy import update
from stoa.catalog.v1 import (
    image_resolution_pb2,
    image_version_pb2,
    operation_metadata_pb2,
    provisioning_state_pb2,
    target_region_pb2,
    target_region_requests_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.replication.v1 import copy_state_pb2, replication_feed_pb2, replication_pb2
from stoa.type.v1 import replication_progress_pb2
from stoa.type.v1 import replication_state_pb2 as states

from services.catalog.store import tables
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import Refusal, World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED, REMOVED

Code = grpc.StatusCode
CANCELLED = states.REGIONAL_REPLICATION_STATE_CANCELLED
REPLICATING = states.REGIONAL_REPLICATION_STATE_REPLICATING
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED
UPDATING = provisioning_state_pb2.PROVISIONING_STATE_UPDATING
FAILED_STATE = provisioning_state_pb2.PROVISIONING_STATE_FAILED
ALL = image_version_pb2.WAIT_MODE_ALL_REGIONS
HOME = image_version_pb2.WAIT_MODE_HOME_REGION
ACCEPTED = image_version_pb2.WAIT_MODE_ACCEPTED
State = replication_pb2.Replication
BOTH = ("eastus", "westus")


def add(world: World, name: str, *locations: str, **more: Any) -> Any:
    targets = [target_region_pb2.TargetRegion(location=one) for one in locations]
    request = target_region_requests_pb2.AddTargetRegionsRequest(
        name=name, target_regions=targets, **more
    )
    return world.owner.versions.AddTargetRegions(request)


def remove(world: World, name: str, *locations: str, **more: Any) -> Any:
    request = target_region_requests_pb2.RemoveTargetRegionsRequest(
        name=name, locations=locations, **more
    )
    return world.owner.versions.RemoveTargetRegions(request)


def set_counts(world: World, name: str, count: int, **more: Any) -> Any:
    request = target_region_requests_pb2.SetReplicaCountsRequest(
        name=name, replica_count=count, **more
    )
    return world.owner.versions.SetReplicaCounts(request)


def update_regions(world: World, name: str, *locations: str, **more: Any) -> Any:
    request = requests_pb.UpdateImageVersionRequest(**more)
    request.image_version.name = name
    for one in locations:
        request.image_version.target_regions.add(location=one)
    request.update_mask.paths.append("target_regions")
    return world.owner.versions.UpdateImageVersion(request)


def read(world: World, operation: Any) -> Any:
    return world.owner.operations.GetOperation(pb.GetOperationRequest(name=operation.name))


def metadata_of(operation: Any) -> Any:
    message = operation_metadata_pb2.ImageVersionOperationMetadata()
    assert operation.metadata.Unpack(message)
    return message


def told(world: World, operation: Any, condition: Any) -> Any:
    """Answer the metadata of an operation once they are as a test waits for."""
    for _ in range(500):
        found = metadata_of(read(world, operation))
        if condition(found):
            return found
        threading.Event().wait(0.02)
    raise AssertionError(found)


def cancel(stubs: Any, operation: Any) -> None:
    stubs.operations.CancelOperation(pb.CancelOperationRequest(name=operation.name))


def error_of(operation: Any) -> Refusal:
    found = Refusal()
    found.read(operation.error)
    return found


@pytest.mark.parametrize("mode", [ACCEPTED, HOME, ALL])
def test_a_creation_waits_as_it_was_told(world: World, mode: Any) -> None:
    version, operation = world.version(regions=BOTH, wait_for=mode)
    assert operation.done == (mode == ACCEPTED)
    assert metadata_of(operation).wait_for == mode
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.until(version.name, lambda one: one.replication_status.summary[0].usable)
    assert read(world, operation).done == (mode != ALL)
    world.replication.tell(version.uid, "westus", COMPLETED)
    done = world.wait(operation)
    assert done.HasField("response")
    assert metadata_of(done).progress_percent == 100


@pytest.mark.parametrize("mode", [ACCEPTED, HOME, ALL])
@pytest.mark.parametrize("call", ["add", "update"])
def test_new_regions_are_waited_for_as_the_call_says(world: World, call: str, mode: Any) -> None:
    version = world.finished()
    if call == "add":
        operation = add(world, version.name, "westus", wait_for=mode)
    else:
        operation = update_regions(world, version.name, "eastus", "westus", wait_for=mode)
    # The home region has nothing to do.
    assert operation.done == (mode != ALL)
    world.replication.tell(version.uid, "westus", COMPLETED, generation=2)
    if call == "update" and mode == ALL:
        # It was named, and is done when replication says that the whole is.
        _tell_replication(world, version.uid, 2, State.STATE_COMPLETED)
    assert world.wait(operation).HasField("response")


def _tell_replication(world: World, uid: str, generation: int, state: Any) -> None:
    summary = replication_feed_pb2.ReplicationSummary(
        name=f"replications/r{generation}",
        image_version_uid=uid,
        generation=generation,
        state=state,
    )
    world.replication.feed.send(replication_feed_pb2.FeedEntry(replication=summary))


@pytest.mark.parametrize("mode", [ACCEPTED, HOME, ALL])
def test_counts_are_waited_for_as_the_call_says(world: World, mode: Any) -> None:
    version = world.finished(regions=("eastus", "eastus2"))
    operation = set_counts(world, version.name, 2, wait_for=mode)
    assert operation.done == (mode == ACCEPTED)
    world.replication.tell(version.uid, "eastus", COMPLETED, generation=2, good=2)
    good = world.until(
        version.name, lambda one: one.replication_status.summary[0].good_replica_count == 2
    )
    assert good.provisioning_state == UPDATING
    assert read(world, operation).done == (mode != ALL)
    world.replication.tell(version.uid, "eastus2", COMPLETED, generation=2, good=2)
    assert world.wait(operation).HasField("response")


@pytest.mark.parametrize("mode", [ACCEPTED, HOME, ALL])
def test_a_removal_waits_until_the_region_is_let_go(world: World, mode: Any) -> None:
    version = world.finished(regions=BOTH)
    operation = remove(world, version.name, "westus", wait_for=mode)
    assert operation.done == (mode != ALL)
    if mode == ALL:
        assert metadata_of(operation).progress_percent == 0
        assert metadata_of(operation).status_message == "waiting for westus"
    world.replication.tell(version.uid, "westus", REMOVED, generation=2, usable=False)
    done = world.wait(operation)
    assert done.HasField("response")
    if mode == ALL:
        (region,) = metadata_of(done).regions
        assert (region.location, region.state) == ("westus", REMOVED)
        assert metadata_of(done).progress_percent == 100


def test_a_region_that_was_removed_before_it_was_begun_is_let_go_at_once(world: World) -> None:
    version = world.finished()
    added = add(world, version.name, "westus")
    removed = remove(world, version.name, "westus")
    world.replication.await_ensured(version.uid, 3)
    # Replication opens the newest generation, and never heard of that region.
    _tell_replication(world, version.uid, 3, State.STATE_OPEN)
    for operation in (added, removed):
        assert world.wait(operation).HasField("response")
    assert [one.location for one in world.get(version.name).target_regions] == ["eastus"]
    assert len(world.get(version.name).replication_status.summary) == 1


def test_metadata_tell_bytes_rate_and_time_left_of_each_region(world: World) -> None:
    version, operation = world.version(regions=BOTH)
    first = metadata_of(operation)
    assert (first.target, first.verb, first.generation) == (version.name, "create", 1)
    assert first.HasField("create_time")
    assert not first.HasField("end_time")
    assert first.replication == ""
    assert first.progress_percent == 0
    assert first.status_message == "waiting for eastus, westus"
    counted = replication_progress_pb2.ReplicationProgress(
        total_bytes=1000,
        copied_bytes=300,
        deduplicated_bytes=100,
        zero_bytes=200,
        verified_bytes=50,
    )
    progress = copy_state_pb2.CopyProgress(
        bytes=counted,
        percent=60,
        bytes_per_second=25,
        remaining_duration=Duration(seconds=16),
    )
    world.replication.tell(version.uid, "eastus", REPLICATING, progress=progress)
    found = told(world, operation, lambda one: one.progress_percent)
    region = found.regions[0]
    assert (region.location, region.state, region.usable) == ("eastus", REPLICATING, False)
    assert region.progress == counted
    assert (region.progress_percent, region.bytes_per_second) == (60, 25)
    assert region.remaining_duration.seconds == 16
    assert found.replication == "replications/r1"
    assert found.progress_percent == 30
    # It never goes down, whatever the regions tell.
    lower = copy_state_pb2.CopyProgress(bytes=counted, percent=10)
    world.replication.tell(version.uid, "eastus", REPLICATING, progress=lower)
    found = told(world, operation, lambda one: one.regions[0].progress_percent == 10)
    assert found.progress_percent == 30
    world.replication.tell(version.uid, "eastus", COMPLETED)
    found = told(world, operation, lambda one: one.regions[0].usable)
    assert found.status_message == "waiting for westus"
    world.replication.tell(version.uid, "westus", COMPLETED)
    last = metadata_of(world.wait(operation))
    assert (last.progress_percent, last.status_message) == (100, "done")
    assert last.end_time.ToDatetime() >= last.create_time.ToDatetime()


def test_the_metadata_of_a_change_begin_at_nothing_of_its_own_generation(world: World) -> None:
    version = world.finished()
    operation = set_counts(world, version.name, 2)
    first = metadata_of(operation)
    assert (first.generation, first.progress_percent, first.replication) == (2, 0, "")
    world.replication.tell(version.uid, "eastus", REPLICATING, generation=2, usable=True)
    found = told(world, operation, lambda one: one.progress_percent)
    assert found.progress_percent == 40
    assert found.replication == "replications/r1"
    assert found.regions[0].usable


def test_waiting_ends_with_the_unfinished_operation_at_its_deadline(world: World) -> None:
    version, operation = world.version()
    request = pb.WaitOperationRequest(name=operation.name, timeout=Duration(nanos=50_000_000))
    found = world.owner.operations.WaitOperation(request)
    assert (found.name, found.done) == (operation.name, False)
    # The caller's own deadline counts too, and is no error.
    request = pb.WaitOperationRequest(name=operation.name, timeout=Duration(seconds=20))
    assert not world.owner.operations.WaitOperation(request, timeout=1).done
    waited: list[Any] = []
    thread = threading.Thread(target=lambda: waited.append(world.wait(operation)))
    thread.start()
    world.replication.tell(version.uid, "eastus", COMPLETED)
    thread.join(20)
    assert waited[0].HasField("response")


def test_cancelling_ends_the_regions_that_are_not_done_and_keeps_the_others(
    world: World,
) -> None:
    version, operation = world.version(regions=("eastus", "eastus2", "westus"))
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.replication.tell(version.uid, "westus", REPLICATING)
    world.until(version.name, lambda one: one.replication_status.summary[0].usable)
    cancel(world.owner, operation)
    asked = metadata_of(read(world, operation))
    assert asked.cancel_requested
    assert asked.status_message.startswith("cancelling")
    assert world.replication.await_cancelled(version.name) == [["eastus2", "westus"]]
    world.replication.tell(version.uid, "eastus2", CANCELLED)
    world.replication.tell(version.uid, "westus", CANCELLED)
    done = world.wait(operation)
    assert done.error.code == Code.CANCELLED.value[0]
    assert error_of(done).info.reason == "CANCELLED"
    last = metadata_of(done)
    assert last.cancel_requested
    assert last.HasField("end_time")
    after = world.get(version.name)
    assert after.provisioning_state == FAILED_STATE
    assert [one.usable for one in after.replication_status.summary] == [True, False, False]
    assert [one.location for one in after.target_regions] == ["eastus", "eastus2", "westus"]
    # What has ended stays as it is.
    cancel(world.owner, operation)
    assert read(world, operation) == done
    # A retry of replication takes the cancelled ones up again.
    for location in ("eastus2", "westus"):
        world.replication.tell(version.uid, location, COMPLETED)
    world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)


def test_an_operation_that_is_done_before_it_is_cancelled_succeeds(world: World) -> None:
    version, operation = world.version()
    cancel(world.owner, operation)
    world.replication.await_cancelled(version.name)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    done = world.wait(operation)
    assert done.HasField("response")
    assert metadata_of(done).cancel_requested


def test_an_operation_that_waits_for_the_home_region_cancels_that_alone(world: World) -> None:
    version, operation = world.version(regions=("eastus", "eastus2"), wait_for=HOME)
    cancel(world.owner, operation)
    assert world.replication.await_cancelled(version.name) == [["eastus"]]


def test_what_another_operation_waits_for_is_not_cancelled(world: World) -> None:
    version = world.finished()
    first = add(world, version.name, "eastus2", "westus")
    raised = target_region_requests_pb2.SetReplicaCountsRequest(name=version.name)
    raised.regional_replica_counts.add(location="eastus2", replica_count=2)
    other = world.owner.versions.SetReplicaCounts(raised)
    cancel(world.owner, first)
    assert world.replication.await_cancelled(version.name) == [["westus"]]
    cancel(world.owner, other)
    assert world.replication.await_cancelled(version.name, 2)[1] == ["eastus2"]


def test_cancelling_waits_for_replication_to_come_back(world: World) -> None:
    version, operation = world.version()
    world.replication.await_ensured(version.uid, 1)
    world.replication.refusal = (Code.UNAVAILABLE, "away")
    try:
        cancel(world.owner, operation)
        world.catalog.restart_workers()
    finally:
        world.replication.refusal = None
    assert world.replication.await_cancelled(version.name) == [["eastus"]]


def test_a_deletion_is_asked_to_be_cancelled_and_goes_on(world: World) -> None:
    version, created = world.version()
    world.replication.await_ensured(version.uid, 1)
    world.replication.refusal = (Code.UNAVAILABLE, "away")
    try:
        request = requests_pb.DeleteImageVersionRequest(name=version.name)
        operation = world.owner.versions.DeleteImageVersion(request)
        cancel(world.owner, operation)
        found = operation_metadata_pb2.DeleteOperationMetadata()
        assert read(world, operation).metadata.Unpack(found)
        assert found.cancel_requested
    finally:
        world.replication.refusal = None
    assert world.wait(operation).HasField("response")
    # The deletion won over the creation, whose metadata tell its end.
    ended = read(world, created)
    assert ended.error.code == Code.CANCELLED.value[0]
    assert metadata_of(ended).HasField("end_time")
    assert not [one for one in world.replication.cancelled if one.name == version.name]


def test_some_regions_failing_names_each_cause_and_keeps_the_completed_ones(
    world: World,
) -> None:
    version, operation = world.version(regions=("eastus", "eastus2", "westus"))
    cause = copy_state_pb2.FailureCause(retryable=True)
    cause.status.code = Code.UNAVAILABLE.value[0]
    cause.status.message = "the store does not answer"
    info = error_details_pb2.ErrorInfo(
        reason="STORE_UNAVAILABLE", domain="replication.stoa.dev", metadata={"slot": "a"}
    )
    cause.status.details.add().Pack(info)
    other = copy_state_pb2.FailureCause()
    other.status.message = "a leaf differs"
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.replication.tell(version.uid, "eastus2", FAILED, cause=cause)
    world.replication.tell(version.uid, "westus", FAILED, cause=other)
    done = world.wait(operation)
    found = error_of(done)
    assert done.error.code == Code.ABORTED.value[0]
    assert found.info.reason == "REGIONS_FAILED"
    assert dict(found.info.metadata) == {
        "locations": "eastus2,westus",
        "replication": "replications/r1",
    }
    assert found.preconditions == {"eastus2": "STORE_UNAVAILABLE", "westus": "FAILED"}
    assert "the store does not answer" in done.error.message
    assert "a leaf differs" in done.error.message
    last = metadata_of(done)
    assert last.status_message == "not done in eastus2, westus"
    assert last.progress_percent < 100
    after = world.get(version.name)
    assert after.provisioning_state == FAILED_STATE
    completed, failed, broken = after.replication_status.summary
    assert completed.usable
    assert (failed.usable, failed.retryable, failed.details) == (
        False,
        True,
        "the store does not answer",
    )
    kept = error_details_pb2.ErrorInfo()
    assert failed.cause.details[0].Unpack(kept)
    assert kept == info
    assert not broken.retryable
    request = image_resolution_pb2.ResolveImageVersionRequest(image=version.name, location="eastus")
    assert world.owner.versions.ResolveImageVersion(request).image_version == version.name


def test_a_generation_that_replication_refuses_ends_every_operation_that_waits(
    world: World,
) -> None:
    version = world.finished(regions=("eastus", "eastus2"))
    world.replication.refusal = (Code.FAILED_PRECONDITION, "the grant is of somebody else")
    try:
        # One region is new, one stays as it is, and one goes.
        operation = update_regions(world, version.name, "eastus", "eastus2", "westus")
        ended = world.wait(operation)
        removed = world.wait(remove(world, version.name, "eastus2"))
    finally:
        world.replication.refusal = None
    assert error_of(ended).preconditions == {"westus": "FAILED"}
    assert "somebody else" in ended.error.message
    assert set(error_of(removed).preconditions) == {"eastus2"}
    after = world.get(version.name)
    assert after.replication_status.summary[0].usable
    assert after.provisioning_state == FAILED_STATE


def test_a_retry_takes_the_version_through_updating_to_succeeded(world: World) -> None:
    version, operation = world.version(regions=BOTH)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.replication.tell(version.uid, "westus", FAILED)
    ended = world.wait(operation)
    # Replication opens another replication at the same generation for that region alone.
    world.replication.tell(version.uid, "westus", REPLICATING)
    under_way = world.until(version.name, lambda one: one.provisioning_state == UPDATING)
    assert under_way.generation == 1
    assert under_way.replication_status.summary[0].usable
    assert (
        under_way.replication_status.aggregated_state
        == states.AGGREGATED_REPLICATION_STATE_IN_PROGRESS
    )
    world.replication.tell(version.uid, "westus", COMPLETED)
    after = world.until(version.name, lambda one: one.provisioning_state == SUCCEEDED)
    assert all(one.usable for one in after.replication_status.summary)
    assert after.etag == version.etag
    # The operation of the create has ended, and says for ever what it ended with.
    assert read(world, operation) == ended


def test_an_operation_that_waits_for_less_does_not_fail_with_the_rest(world: World) -> None:
    version, home = world.version(regions=BOTH, wait_for=HOME)
    world.replication.tell(version.uid, "westus", FAILED)
    world.until(version.name, lambda one: one.replication_status.summary[1].state == FAILED)
    assert not read(world, home).done
    world.replication.tell(version.uid, "eastus", COMPLETED)
    assert world.wait(home).HasField("response")
    assert world.get(version.name).provisioning_state == FAILED_STATE


def test_an_owner_reads_their_operations_and_nobody_else_s(world: World, policy: Policy) -> None:
    definition = world.definition()
    group = "/".join(definition.split("/")[:4])
    publisher, other, reader = policy.user(), policy.user(), policy.user()
    policy.assign(publisher, "Contributor", group)
    policy.assign(other, "Contributor", group)
    policy.assign(reader, "Reader", "subscriptions/default")
    world.catalog.catch_up()
    stubs, others, readers = (
        world.catalog.user(one.rpartition("/")[2]) for one in (publisher, other, reader)
    )
    request = world.version_request(definition)
    operation = stubs.versions.CreateImageVersion(request)
    get = pb.GetOperationRequest(name=operation.name)
    # The group is all that they have a right on, and the operation is in the subscription.
    assert stubs.operations.GetOperation(get).name == operation.name
    listing = pb.ListOperationsRequest(name="subscriptions/default")
    assert [one.name for one in stubs.operations.ListOperations(listing).operations] == [
        operation.name
    ]
    with refused(Code.PERMISSION_DENIED) as found:
        others.operations.GetOperation(get)
    assert found.info.metadata["permission"] == "Microsoft.Compute/locations/capsOperations/read"
    with refused(Code.PERMISSION_DENIED):
        others.operations.GetOperation(pb.GetOperationRequest(name=f"{operation.name}0"))
    assert not others.operations.ListOperations(listing).operations
    assert readers.operations.GetOperation(get).name == operation.name
    for denied in (others, readers):
        with refused(Code.PERMISSION_DENIED):
            cancel(denied, operation)
        with refused(Code.PERMISSION_DENIED):
            denied.operations.DeleteOperation(pb.DeleteOperationRequest(name=operation.name))
    assert not metadata_of(stubs.operations.GetOperation(get)).cancel_requested


def test_an_operation_is_forgotten_when_it_has_ended_and_not_before(world: World) -> None:
    version, operation = world.version()
    request = pb.DeleteOperationRequest(name=operation.name)
    with refused(Code.FAILED_PRECONDITION):
        world.owner.operations.DeleteOperation(request)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.wait(operation)
    world.owner.operations.DeleteOperation(request)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        read(world, operation)
    assert world.get(version.name).provisioning_state == SUCCEEDED


def test_an_operation_expires_30_days_after_its_end(world: World) -> None:
    version, operation = world.version()
    _, unfinished = world.version()
    world.replication.tell(version.uid, "eastus", COMPLETED)
    world.wait(operation)
    foundation = world.catalog.foundation
    found = foundation.db.read(lambda c: _expiry(c, operation))
    assert timedelta(days=29) < found - datetime.now(UTC) <= timedelta(days=30)

    def age(connection: Any) -> None:
        past = update(tables.operations).values(expire_time=datetime.now(UTC) - timedelta(1))
        connection.execute(past.where(tables.operations.c.id == operation.name.split("/")[-1]))

    foundation.db.transact(age)
    assert foundation.db.transact(foundation.stores.operations.purge) == 1
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        read(world, operation)
    assert not read(world, unfinished).done


def _expiry(connection: Any, operation: Any) -> datetime:
    t = tables.operations.c
    query = tables.operations.select().where(t.id == operation.name.split("/")[-1])
    found: datetime = connection.execute(query).one().expire_time
    return found


def test_a_list_is_narrowed_by_what_all_metadata_have(world: World) -> None:
    version, operation = world.version()
    done = add(world, version.name, "eastus")
    assert done.done

    def listed(condition: str) -> list[str]:
        narrowed = f'metadata.target = "{version.name}"'
        request = pb.ListOperationsRequest(
            name="subscriptions/default",
            filter=f"{narrowed} AND {condition}" if condition else narrowed,
        )
        return [one.name for one in world.owner.operations.ListOperations(request).operations]

    assert listed("") == [operation.name, done.name]
    assert listed("done = false") == [operation.name]
    assert listed("done = true") == [done.name]
    assert listed("metadata.verb = create") == [operation.name]
    assert listed('metadata.create_time > "2020-01-01T00:00:00Z"') == [operation.name, done.name]
    assert listed('metadata.end_time < "2020-01-01T00:00:00Z"') == []
    for wrong in ("done = maybe", "owner = me", "done = true OR done = false"):
        with refused(Code.INVALID_ARGUMENT) as found:
            listed(wrong)
        assert set(found.fields) == {"filter"}
    page = world.owner.operations.ListOperations(
        pb.ListOperationsRequest(name="subscriptions/default", page_size=1)
    )
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        world.owner.operations.ListOperations(
            pb.ListOperationsRequest(
                name="subscriptions/default",
                page_token=page.next_page_token,
                filter="done = true",
            )
        )
