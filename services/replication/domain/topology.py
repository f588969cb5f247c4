"""Where a replica is copied from, and when (replication.md 2.4 and 2.5).

The content of a disk is fixed by the first reading. A blob or another version has been read
already: its manifest says what every replica must hold, so replicas need not wait for each
other, and reading one local source several times costs next to nothing beside writing
(replication.md 1.1). Only bytes that cross a network are worth waiting for: a region then gets
them once, and its further replicas come from its first one. A file that nobody has hashed is
read by one replica alone, the first of the home region.

Committed replicas feed what is still to be copied: the nearest ones, and equally near ones in
turn, so that copies fan out over all that is complete and not from the home region alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.replication.domain.records import Replica
from services.replication.domain.states import COPYABLE, CopyState


@dataclass(frozen=True, slots=True)
class Wait:
    """Another replica has to be committed first."""


@dataclass(frozen=True, slots=True)
class FromSource:
    """The bytes come from the sources of the disks."""


@dataclass(frozen=True, slots=True)
class FromReplica:
    """The bytes come from a committed replica of the version."""

    location: str
    slot: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Every replica that could be copied from is lost, and the source is not to be read."""


Origin = Wait | FromSource | FromReplica | Lost


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice depends on.

    `order` ranks locations, the home region first. `known`: the content of all sources is fixed.
    `source_local`, `local`: whether the sources, and each (location, slot), lie on this machine.
    """

    home: str
    order: Mapping[str, int]
    known: bool
    source_local: bool
    local: frozenset[tuple[str, str]]


def choose_origin(replica: Replica, replicas: Sequence[Replica], situation: Situation) -> Origin:
    """Answer where `replica` is to be copied from.

    After a failure the next best one is tried, since a copy that cannot be read looks like one
    that cannot be written.
    """
    others = [
        one for one in replicas if (one.location, one.slot) != (replica.location, replica.slot)
    ]
    ready = sorted(
        (one for one in others if one.is_readable),
        key=lambda one: (_distance(replica, one, situation), _rank(one, situation)),
    )
    if ready:
        # A failure at one that is bad has it marked: it is not tried again while others are good.
        good = [one for one in ready if one.is_good] if replica.failures else []
        candidates = good or ready
        by_turn = _in_turn(replica, others, candidates, situation)
        best = by_turn[replica.failures % len(by_turn)]
        is_far = best.location != replica.location and not _is_local(best, situation)
        if is_far and _brings_bytes_here(replica, others):
            return Wait()
        return FromReplica(best.location, best.slot)
    if any(one.commit_time is not None for one in replicas):
        # The source was let go of when the first replica was committed.
        return Lost()
    if not situation.known:
        return FromSource() if _leads(replica, others, situation) else Wait()
    is_near = replica.location == situation.home or situation.source_local
    if is_near or _leads(replica, others, situation):
        return FromSource()
    return Wait()


def _distance(replica: Replica, origin: Replica, situation: Situation) -> tuple[int, int, int]:
    """Answer how far an origin is: the replica's region, then this machine, then a network."""
    return (
        0 if origin.location == replica.location else 1,
        0 if origin.is_good else 1,
        0 if _is_local(origin, situation) else 1,
    )


def _in_turn(
    replica: Replica, others: Sequence[Replica], candidates: Sequence[Replica], situation: Situation
) -> list[Replica]:
    """Answer the candidates with the nearest ones rotated by the replica's place in the version.

    A place never changes while others copy or commit, unlike a count of the copies that run:
    nothing has to be recorded about them, and neighbours in the order of claims are spread evenly.
    """
    nearest = [
        one
        for one in candidates
        if _distance(replica, one, situation) == _distance(replica, candidates[0], situation)
    ]
    place = sum(_rank(one, situation) < _rank(replica, situation) for one in others)
    turn = place % len(nearest)
    return [*nearest[turn:], *nearest[:turn], *candidates[len(nearest) :]]


def _is_local(replica: Replica, situation: Situation) -> bool:
    return (replica.location, replica.slot) in situation.local


def _brings_bytes_here(replica: Replica, others: Sequence[Replica]) -> bool:
    """Whether a replica of the region, before this one by slot, is already on its way."""
    return any(
        one.location == replica.location
        and one.slot < replica.slot
        and one.state in COPYABLE
        and one.state is not CopyState.PAUSED
        for one in others
    )


def _leads(replica: Replica, others: Sequence[Replica], situation: Situation) -> bool:
    """Whether this is the first, the home region's before others', of those that may still copy."""
    return all(
        _rank(replica, situation) < _rank(one, situation) for one in others if one.state in COPYABLE
    )


def _rank(one: Replica, situation: Situation) -> tuple[int, str, str]:
    return situation.order.get(one.location, len(situation.order)), one.location, one.slot
