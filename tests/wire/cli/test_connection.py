import uuid
from collections.abc import Callable

import grpc
import pytest
from google.longrunning import operations_pb2 as pb
from google.longrunning import operations_pb2_grpc as rpc

from cli.connection import Connection, is_loopback, pages
from cli.errors import ExitCode, UsageProblem
from cli.installation.health import check
from cli.installation.layout import Layout
from cli.statuses import failure
from tests.wire.cli.conftest import Operations

Serve = Callable[..., str]
Connect = Callable[..., Connection]


def test_every_call_of_a_command_carries_token_and_one_trace(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    stub = connect(serve()).stub("catalog", rpc.OperationsStub)
    stub.GetOperation(pb.GetOperationRequest(name="a"))
    stub.WaitOperation(pb.WaitOperationRequest(name="a"))
    first, second = operations.metadata
    assert first["authorization"] == "Bearer secret"
    assert str(first["traceparent"]).endswith("-01")
    assert first["traceparent"] == second["traceparent"]
    assert str(first["user-agent"]).startswith("stoa-cli/")


def test_a_call_has_a_deadline_unless_it_brings_one(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    stub = connect(serve()).stub("catalog", rpc.OperationsStub)
    stub.GetOperation(pb.GetOperationRequest(name="a"))
    stub.GetOperation(pb.GetOperationRequest(name="a"), timeout=5)
    assert 30 < operations.remaining[0] <= 61
    assert operations.remaining[1] < 30


def test_a_server_with_a_bad_moment_is_asked_again(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    operations.answers = [grpc.StatusCode.UNAVAILABLE, pb.Operation(name="a", done=True)]
    stub = connect(serve()).stub("catalog", rpc.OperationsStub)
    assert stub.GetOperation(pb.GetOperationRequest(name="a")).name == "a"
    assert len(operations.metadata) == 2


def test_an_error_without_details_is_told_by_its_code(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    operations.answers = [grpc.StatusCode.NOT_FOUND]
    stub = connect(serve()).stub("catalog", rpc.OperationsStub)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetOperation(pb.GetOperationRequest(name="a"))
    found = failure(caught.value)
    assert (found.what, found.why, found.code) == ("not now", ("NOT_FOUND",), ExitCode.NOT_FOUND)
    assert "request id: r-7" in found.debug


def test_nobody_there_is_unavailable(connect: Connect) -> None:
    stub = connect("127.0.0.1:1").stub("catalog", rpc.OperationsStub)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetOperation(pb.GetOperationRequest(name="a"))
    assert failure(caught.value).code is ExitCode.UNAVAILABLE


def test_debug_shows_each_call(
    serve: Serve, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = connect(serve(), debug=True).stub("catalog", rpc.OperationsStub)
    stub.GetOperation(pb.GetOperationRequest(name="a"))
    assert "/google.longrunning.Operations/GetOperation OK" in capsys.readouterr().err


def test_tls_is_spoken_with_the_authority_of_the_installation(
    serve: Serve, connect: Connect, layout: Layout
) -> None:
    endpoint = serve(tls=True)
    stub = connect(endpoint, ca_file=str(layout.ca_certificate)).stub("catalog", rpc.OperationsStub)
    assert stub.GetOperation(pb.GetOperationRequest(name="a")).done
    assert check(endpoint, str(layout.ca_certificate)).serving
    assert check(endpoint, "").state == "UNAVAILABLE"


def test_health_tells_how_a_service_is(serve: Serve) -> None:
    assert check(serve(), "").serving
    assert check(serve(serving=False), "").state == "NOT_SERVING"
    assert check("127.0.0.1:1", "").state == "UNAVAILABLE"


@pytest.mark.parametrize("token", ["", "two\nlines", "ünïcode"])
def test_what_cannot_be_a_token_is_not_sent(token: str, serve: Serve, connect: Connect) -> None:
    connection = connect(serve())
    object.__setattr__(connection.target, "token", lambda: token)
    stub = connection.stub("catalog", rpc.OperationsStub)
    with pytest.raises(UsageProblem):
        stub.GetOperation(pb.GetOperationRequest(name="a"))


def test_a_list_is_read_page_by_page_up_to_its_limit(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    def page(token: str, *names: str) -> pb.ListOperationsResponse:
        found = [pb.Operation(name=name) for name in names]
        return pb.ListOperationsResponse(operations=found, next_page_token=token)

    operations.pages = [page("t", "a", "b"), page("", "c")] * 2
    stub = connect(serve()).stub("catalog", rpc.OperationsStub)

    def names(limit: int | None) -> list[str]:
        request = pb.ListOperationsRequest()
        found = pages(stub.ListOperations, request, "operations", limit=limit)
        return [one.name for one in found]

    assert names(None) == ["a", "b", "c"]
    assert names(1) == ["a"]
    assert [one.page_token for one in operations.lists] == ["", "t", ""]
    assert operations.lists[-1].page_size == 1


def test_requests_get_an_id_that_makes_repeating_them_safe() -> None:
    from stoa.catalog.v1 import resource_group_service_pb2 as groups

    from cli.connection import _identify

    request = groups.CreateResourceGroupRequest()
    _identify(request)
    assert uuid.UUID(request.request_id).version == 4
    given = groups.CreateResourceGroupRequest(request_id=str(uuid.uuid4()))
    before = given.request_id
    _identify(given)
    assert given.request_id == before
    _identify(pb.GetOperationRequest())


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("10.0.0.1:1", False),
        ("example.org:1", False),
    ],
)
def test_plaintext_is_for_this_machine_alone(endpoint: str, loopback: bool) -> None:
    assert is_loopback(endpoint) is loopback
