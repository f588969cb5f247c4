"""How what is wanted becomes what is: generations, regions, operations (DESIGN section 4).

Each change commits the next generation and has an operation of its own, done when the regions it
named or touched are done at that generation or a later one. A region once COMPLETED stays usable
until it is removed or holds no good replica.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tests.wire.catalog.model.records import Operation, Row, Version
from tests.wire.catalog.model.requests import Target
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.words import Aggregate, Provisioning, RegionState, Wait


@dataclass(frozen=True, slots=True)
class Event:
    """What replication tells of one region of a version at one generation."""

    uid: str
    location: str
    generation: int
    state: RegionState
    usable: bool
    good: int


def restate(version: Version, targets: Sequence[Target], count: int) -> set[str]:
    """Want other regions or counts; answer the regions that this touches."""
    before = {one.location: version.wanted(one) for one in version.targets}
    version.targets = list(targets)
    version.count = count
    after = {one.location: version.wanted(one) for one in version.targets}
    touched = {
        where for where in before.keys() | after.keys() if before.get(where) != after.get(where)
    }
    if not touched:
        return touched
    version.generation += 1
    version.wishes[version.generation] = after
    for where in touched & after.keys():
        row = version.rows.get(where)
        if row is None or row.removed is not None:
            version.rows[where] = fresh(where, version.generation, row)
        else:
            row.wished, row.cancelling = version.generation, False
    for where in touched - after.keys():
        row = version.rows[where]
        row.state, row.usable, row.removed = RegionState.REMOVING, False, version.generation
    return touched


def fresh(where: str, generation: int, before: Row | None) -> Row:
    """A region that comes in; one that was still going keeps what it told."""
    made = Row(where, generation, generation)
    if before is not None:
        made.former = max(before.observed, before.former)
        made.former_good = before.good
        made.was_completed = before.completed or before.was_completed
    return made


def start(
    state: State,
    version: Version,
    verb: str,
    wait: Wait,
    touched: Collection[str],
    *,
    named: Collection[str] = (),
) -> Operation:
    """Begin the operation of a change that was just committed.

    It waits for the regions that the call names or touches; for the home region alone only where
    the call changes something there. A call that changes nothing waits for nothing.
    """
    regions = sorted({*touched, *named} if touched else touched)
    if wait is Wait.ACCEPTED:
        regions = []
    elif wait is Wait.HOME_REGION:
        regions = [where for where in touched if where == version.location]
    made = Operation(verb, version.uid, version.generation, wait, regions)
    state.operations.append(made)
    _settle(made, version)
    return made


def apply(state: State, version: Version, event: Event) -> None:
    """Take up what replication tells."""
    version.told = max(version.told, event.generation)
    row = version.rows.get(event.location)
    if row is None:
        return
    if row.removed is not None:
        if event.state is RegionState.REMOVED and event.generation >= row.removed:
            del version.rows[event.location]
        else:
            row.good = event.good
            row.observed = max(row.observed, event.generation if event.state in _ENDS else 0)
    elif event.generation >= row.added:
        row.state, row.usable, row.good = event.state, event.usable, event.good
        if event.state in _ENDS:
            row.observed = max(row.observed, event.generation)
            row.cancelling = False
        row.completed = row.completed or event.state is RegionState.COMPLETED
    if all(one.done(one.wished) for one in version.rows.values()):
        version.settled = version.settled or not version.soft_deleted
        version.undeleting = False
    for operation in state.pending(version):
        _settle(operation, version)


def cancel(state: State, version: Version) -> None:
    """A delete ends what was under way."""
    for operation in state.pending(version):
        operation.outcome = "CANCELLED"


def stop(state: State, version: Version, operation: Operation) -> set[str]:
    """Cancel an operation; answer the regions whose copies stop.

    They are those that it waits for and no other unfinished operation does.
    """
    operation.cancelling = True
    others = [one for one in state.pending(version) if not one.cancelling]
    kept = {
        where for one in others for where in one.regions if _waits(one, version.rows.get(where))
    }
    found = set()
    for where in operation.regions:
        row = version.rows.get(where)
        if row is not None and row.removed is None and _waits(operation, row):
            found.add(where)
    for where in found - kept:
        version.rows[where].cancelling = True
    return found - kept


def _waits(operation: Operation, row: Row | None) -> bool:
    return row is not None and not row.done(operation.generation)


def summary(version: Version) -> tuple[list[str], set[str]]:
    """The regions of the replication status: target regions in their order, then those that go."""
    going = {row.location for row in version.rows.values() if row.removed is not None}
    order = [one.location for one in version.targets if one.location in version.rows]
    return [where for where in order if where not in going], going


def provisioning(version: Version) -> set[Provisioning]:
    """What may be said of the whole version now."""
    if version.deleting:
        return {Provisioning.DELETING}
    rows = [row for row in version.rows.values() if row.removed is None]
    if version.soft_deleted:
        # The contract tells the state of a soft delete apart, and leaves this one open.
        return set(Provisioning) - {Provisioning.DELETING}
    failed = any(row.state in _GIVEN_UP for row in rows)
    ended = {Provisioning.FAILED if failed else Provisioning.SUCCEEDED}
    if all(row.done(row.wished) for row in version.rows.values()):
        return ended
    if version.settled:
        return {Provisioning.UPDATING}
    if version.generation == 1:
        return {Provisioning.CREATING}
    # Changed before it was ever finished: the contract does not say which of the two it is.
    return {Provisioning.CREATING, Provisioning.UPDATING}


def regional(version: Version, row: Row) -> set[Provisioning]:
    """What may be said of one region now."""
    if version.soft_deleted and row.removed is None:
        # Until when it may be read is wanted otherwise too; whether that counts is left open.
        return {Provisioning.UPDATING, *_regional(row)}
    return _regional(row)


def _regional(row: Row) -> set[Provisioning]:
    if row.removed is not None:
        return {Provisioning.DELETING}
    if row.state in _GIVEN_UP:
        if row.done(row.wished):
            return {Provisioning.FAILED}
        return {Provisioning.FAILED, *_under_way(row)}
    if row.completed and row.done(row.wished):
        return {Provisioning.SUCCEEDED}
    return _under_way(row)


def aggregate(version: Version) -> set[Aggregate]:
    """All regions together, worst first; one that is behind what is wanted of it is not done.

    Whether a region that goes counts is left open.
    """
    rows = [row for row in version.rows.values() if row.removed is None]
    cancelled = any(row.state is RegionState.CANCELLED for row in rows)
    if version.deleting or cancelled or not rows:
        # The contract has no word for it.
        return set(Aggregate)
    found = {_worst(row.state if row.done(row.wished) else RegionState.PENDING for row in rows)}
    if version.soft_deleted:
        # Until when it may be read is wanted otherwise too; whether that counts is left open.
        found.add(Aggregate.IN_PROGRESS)
    whole = all(row.state is RegionState.COMPLETED for row in rows)
    if found == {Aggregate.COMPLETED} and (len(rows) < len(version.rows) or not whole):
        # One goes, or is done and no longer whole, for which the contract has no word.
        found.add(Aggregate.IN_PROGRESS)
    return found


def _worst(states: Iterable[RegionState]) -> Aggregate:
    found = set(states)
    if RegionState.FAILED in found:
        return Aggregate.FAILED
    done = found <= {RegionState.COMPLETED, RegionState.DEGRADED}
    return Aggregate.COMPLETED if done else Aggregate.IN_PROGRESS


_ENDS = frozenset({RegionState.COMPLETED, RegionState.FAILED, RegionState.CANCELLED})
_GIVEN_UP = frozenset({RegionState.FAILED, RegionState.CANCELLED})


def _under_way(row: Row) -> set[Provisioning]:
    if row.was_completed and not row.completed:
        # Whether its first completion is that before it was taken out is left open.
        return {Provisioning.UPDATING, Provisioning.CREATING}
    return {Provisioning.UPDATING if row.completed else Provisioning.CREATING}


def _settle(operation: Operation, version: Version) -> None:
    rows = [version.rows[one] for one in operation.regions if one in version.rows]
    if not all(row.done(operation.generation) for row in rows):
        return
    failed = frozenset(row.location for row in rows if row.state is RegionState.FAILED)
    operation.failed = failed
    operation.outcome = "REGIONS_FAILED" if failed else ""
