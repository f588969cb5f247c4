"""The audit log, kept by the authz service."""

from typing import Final

import grpc
from google.protobuf.struct_pb2 import Struct
from stoa.authz.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc

from services.catalog.convert.common import timestamp
from services.catalog.domain.audit import AuditEntry
from services.kernel.rpc.remote import translated


class AuthzAudit:
    """Tells the log what was done; again: nothing."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub: Final = audit_service_pb2_grpc.AuditServiceStub(channel)

    def append(self, entry: AuditEntry, trace_parent: str) -> None:
        """Record an entry, caused by the call of a trace; durable when this returns.

        Raises:
            StoaError: the authz service does not answer, or refuses.
        """
        details = Struct()
        details.update(dict(entry.details))
        record = audit_record_pb2.AuditRecord(
            event_time=timestamp(entry.event_time),
            caller=entry.caller,
            method=entry.method,
            action=entry.action,
            resource=entry.resource,
            outcome=audit_record_pb2.AuditRecord.OUTCOME_DONE,
            decision_id=entry.decision_id,
            revision=entry.revision,
            trace_parent=trace_parent,
            details=details,
        )
        request = audit_service_pb2.AppendAuditRecordsRequest(
            audit_records=[record], request_id=entry.request_id
        )
        try:
            self._stub.AppendAuditRecords(request)
        except grpc.RpcError as error:
            raise translated(error, "authz") from error
