"""Which tokens a command sends, and to whom it sends none."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.longrunning import operations_pb2 as pb
from google.longrunning import operations_pb2_grpc as rpc

from cli import connection
from cli.app import run
from cli.connection import Connection
from cli.contexts import load
from cli.errors import CliError, ExitCode
from cli.target import Target, resolve
from cli.trace import CommandTrace
from tests.wire.cli.conftest import Operations

Serve = Callable[..., str]
Connect = Callable[..., Connection]
AUXILIARY = "x-stoa-authorization-auxiliary"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = {"STOA_CONTEXTS": str(tmp_path / "contexts.toml"), "STOA_HOME": str(tmp_path / "home")}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def added(tmp_path: Path, name: str, endpoint: str) -> None:
    file = tmp_path / f"{name}.token"
    file.write_text(f"token-of-{name}\n")
    assert run(("context", "add", name, "--catalog", endpoint, "--token-from", str(file))) == 0


def get(target: Target) -> None:
    opened = Connection(target, CommandTrace({}))
    try:
        opened.stub("catalog", rpc.OperationsStub).GetOperation(pb.GetOperationRequest(name="a"))
    finally:
        opened.close()


def test_the_token_of_another_context_goes_along_for_what_is_in_its_tenant(
    serve: Serve, operations: Operations, environ: dict[str, str], tmp_path: Path
) -> None:
    endpoint = serve()
    for name in ("mine", "theirs"):
        added(tmp_path, name, endpoint)
    get(resolve("mine", environ))
    get(resolve("mine", environ, also_as=["theirs"]))
    get(resolve("mine", environ | {"STOA_ALSO_AS": "theirs"}))
    assert [one["authorization"] for one in operations.metadata] == ["Bearer token-of-mine"] * 3
    assert [one.get(AUXILIARY) for one in operations.metadata] == [
        None,
        "Bearer token-of-theirs",
        "Bearer token-of-theirs",
    ]


def test_the_option_stands_with_every_command(
    serve: Serve, operations: Operations, environ: dict[str, str], tmp_path: Path
) -> None:
    endpoint = serve()
    for name in ("mine", "theirs"):
        added(tmp_path, name, endpoint)
    name = "subscriptions/s/operations/a"
    line = ("--context", "mine", "operation", "show", name, "--also-as", "theirs", "-o", "none")
    assert run(line) == 0
    assert operations.metadata[-1][AUXILIARY] == "Bearer token-of-theirs"
    assert run((*line[:-3], "nobody")) == ExitCode.USAGE


def test_t32_a_token_that_services_refuse_is_not_sent(
    serve: Serve, connect: Connect, operations: Operations
) -> None:
    opened = connect(serve())
    stub = opened.stub("catalog", rpc.OperationsStub)
    object.__setattr__(opened.target, "token", lambda: "a" * 9000)
    for _ in range(1000):
        with pytest.raises(CliError) as refused:
            stub.GetOperation(pb.GetOperationRequest(name="a"))
    assert refused.value.why == ("it has 9000 bytes, and services take 8192",)
    assert "groups" in refused.value.todo
    assert operations.metadata == []
    object.__setattr__(opened.target, "token", lambda: "a" * 8192)
    assert stub.GetOperation(pb.GetOperationRequest(name="a")).done


def test_t31_no_token_is_sent_in_plaintext_to_another_machine(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What listens is here, so that the wire can be looked at."""
    monkeypatch.setattr(connection, "is_loopback", lambda _: False)
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            peer, _ = listener.accept()
            with peer:
                heard.extend(peer.recv(65536))

        thread = threading.Thread(target=listen)
        thread.start()
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        stub = connect(endpoint).stub("catalog", rpc.OperationsStub)
        with pytest.raises(grpc.RpcError):
            stub.GetOperation(pb.GetOperationRequest(name="a"), timeout=5)
        thread.join()
    # A TLS handshake, and neither HTTP/2 nor the token.
    assert heard[:1] == b"\x16"
    assert b"PRI * HTTP/2.0" not in heard
    assert b"secret" not in heard


def test_a_context_that_was_removed_is_no_more_and_the_one_here_is_current(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    added(tmp_path, "prod", "127.0.0.1:1")
    added(tmp_path, "lab", "127.0.0.1:1")
    assert run(("context", "use", "prod")) == 0
    assert run(("context", "remove", "lab")) == 0
    assert load(tmp_path / "contexts.toml").current == "prod"
    assert run(("context", "remove", "prod")) == 0
    saved = load(tmp_path / "contexts.toml")
    assert (saved.current, dict(saved.entries)) == ("local", {})
    for gone in ("prod", "local"):
        assert run(("context", "remove", gone)) == ExitCode.USAGE
    assert "always there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "ways",
    [
        ("--token-command", "x", "--token-from", "y"),
        ("--token-command", "x", "--issuer", "https://idp.test", "--client-id", "c"),
        ("--issuer", "https://idp.test"),
        ("--client-id", "c"),
    ],
)
def test_a_context_has_one_way_to_tokens(environ: dict[str, str], ways: tuple[str, ...]) -> None:
    assert run(("context", "add", "prod", "--catalog", "c:1", *ways)) == ExitCode.USAGE
