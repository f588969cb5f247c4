"""What the long-running operations of this service answer."""

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from stoa.replication.v1 import operation_metadata_pb2 as pb

from services.kernel.errors import Code
from services.replication.convert.common import (
    DOMAIN,
    REGION_STATE,
    cause_message,
    number,
    progress_message,
    timestamp,
)
from services.replication.convert.replications import end_message, replication_message
from services.replication.domain.aggregate import end_of
from services.replication.domain.names import replication_name
from services.replication.domain.snapshots import ReplicationView
from services.replication.domain.states import RegionState, ReplicationState


class RetryResults:
    """Fulfils `ports.outside.OperationResults`."""

    def metadata(self, view: ReplicationView) -> bytes:
        """Answer the metadata of a retry."""
        record = view.record
        return _packed(
            pb.OperationMetadata(
                create_time=timestamp(record.create_time),
                end_time=timestamp(record.end_time),
                target=record.name,
                verb="retry",
                status_message=record.state.value.lower(),
                cancel_requested=record.state
                in {ReplicationState.CANCELLING, ReplicationState.CANCELLED},
                replication=replication_name(record.id),
                regions=[
                    pb.RegionProgress(
                        location=one.region.location,
                        state=number(REGION_STATE, one.region.state),
                        progress=progress_message(one.region.progress),
                        cause=cause_message(one.region.cause),
                    )
                    for one in view.regions
                ],
            )
        )

    def response(self, view: ReplicationView) -> bytes:
        """Answer the replication that completed."""
        return _packed(replication_message(view, full=True))

    def failure(self, view: ReplicationView) -> bytes:
        """Answer REGIONS_FAILED, or CANCELLED for what was cancelled or superseded."""
        record = view.record
        name = replication_name(record.id)
        if record.state is not ReplicationState.FAILED:
            status = status_pb2.Status(
                code=int(Code.CANCELLED), message=f"{name} was {record.state.value.lower()}"
            )
            _add_info(status, "CANCELLED", {"replication": name})
            return status.SerializeToString()
        failed = [
            one.region.location for one in view.regions if one.region.state is RegionState.FAILED
        ]
        status = status_pb2.Status(
            code=int(Code.ABORTED), message=f"{name} failed in {', '.join(failed)}"
        )
        _add_info(status, "REGIONS_FAILED", {"replication": name, "locations": ",".join(failed)})
        end = end_of([one.region for one in view.regions])
        if end is not None:
            status.details.add().Pack(end_message(end))
        return status.SerializeToString()


def _add_info(status: status_pb2.Status, reason: str, metadata: dict[str, str]) -> None:
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    status.details.add().Pack(info)


def _packed(message: Message) -> bytes:
    packed = AnyMessage()
    packed.Pack(message)
    return packed.SerializeToString()
