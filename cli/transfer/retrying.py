"""Which failures of a stream are worth another attempt, and when."""

import random
import threading
from typing import Any, Final

import grpc

from cli.statuses import reason_of

ATTEMPTS: Final = 8
"""How often in a row without any progress."""

_FIRST: Final = 0.2
_LONGEST: Final = 5.0
_TRANSIENT: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
# A limit that lasts is no reason to try again.
_LASTING: Final = frozenset({"QUOTA_EXCEEDED", "STORE_FULL"})


def is_transient(error: grpc.RpcError) -> bool:
    """Whether the same call may succeed in a moment."""
    return code_of(error) in _TRANSIENT and reason_of(error) not in _LASTING


def is_crowded(error: grpc.RpcError) -> bool:
    """Whether a shallow version has as many readers as it takes: others have to wait."""
    return reason_of(error) == "SHALLOW_READERS_EXCEEDED"


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The canonical code of a failed call."""
    # What a stub raises is the call as well, which the types do not say.
    call: Any = error
    code: grpc.StatusCode = call.code()
    return code


def pause(failures: int, stop: threading.Event | None = None) -> None:
    """Wait before attempt `failures` + 1, longer each time, unless `stop` is set meanwhile."""
    longest = min(_FIRST * 2 ** (failures - 1), _LONGEST)
    (stop or threading.Event()).wait(longest * random.uniform(0.5, 1))  # noqa: S311 no secret
