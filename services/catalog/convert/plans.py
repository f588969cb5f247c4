"""Plans between the replication service, the domain and the contract."""

from datetime import datetime

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2
from stoa.catalog.v1 import image_version_plan_pb2 as pb
from stoa.catalog.v1 import operation_metadata_pb2
from stoa.replication.v1 import replication_plan_pb2
from stoa.type.v1 import money_pb2

from services.catalog.convert.common import EnumMap, timestamp
from services.catalog.convert.operations import packed
from services.catalog.domain.plan import (
    Money,
    PlannedAction,
    PlannedBytes,
    PlannedCost,
    PlannedRegion,
    RegionPlan,
    VersionPlan,
)

_ACTIONS = EnumMap(PlannedAction, pb.RegionalPlan.PlannedAction, "PLANNED_ACTION_")


def decode_plan(message: replication_plan_pb2.RegionPlan) -> RegionPlan:
    """Read what replication says of a region."""
    return RegionPlan(
        location=message.location,
        source_location=message.source_location,
        exact=message.exactness == replication_plan_pb2.PLAN_EXACTNESS_EXACT,
        counted=PlannedBytes(
            size=message.size_bytes,
            zero=message.zero_bytes,
            deduplicated=message.deduplicated_bytes,
            crossing=message.crossing_bytes,
            written=message.written_bytes,
            freed=message.freed_bytes,
        ),
        seconds=message.expected_duration.seconds
        if message.HasField("expected_duration")
        else None,
        cost=PlannedCost(
            _decode_money(message.crossing_cost) if message.HasField("crossing_cost") else None,
            _decode_money(message.monthly_cost) if message.HasField("monthly_cost") else None,
        ),
        obstacle=message.obstacle.status.SerializeToString()
        if message.HasField("obstacle")
        else b"",
    )


def plan_response(plan: VersionPlan, now: datetime) -> bytes:
    """Answer the response of an operation that planned, made at `now`."""
    message = pb.ImageVersionPlan(
        image_version=plan.version,
        regions=map(_region, plan.regions),
        total=_bytes(plan.total),
        cost=_cost(plan.cost) if plan.cost is not None else None,
        expected_duration=_duration(plan.seconds),
        exact=plan.exact,
        plan_time=timestamp(now),
    )
    return packed(message)


def plan_metadata(target: str, total_bytes: int, *, create_time: datetime) -> bytes:
    """Answer the metadata of a plan that begins."""
    message = operation_metadata_pb2.PlanOperationMetadata(
        target=target,
        verb="plan",
        total_bytes=total_bytes,
        create_time=timestamp(create_time),
        status_message="looking at the stores",
    )
    return packed(message)


def plan_ended(
    metadata: bytes, status_message: str, now: datetime, *, cancelled: bool = False
) -> bytes:
    """Answer the metadata of a plan that ends."""
    message = operation_metadata_pb2.PlanOperationMetadata()
    AnyMessage.FromString(metadata).Unpack(message)
    message.status_message = status_message
    message.cancel_requested = cancelled
    message.end_time.FromDatetime(now)
    if status_message == "done":
        message.examined_bytes = message.total_bytes
    return packed(message)


def _region(planned: PlannedRegion) -> pb.RegionalPlan:
    plan = planned.plan
    known = plan.cost.crossing is not None or plan.cost.monthly is not None
    return pb.RegionalPlan(
        location=plan.location,
        action=_ACTIONS.number(planned.action),
        current_replica_count=planned.before,
        wanted_replica_count=planned.after,
        source_location=plan.source_location,
        bytes=_bytes(plan.counted),
        exact=plan.exact,
        expected_duration=_duration(plan.seconds),
        cost=_cost(plan.cost) if known else None,
        obstacle=status_pb2.Status.FromString(plan.obstacle) if plan.obstacle else None,
    )


def _bytes(found: PlannedBytes) -> pb.PlannedBytes:
    return pb.PlannedBytes(
        size_bytes=found.size,
        zero_bytes=found.zero,
        deduplicated_bytes=found.deduplicated,
        crossing_bytes=found.crossing,
        written_bytes=found.written,
        freed_bytes=found.freed,
    )


def _cost(found: PlannedCost) -> pb.PlannedCost:
    return pb.PlannedCost(crossing=_money(found.crossing), monthly_storage=_money(found.monthly))


def _duration(seconds: int | None) -> Duration | None:
    return None if seconds is None else Duration(seconds=seconds)


def _money(amount: Money | None) -> money_pb2.Money | None:
    if amount is None:
        return None
    return money_pb2.Money(currency_code=amount.currency_code, micros=amount.micros)


def _decode_money(message: money_pb2.Money) -> Money:
    return Money(message.currency_code, message.micros)
