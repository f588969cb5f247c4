"""Server reflection, under both names by which clients ask for it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from services.kernel.rpc.overdue import Overdue

# The second is the same protocol under its final name (grpc/grpc-proto, reflection/v1): the
# same messages on the wire, for which Python has no module of its own.
NAMES: Final = (reflection.SERVICE_NAME, "grpc.reflection.v1.ServerReflection")
_METHOD: Final = "ServerReflectionInfo"


def sync_handlers(
    services: Iterable[str], pool: Any, overdue: Overdue
) -> tuple[grpc.GenericRpcHandler, ...]:
    """Describe `services` on a sync server.

    A client holds a thread of `pool` while it asks, so it has to be done in time.
    """
    servicer = reflection.ReflectionServicer(_listed(services))

    def describe(requests: Any, context: Any) -> Iterator[Any]:
        overdue.watch(context)
        try:
            yield from servicer.ServerReflectionInfo(requests, context)
        finally:
            overdue.forget(context)

    describe.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return _handlers(describe)


def aio_handlers(services: Iterable[str]) -> tuple[grpc.GenericRpcHandler, ...]:
    """Describe `services` on an aio server."""
    return _handlers(reflection.aio.ReflectionServicer(_listed(services)).ServerReflectionInfo)


def _listed(services: Iterable[str]) -> list[str]:
    return [*services, "grpc.health.v1.Health", reflection.SERVICE_NAME]


def _handlers(behaviour: Callable[..., Any]) -> tuple[grpc.GenericRpcHandler, ...]:
    method: Any = grpc.stream_stream_rpc_method_handler(
        behaviour,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return tuple(grpc.method_handlers_generic_handler(name, {_METHOD: method}) for name in NAMES)
