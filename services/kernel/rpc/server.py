"""The sync server: unary calls of a service, on its client and its internal listener."""

import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.kernel.rpc import reflection
from services.kernel.rpc.listeners import Guards, ServerSettings, bind
from services.kernel.rpc.overdue import Overdue
from services.kernel.rpc.pools import Pools
from services.kernel.rpc.registry import Audience, Registry
from services.kernel.rpc.sync_handlers import SyncHandlers
from services.kernel.stopping import Stop
from services.kernel.telemetry.telemetry import Telemetry

_LOG = logging.getLogger(__name__)


class Server:
    """A `grpc.server` for each listener, over one set of pools.

    Register servicers, then `start`; `serve` keeps the main thread until a signal ends it.
    """

    def __init__(
        self, settings: ServerSettings, guards: Guards, telemetry: Telemetry | None = None
    ) -> None:
        self.settings: Final = settings
        self.stopping: Final = Stop()
        self.telemetry: Final = telemetry or Telemetry()
        self._guards: Final = guards
        self._registry: Final = Registry()
        self._pools: Final = Pools(settings.pools)
        self._overdue: Final = Overdue()
        # Health answers whatever else goes on; describing the contract holds a thread.
        self._own: Final = ThreadPoolExecutor(2, thread_name_prefix="health")
        self._describing: Final = ThreadPoolExecutor(2, thread_name_prefix="reflection")
        self._health: Final = health.HealthServicer(experimental_thread_pool=self._own)
        self._servers: Final[list[grpc.Server]] = []
        self._handlers: Final[list[SyncHandlers]] = []
        self.ports: Final[dict[Audience, int]] = {}

    def register(self, service: str, servicer: object) -> None:
        """Serve `service`, a full name of the contract, with `servicer`; see `Registry`."""
        self._registry.register(service, servicer)

    def start(self) -> dict[Audience, int]:
        """Check everything, bind, serve; answer the ports that are bound.

        Raises:
            MissingPolicy: a method has no usable access rule.
            InsecureListener: a listener would let in what it may not.
            CannotServe: an address is taken, or not of this machine.
        """
        self._registry.check()
        for audience, listen in self.settings.listens():
            front = self._guards.front(audience, self.settings, self.telemetry, self.stopping)
            handlers = SyncHandlers(
                self._registry.paths(audience, front),
                self._pools,
                self._overdue,
                self.settings.domain,
            )
            server = grpc.server(self._own, options=self.settings.options())
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
            services = self._registry.services(audience)
            if self.settings.reflection:
                server.add_generic_rpc_handlers(
                    reflection.sync_handlers(services, self._describing, self._overdue)
                )
            server.add_generic_rpc_handlers((handlers,))
            self.ports[audience] = bind(server, audience, listen)
            self._servers.append(server)
            self._handlers.append(handlers)
        for server in self._servers:
            server.start()
        for audience in self.ports:
            for service in self._registry.services(audience):
                self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        _LOG.info("serving on ports %s", sorted(self.ports.values()))
        return dict(self.ports)

    def stop(self) -> None:
        """Go down: NOT_SERVING, end waits and streams, give running calls `grace` seconds."""
        self._health.enter_graceful_shutdown()
        if self.settings.drain_delay:
            threading.Event().wait(self.settings.drain_delay)
        self.stopping.set()
        for stopped in [server.stop(self.settings.grace) for server in self._servers]:
            stopped.wait()
        self._pools.close()
        self._overdue.close()
        for handlers in self._handlers:
            handlers.close()
        for pool in (self._own, self._describing):
            pool.shutdown(wait=False)

    def serve(self, on_started: Callable[[dict[Audience, int]], None] | None = None) -> None:
        """Start, and stop at SIGTERM or SIGINT; in the main thread, also as process 1."""
        asked = threading.Event()
        # Process 1 has no default action for signals: without a handler it would not end.
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda _number, _frame: asked.set())
        ports = self.start()
        if on_started is not None:
            on_started(ports)
        asked.wait()
        self.stop()
