"""The process that serves the policy feed."""

import asyncio
from contextlib import ExitStack

from stoa.authz.v1 import policy_feed_service_pb2  # noqa: F401 - its service is served by name

from services.authz.access import HeadAccessControl
from services.authz.bootstrap.stores import open_stores_of
from services.authz.config import DOMAIN, SERVICE, Config
from services.authz.servicers.feed import PolicyFeedServicer
from services.authz.store.opening import Stores
from services.kernel.child import Child
from services.kernel.clock import SystemClock
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.serving import open_telemetry, tls_files
from services.kernel.rpc.tokens import TokenVerifier
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.callers import Callers


async def feed(config: Config, child: Child) -> None:
    """Serve the policy feed until the child is told to stop."""
    with ExitStack() as stack:
        telemetry = open_telemetry(config, SERVICE, stack)
        stores = open_stores_of(config, stack)
        server, servicer = build_feed(config, stores, telemetry)
        stack.callback(servicer.close)
        ports = await server.start()
        for port in ports.values():
            child.ready(feed=port)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        child.stop.on_set(lambda: loop.call_soon_threadsafe(stopped.set))
        await stopped.wait()
        await server.stop()


def build_feed(
    config: Config, stores: Stores, telemetry: Telemetry | None = None
) -> tuple[AioServer, PolicyFeedServicer]:
    """Build the server of the feed; on the running loop."""
    clock = SystemClock()
    control = HeadAccessControl(
        stores.head, Callers(config.token_issuer), stores.policy.installation(), clock=clock
    )
    settings = ServerSettings(
        DOMAIN,
        internal=Listen(config.feed_listen, tls_files(config)),
        trust_domain=config.trust_domain,
        pools=PoolSizes.aio(),
        grace=config.grace_seconds,
    )
    # Nobody but services reaches the feed, so that no token is ever read there.
    users = BearerAuthenticator(TokenVerifier(config.token_audience, []))
    server = AioServer(settings, Guards(users, control), telemetry)
    servicer = PolicyFeedServicer(stores.feed, stores.replicas, stores.policy.token, clock)
    server.register("stoa.authz.v1.PolicyFeedService", servicer)
    return server, servicer
