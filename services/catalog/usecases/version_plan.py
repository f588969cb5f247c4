"""Planning a change of a version: the change is made, undone, and what it wanted is asked about.

So a plan demands, checks and refuses exactly what the planned call would, and can want nothing
that the call would not want.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain.desired import Authority, desired_of
from services.catalog.domain.plan import PlanOrder, RegionPlan, plan_of
from services.catalog.domain.version import ReplicationMode, Version
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Transact, Tx
from services.kernel.errors import InvalidArgument, NotFound, StoaError
from services.kernel.names import Name

PLAN_REPLICAS: Final = "plan_replicas"
ATTEMPTS: Final = 8
"""How often replication is asked for a plan before the operation ends as UNAVAILABLE."""

# Nothing is brought about by a plan, so nobody is asked for a grant.
_NOBODY: Final = Authority("", "", (), "", 0)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A version before a change, None where there was none, and after it."""

    before: Version | None
    after: Version


def rehearse(tx: Tx, name: Name, work: Callable[[Tx], object]) -> Rehearsed:
    """Run the work of a change in a transaction that its caller undoes."""
    before = tx.versions.get(name.key)
    work(tx)
    after = tx.versions.get(name.key)
    if after is None:
        raise AssertionError(f"{name.text} was changed and is not there")
    return Rehearsed(before, after)


def start(tx: Tx, name: Name, rehearsed: Rehearsed, context: Context) -> StartedOperation:
    """Begin the operation of a plan, and have replication asked."""
    before, after = rehearsed.before, rehearsed.after
    desired = desired_of(after, _NOBODY)
    if before is None:
        desired = replace(desired, uid="", generation=0)
    total = sum(one.size_bytes for one in after.disks)
    operation = tx.operations.start_plan(name.text, owner=context.caller.id, total_bytes=total)
    order = PlanOrder(
        operation=operation.name,
        desired=desired,
        counts=_counts(before),
        fills=before is not None
        and before.mode is ReplicationMode.SHALLOW
        and after.mode is ReplicationMode.FULL,
    )
    tx.outbox.add(operation.name, PLAN_REPLICAS, order)
    return operation


def send(
    order: PlanOrder,
    attempts: int,
    transact: Transact,
    ask: Callable[[PlanOrder], Sequence[RegionPlan]],
) -> None:
    """Ask replication, and end the operation with what it says; `attempts` failed before.

    Raises:
        StoaError: another attempt may succeed.
    """
    if not transact(lambda tx: tx.operations.is_planning(order.operation)):
        return
    try:
        found = ask(order)
    except (NotFound, InvalidArgument) as refused:
        error: StoaError = refused
    except StoaError as failed:
        if attempts + 1 < ATTEMPTS:
            raise
        error = failed
    else:
        plan = plan_of(order, found)
        transact(lambda tx: tx.operations.finish_plan(order.operation, plan))
        return
    transact(lambda tx: tx.operations.fail_plan(order.operation, error))


def _counts(version: Version | None) -> tuple[tuple[str, int], ...]:
    if version is None:
        return ()
    return tuple((one.location, version.count_in(one)) for one in version.target_regions)
