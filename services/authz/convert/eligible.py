"""Eligible assignments between the domain and the contract."""

from collections.abc import Container
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from stoa.authz.v1 import eligible_assignment_pb2 as pb

from services.authz.convert.assignments import PRINCIPAL_TYPES
from services.authz.convert.times import moment, timestamp
from services.authz.domain.eligibility import DEFAULT_MAXIMUM, Activation, EligibleAssignment
from services.authz.usecases import eligible_assignments
from services.authz.usecases.eligible_assignments import NewEligibleAssignment


def new_eligible_assignment(
    message: pb.EligibleAssignment, scope: str, id: str, creator: str
) -> NewEligibleAssignment:
    """Read what is asked for."""
    has = message.HasField
    maximum = DEFAULT_MAXIMUM
    if has("max_activation_duration"):
        maximum = span(message.max_activation_duration)
    return NewEligibleAssignment(
        scope=scope,
        principal=message.principal,
        role_definition=message.role_definition,
        id=id,
        description=message.description,
        start_time=moment(message.start_time) if has("start_time") else None,
        end_time=moment(message.end_time) if has("end_time") else None,
        condition=message.condition,
        condition_version=message.condition_version,
        max_activation=maximum,
        justification_required=message.justification_required
        if has("justification_required")
        else True,
        creator=creator,
    )


def eligible_assignment(
    record: EligibleAssignment, now: datetime, only: Container[str] | None = None
) -> pb.EligibleAssignment:
    """Answer an eligible assignment; `only` are the keys whose activations are shown, None: all."""
    maximum = Duration()
    maximum.FromTimedelta(record.max_activation)
    return pb.EligibleAssignment(
        name=record.name,
        scope=record.scope,
        principal=record.principal,
        principal_type=PRINCIPAL_TYPES[record.principal_kind],
        role_definition=record.role_definition,
        description=record.description,
        start_time=timestamp(record.start_time) if record.start_time else None,
        end_time=timestamp(record.end_time) if record.end_time else None,
        condition=record.condition,
        condition_version=record.condition_version,
        max_activation_duration=maximum,
        justification_required=record.justification_required,
        activations=[
            activation(one)
            for one in record.in_force(now)
            if only is None or one.principal_key in only
        ],
        creator=record.creator,
        create_time=timestamp(record.create_time),
        uid=record.uid,
        etag=eligible_assignments.etag(record),
    )


def activation(one: Activation) -> pb.Activation:
    """Answer an activation as the contract spells it."""
    return pb.Activation(
        principal=one.principal,
        start_time=timestamp(one.start_time),
        end_time=timestamp(one.end_time),
        justification=one.justification,
    )


def span(message: Duration) -> timedelta:
    """Answer a length of time, in microseconds."""
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
