"""Builds the processes of the service: the one place that knows every part."""

from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.registry import FACTORIES
from services.kernel.rpc.server import Server


def register(server: Server, dependencies: Dependencies) -> None:
    """Serve every proto service that is built."""
    for service, factory in FACTORIES.items():
        server.register(service, factory(dependencies))
