from collections.abc import Callable

import pytest
from google.longrunning import operations_pb2 as pb
from google.protobuf import empty_pb2
from google.rpc import code_pb2, status_pb2
from stoa.catalog.v1 import gallery_pb2

from cli.connection import Connection
from cli.errors import CliError, ExitCode
from cli.waiting import result, wait
from tests.wire.cli.conftest import Operations

Serve = Callable[..., str]
Connect = Callable[..., Connection]


def done(message: object = None) -> pb.Operation:
    operation = pb.Operation(name="operations/1", done=True)
    operation.response.Pack(message or empty_pb2.Empty())  # type: ignore[arg-type]
    return operation


def test_it_waits_until_the_operation_is_done(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    unfinished = pb.Operation(name="operations/1")
    operations.answers = [unfinished, unfinished, done(gallery_pb2.Gallery(name="gold"))]
    seen = []
    found = wait(connect(serve()), unfinished, on_progress=lambda one: seen.append(one.done))
    assert seen == [False, False, True]
    assert result(found) == gallery_pb2.Gallery(name="gold")


def test_one_that_is_done_is_not_asked_about(connect: Connect) -> None:
    assert result(wait(connect("127.0.0.1:1"), done())) is None


def test_a_failed_operation_is_an_error_with_its_code(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    failed = pb.Operation(name="operations/1", done=True)
    failed.error.CopyFrom(status_pb2.Status(code=code_pb2.ABORTED, message="two regions failed"))
    operations.answers = [failed]
    with pytest.raises(CliError, match="two regions failed") as caught:
        wait(connect(serve()), pb.Operation(name="operations/1"))
    assert caught.value.code is ExitCode.CONFLICT
    assert "operation: operations/1" in caught.value.debug


def test_who_stops_waiting_hears_that_it_goes_on(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    def interrupt(_: pb.Operation) -> None:
        raise KeyboardInterrupt

    operations.answers = [pb.Operation(name="operations/1")]
    with pytest.raises(CliError) as caught:
        wait(connect(serve()), pb.Operation(name="operations/1"), on_progress=interrupt)
    assert caught.value.code is ExitCode.INTERRUPTED
    assert "stoa operation wait operations/1" in caught.value.todo
