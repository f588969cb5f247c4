"""Errors to `google.rpc.Status` with its details."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as pb
from google.rpc import status_pb2

from services.kernel.errors import Code, StoaError

DETAILS_KEY: Final = "grpc-status-details-bin"
GRPC_CODES: Final[Mapping[Code, grpc.StatusCode]] = {
    Code(code.value[0]): code for code in grpc.StatusCode
}

# A client accepts 8 KiB of trailing metadata unless it asks for more, and what is beyond turns
# the whole answer into RESOURCE_EXHAUSTED. The message is in there twice, once percent-encoded.
_MAX_STATUS: Final = 5 * 1024
_MAX_MESSAGE: Final = 512
_MAX_VALUE: Final = 512
_ELLIPSIS: Final = "..."

_M = TypeVar("_M", bound=Message)


def to_status(error: StoaError, domain: str) -> status_pb2.Status:
    """Build the status that answers `error`, with `domain` as the one that speaks.

    Every status has an ErrorInfo, and at most one detail of each kind (AIP-193). Where there
    are more violations than a client can receive, the last ones are left out.
    """
    status = status_pb2.Status(code=int(error.code), message=_cut(error.message, _MAX_MESSAGE))
    room = _MAX_STATUS - status.ByteSize()
    for detail in _small(error, domain):
        room = _add(status, detail, room)
    room = _add(status, _bad_request(error, room // 2), room)
    room = _add(status, _precondition(error, room // 2), room)
    room = _add(status, _quota(error, room // 2), room)
    _add(status, _resource(error), room)
    return status


def _small(error: StoaError, domain: str) -> Iterator[Message]:
    metadata = {key: _cut(value, _MAX_VALUE) for key, value in error.metadata.items()}
    yield pb.ErrorInfo(reason=error.reason, domain=domain, metadata=metadata)
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        yield pb.RetryInfo(retry_delay=delay)
    if error.request_id:
        yield pb.RequestInfo(request_id=error.request_id)


def _resource(error: StoaError) -> Message | None:
    if error.resource is None:
        return None
    return pb.ResourceInfo(
        resource_type=error.resource.type,
        resource_name=_cut(error.resource.name, _MAX_VALUE),
        description=_cut(error.resource.description, _MAX_VALUE),
    )


def _quota(error: StoaError, room: int) -> Message | None:
    found = (
        pb.QuotaFailure.Violation(
            subject=_cut(one.subject, _MAX_VALUE), description=_cut(one.description, _MAX_VALUE)
        )
        for one in error.quota
    )
    return pb.QuotaFailure(violations=_fitting(found, room)) if error.quota else None


def _bad_request(error: StoaError, room: int) -> Message | None:
    found = (
        pb.BadRequest.FieldViolation(
            field=_cut(one.field, _MAX_VALUE),
            description=_cut(one.description, _MAX_VALUE),
            reason=one.reason,
        )
        for one in error.violations
    )
    return pb.BadRequest(field_violations=_fitting(found, room)) if error.violations else None


def _precondition(error: StoaError, room: int) -> Message | None:
    found = (
        pb.PreconditionFailure.Violation(
            type=one.type,
            subject=_cut(one.subject, _MAX_VALUE),
            description=_cut(one.description, _MAX_VALUE),
        )
        for one in error.precondition
    )
    return pb.PreconditionFailure(violations=_fitting(found, room)) if error.precondition else None


def _add(status: status_pb2.Status, detail: Message | None, room: int) -> int:
    """Add a detail if it fits; answer the room that is left."""
    if detail is None:
        return room
    packed = AnyMessage()
    packed.Pack(detail)
    left = room - packed.ByteSize() - 4
    if left < 0:
        return room
    status.details.append(packed)
    return left


def _fitting(found: Iterable[_M], room: int) -> list[_M]:
    """Answer the first of `found` that fit into `room` bytes together."""
    taken: list[_M] = []
    for one in found:
        room -= one.ByteSize() + 4
        if room < 0:
            break
        taken.append(one)
    return taken


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - len(_ELLIPSIS)] + _ELLIPSIS
