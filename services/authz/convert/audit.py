"""Audit records between the domain and the contract."""

from typing import Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from stoa.authz.v1 import audit_record_pb2 as pb
from stoa.authz.v1 import decision_pb2

from services.authz.convert.times import moment, timestamp
from services.authz.domain.audit import AuditRecord, Event, Outcome

_PREFIX: Final = "DECISION_REASON_"
_OUTCOMES: Final = {
    Outcome.DONE: pb.AuditRecord.OUTCOME_DONE,
    Outcome.DENIED: pb.AuditRecord.OUTCOME_DENIED,
    Outcome.FAILED: pb.AuditRecord.OUTCOME_FAILED,
}
_READ: Final = {value: one for one, value in _OUTCOMES.items()}


def event(message: pb.AuditRecord, workload: str) -> Event:
    """Read what a service tells; who tells it is known from its certificate alone."""
    reason = ""
    if message.reason:
        reason = decision_pb2.DecisionReason.Name(message.reason).removeprefix(_PREFIX)
    return Event(
        event_time=moment(message.event_time),
        workload=workload,
        method=message.method,
        resource=message.resource,
        outcome=_READ[message.outcome],
        caller=message.caller,
        action=message.action,
        reason=reason,
        decision_id=message.decision_id,
        revision=message.revision,
        request_id=message.request_id,
        trace_parent=message.trace_parent,
        details=MessageToDict(message.details),
    )


def record(one: AuditRecord) -> pb.AuditRecord:
    """Answer a record as the contract spells it."""
    event = one.event
    details = None
    if event.details:
        details = Struct()
        details.update(dict(event.details))
    reason = decision_pb2.DecisionReason.Value(_PREFIX + (event.reason or "UNSPECIFIED"))
    return pb.AuditRecord(
        name=one.name,
        event_time=timestamp(event.event_time),
        caller=event.caller,
        workload=event.workload,
        method=event.method,
        action=event.action,
        resource=event.resource,
        outcome=_OUTCOMES[event.outcome],
        reason=reason,
        decision_id=event.decision_id,
        revision=event.revision,
        request_id=event.request_id,
        trace_parent=event.trace_parent,
        details=details,
        create_time=timestamp(one.create_time),
        sequence=one.sequence,
        previous_digest=one.previous_digest,
        digest=one.digest,
    )
