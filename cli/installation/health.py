"""Whether the services answer: grpc.health.v1 on their client listeners."""

import time
from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.connection import open_channel

# Seconds that a service may take to say how it is.
TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """What a service said: SERVING, NOT_SERVING, or the code that came instead."""

    state: str
    milliseconds: float = 0.0
    detail: str = ""

    @property
    def serving(self) -> bool:
        """Whether it takes calls."""
        return self.state == "SERVING"


def check(endpoint: str, ca_file: str, *, timeout: float = TIMEOUT) -> Health:
    """Ask a service how it is."""
    with open_channel(endpoint, ca_file, retry=False) as channel:
        started = time.monotonic()
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout)
        except grpc.RpcError as error:
            return Health(error.code().name, detail=error.details() or "")
        took = (time.monotonic() - started) * 1000
    return Health(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status), took)
