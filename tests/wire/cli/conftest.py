"""A real server on loopback that says what a call brought."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cli.connection import Connection
from cli.installation.layout import Layout
from cli.installation.pki import write_pki
from cli.target import Target
from cli.trace import CommandTrace
from services.kernel.rpc.listeners import MAX_METADATA


class Operations(operations_pb2_grpc.OperationsServicer):
    """Answers what the test prepared and keeps what the calls brought."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str | bytes]] = []
        self.remaining: list[float] = []
        self.answers: list[operations_pb2.Operation | grpc.StatusCode] = []
        self.pages: list[operations_pb2.ListOperationsResponse] = []
        self.lists: list[operations_pb2.ListOperationsRequest] = []

    def GetOperation(
        self, request: operations_pb2.GetOperationRequest, context: grpc.ServicerContext
    ) -> operations_pb2.Operation:
        return self._answer(context)

    def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: grpc.ServicerContext
    ) -> operations_pb2.Operation:
        return self._answer(context)

    def ListOperations(
        self, request: operations_pb2.ListOperationsRequest, context: grpc.ServicerContext
    ) -> operations_pb2.ListOperationsResponse:
        self.lists.append(request)
        return self.pages.pop(0)

    def DeleteOperation(
        self, request: operations_pb2.DeleteOperationRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "denied")

    def _answer(self, context: grpc.ServicerContext) -> operations_pb2.Operation:
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())
        answer = self.answers.pop(0) if self.answers else operations_pb2.Operation(done=True)
        if isinstance(answer, grpc.StatusCode):
            context.set_trailing_metadata((("x-request-id", "r-7"),))
            context.abort(answer, "not now")
        return answer


@pytest.fixture
def operations() -> Operations:
    return Operations()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Keys of an installation."""
    found = Layout(tmp_path / "data")
    write_pki(found, {"catalog": ()})
    return found


@pytest.fixture
def serve(operations: Operations, layout: Layout) -> Iterator[Callable[..., str]]:
    """`serve(tls=True)` starts the server and answers its endpoint."""
    servers = []

    def start(*, tls: bool = False, serving: bool = True) -> str:
        # As the services have it: below their own limit nothing is refused now and then.
        options = [("grpc.max_metadata_size", MAX_METADATA)]
        server = grpc.server(ThreadPoolExecutor(4), options=options)
        operations_pb2_grpc.add_OperationsServicer_to_server(operations, server)
        well = health.HealthServicer()
        status = health_pb2.HealthCheckResponse
        well.set("", status.SERVING if serving else status.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(well, server)
        if tls:
            pair = (layout.key("catalog").read_bytes(), layout.certificate("catalog").read_bytes())
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """`connect(endpoint)` answers a connection with a token."""
    opened = []

    def open_one(endpoint: str, *, ca_file: str = "", debug: bool = False) -> Connection:
        target = Target("test", {"catalog": endpoint}, lambda: "secret", ca_file=ca_file)
        opened.append(Connection(target, CommandTrace({}), debug=debug))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
