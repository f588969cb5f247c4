"""A replica over a real feed, which drops, repeats, breaks off and begins a new epoch."""

import time
from collections.abc import Iterator

import grpc
import pytest
from stoa.authz.v1 import check_pb2, decision_pb2

from services.kernel.errors import InvalidArgument, PermissionDenied, Unavailable
from services.kernel.rpc.access import Caller, Kind
from services.policy.access import LocalAccess, RemoteAccess
from services.policy.consistency import LogPosition
from services.policy.model import Kind as Entity
from services.policy.model import Removed
from services.policy.runtime import PolicyRuntime
from tests.unit.policy.worlds import GALLERY, READ, VERSION, WRITE, assign, role
from tests.wire.policy.authz_server import AuthzServer, refusal

HELD = assign("r1", GALLERY)
REVOKE = Removed(Entity.ROLE_ASSIGNMENT, HELD.name)
ALICE = Caller("alice", "t1")


@pytest.fixture
def authz() -> Iterator[AuthzServer]:
    # The replica needs a part of authz only.
    server = AuthzServer()  # type: ignore[abstract]
    server.write(role("*"), HELD)
    yield server
    server.stop()


@pytest.fixture
def channel(authz) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{authz.port}") as channel:
        yield channel


@pytest.fixture
def runtime(channel) -> Iterator[PolicyRuntime]:
    made = PolicyRuntime(channel, channel, name="test")
    made.start()
    yield made
    made.stop()


def reach(runtime: PolicyRuntime, revision: int, epoch: int = 1) -> None:
    assert runtime.replica.wait_until(LogPosition(epoch, revision), 10) is not None


def begin(runtime, kind, token="", within=10.0):
    return runtime.control.begin(ALICE, kind, time.monotonic() + within, token)


def test_a_replica_follows_decides_and_reports(authz, runtime):
    assert runtime.wait_ready(10)
    authz.wait_for_report(2)
    access = begin(runtime, Kind.READ)
    assert isinstance(access, LocalAccess)
    access.require(READ, VERSION)
    authz.wait_for_report(authz.write(REVOKE))
    with pytest.raises(PermissionDenied):
        begin(runtime, Kind.READ).require(READ, VERSION)
    assert len({one.replica_id for one in authz.reports}) == 1
    assert authz.reports[0].replica_id.startswith("test-")
    assert authz.checks == []


def test_a_replica_that_leaves_says_so(authz, channel):
    runtime = PolicyRuntime(channel, channel, name="test")
    runtime.start()
    authz.wait_for_report(2)
    runtime.stop()
    assert authz.reports[-1].leaving
    assert not any(one.leaving for one in authz.reports[:-1])


def test_a_mutation_after_a_revocation_is_refused_while_the_feed_is_paused(authz, runtime):
    authz.wait_for_report(2)
    authz.paused = True
    authz.write(REVOKE)
    access = begin(runtime, Kind.MUTATION)
    assert isinstance(access, RemoteAccess)
    assert not access.allowed(WRITE, VERSION)
    ((request),) = authz.checks
    assert request.items[0].subject.tenant == "tenants/t1"
    assert request.items[0].subject.principal_id == "alice"
    assert request.consistency.at_least_as_fresh == authz.token()
    authz.resume()
    reach(runtime, 3)
    assert isinstance(begin(runtime, Kind.MUTATION), LocalAccess)


def test_a_transaction_that_is_dropped_is_healed_by_a_snapshot(authz, runtime):
    reach(runtime, 2)
    authz.skip.add(3)
    authz.write(REVOKE)
    authz.write(role("*", id="r2"))
    reach(runtime, 4)
    assert authz.snapshots == 2
    assert not begin(runtime, Kind.MUTATION).allowed(WRITE, VERSION)


def test_a_transaction_that_is_repeated_is_applied_once(authz, runtime):
    reach(runtime, 2)
    authz.repeat.update({3, 4})
    authz.write(REVOKE)
    authz.write(HELD)
    reach(runtime, 4)
    assert authz.snapshots == 1
    assert begin(runtime, Kind.MUTATION).allowed(WRITE, VERSION)


def test_a_feed_that_breaks_off_is_taken_up_where_it_ended(authz, runtime):
    assert runtime.wait_ready(10)
    authz.drop_streams()
    reach(runtime, authz.write(REVOKE))
    assert authz.snapshots == 1
    assert authz.watches == 2


def test_a_snapshot_without_its_end_is_worth_nothing(authz, channel):
    authz.broken_snapshots = 1
    runtime = PolicyRuntime(channel, channel, name="test")
    runtime.start()
    reach(runtime, 2)
    runtime.stop()
    assert authz.snapshots == 2


def test_a_snapshot_that_lost_a_part_is_worth_nothing(authz, channel):
    authz.short_snapshots = 1
    runtime = PolicyRuntime(channel, channel, name="test")
    runtime.start()
    reach(runtime, 2)
    runtime.stop()
    assert authz.snapshots == 2


def test_a_log_that_was_compacted_is_read_from_a_snapshot(authz, runtime):
    reach(runtime, 2)
    authz.paused = True
    authz.write(REVOKE)
    authz.held_from = 3
    authz.drop_streams()
    reach(runtime, 3)
    assert authz.snapshots == 2
    authz.resume()


def test_a_restored_log_begins_a_new_epoch(authz, runtime):
    reach(runtime, 2)
    reach(runtime, authz.write(REVOKE))
    authz.epoch = 2
    del authz.log[-1]
    assert begin(runtime, Kind.MUTATION).allowed(WRITE, VERSION)
    authz.drop_streams()
    reach(runtime, 2, epoch=2)
    access = begin(runtime, Kind.MUTATION)
    assert isinstance(access, LocalAccess)
    assert access.allowed(WRITE, VERSION)


def test_nothing_is_decided_by_a_mutation_once_authz_is_gone(authz, runtime):
    authz.wait_for_report(2)
    # The snapshot is as fresh as the first word of the stream behind it.
    while not isinstance(begin(runtime, Kind.READ), LocalAccess):
        time.sleep(0.01)
    authz.stop()
    # First of all: it may be decided for some seconds more, however long a refusal takes.
    assert begin(runtime, Kind.READ).allowed(READ, VERSION)
    with pytest.raises(Unavailable):
        begin(runtime, Kind.MUTATION)


def test_before_the_first_snapshot_nothing_is_decided(authz, channel):
    runtime = PolicyRuntime(channel, channel, name="test")
    for kind in Kind:
        with pytest.raises(Unavailable):
            begin(runtime, kind)
    assert runtime.control.revision == 0


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID", InvalidArgument),
        (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_ACTION", ValueError),
        (grpc.StatusCode.INVALID_ARGUMENT, "SOMETHING_ELSE", Unavailable),
        (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", Unavailable),
        (grpc.StatusCode.INTERNAL, "INTERNAL", Unavailable),
        (grpc.StatusCode.UNAVAILABLE, "REVISION_NOT_REACHED", Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", Unavailable),
    ],
)
def test_t19_no_failure_of_authz_is_a_permission(authz, runtime, code, reason, error):
    reach(runtime, 2)
    authz.paused = True
    authz.write(role("*", id="r2"))
    authz.refusal = refusal(code, reason)
    with pytest.raises(error):
        begin(runtime, Kind.MUTATION).require(WRITE, VERSION)
    authz.resume()


@pytest.mark.parametrize(
    "answer",
    [
        check_pb2.CheckAllResponse(),
        check_pb2.CheckAllResponse(decision=decision_pb2.Decision()),
        check_pb2.CheckAllResponse(
            decision=decision_pb2.Decision(reason=99),  # type: ignore[arg-type]
        ),
        check_pb2.CheckAllResponse(decision=decision_pb2.Decision(allowed=True), failed_item=0),
        check_pb2.CheckAllResponse(decision=decision_pb2.Decision(allowed=False), failed_item=7),
    ],
    ids=["empty", "no reason", "new reason", "allowed and failed", "no such item"],
)
def test_an_answer_that_is_not_certain_is_no_permission(authz, runtime, answer):
    reach(runtime, 2)
    authz.paused = True
    authz.write(role("*", id="r2"))
    authz.answer = answer
    with pytest.raises(PermissionDenied):
        begin(runtime, Kind.MUTATION).require(WRITE, VERSION)
    authz.resume()
