"""The audit log, kept by authz."""

import uuid
from typing import Final

import grpc
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import audit_record_pb2
from stoa.authz.v1 import audit_service_pb2 as pb
from stoa.authz.v1.audit_service_pb2_grpc import AuditServiceStub

from services.kernel.clock import Clock
from services.kernel.errors import Unavailable
from services.replication.ports.audit import TermsAccepted

SERVICE: Final = "stoa.authz.v1.AuditService"
TERMS_ACCEPTED: Final = "terms.accepted"
_TIMEOUT: Final = 10.0


class AuthzAudit:
    """Fulfils `ports.audit.AuditTrail` over a channel to authz's internal listener."""

    def __init__(self, channel: grpc.Channel, clock: Clock) -> None:
        self._stub: Final = AuditServiceStub(channel)
        self._clock: Final = clock

    def terms_accepted(self, accepted: TermsAccepted) -> None:
        """Record that terms were accepted; durable when this returns."""
        time = Timestamp()
        time.FromDatetime(self._clock.now())
        details = Struct()
        details.update({"method": accepted.method, **accepted.details})
        record = audit_record_pb2.AuditRecord(
            event_time=time,
            caller=accepted.caller,
            method=TERMS_ACCEPTED,
            action=accepted.action,
            resource=accepted.view,
            outcome=audit_record_pb2.AuditRecord.OUTCOME_DONE,
            revision=accepted.revision,
            trace_parent=accepted.trace_parent,
            details=details,
        )
        request = pb.AppendAuditRecordsRequest(audit_records=[record], request_id=str(uuid.uuid4()))
        try:
            self._stub.AppendAuditRecords(request, timeout=_TIMEOUT)
        except grpc.RpcError as error:
            raise Unavailable(
                "the acceptance of terms could not be recorded",
                metadata={"service": "authz"},
                retry_after=1.0,
            ) from error
