"""A server process for the tests of signals: prints its port, serves until it is told to end.

Run as `python -m tests.wire.kernel.serve sync|aio KEYS`, where KEYS is the issuer's key set.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.call import Call
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.jwks import KeySource, reader
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.server import Server
from services.kernel.rpc.tokens import Issuer, TokenVerifier
from services.kernel.telemetry.telemetry import Telemetry
from tests.wire.kernel.library import (
    AUDIENCE,
    DOMAIN,
    EVERYTHING,
    ISSUER,
    LIBRARY,
    Grants,
    LibraryServicer,
    pb,
)


class Streaming:
    """A stream that says hello and then nothing more."""

    async def WatchBooks(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield pb.Book(name="first")
        await asyncio.sleep(600)


def main(kind: str, keys: str) -> None:
    """Serve until SIGTERM."""
    verifier = TokenVerifier(AUDIENCE, [Issuer(ISSUER, KeySource(reader(keys)))])
    guards = Guards(BearerAuthenticator(verifier), Grants(*EVERYTHING))
    listen = Listen("127.0.0.1:0")
    telemetry = Telemetry.from_environment("library")

    def started(ports: dict[Audience, int]) -> None:
        print(ports[Audience.CLIENT], flush=True)

    if kind == "sync":
        server = Server(ServerSettings(DOMAIN, client=listen), guards, telemetry)
        server.register(LIBRARY, LibraryServicer())
        server.serve(started)
    else:

        async def serve() -> None:
            settings = ServerSettings(DOMAIN, client=listen, pools=PoolSizes.aio())
            aio = AioServer(settings, guards, telemetry)
            aio.register(LIBRARY, Streaming())
            await aio.serve(started)

        asyncio.run(serve())
    telemetry.close()
    print("ended", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
