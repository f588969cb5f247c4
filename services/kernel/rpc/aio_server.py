"""The aio server: streams, and the few unary calls of a service that mostly streams."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.kernel.errors import StoaError, Unavailable
from services.kernel.rpc import reflection
from services.kernel.rpc.aio_handlers import AioHandlers
from services.kernel.rpc.call import Call
from services.kernel.rpc.listeners import Guards, ServerSettings, bind
from services.kernel.rpc.path import shutting_down
from services.kernel.rpc.pools import BoundedPool, Pools, PoolSize
from services.kernel.rpc.registry import Audience, Registry
from services.kernel.rpc.streams import Streams
from services.kernel.stopping import Stop
from services.kernel.telemetry.telemetry import Telemetry

# How often open streams are compared with the policy, in seconds; and how long at most until
# all are authorized again although it did not change (authorization.md 3, rule 6).
LOOK_EVERY: Final = 0.25
AUTHORIZE_EVERY: Final = 30.0

_LOG = logging.getLogger(__name__)


class AioServer:
    """A `grpc.aio` server for each listener, on the running loop; used like `Server`."""

    def __init__(
        self, settings: ServerSettings, guards: Guards, telemetry: Telemetry | None = None
    ) -> None:
        self.settings: Final = settings
        self.stopping: Final = Stop()
        self.telemetry: Final = telemetry or Telemetry()
        self.streams: Final = Streams()
        self.ports: Final[dict[Audience, int]] = {}
        self._guards: Final = guards
        self._registry: Final = Registry()
        self._pools: Final = Pools(settings.pools)
        self._watching: Final = BoundedPool("streams", PoolSize(1, 1))
        self._health: Final = health.aio.HealthServicer()
        self._servers: Final[list[grpc.aio.Server]] = []
        self._watch: asyncio.Task[None] | None = None

    def register(self, service: str, servicer: object) -> None:
        """Serve `service`, a full name of the contract, with `servicer`; see `Registry`."""
        self._registry.register(service, servicer)

    async def start(self) -> dict[Audience, int]:
        """Check everything, bind, serve; answer the ports that are bound.

        Raises:
            MissingPolicy: a method has no usable access rule.
            InsecureListener: a listener would let in what it may not.
            CannotServe: an address is taken, or not of this machine.
            TypeError: a method that streams requests is no coroutine.
        """
        self._registry.check()
        for audience, listen in self.settings.listens():
            front = self._guards.front(audience, self.settings, self.telemetry, self.stopping)
            paths = self._registry.paths(audience, front)
            handlers = AioHandlers(paths, self._pools, self.streams, self.settings.domain)
            server = grpc.aio.server(options=self.settings.options())
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
            if self.settings.reflection:
                services = self._registry.services(audience)
                server.add_generic_rpc_handlers(reflection.aio_handlers(services))
            server.add_generic_rpc_handlers((handlers,))
            self.ports[audience] = bind(server, audience, listen)
            self._servers.append(server)
        for server in self._servers:
            await server.start()
        for audience in self.ports:
            for service in self._registry.services(audience):
                await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._watch = asyncio.create_task(self._watch_streams())
        _LOG.info("serving on ports %s", sorted(self.ports.values()))
        return dict(self.ports)

    async def stop(self) -> None:
        """Go down: NOT_SERVING, end waits and streams, give running calls `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        if self.settings.drain_delay:
            await asyncio.sleep(self.settings.drain_delay)
        self.stopping.set()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        for call in self.streams.calls():
            self.streams.end(call, shutting_down())
        await asyncio.gather(*(server.stop(self.settings.grace) for server in self._servers))
        self._pools.close()
        self._watching.shutdown(wait=False)

    async def serve(self, on_started: Callable[[dict[Audience, int]], None] | None = None) -> None:
        """Start, and stop at SIGTERM or SIGINT; in the main thread, also as process 1."""
        asked = asyncio.Event()
        # Process 1 has no default action for signals: without a handler it would not end.
        for one in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(one, asked.set)
        ports = await self.start()
        if on_started is not None:
            on_started(ports)
        await asked.wait()
        await self.stop()

    async def _watch_streams(self) -> None:
        """End every stream whose caller lost access; no interceptor runs once one is open."""
        loop = asyncio.get_running_loop()
        all_checked = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            revision = self._guards.control.revision
            now = time.time()
            everyone = time.monotonic() - all_checked >= AUTHORIZE_EVERY
            due = [
                call
                for call in self.streams.calls()
                if everyone or 0 <= call.revision_checked != revision or now >= call.caller.expires
            ]
            if everyone:
                all_checked = time.monotonic()
            if due:
                lost = await loop.run_in_executor(self._watching, _lost, due, now)
                for call, error in lost:
                    self.streams.end(call, error)


def _lost(calls: list[Call], now: float) -> list[tuple[Call, StoaError]]:
    """Answer the calls that may not go on, and why."""
    found: list[tuple[Call, StoaError]] = []
    for call in calls:
        try:
            call.authorize_again(now)
        except Unavailable:
            # What was allowed may finish while nobody can decide (authorization.md 3, rule 4);
            # it is asked again at the next look.
            continue
        except StoaError as error:
            found.append((call, error))
        except Exception as error:  # noqa: BLE001 no decision is no permission
            _LOG.error("a stream could not be authorized again", exc_info=error)
            found.append((call, Unavailable("access could not be decided again")))
    return found
