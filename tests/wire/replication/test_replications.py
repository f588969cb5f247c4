"""Replications on the wire: admitted, watched, read, cancelled, tried again."""

import random
import threading
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import role_assignment_service_pb2
from stoa.replication.v1 import (
    copy_state_pb2,
    region_pb2,
    region_service_pb2,
    replication_plan_pb2,
    replication_service_pb2,
)
from stoa.replication.v1 import replication_pb2 as pb
from stoa.type.v1 import replication_state_pb2

from cli.installation.pki import new_key_pem
from services.kernel.clock import SystemClock
from services.replication.store.unit_of_work import SqlUnitOfWork
from tests.wire.authz.installation import World as AuthzWorld
from tests.wire.replication.service import MIB, Service, World, eventually, refused, told

COMPLETED = replication_state_pb2.REGIONAL_REPLICATION_STATE_COMPLETED
CANCELLED = replication_state_pb2.REGIONAL_REPLICATION_STATE_CANCELLED
SLOW: dict[str, Any] = {"limits": {"bandwidth_bytes_per_second": 2 * MIB}}


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def ended(world: World, name: str) -> pb.Replication:
    eventually(lambda: world.get(name).HasField("end_time"), f"{name} ends")
    found: pb.Replication = world.get(name)
    return found


def test_a_version_is_replicated_and_its_watcher_sees_it_whole(working: Service, world: World):
    for name, slots in (("home", 1), ("east", 2), ("west", 1)):
        world.region(name, slots)
    disks = {"os": world.blob(some_bytes(9 * MIB)), "3": world.blob(some_bytes(MIB, 2))}
    answer = world.ensure(world.desired(disks, {"home": 1, "east": 2, "west": 1}))
    assert answer.state == pb.Replication.STATE_OPEN
    events = told(world.watch(answer.replication, 0))
    assert [one.sequence for one in events] == list(range(1, len(events) + 1))
    assert [one.WhichOneof("event") for one in events[:-1]] == ["transition"] * (len(events) - 1)
    end = events[-1].end
    assert end.state == pb.Replication.STATE_COMPLETED
    assert end.progress.percent == 100
    found = world.get(answer.replication)
    assert [one.location for one in found.regions] == [
        world.location(name) for name in ("home", "east", "west")
    ]
    assert {one.state for one in found.regions} == {COMPLETED}
    replicas = world.operator.replications.ListReplicas(
        replication_service_pb2.ListReplicasRequest(parent=world.version)
    ).replicas
    assert len(replicas) == 4
    assert {len(one.disks) for one in replicas} == {2}
    assert len({one.disks[0].root_digest for one in replicas}) == 1


def test_a_watcher_that_was_cut_off_and_resumed_saw_what_another_saw(
    working: Service, world: World
):
    world.region("home", **SLOW)
    world.region("east", **SLOW)
    disks = {"os": world.blob(some_bytes(8 * MIB)), "0": world.blob(some_bytes(2 * MIB, 2))}
    name = world.ensure(world.desired(disks, {"home": 1, "east": 1})).replication
    whole: list[object] = []
    watcher = threading.Thread(target=lambda: whole.extend(told(world.watch(name, 0))))
    watcher.start()
    first = world.watch(name, 0)
    seen = []
    for message in first:
        if message.WhichOneof("event") == "transition":
            seen.append(message)
        if len(seen) == 9:
            first.cancel()
            break
    seen += told(world.watch(name, seen[-1].sequence))
    watcher.join()
    assert seen == whole
    assert [one.sequence for one in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].end.state == pb.Replication.STATE_COMPLETED


def test_progress_grows_and_never_falls(working: Service, world: World):
    world.region("home", **SLOW)
    world.region("east", **SLOW)
    disks = {"os": world.blob(some_bytes(16 * MIB))}
    name = world.ensure(world.desired(disks, {"east": 1})).replication
    stream = list(world.watch(name))
    assert stream[0].WhichOneof("event") == "snapshot"
    assert stream[0].snapshot.replication.name == name
    percents = [
        one.progress.replication_progress.percent
        for one in stream
        if one.WhichOneof("event") == "progress"
    ]
    assert len(percents) > 2
    assert percents == sorted(percents)
    assert stream[-1].end.progress.percent == 100
    sequences = [one.sequence for one in stream]
    assert sequences == sorted(sequences)


def test_events_that_are_no_longer_held_are_out_of_range(working: Service, world: World):
    world.region("home")
    name = world.ensure(world.desired({"os": world.blob(b"x")}, {"home": 1})).replication
    last = told(world.watch(name, 0))[-1]
    rows = SqlUnitOfWork(working.db)
    later = SystemClock().now() + timedelta(minutes=1)
    rows.transact(lambda tx: tx.replications.forget_events(later, 1000))
    with refused(grpc.StatusCode.OUT_OF_RANGE, "POSITION_COMPACTED") as refusal:
        list(world.watch(name, 0))
    assert refusal.info.metadata["oldest"] == str(last.sequence)
    assert told(world.watch(name, last.sequence)) == []
    (snapshot,) = world.watch(name)
    assert snapshot.snapshot.replication.state == pb.Replication.STATE_COMPLETED


def test_a_watcher_of_a_version_waits_for_its_generation(working: Service, world: World):
    world.region("home")
    found: list[object] = []
    stream = world.watch(world.version, image_version_uid=world.uid, minimum_generation=2)
    watcher = threading.Thread(target=lambda: found.extend(told(stream)))
    watcher.start()
    disks = {"os": world.blob(some_bytes(MIB))}
    first = world.ensure(world.desired(disks, {"home": 1})).replication
    ended(world, first)
    second = world.ensure(world.desired(disks, {"home": 1}, generation=2)).replication
    watcher.join()
    names = {one.replication for one in found}  # type: ignore[attr-defined]
    assert names <= {second}


def test_the_same_delivery_is_answered_the_same(service: Service, world: World):
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x" * 70_000)}, {"home": 1})
    first = world.ensure(wanted)
    assert world.ensure(wanted) == first
    other = world.desired({"os": wanted.disks[0].source}, {"home": 2})
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_CONFLICT"):
        world.ensure(other)
    newer = world.desired({"os": wanted.disks[0].source}, {"home": 1}, generation=5)
    assert world.ensure(newer).replication != first.replication
    assert world.ensure(wanted).replication == first.replication
    older = world.desired({"os": wanted.disks[0].source}, {"home": 1}, generation=3)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_STALE") as refusal:
        world.ensure(older)
    assert refusal.info.metadata["generation"] == "5"


def test_a_newer_generation_takes_over(service: Service, world: World):
    world.region("home")
    world.region("east")
    disks = {"os": world.blob(b"x" * 70_000)}
    first = world.ensure(world.desired(disks, {"home": 1})).replication
    second = world.ensure(world.desired(disks, {"home": 1, "east": 1}, generation=2)).replication
    events = told(world.watch(first, 0))
    assert events[-1].end.state == pb.Replication.STATE_SUPERSEDED
    assert events[-1].end.successor == second
    assert world.get(world.version).name == second
    assert world.get(second).predecessor == first


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"exp": 1, "iat": 0}, "expired"),
        ({"aud": "authz"}, "malformed"),
        ({"iss": "somebody"}, "malformed"),
        ({"generation": None}, "malformed"),
    ],
)
def test_a_grant_that_is_not_one_is_refused(service: Service, world: World, change, cause):
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    token = world.sign(world.claims(wanted) | change)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "GRANT_INVALID") as refusal:
        world.ensure(wanted, operation_grant=token)
    assert refusal.info.metadata["cause"] == cause


def test_a_grant_signed_by_another_key_is_refused(service: Service, world: World):
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    forged = world.sign(world.claims(wanted), new_key_pem())
    with refused(grpc.StatusCode.PERMISSION_DENIED, "GRANT_INVALID") as refusal:
        world.ensure(wanted, operation_grant=forged)
    assert refusal.info.metadata["cause"] == "signature"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("uid", "b" * 32),
        ("generation", 9),
        ("version", "subscriptions/default/resourceGroups/rg/galleries/g/images/i/versions/9.0.0"),
        ("sources", {}),
    ],
)
def test_t2_a_grant_for_other_work_is_refused(service: Service, world: World, claim, value):
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    swapped = world.sign(world.claims(wanted) | {claim: value})
    with refused(grpc.StatusCode.PERMISSION_DENIED, "GRANT_MISMATCH") as refusal:
        world.ensure(wanted, operation_grant=swapped)
    assert refusal.info.metadata["claim"] == claim


def test_a_withdrawal_is_done_at_once_and_its_refs_go(working: Service, world: World):
    world.region("home")
    disks = {"os": world.blob(some_bytes(MIB))}
    ended(world, world.ensure(world.desired(disks, {"home": 1})).replication)
    answer = world.ensure(world.desired({}, {}, generation=2))
    assert answer.state == pb.Replication.STATE_COMPLETED
    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.get(world.version)
    removed = replication_service_pb2.ListReplicasRequest(
        parent=world.version, filter="state = REMOVED"
    )
    eventually(
        lambda: world.operator.replications.ListReplicas(removed).replicas, "the ref is removed"
    )


def test_a_region_that_was_cancelled_is_tried_again(working: Service, world: World):
    world.region("home")
    world.region("east", **SLOW)
    disks = {"os": world.blob(some_bytes(40 * MIB))}
    name = world.ensure(world.desired(disks, {"home": 1, "east": 1})).replication
    copying = copy_state_pb2.COPY_STATE_COPYING
    eventually(
        lambda: world.get(name).regions[1].replicas[0].state == copying, "the copy has begun"
    )
    cancel = replication_service_pb2.CancelReplicationRequest(
        name=name, locations=[world.location("EAST")]
    )
    world.operator.replications.CancelReplication(cancel)
    found = ended(world, name)
    assert found.state == pb.Replication.STATE_CANCELLED
    assert [one.state for one in found.regions] == [COMPLETED, CANCELLED]
    assert world.operator.replications.CancelReplication(cancel).state == found.state
    # The catalog may, for an operation that its caller cancels; no other service may.
    by_version = replication_service_pb2.CancelReplicationRequest(name=world.version)
    catalog = working.service("catalog").replications
    assert catalog.CancelReplication(by_version).state == found.state
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        working.service("authz").replications.CancelReplication(by_version)
    unlimited = region_service_pb2.UpdateRegionRequest(
        region=region_pb2.Region(name=f"regions/{world.location('east')}"),
        update_mask=FieldMask(paths=["limits"]),
    )
    assert not world.operator.regions.UpdateRegion(unlimited).HasField("limits")
    operation = world.operator.replications.RetryReplication(
        replication_service_pb2.RetryReplicationRequest(name=world.version)
    )
    done = world.operator.operations.WaitOperation(
        operations_pb2.WaitOperationRequest(name=operation.name)
    )
    assert done.done
    again = pb.Replication()
    assert done.response.Unpack(again)
    assert (again.retry, again.predecessor) == (True, name)
    assert [one.location for one in again.regions] == [world.location("east")]
    assert again.state == pb.Replication.STATE_COMPLETED


def test_what_cannot_be_tried_again_says_why(working: Service, world: World):
    world.region("home")
    disks = {"os": world.blob(some_bytes(MIB))}
    name = world.ensure(world.desired(disks, {"home": 1})).replication
    ended(world, name)
    retry = replication_service_pb2.RetryReplicationRequest(name=name)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_RETRY"):
        world.operator.replications.RetryReplication(retry)
    world.ensure(world.desired(disks, {"home": 1}, generation=2))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "REPLICATION_NOT_NEWEST"):
        world.operator.replications.RetryReplication(retry)
    retry.locations.extend(["nowhere", world.location("home"), world.location("home")])
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.operator.replications.RetryReplication(retry)
    assert set(refusal.fields) == {"locations[0]", "locations[2]"}


def test_an_open_replication_cannot_be_tried_again(service: Service, world: World):
    world.region("home", **SLOW)
    name = world.ensure(
        world.desired({"os": world.blob(some_bytes(30 * MIB))}, {"home": 1, "lost": 1})
    ).replication
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "REPLICATION_OPEN"):
        world.operator.replications.RetryReplication(
            replication_service_pb2.RetryReplicationRequest(name=name)
        )


def test_a_region_without_room_fails_and_the_others_do_not(working: Service, world: World):
    world.region("home")
    world.region("east")
    disks = {"os": world.blob(some_bytes(MIB))}
    name = world.ensure(world.desired(disks, {"home": 1, "east": 2, "lost": 1})).replication
    found = ended(world, name)
    assert found.state == pb.Replication.STATE_FAILED
    reasons = [one.cause.status.message for one in found.regions[1:]]
    assert "room for 1 replicas" in reasons[0]
    assert "does not exist" in reasons[1]
    assert found.regions[0].state == COMPLETED
    end = told(world.watch(name, 0))[-1].end
    assert [one.location for one in end.failed_regions] == [
        world.location("east"),
        world.location("lost"),
    ]


def test_those_who_may_not_read_learn_nothing(service: Service, world: World, authz):
    world.region("home")
    name = world.ensure(world.desired({"os": world.blob(b"x")}, {"home": 1})).replication
    people = AuthzWorld(authz)
    somebody = service.user(people.user().rpartition("/")[2])
    for asked in (name, world.version, "replications/unknown"):
        with refused(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            somebody.replications.GetReplication(
                replication_service_pb2.GetReplicationRequest(name=asked)
            )
        assert f"denied on resource '{asked}'" in refusal.message
    with refused(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"):
        list(world.watch(name, stubs=somebody))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"):
        world.operator.replications.GetReplication(
            replication_service_pb2.GetReplicationRequest(name="replications/unknown")
        )
    everywhere = "subscriptions/default/resourceGroups/-/galleries/-/images/-/versions/-"
    lists = replication_service_pb2.ListReplicationsRequest(parent=everywhere)
    assert not somebody.replications.ListReplications(lists).replications
    assert world.operator.replications.ListReplications(lists).replications
    with refused(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"):
        service.nobody().replications.ListReplications(lists)


def test_t25_a_watch_ends_when_access_is_lost(service: Service, world: World, authz):
    world.region("home")
    world.region("east", **SLOW)
    wanted = world.desired({"os": world.blob(some_bytes(60 * MIB))}, {"east": 1})
    name = world.ensure(wanted).replication
    people = AuthzWorld(authz)
    principal = people.user()
    held = people.assign(principal, "Reader", "subscriptions/default")
    reader = service.user(principal.rpartition("/")[2])

    def begun():
        stream = world.watch(name, stubs=reader)
        try:
            return stream, next(stream)
        except grpc.RpcError:
            return None

    stream, first = eventually(begun, "the assignment is known")
    assert first.WhichOneof("event") == "snapshot"
    people.owner.assignments.DeleteRoleAssignment(
        role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=held.name)
    )
    with refused(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"):
        list(stream)
    world.operator.replications.CancelReplication(
        replication_service_pb2.CancelReplicationRequest(name=name)
    )


def test_lists_are_paged_filtered_and_ordered(service: Service, world: World):
    world.region("home")
    disks = {"os": world.blob(b"x")}
    names = [
        world.ensure(world.desired(disks, {"home": 1}, generation=number)).replication
        for number in (1, 2, 3)
    ]
    request = replication_service_pb2.ListReplicationsRequest(parent=world.version, page_size=2)
    first = world.operator.replications.ListReplications(request)
    request.page_token = first.next_page_token
    second = world.operator.replications.ListReplications(request)
    found = [one.name for one in (*first.replications, *second.replications)]
    assert found == names[::-1]
    assert not second.next_page_token
    request.page_token = first.next_page_token[:-2] + "AA"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        world.operator.replications.ListReplications(request)
    request.ClearField("page_token")
    request.filter = "state = SUPERSEDED AND generation > 1"
    (only,) = world.operator.replications.ListReplications(request).replications
    assert only.name == names[1]
    assert not only.regions[0].replicas
    request.filter = "colour = red"
    request.order_by = "size"
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.operator.replications.ListReplications(request)
    assert set(refusal.fields) == {"filter", "order_by"}


def test_a_source_is_inspected(service: Service, world: World):
    world.region("home")
    source = world.blob(some_bytes(MIB))
    request = replication_plan_pb2.InspectSourceRequest(source=source)
    found = world.catalog.replications.InspectSource(request)
    assert (found.exists, found.location) == (True, world.location("home"))
    assert (found.size_bytes, len(found.root_digest)) == (MIB, 32)
    request.source.blob.blob += "x"
    assert not world.catalog.replications.InspectSource(request).exists


def test_methods_for_services_are_not_on_the_client_listener(service: Service, world: World):
    request = replication_plan_pb2.InspectSourceRequest()
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        world.operator.replications.InspectSource(request)
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        service.service("authz").replications.InspectSource(request)
