"""Operations are answered to who started them and to who may read all of a subscription."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.longrunning import operations_pb2 as pb
from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import status_pb2

from services.kernel.clock import FakeClock, SystemClock
from services.kernel.db import tables
from services.kernel.db.engine import Database
from services.kernel.db.operations import Operation, OperationStore
from services.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from services.kernel.paging import PageTokens
from services.kernel.rpc.access import Access, Caller, Kind
from services.kernel.rpc.call import Call
from services.kernel.rpc.method_policy import policies
from services.kernel.rpc.servicers.operations import SERVICE, OperationsServicer
from services.kernel.stopping import Stop
from services.kernel.telemetry.trace import Trace

ANN, BOB = Caller("ann", "t"), Caller("bob", "t")
READ = "Operations/read"


class Control:
    """Lets the callers named do the actions named, everywhere."""

    revision = 1

    def __init__(self, *granted: tuple[Caller, str]) -> None:
        self.granted = granted

    def begin(self, caller: Caller, kind: Kind, deadline: float, floor_token: str) -> Access:
        return _Access(self, caller)


class _Access:
    revision = 1
    principals = ()

    def __init__(self, control: Control, caller: Caller) -> None:
        self._control, self._caller = control, caller

    def allowed(self, action: str, scope: str) -> bool:
        return (self._caller, action) in self._control.granted

    def require(self, action: str, scope: str) -> None:
        if not self.allowed(action, scope):
            raise PermissionDenied.of(action, scope)

    def require_all(self, demands: Any) -> None:
        raise NotImplementedError


class World:
    def __init__(self, db: Database, table: Any, **changes: Any) -> None:
        self.db = db
        self.clock = FakeClock()
        self.store = OperationStore(db, table, SystemClock())
        self.cancelled: list[str] = []
        self.servicer = OperationsServicer(
            db,
            self.store,
            PageTokens(b"0123456789abcdef"),
            read_action=READ,
            cancelled=lambda _tx, operation: self.cancelled.append(operation.id),
            **changes,
        )
        self.stopping = Stop()

    def call(self, caller: Caller = ANN, *granted: tuple[Caller, str]) -> Call:
        policy = next(iter(policies([SERVICE], descriptor_pool.Default()).values()))
        call = Call(policy, Control(*granted), self.stopping, Trace())
        call.caller = caller
        return call

    def create(self, owner: Caller = ANN) -> Operation:
        metadata = packed("metadata")
        operation: Operation = self.db.transact(
            lambda tx: self.store.create(
                tx,
                subscription="subscriptions/s",
                owner=owner.id,
                verb="create",
                target="x",
                metadata=metadata,
                detail={},
            )
        )
        return operation


def packed(text: str) -> bytes:
    message = AnyMessage()
    message.Pack(StringValue(value=text))
    return message.SerializeToString()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Database, Any]]:
    with Database.open(f"sqlite:///{tmp_path}/operations.db") as db:
        metadata = tables.new_metadata()
        table = tables.add_operations(metadata)
        db.transact(metadata.create_all)
        yield db, table


@pytest.fixture
def world(made: tuple[Database, Any]) -> World:
    return World(*made)


def test_the_owner_reads_an_operation_with_its_metadata(world: World) -> None:
    name = world.create().name
    found = world.servicer.GetOperation(pb.GetOperationRequest(name=name), world.call())
    assert (found.name, found.done, found.WhichOneof("result")) == (name, False, None)
    text = StringValue()
    assert found.metadata.Unpack(text)
    assert text.value == "metadata"


def test_another_one_needs_the_action_and_learns_nothing_without(world: World) -> None:
    name = world.create().name
    request = pb.GetOperationRequest(name=name)
    absent = pb.GetOperationRequest(name="subscriptions/s/operations/none")
    with pytest.raises(PermissionDenied) as denied:
        world.servicer.GetOperation(request, world.call(BOB))
    with pytest.raises(PermissionDenied) as nothing:
        world.servicer.GetOperation(absent, world.call(BOB))
    assert denied.value.message == nothing.value.message
    assert world.servicer.GetOperation(request, world.call(BOB, (BOB, READ))).name == name
    with pytest.raises(NotFound):
        world.servicer.GetOperation(absent, world.call(BOB, (BOB, READ)))


def test_results_are_answered_as_they_were_stored(world: World) -> None:
    good, bad = world.create().name, world.create().name
    status = status_pb2.Status(code=10, message="regions failed").SerializeToString()
    world.db.transact(lambda tx: world.store.succeed(tx, good, packed("done")))
    world.db.transact(lambda tx: world.store.fail(tx, bad, status))
    found = world.servicer.GetOperation(pb.GetOperationRequest(name=good), world.call())
    text = StringValue()
    assert found.done
    assert found.response.Unpack(text)
    assert text.value == "done"
    found = world.servicer.GetOperation(pb.GetOperationRequest(name=bad), world.call())
    assert found.error.message == "regions failed"


def test_lists_are_of_ones_own_or_of_all_page_by_page(world: World) -> None:
    mine = {world.create().name for _ in range(3)}
    others = {world.create(BOB).name for _ in range(2)}

    def listed(call: Call, **request: Any) -> list[str]:
        names: list[str] = []
        token = ""
        while True:
            answer = world.servicer.ListOperations(
                pb.ListOperationsRequest(
                    name="subscriptions/s", page_size=2, page_token=token, **request
                ),
                call,
            )
            assert len(answer.operations) <= 2
            names += [one.name for one in answer.operations]
            token = answer.next_page_token
            if not token:
                return names

    assert set(listed(world.call())) == mine
    everything = listed(world.call(BOB, (BOB, READ)))
    assert set(everything) == mine | others
    assert len(everything) == 5
    done = everything[0]
    world.db.transact(lambda tx: world.store.succeed(tx, done, packed("")))
    reader = world.call(BOB, (BOB, READ))
    assert listed(reader, filter="done = true") == [done]
    assert listed(reader, filter="done != true") == everything[1:]
    assert listed(reader, filter="done = true AND done = false") == []
    with pytest.raises(InvalidArgument):
        listed(reader, filter="colour = red")


def test_a_wait_ends_with_the_operation(world: World) -> None:
    name = world.create().name
    ended = threading.Timer(
        0.05, lambda: world.db.transact(lambda tx: world.store.succeed(tx, name, packed("")))
    )
    ended.start()
    found = world.servicer.WaitOperation(pb.WaitOperationRequest(name=name), world.call())
    ended.join()
    assert found.done


def test_a_wait_answers_unfinished_when_its_time_is_over_or_the_server_stops(world: World) -> None:
    request = pb.WaitOperationRequest(name=world.create().name)
    request.timeout.FromMilliseconds(10)
    assert not world.servicer.WaitOperation(request, world.call()).done
    request.ClearField("timeout")
    world.stopping.set()
    assert not world.servicer.WaitOperation(request, world.call()).done


def test_only_the_owner_cancels_and_forgets(world: World) -> None:
    operation = world.create()
    cancel = pb.CancelOperationRequest(name=operation.name)
    delete = pb.DeleteOperationRequest(name=operation.name)
    with pytest.raises(PermissionDenied):
        world.servicer.CancelOperation(cancel, world.call(BOB, (BOB, READ)))
    with pytest.raises(PermissionDenied):
        world.servicer.DeleteOperation(delete, world.call(BOB, (BOB, READ)))
    world.servicer.CancelOperation(cancel, world.call())
    assert world.cancelled == [operation.id]
    with pytest.raises(FailedPrecondition):
        world.servicer.DeleteOperation(delete, world.call())
    world.db.transact(lambda tx: world.store.succeed(tx, operation.name, packed("")))
    world.servicer.DeleteOperation(delete, world.call())
    get = pb.GetOperationRequest(name=operation.name)
    with pytest.raises(NotFound):
        world.servicer.GetOperation(get, world.call(ANN, (ANN, READ)))


def test_who_holds_the_change_action_cancels_for_others(made: tuple[Database, Any]) -> None:
    world = World(*made, change_action="Operations/cancel")
    request = pb.CancelOperationRequest(name=world.create().name)
    with pytest.raises(PermissionDenied):
        world.servicer.CancelOperation(request, world.call(BOB, (BOB, READ)))
    granted = ((BOB, READ), (BOB, "Operations/cancel"))
    world.servicer.CancelOperation(request, world.call(BOB, *granted))
    assert len(world.cancelled) == 1
