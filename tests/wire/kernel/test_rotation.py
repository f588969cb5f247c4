"""Certificates and their authority change under running servers and channels; nobody notices."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from services.kernel.rpc import credentials
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.credentials import TlsFiles
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.server import Server
from tests.wire.kernel.certificates import Authority
from tests.wire.kernel.library import DOMAIN, STOCK, Client, Grants, StockServicer, Tokens, pb

COUNT = f"{STOCK}/CountStock"
CALLS = 5


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at on every use: tests do not wait for the next second."""
    monkeypatch.setattr(credentials, "LOOK_EVERY", 0.0)


class Pki:
    """The files of a server and a client, written anew in the middle of everything."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority("first")
        self._folder = folder
        self.server = self.issue("server")
        self.client = self.issue("catalog")

    def issue(self, workload: str, *trusted: Authority) -> TlsFiles:
        trust = b"".join(one.pem for one in trusted or (self.authority,))
        return self.authority.issue(self._folder / workload, f"spiffe://stoa/svc/{workload}", trust)

    def trust(self, *authorities: Authority) -> None:
        """Change whom both sides believe, and nothing else."""
        for files in (self.server, self.client):
            assert files.authorities is not None
            files.authorities.write_bytes(b"".join(one.pem for one in authorities))

    def outsider(self, authority: Authority, *trusted: Authority) -> TlsFiles:
        trust = b"".join(one.pem for one in trusted)
        return authority.issue(self._folder / "outsider", "spiffe://stoa/svc/catalog", trust)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@contextmanager
def sync_server(tokens: Tokens, files: TlsFiles) -> Iterator[str]:
    settings = ServerSettings(DOMAIN, internal=Listen("127.0.0.1:0", files), grace=0.2)
    server = Server(settings, Guards(tokens.authenticator, Grants()))
    server.register(STOCK, StockServicer())
    yield f"127.0.0.1:{server.start()[Audience.INTERNAL]}"
    server.stop()


@contextmanager
def aio_server(tokens: Tokens, files: TlsFiles) -> Iterator[str]:
    settings = ServerSettings(DOMAIN, internal=Listen("127.0.0.1:0", files), grace=0.2)
    loop, asked = asyncio.new_event_loop(), asyncio.Event()
    ports: list[int] = []
    started = threading.Event()

    async def serve() -> None:
        server = AioServer(settings, Guards(tokens.authenticator, Grants()))
        server.register(STOCK, StockServicer())
        ports.append((await server.start())[Audience.INTERNAL])
        started.set()
        await asked.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(20)
    yield f"127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(asked.set)
    thread.join()
    loop.close()


class Calls:
    """A channel that was open before anything changed, and a new one whenever it is asked."""

    def __init__(self, address: str, pki: Pki, stack: ExitStack) -> None:
        self._address, self._pki, self._stack = address, pki, stack
        self._old = self._connect(pki.client)

    def _connect(self, files: TlsFiles) -> ServiceChannel:
        return self._stack.enter_context(ServiceChannel(self._address, files, services=[STOCK]))

    def go_on(self, *, anew: bool = True) -> None:
        channels = [self._old]
        if anew:
            channels.append(self._connect(self._pki.client))
        for channel in channels:
            for _ in range(CALLS):
                assert Client(channel)(COUNT, pb.Text()).text == "workloads/catalog"

    def refuses(self, files: TlsFiles) -> bool:
        try:
            Client(self._connect(files))(COUNT, pb.Text())
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
        return False


@pytest.fixture(params=[sync_server, aio_server], ids=["sync", "aio"])
def calls(request: pytest.FixtureRequest, tokens: Tokens, pki: Pki) -> Iterator[Calls]:
    with ExitStack() as stack:
        address = stack.enter_context(request.param(tokens, pki.server))
        yield Calls(address, pki, stack)


def test_certificates_of_both_sides_are_renewed_while_they_call(calls: Calls, pki: Pki) -> None:
    calls.go_on()
    for _ in range(3):
        pki.issue("server")
        calls.go_on()
        pki.issue("catalog")
        calls.go_on()


def test_the_authority_itself_is_replaced_while_they_call(calls: Calls, pki: Pki) -> None:
    """In the order that an operator takes: believe both, change all, believe the new one."""
    calls.go_on()
    old, new = pki.authority, Authority("second")
    assert calls.refuses(pki.outsider(new, old))
    pki.trust(old, new)
    calls.go_on()
    assert not calls.refuses(pki.outsider(new, old))
    pki.authority = new
    pki.issue("server", old, new)
    calls.go_on()
    pki.issue("catalog", old, new)
    calls.go_on()
    pki.trust(new)
    calls.go_on()
    # Whoever still has a certificate of the old one is let in no more.
    assert calls.refuses(pki.outsider(old, old, new))
    assert not calls.refuses(pki.outsider(new, new))


def test_files_that_are_half_written_change_nothing(calls: Calls, pki: Pki) -> None:
    """They are written one after the other, or the writer dies in between."""
    another = pki.outsider(pki.authority).key.read_bytes()
    for files in (pki.server, pki.client):
        for path in (files.key, files.certificate, files.authorities):
            assert path is not None
            whole = path.read_bytes()
            for broken in (b"", whole[: len(whole) // 2], another):
                path.write_bytes(broken)
                calls.go_on(anew=files is pki.server)
            path.write_bytes(whole)
            calls.go_on()
