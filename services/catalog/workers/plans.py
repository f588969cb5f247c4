"""What the outbox sends for plans."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.catalog.domain.plan import PlanOrder, RegionPlan
from services.catalog.ports.transaction import Transact
from services.catalog.usecases import version_plan
from services.kernel.db.outbox import Handler, OutboxMessage


def handlers(
    transact: Transact,
    *,
    ask: Callable[[PlanOrder], Sequence[RegionPlan]],
    read: Callable[[Any], PlanOrder],
) -> Mapping[str, Handler]:
    """Answer the handler of plans by its kind."""

    def plan(message: OutboxMessage) -> None:
        order = read(json.loads(message.payload))
        version_plan.send(order, message.attempts, transact, ask)

    return {version_plan.PLAN_REPLICAS: plan}
