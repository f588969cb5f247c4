"""Servers refuse to start wrongly, refuse what is too much, describe themselves and go down."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from services.kernel.child import CannotServe
from services.kernel.rpc.access import Kind
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.method_policy import MissingPolicy
from services.kernel.rpc.overdue import Overdue
from services.kernel.rpc.pools import PoolSize, PoolSizes
from services.kernel.rpc.registry import Audience, Registry
from services.kernel.rpc.server import Server
from tests.wire.kernel.library import (
    BROKEN,
    DOMAIN,
    EVERYTHING,
    LIBRARY,
    ROOT,
    STOCK,
    Client,
    Grants,
    LibraryServicer,
    Tokens,
    detail_of,
    info_of,
    pb,
)

WAIT = pb.GetBookRequest(name="shelves/a/books/b")


def test_a_listener_whose_port_is_taken_is_named(tokens: Tokens) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        settings = ServerSettings(DOMAIN, client=Listen(address))
        server = Server(settings, Guards(tokens.authenticator, Grants()))
        server.register(LIBRARY, LibraryServicer())
        with pytest.raises(CannotServe, match=f"the client listener cannot have {address}"):
            server.start()


def test_t16_a_server_with_a_method_without_a_usable_rule_does_not_start(tokens: Tokens) -> None:
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"))
    server = Server(settings, Guards(tokens.authenticator, Grants()))
    server.register(BROKEN, object())
    server.register(LIBRARY, LibraryServicer())
    with pytest.raises(MissingPolicy) as refused:
        server.start()
    problems = dict(line.split(": ", 1) for line in refused.value.problems)
    named = {path.rpartition("/")[2]: problem for path, problem in problems.items()}
    for method, reason in {
        "NoPolicy": "policy",
        "NoRule": "no rule",
        "NoKind": "no kind",
        "NoAction": "`action`",
        "ActionOfNobody": "`action`",
        "NoWorkloads": "`workloads`",
        "NoSuchField": "no singular field parent",
        "NoReference": "resource_reference",
        "NoFurtherActions": "`further_actions`",
        "StreamCalledRead": "METHOD_KIND_STREAM",
        "UnaryCalledStream": "unary",
    }.items():
        assert reason in named.pop(method)
    assert named == {}


def test_a_service_of_another_package_without_a_rule_does_not_start() -> None:
    registry = Registry()
    registry.register("grpc.health.v1.Health", object())
    with pytest.raises(MissingPolicy):
        registry.check()


def test_a_servicer_fits_its_service() -> None:
    class Wrong:
        def GetBok(self) -> None: ...

    registry = Registry()
    with pytest.raises(ValueError, match="GetBok"):
        registry.register(LIBRARY, Wrong())
    registry.register(LIBRARY, LibraryServicer())
    with pytest.raises(ValueError, match="registered already"):
        registry.register(LIBRARY, LibraryServicer())


@pytest.fixture
def small(tokens: Tokens, servicer: LibraryServicer) -> Iterator[Server]:
    """A server that lets two calls wait, and one read run while one more is queued."""
    sizes = PoolSizes({**PoolSizes().sizes, Kind.WAIT: PoolSize(2, 0), Kind.READ: PoolSize(1, 1)})
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"), pools=sizes, grace=0.2)
    server = Server(settings, Guards(tokens.authenticator, Grants(*EVERYTHING)))
    server.register(LIBRARY, servicer)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def small_client(small: Server, tokens: Tokens) -> Iterator[Client]:
    with grpc.insecure_channel(f"127.0.0.1:{small.ports[Audience.CLIENT]}") as channel:
        yield Client(channel, tokens.bearer())


def test_waits_beyond_the_pool_are_refused_at_once_and_keep_nobody_else_out(
    small_client: Client, servicer: LibraryServicer
) -> None:
    with ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(small_client, "WaitBook", WAIT) for _ in range(2)]
        for _ in waiting:
            assert servicer.waiting.acquire(timeout=5)
        with pytest.raises(grpc.RpcError) as refused:
            small_client("WaitBook", WAIT)
        error: Any = refused.value
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert info_of(error).reason == "TOO_MANY_REQUESTS"
        assert info_of(error).metadata["kind"] == "wait"
        assert detail_of(error, "RetryInfo").retry_delay.ToNanoseconds() > 0
        assert small_client("GetBook", WAIT).name
        servicer.go_on.set()
        assert [one.result().name for one in waiting] == [WAIT.name] * 2
    assert small_client("WaitBook", WAIT).name


def test_calls_queue_only_up_to_the_bound(
    small: Server, small_client: Client, servicer: LibraryServicer
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(request: Any, call: Any) -> Any:
        inside.set()
        go_on.wait(5)
        return pb.Text()

    small._handlers[0]._handlers[f"/{LIBRARY}/WhoAmI"][1].stream_unary.behaviour = slow
    pool = small._pools.of(Kind.READ)
    with ThreadPoolExecutor(2) as callers:
        accepted = [callers.submit(small_client, "WhoAmI", pb.Text())]
        assert inside.wait(5)
        accepted.append(callers.submit(small_client, "WhoAmI", pb.Text()))
        while not pool.full:
            threading.Event().wait(0.001)
        with pytest.raises(grpc.RpcError) as refused:
            small_client("WhoAmI", pb.Text())
        go_on.set()
        assert all(one.result() is not None for one in accepted)
    assert info_of(refused.value).reason == "TOO_MANY_REQUESTS"
    assert pool.busy <= 1


def test_a_call_whose_request_never_comes_is_cancelled(tokens: Tokens) -> None:
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"), grace=0.2)
    server = Server(settings, Guards(tokens.authenticator, Grants(*EVERYTHING)))
    server._overdue.close()
    server._overdue = Overdue(within=0.05)  # type: ignore[misc]
    server.register(LIBRARY, LibraryServicer())
    port = server.start()[Audience.CLIENT]
    never = threading.Event()

    def silence() -> Iterator[Any]:
        never.wait(10)
        yield from ()

    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = (
                Client(channel, tokens.bearer())
                .method("UploadPages")
                .future(silence(), metadata=[tokens.bearer()])
            )
            assert call.code() is grpc.StatusCode.CANCELLED
            never.set()
    finally:
        server.stop()


def test_health_is_per_service_and_needs_no_token(server: Server, channel: grpc.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    for service in ("", LIBRARY):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as absent:
        stub.Check(health_pb2.HealthCheckRequest(service=STOCK))
    error: Any = absent.value
    assert error.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_shows_what_the_listener_serves(channel: grpc.Channel, version: str) -> None:
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=LIBRARY),
    ]
    listed, found = ask(iter(requests), timeout=5)
    names = {one.name for one in listed.list_services_response.service}
    assert LIBRARY in names
    assert STOCK not in names
    assert found.file_descriptor_response.file_descriptor_proto


def test_a_method_that_nobody_has_is_unimplemented_with_a_reason(channel: grpc.Channel) -> None:
    call: Any = channel.unary_unary("/no.such.Service/Method")
    with pytest.raises(grpc.RpcError) as refused:
        call(b"", timeout=5)
    error: Any = refused.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert info_of(error).reason == "UNIMPLEMENTED"


@pytest.fixture
def process(tokens: Tokens, tmp_path: Path) -> Iterator[Any]:
    """`process("sync")` starts a server process and answers it with its port."""
    keys = tmp_path / "keys.json"
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(tokens.key.public_key(), as_dict=True)
    keys.write_text(json.dumps({"keys": [jwk | {"kid": "1"}]}))
    started: list[subprocess.Popen[str]] = []

    def start(kind: str, *prefix: str) -> tuple[subprocess.Popen[str], int]:
        command = [*prefix, sys.executable, "-m", "tests.wire.kernel.serve", kind, str(keys)]
        one = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(one)
        assert one.stdout is not None
        return one, int(one.stdout.readline())

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=20)
    return process.returncode, output


def test_at_sigterm_a_wait_answers_what_it_has(process: Any, tokens: Tokens) -> None:
    server, port = process("sync")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = Client(channel, tokens.bearer())
        waiting = client.method("WaitBook").future(WAIT, metadata=[tokens.bearer()], timeout=20)
        assert client("GetBook", WAIT).name
        stub: Any = health_pb2_grpc.HealthStub(channel)
        health = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(health).status == health_pb2.HealthCheckResponse.SERVING
        server.send_signal(signal.SIGTERM)
        assert next(health).status == health_pb2.HealthCheckResponse.NOT_SERVING
        health.cancel()
        assert waiting.result().title == "unfinished"
        assert ended(server) == (0, "ended\n")


def test_at_sigterm_streams_end_with_a_hint_to_call_again(process: Any, tokens: Tokens) -> None:
    server, port = process("aio")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = Client(channel, tokens.bearer())
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"), timeout=20)
        assert next(stream).name == "first"
        server.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as down:
            next(stream)
        error: Any = down.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(error).reason == "SHUTTING_DOWN"
    assert ended(server) == (0, "ended\n")


@pytest.mark.needs_tool("unshare", "pgrep")
@pytest.mark.parametrize("kind", ["sync", "aio"])
def test_as_process_1_a_server_ends_at_sigterm(process: Any, kind: str) -> None:
    alone = ("unshare", "--pid", "--fork")
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us make a process namespace")
    parent, _ = process(kind, *alone)
    found = subprocess.run(["pgrep", "-P", str(parent.pid)], check=True, capture_output=True)
    os.kill(int(found.stdout), signal.SIGTERM)
    assert ended(parent) == (0, "ended\n")


def test_deadline_and_cancelling_reach_a_plain_servicer(
    server: Server, client: Client, servicer: LibraryServicer
) -> None:
    call = client.method("WaitBook").future(WAIT, timeout=10, metadata=[client._metadata[0]])
    assert servicer.waiting.acquire(timeout=5)
    call.cancel()
    with pytest.raises(grpc.RpcError) as late:
        client("WaitBook", WAIT, timeout=0.2)
    error: Any = late.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    durations = server.telemetry.server_durations
    while sum(one.count for one in durations.snapshot()) < 2:
        threading.Event().wait(0.01)
    codes = sorted(one.code for one in durations.snapshot())
    assert codes == ["CANCELLED", "DEADLINE_EXCEEDED"]
