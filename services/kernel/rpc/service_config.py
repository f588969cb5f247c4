"""How calls from service to service are retried and limited, by the kind of each method."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf.descriptor_pool import Default
from stoa.type.v1 import method_policy_pb2 as pb

from services.kernel.rpc.method_policy import path_of

# Seconds that a call may take where its caller names none (performance.md 7.9).
READ_TIMEOUT: Final = 2.0
MUTATION_TIMEOUT: Final = 10.0
WAIT_TIMEOUT: Final = 35.0
_TIMEOUTS: Final[Mapping[int, float | None]] = {
    pb.METHOD_KIND_READ: READ_TIMEOUT,
    pb.METHOD_KIND_MUTATION: MUTATION_TIMEOUT,
    pb.METHOD_KIND_WAIT: WAIT_TIMEOUT,
    pb.METHOD_KIND_STREAM: None,
}


def service_config(services: Iterable[str]) -> str:
    """Build the retry policy for calls of `services`, full names of the contract.

    Only UNAVAILABLE is tried again, and only what may be repeated: reads, and changes that
    carry a request id. Throttled, so that a service that is down is not also flooded.
    """
    repeatable = [
        {"service": service, "method": method.name}
        for service in services
        for method in Default().FindServiceByName(service).methods
        if method.GetOptions().Extensions[pb.policy].kind != pb.METHOD_KIND_MUTATION
        or "request_id" in method.input_type.fields_by_name
    ]
    retry = {
        "maxAttempts": 3,
        "initialBackoff": "0.05s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    if repeatable:
        config["methodConfig"] = [{"name": repeatable, "retryPolicy": retry}]
    return json.dumps(config)


def timeouts(services: Iterable[str]) -> dict[str, float | None]:
    """Answer the default deadline of each method of `services` by path, None for streams."""
    return {
        path_of(method): _TIMEOUTS.get(
            method.GetOptions().Extensions[pb.policy].kind, MUTATION_TIMEOUT
        )
        for service in services
        for method in Default().FindServiceByName(service).methods
    }
