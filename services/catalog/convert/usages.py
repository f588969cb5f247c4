"""Usages as the contract has them."""

from typing import Final

from stoa.catalog.v1 import usage_pb2 as pb
from stoa.type.v1 import money_pb2

from services.catalog.convert.common import EnumMap
from services.catalog.domain.usage import Metric, Unit, Usage

METRICS: Final = EnumMap(Metric, pb.Usage.Metric, "METRIC_")
UNITS: Final = EnumMap(Unit, pb.Usage.Unit, "UNIT_")


def encode(usage: Usage) -> pb.Usage:
    """Answer the message of a usage."""
    message = pb.Usage(
        name=usage.name,
        location=usage.location,
        metric=METRICS.number(usage.metric),
        unit=UNITS.number(usage.metric.unit),
        current_value=usage.current,
        limit=usage.limit,
    )
    if usage.cost is not None:
        message.cost.CopyFrom(
            money_pb2.Money(currency_code=usage.cost.currency, micros=usage.cost.micros)
        )
    if usage.period_start is not None:
        message.period_start_time.FromDatetime(usage.period_start)
    return message
