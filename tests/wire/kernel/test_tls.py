"""Internal listeners let in workloads with certificates, which change without a restart."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.kernel.rpc import credentials
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.credentials import TlsFiles
from services.kernel.rpc.listeners import Guards, InsecureListener, Listen, ServerSettings
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.server import Server
from tests.wire.kernel.certificates import Authority
from tests.wire.kernel.library import (
    DOMAIN,
    LIBRARY,
    STOCK,
    Client,
    Grants,
    LibraryServicer,
    StockServicer,
    Tokens,
    info_of,
    pb,
)

STOCK_COUNT = f"{STOCK}/CountStock"


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at on every use: tests do not wait for the next second."""
    monkeypatch.setattr(credentials, "LOOK_EVERY", 0.0)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def issue(authority: Authority, tmp_path: Path) -> Callable[..., TlsFiles]:
    """`issue("catalog")` writes the files of a workload."""

    def issued(workload: str, by: Authority = authority, uri: str | None = None) -> TlsFiles:
        name = f"spiffe://stoa/svc/{workload}" if uri is None else uri
        return by.issue(tmp_path / workload, name, authority.pem)

    return issued


@pytest.fixture
def internal(tokens: Tokens, issue: Callable[..., TlsFiles], grants: Grants) -> Iterator[Server]:
    settings = ServerSettings(
        DOMAIN,
        client=Listen("127.0.0.1:0"),
        internal=Listen("127.0.0.1:0", issue("library")),
        grace=0.2,
    )
    server = Server(settings, Guards(tokens.authenticator, grants))
    server.register(LIBRARY, LibraryServicer())
    server.register(STOCK, StockServicer())
    server.start()
    yield server
    server.stop()


def address(server: Server) -> str:
    return f"127.0.0.1:{server.ports[Audience.INTERNAL]}"


def connect(server: Server, files: TlsFiles) -> ServiceChannel:
    return ServiceChannel(address(server), files, services=[LIBRARY, STOCK])


def refused(call: Callable[..., Any], *args: Any) -> Any:
    with pytest.raises(grpc.RpcError) as raised:
        call(*args)
    return raised.value


def test_a_workload_is_known_by_its_certificate(
    internal: Server, issue: Callable[..., TlsFiles]
) -> None:
    with connect(internal, issue("catalog")) as channel:
        client = Client(channel)
        assert client(STOCK_COUNT, pb.Text()).text == "workloads/catalog"
        assert client("Reindex", pb.Text()).text == "catalog"


def test_a_service_that_was_away_is_found_again(
    tokens: Tokens, issue: Callable[..., TlsFiles], grants: Grants
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        listen = Listen(f"127.0.0.1:{held.getsockname()[1]}", issue("library"))
    settings = ServerSettings(DOMAIN, internal=listen, grace=0.2)
    with ServiceChannel(listen.address, issue("catalog"), services=[STOCK]) as channel:
        client = Client(channel)
        for _ in range(5):
            assert refused(client, STOCK_COUNT, pb.Text()).code() is grpc.StatusCode.UNAVAILABLE
        server = Server(settings, Guards(tokens.authenticator, grants))
        server.register(STOCK, StockServicer())
        server.start()
        try:
            answer = None
            while answer is None:
                time.sleep(0.05)
                with contextlib.suppress(grpc.RpcError):
                    answer = client(STOCK_COUNT, pb.Text())
        finally:
            server.stop()
    assert answer.text == "workloads/catalog"


def test_a_workload_may_call_only_what_lists_it(
    internal: Server, issue: Callable[..., TlsFiles]
) -> None:
    with connect(internal, issue("replication")) as channel:
        client = Client(channel)
        assert client(STOCK_COUNT, pb.Text()).text == "workloads/replication"
        for method, request in (
            ("Reindex", pb.Text()),
            ("GetBook", pb.GetBookRequest(name="shelves/a/books/b")),
            ("ReadByName", pb.AnyRequest(name="shelves/a")),
        ):
            error = refused(client, method, request)
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert client("WhoAmI", pb.Text()).text == "workloads/replication 0"


def test_a_token_means_nothing_between_services(
    internal: Server, issue: Callable[..., TlsFiles], tokens: Tokens
) -> None:
    with connect(internal, issue("catalog")) as channel:
        answer = Client(channel, tokens.bearer())("WhoAmI", pb.Text())
        assert answer.text == "workloads/catalog 0"


@pytest.mark.parametrize(
    "uri", ["", "spiffe://other/svc/catalog", "spiffe://stoa/user/x", "spiffe://stoa/svc/a/b"]
)
def test_a_certificate_of_no_workload_is_unauthenticated(
    internal: Server, issue: Callable[..., TlsFiles], uri: str
) -> None:
    with connect(internal, issue("strange", uri=uri)) as channel:
        error = refused(Client(channel), STOCK_COUNT, pb.Text())
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert info_of(error).reason == "UNAUTHENTICATED"


def test_nobody_connects_without_a_certificate_of_the_authority(
    internal: Server, issue: Callable[..., TlsFiles], authority: Authority
) -> None:
    secure = grpc.ssl_channel_credentials(authority.pem)
    with grpc.secure_channel(address(internal), secure) as channel:
        error = refused(Client(channel, ("authorization", "Bearer x")), STOCK_COUNT, pb.Text())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    with connect(internal, issue("catalog", by=Authority("another"))) as channel:
        error = refused(Client(channel), STOCK_COUNT, pb.Text())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(address(internal)) as channel:
        assert refused(Client(channel), STOCK_COUNT, pb.Text()).code()


def test_the_server_takes_a_new_certificate_without_a_restart(
    internal: Server, issue: Callable[..., TlsFiles], authority: Authority, tmp_path: Path
) -> None:
    with connect(internal, issue("catalog")) as channel:
        assert Client(channel)(STOCK_COUNT, pb.Text()).text
    successor = Authority("successor")
    successor.issue(tmp_path / "library", "spiffe://stoa/svc/library", authority.pem)
    trusting = authority.issue(tmp_path / "catalog", "spiffe://stoa/svc/catalog", successor.pem)
    with connect(internal, trusting) as channel:
        assert Client(channel)(STOCK_COUNT, pb.Text()).text == "workloads/catalog"


def test_a_half_written_certificate_leaves_the_old_one_in_use(
    internal: Server, issue: Callable[..., TlsFiles], tmp_path: Path
) -> None:
    (tmp_path / "library" / "tls.crt").write_bytes(b"-----BEGIN")
    with connect(internal, issue("catalog")) as channel:
        assert Client(channel)(STOCK_COUNT, pb.Text()).text == "workloads/catalog"
    (tmp_path / "library" / "tls.crt").unlink()
    with connect(internal, issue("catalog")) as channel:
        assert Client(channel)(STOCK_COUNT, pb.Text()).text == "workloads/catalog"


def test_a_channel_follows_its_certificate(
    internal: Server, issue: Callable[..., TlsFiles]
) -> None:
    files = issue("catalog")
    with connect(internal, files) as channel:
        client = Client(channel)
        count = client.method(STOCK_COUNT)
        assert count(pb.Text()).text == "workloads/catalog"
        other = issue("replication")
        for new, old in ((other.certificate, files.certificate), (other.key, files.key)):
            old.write_bytes(new.read_bytes())
            # Between the two writes the pair does not fit, and the old one stays in use.
            assert count(pb.Text()).text in {"workloads/catalog", "workloads/replication"}
        assert count(pb.Text()).text == "workloads/replication"


def test_the_aio_server_follows_its_certificate_too(
    tokens: Tokens, issue: Callable[..., TlsFiles], authority: Authority, tmp_path: Path
) -> None:
    async def call(port: int, files: TlsFiles) -> str:
        secure = grpc.ssl_channel_credentials(
            files.authorities.read_bytes() if files.authorities else None,
            files.key.read_bytes(),
            files.certificate.read_bytes(),
        )
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", secure) as channel:
            answer = await Client(channel)(STOCK_COUNT, pb.Text())  # type: ignore[arg-type]
            return str(answer.text)

    async def main() -> None:
        settings = ServerSettings(
            DOMAIN, internal=Listen("127.0.0.1:0", issue("library")), grace=0.2
        )
        server = AioServer(settings, Guards(tokens.authenticator, Grants()))
        server.register(STOCK, StockServicer())
        port = (await server.start())[Audience.INTERNAL]
        try:
            assert await call(port, issue("catalog")) == "workloads/catalog"
            successor = Authority("successor")
            successor.issue(tmp_path / "library", "spiffe://stoa/svc/library", authority.pem)
            trusting = authority.issue(
                tmp_path / "catalog", "spiffe://stoa/svc/catalog", successor.pem
            )
            assert await call(port, trusting) == "workloads/catalog"
            error = None
            try:
                await call(port, issue("catalog"))
            except grpc.aio.AioRpcError as raised:
                error = raised.code()
            assert error is grpc.StatusCode.UNAVAILABLE
        finally:
            await server.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    "settings",
    [
        ServerSettings(DOMAIN, client=Listen("0.0.0.0:0")),
        ServerSettings(DOMAIN, client=Listen("[::]:0")),
        ServerSettings(DOMAIN, client=Listen("library.test:0")),
        ServerSettings(DOMAIN, internal=Listen("127.0.0.1:0")),
    ],
)
def test_t31_a_listener_that_lets_in_anybody_does_not_start(
    tokens: Tokens, settings: ServerSettings
) -> None:
    server = Server(settings, Guards(tokens.authenticator, Grants()))
    server.register(STOCK, StockServicer())
    with pytest.raises(InsecureListener):
        server.start()


def test_a_client_listener_serves_tls(
    tokens: Tokens, issue: Callable[..., TlsFiles], authority: Authority, grants: Grants
) -> None:
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0", issue("library")), grace=0.2)
    server = Server(settings, Guards(tokens.authenticator, grants))
    server.register(LIBRARY, LibraryServicer())
    port = server.start()[Audience.CLIENT]
    try:
        secure = grpc.ssl_channel_credentials(authority.pem)
        with grpc.secure_channel(f"127.0.0.1:{port}", secure) as channel:
            answer = Client(channel, tokens.bearer())("WhoAmI", pb.Text())
            assert answer.text == "t1/ann 0"
    finally:
        server.stop()
