"""Servers on loopback for the wire tests of the kernel."""

from collections.abc import Iterator

import grpc
import pytest

from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.server import Server
from tests.wire.kernel.library import (
    DOMAIN,
    EVERYTHING,
    LIBRARY,
    STOCK,
    Client,
    Grants,
    LibraryServicer,
    StockServicer,
    Tokens,
)


@pytest.fixture(scope="session")
def tokens() -> Iterator[Tokens]:
    found = Tokens()
    yield found
    found.source.close()


@pytest.fixture
def grants() -> Grants:
    return Grants(*EVERYTHING)


@pytest.fixture
def servicer() -> LibraryServicer:
    return LibraryServicer()


@pytest.fixture
def server(tokens: Tokens, grants: Grants, servicer: LibraryServicer) -> Iterator[Server]:
    """A sync server with a plaintext client listener on loopback."""
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"), grace=0.2)
    found = Server(settings, Guards(tokens.authenticator, grants))
    found.register(LIBRARY, servicer)
    found.register(STOCK, StockServicer())
    found.start()
    yield found
    found.stop()


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.ports[Audience.CLIENT]}") as found:
        yield found


@pytest.fixture
def client(channel: grpc.Channel, tokens: Tokens) -> Client:
    """Ann, who may read and write on shelf a."""
    return Client(channel, tokens.bearer())
