"""What another service answered, read from the error that a stub raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2 as pb
from google.rpc import status_pb2

from services.kernel.errors import (
    Code,
    DeadlineExceeded,
    FieldViolation,
    Internal,
    PreconditionViolation,
    StoaError,
    Unavailable,
)
from services.kernel.rpc.status import DETAILS_KEY

# What says nothing about the request: the other service, or the way to it, has a bad moment.
_PASSING: Final = frozenset({Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.CANCELLED})
_RETRY_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """A decoded status; `reason`, `domain` and `metadata` are those of its ErrorInfo.

    An adapter decides by `reason` and raises an error of its own service. A reason is never
    repeated to our caller, for whom it would name another domain's enum.
    """

    code: Code
    message: str
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[FieldViolation, ...] = ()
    preconditions: tuple[PreconditionViolation, ...] = ()
    retry_after: float | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> "RemoteStatus":
        """Decode what a stub raised, sync or aio; details that are damaged are left out."""
        code = Code(error.code().value[0]) if hasattr(error, "code") else Code.UNKNOWN
        message = (error.details() if hasattr(error, "details") else None) or ""
        status = _status(error)
        if status is None or status.code != code:
            return cls(code, message)
        return cls.decode(status)

    @classmethod
    def decode(cls, status: status_pb2.Status) -> "RemoteStatus":
        """Decode a status that was stored or sent in a message, as in an operation."""
        found: dict[str, Any] = {}
        for packed in status.details:
            match packed.TypeName():
                case "google.rpc.ErrorInfo":
                    info = _unpacked(packed, pb.ErrorInfo())
                    found["reason"], found["domain"] = info.reason, info.domain
                    found["metadata"] = dict(info.metadata)
                case "google.rpc.BadRequest":
                    found["fields"] = tuple(
                        FieldViolation(one.field, one.description, one.reason)
                        for one in _unpacked(packed, pb.BadRequest()).field_violations
                    )
                case "google.rpc.PreconditionFailure":
                    found["preconditions"] = tuple(
                        PreconditionViolation(one.type, one.subject, one.description)
                        for one in _unpacked(packed, pb.PreconditionFailure()).violations
                    )
                case "google.rpc.RetryInfo":
                    delay = _unpacked(packed, pb.RetryInfo()).retry_delay
                    found["retry_after"] = delay.ToNanoseconds() / 1e9
                case _:
                    pass
        return cls(Code(status.code), status.message, **found)


def translated(error: grpc.RpcError, service: str) -> StoaError:
    """Answer the error of our own for a failed call to `service` that no adapter expected.

    Its bad moments are UNAVAILABLE; an answer about the request means that we sent something
    wrong, which is our defect and not our caller's.
    """
    status = RemoteStatus.of(error)
    metadata = {"service": service}
    if status.code in _PASSING:
        return Unavailable(
            f"the {service} service does not answer",
            metadata=metadata,
            retry_after=status.retry_after or _RETRY_AFTER,
        )
    if status.code is Code.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"the {service} service did not answer in time", metadata=metadata)
    return Internal(f"the {service} service answered {status.code.name}", metadata=metadata)


def _status(error: grpc.RpcError) -> status_pb2.Status | None:
    trailing: Any = ()
    if hasattr(error, "trailing_metadata"):
        trailing = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _unpacked(packed: Any, into: Any) -> Any:
    try:
        packed.Unpack(into)
    except DecodeError:
        into.Clear()
    return into
