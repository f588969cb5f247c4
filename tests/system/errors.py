"""What a refusal says: its code, and the details of google.rpc."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status


class Refusal:
    """A status that came instead of a reply."""

    def __init__(self, error: Any) -> None:
        self.code: Final[grpc.StatusCode] = error.code()
        self.message: Final[str] = error.details() or ""
        self.status: Final[Any] = rpc_status.from_call(error)
        self.details: Final[list[Any]] = list(self.status.details) if self.status else []

    def _of(self, kind: type[Message]) -> Iterator[Any]:
        for detail in self.details:
            found = kind()
            if detail.Unpack(found):
                yield found

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        found: error_details_pb2.ErrorInfo
        (found,) = self._of(error_details_pb2.ErrorInfo)
        return found

    @property
    def fields(self) -> dict[str, str]:
        """The reason of each field violation, by the path of the field."""
        return {
            violation.field: violation.reason
            for request in self._of(error_details_pb2.BadRequest)
            for violation in request.field_violations
        }


def refusal(call: Callable[..., Any], request: Any, **more: Any) -> Refusal:
    """Make a call that must be refused; a stream is read until it is."""
    with pytest.raises(grpc.RpcError) as caught:
        for _ in _replies(call(request, **more)):
            pass
    return Refusal(caught.value)


def _replies(reply: Any) -> Any:
    return reply if isinstance(reply, grpc.Call) else ()
