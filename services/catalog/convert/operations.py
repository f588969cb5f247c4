"""Operations of the catalog: their metadata, responses and errors, as they are stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from stoa.catalog.v1 import operation_metadata_pb2 as pb

from services.catalog.convert import versions
from services.catalog.convert.replication_status import encode_region, encode_status
from services.catalog.domain import reasons
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version
from services.kernel.errors import Code, StoaError

DOMAIN: Final = "catalog.stoa.dev"
_LISTED: Final = 1000


def packed(message: Message) -> bytes:
    """Answer a message as an operation stores it."""
    wrapped = AnyMessage()
    wrapped.Pack(message)
    return wrapped.SerializeToString()


def version_response(version: Version, regions: Sequence[RegionStatus]) -> bytes:
    """Answer the response of a change of a version: the version with its status."""
    message = versions.encode(version)
    message.replication_status.CopyFrom(encode_status(version, regions))
    return packed(message)


def delete_metadata(
    target: str,
    resources: Sequence[str],
    *,
    create_time: datetime,
    end_time: datetime | None = None,
    regions: Sequence[RegionStatus] = (),
) -> bytes:
    """Answer the metadata of a deletion that begins, or that would."""
    message = pb.DeleteOperationMetadata(
        target=target,
        verb="delete",
        resources=resources[:_LISTED],
        resource_count=len(resources),
        regions=[encode_region(one) for one in regions],
    )
    message.create_time.FromDatetime(create_time)
    if end_time is not None:
        message.end_time.FromDatetime(end_time)
    return packed(message)


def delete_progress(
    metadata: bytes,
    deleted: int,
    *,
    cancel_requested: bool,
    end_time: datetime | None = None,
) -> bytes:
    """Answer the metadata of a deletion when so many more resources are gone."""
    message = pb.DeleteOperationMetadata()
    AnyMessage.FromString(metadata).Unpack(message)
    message.deleted_count += deleted
    message.cancel_requested = cancel_requested
    message.status_message = (
        f"{message.deleted_count} of {message.resource_count} are gone"
        if message.resource_count > 1
        else ""
    )
    if end_time is not None:
        message.end_time.FromDatetime(end_time)
    return packed(message)


def finished(*, response: bytes, metadata: bytes = b"") -> bytes:
    """Answer a finished operation that has no name, because nothing was started."""
    operation = operations_pb2.Operation(done=True)
    operation.response.ParseFromString(response)
    if metadata:
        operation.metadata.ParseFromString(metadata)
    return operation.SerializeToString()


def nothing() -> bytes:
    """Answer the response of a deletion."""
    return packed(Empty())


def cancelled(message: str) -> bytes:
    """Answer the error of an operation that something else ended."""
    return _error(Code.CANCELLED, "CANCELLED", message, {})


def refused(error: StoaError) -> bytes:
    """Answer an error of ours as an operation ends with it."""
    return _error(error.code, error.reason, error.message, error.metadata)


def regions_failed(failed: Sequence[RegionStatus], replication: str) -> bytes:
    """Answer the error of a change of which some regions failed.

    ABORTED / REGIONS_FAILED; the cause of each region is in the metadata, and here for people
    and as a violation that is named after the region.
    """
    named = ",".join(one.location for one in failed)
    status = status_pb2.Status.FromString(
        _error(
            Code.ABORTED,
            reasons.REGIONS_FAILED,
            "; ".join(f"{one.location}: {_why(one)}" for one in failed),
            {"locations": named, "replication": replication},
        )
    )
    failure = error_details_pb2.PreconditionFailure(
        violations=[
            error_details_pb2.PreconditionFailure.Violation(
                type=one.cause.reason if one.cause and one.cause.reason else one.state.value,
                subject=one.location,
                description=_why(one),
            )
            for one in failed
        ]
    )
    status.details.add().Pack(failure)
    return status.SerializeToString()


def _why(region: RegionStatus) -> str:
    return region.cause.message if region.cause else region.state.value.lower()


def _error(code: Code, reason: str, message: str, metadata: Mapping[str, str]) -> bytes:
    status = status_pb2.Status(code=int(code), message=message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    )
    return status.SerializeToString()
