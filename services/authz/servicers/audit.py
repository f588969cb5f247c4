"""AuditService."""

from typing import Final

from stoa.authz.v1 import audit_service_pb2 as pb

from services.authz.convert.audit import event, record
from services.authz.ports.audit import AuditStore
from services.authz.servicers.asking import asked
from services.authz.servicers.writing import Context
from services.authz.usecases import audit
from services.kernel.names import id_problem
from services.kernel.request_digest import request_digest
from services.kernel.rpc.call import Call

# What the details of a record may have, in bytes.
_MAX_DETAILS: Final = 16 * 1024


class AuditServicer:
    """Reads the audit log, and adds to it what other services tell."""

    def __init__(self, context: Context, store: AuditStore) -> None:
        self._context: Final = context
        self._audit: Final = store

    def ListAuditRecords(
        self, request: pb.ListAuditRecordsRequest, call: Call
    ) -> pb.ListAuditRecordsResponse:
        context = self._context
        found, token = audit.page_of(
            context.store, self._audit, context.tokens, asked(call, request), call.violations
        )
        return pb.ListAuditRecordsResponse(audit_records=map(record, found), next_page_token=token)

    def AppendAuditRecords(
        self, request: pb.AppendAuditRecordsRequest, call: Call
    ) -> pb.AppendAuditRecordsResponse:
        for position, one in enumerate(request.audit_records):
            field = f"audit_records[{position}]"
            if one.details.ByteSize() > _MAX_DETAILS:
                call.violations.add(f"{field}.details", f"at most {_MAX_DETAILS} bytes")
            if not one.HasField("event_time"):
                call.violations.add(f"{field}.event_time", "is required")
            if problem := _problem(one.resource):
                call.violations.add(f"{field}.resource", problem)
        call.violations.raise_if_any()
        workload = call.caller.workload
        body = pb.AppendAuditRecordsRequest(audit_records=request.audit_records)
        names = self._audit.append(
            [event(one, workload) for one in request.audit_records],
            workload=workload,
            request_id=request.request_id,
            digest=request_digest(call.policy.path, {}, body.SerializeToString(deterministic=True)),
        )
        return pb.AppendAuditRecordsResponse(audit_records=names)


def _problem(resource: str) -> str:
    if resource == "/":
        return ""
    parts = resource.split("/")
    if len(parts) % 2 or not all(parts[::2]):
        return "is the name of a resource, or '/'"
    return next((found for one in parts[1::2] if (found := id_problem(one))), "")
