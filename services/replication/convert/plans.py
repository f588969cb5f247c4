"""Plans as messages."""

from google.protobuf.duration_pb2 import Duration
from stoa.replication.v1 import replication_plan_pb2 as pb
from stoa.type.v1 import money_pb2

from services.replication.convert.common import cause_message
from services.replication.domain.plans import Amount, RegionPlan


def plan_message(plan: RegionPlan) -> pb.RegionPlan:
    """Answer the plan of a region."""
    message = pb.RegionPlan(
        location=plan.location,
        source_location=plan.source_location,
        exactness=pb.PLAN_EXACTNESS_EXACT if plan.exact else pb.PLAN_EXACTNESS_ESTIMATE,
        size_bytes=plan.size,
        zero_bytes=plan.zero,
        deduplicated_bytes=plan.deduplicated,
        crossing_bytes=plan.crossing,
        written_bytes=plan.written,
        freed_bytes=plan.freed,
        crossing_cost=_money(plan.crossing_cost),
        monthly_cost=_money(plan.monthly_cost),
        obstacle=cause_message(plan.obstacle),
    )
    if plan.seconds is not None:
        message.expected_duration.CopyFrom(Duration(seconds=plan.seconds))
    return message


def _money(amount: Amount | None) -> money_pb2.Money | None:
    if amount is None:
        return None
    return money_pb2.Money(currency_code=amount.currency_code, micros=amount.micros)
