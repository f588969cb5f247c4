"""What the replication service tells: applied to versions and their operations.

Every event holds the whole state of what it is about, so applying one again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.catalog.domain.needs import needed_by, needs_sources
from services.catalog.domain.progress import provisioning_state
from services.catalog.domain.region_status import Cause, Progress, RegionState, RegionStatus
from services.catalog.domain.version import Version
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import source_holds


@dataclass(frozen=True, slots=True)
class RegionEvent:
    """The state of one region of one version; `generation` is the one that it refers to."""

    version_uid: str
    generation: int
    location: str
    replication: str
    state: RegionState
    usable: bool
    wanted: int
    good: int
    progress: Progress
    cause: Cause | None
    stored_bytes: int
    crossed_bytes: int
    time: datetime


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far the copies of one region of one version are."""

    version_uid: str
    generation: int
    location: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class ReplicationEvent:
    """A replication was opened or ended; `completed` says that every region of it is done."""

    version_uid: str
    generation: int
    replication: str
    completed: bool


Event = RegionEvent | ProgressEvent | ReplicationEvent


def apply(tx: Tx, event: Event) -> None:
    """Apply one event to its version, which may be gone: then there is nothing to do."""
    version = tx.versions.by_uid(event.version_uid, lock=True)
    if version is None:
        return
    before = tx.versions.regions(version.uid)
    match event:
        case RegionEvent():
            after = _after_region(version, before, event)
            version = _worked_on_by(version, event)
            version = _counted(tx, version, event, before=before, after=after)
        case ProgressEvent():
            after = [_advanced(one, event) for one in before]
        case ReplicationEvent():
            after = [_ended(one, event) for one in before if not _never_there(one, event)]
            version = _worked_on_by(version, event)
    settle(tx, version, after)


def fail(tx: Tx, version_uid: str, generation: int, cause: Cause) -> None:
    """Give up what a generation wanted, because replication refuses it for good."""
    version = tx.versions.by_uid(version_uid, lock=True)
    if version is None or version.generation != generation or version.deleting:
        return
    after: list[RegionStatus] = []
    for one in tx.versions.regions(version.uid):
        if one.removing and not one.generation:
            # Replication never heard of it.
            continue
        if one.observed < one.wanted_since:
            after.append(replace(one, state=RegionState.FAILED, observed=generation, cause=cause))
        else:
            # Nothing was to be done there.
            after.append(replace(one, observed=max(one.observed, generation)))
    settle(tx, version, after)


def settle(tx: Tx, version: Version, regions: Sequence[RegionStatus]) -> None:
    """Write the regions of a version, what follows from them for it, and end what is done."""
    state = provisioning_state(version, regions)
    open_before = not version.settled
    wanted = [one for one in regions if not one.removing]
    # Of a version that was soft-deleted before any region had it nothing is wanted for now.
    settled = version.settled or (
        bool(wanted)
        and all(one.done_with(one.wanted_since) and one.state.terminal for one in wanted)
    )
    uncopied = (
        settled
        and (version.uncopied or open_before)
        and not any(_copied(version, one) for one in regions)
    )
    after = replace(version, state=state, settled=settled, uncopied=uncopied)
    tx.versions.write(after, regions)
    if needs_sources(version) and not needs_sources(after) and not version.deleting:
        # From now on the bytes are copied from regions: the sources may go.
        tx.uses.replace(version.name, needed_by(after))
        source_holds.let_go(tx, after)
    tx.operations.advance(after, regions)


def _copied(version: Version, region: RegionStatus) -> bool:
    """Whether a region has held copies, those of a version that was shallow since it is not."""
    if not version.promoted:
        return region.complete_time is not None
    done = region.done_with(version.promoted) and region.state.terminal
    return done and region.usable and not region.state.failed


def _counted(
    tx: Tx,
    version: Version,
    event: RegionEvent,
    *,
    before: Sequence[RegionStatus],
    after: Sequence[RegionStatus],
) -> Version:
    """Count the bytes that came into a region since its last event.

    An event tells of all since the version exists, so one that is applied again counts nothing.
    The version remembers what the row of the region does not, or not any more.
    """
    location = event.location
    known = max(version.crossed.get(location, 0), _crossed_in(location, before))
    if event.crossed_bytes > known:
        tx.usage.crossed(version, location, event.crossed_bytes - known, event.time)
        known = event.crossed_bytes
    if _crossed_in(location, after) >= known:
        return version
    return replace(version, crossed={**version.crossed, location: known})


def _crossed_in(location: str, regions: Sequence[RegionStatus]) -> int:
    return next((one.crossed_bytes for one in regions if one.location == location), 0)


def _worked_on_by(version: Version, event: RegionEvent | ReplicationEvent) -> Version:
    """Answer a version with its newest replication."""
    if event.generation < version.generation or not event.replication:
        return version
    return replace(version, replication=event.replication)


def _after_region(
    version: Version, before: Sequence[RegionStatus], event: RegionEvent
) -> list[RegionStatus]:
    after: list[RegionStatus] = []
    for one in before:
        if one.location != event.location or event.generation < one.generation:
            after.append(one)
        elif one.removing and event.state is RegionState.REMOVED:
            # Gone, and nothing is left to tell of it.
            continue
        else:
            after.append(_told(version, one, event))
    return after


def _told(version: Version, region: RegionStatus, event: RegionEvent) -> RegionStatus:
    """Answer a region after an event about it.

    A region that is on its way out is usable no more, whatever replication still says of it.
    """
    done = event.state.terminal
    usable = event.usable and not region.removing and not version.deleting
    complete_time = region.complete_time
    if usable and complete_time is None:
        complete_time = event.time
    return replace(
        region,
        state=RegionState.REMOVING if region.removing else event.state,
        usable=usable,
        generation=event.generation,
        observed=max(region.observed, event.generation) if done else region.observed,
        good=event.good,
        progress=event.progress,
        cause=event.cause,
        replication=event.replication,
        stored_bytes=event.stored_bytes,
        crossed_bytes=event.crossed_bytes,
        complete_time=complete_time,
    )


def _advanced(region: RegionStatus, event: ProgressEvent) -> RegionStatus:
    if region.location != event.location or event.generation < region.generation:
        return region
    return replace(region, progress=event.progress)


def _never_there(region: RegionStatus, event: ReplicationEvent) -> bool:
    """Whether a region was given up before replication heard of it: nobody will tell of it."""
    return region.removing and not region.generation and event.generation >= region.wanted_since


def _ended(region: RegionStatus, event: ReplicationEvent) -> RegionStatus:
    """Answer a region when a replication ended: one with nothing to do is done with it too."""
    if not event.completed or region.removing or not region.state.terminal:
        return region
    return replace(region, observed=max(region.observed, event.generation))
