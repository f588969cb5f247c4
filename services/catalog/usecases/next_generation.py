"""The next generation of a version: what is weighed before it is wanted, and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.catalog.domain import encryption_rules, features
from services.catalog.domain.desired import ENSURE_REPLICAS, Authority, desired_of
from services.catalog.domain.needs import needed_by
from services.catalog.domain.progress import provisioning_state
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.targets import Placement, check_capacity, check_confidential
from services.catalog.domain.version import Version, WaitMode
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation, VersionChange
from services.catalog.ports.transaction import Tx
from services.catalog.usecases.updates import revised
from services.kernel.names import parent
from services.kernel.violations import Violations


@dataclass(frozen=True, slots=True)
class Requested:
    """How a change is to be made: the verb of its operation, and when that is done."""

    verb: str
    wait_for: WaitMode
    validate_only: bool


@dataclass(frozen=True, slots=True)
class Planned:
    """What a version is to be, and the regions that the call named, by their ids."""

    version: Version
    named: tuple[str, ...]


def commit(
    tx: Tx,
    requested: Requested,
    context: Context,
    version: Version,
    *,
    planned: Planned,
    authority: Authority,
) -> StartedOperation:
    """Write the next generation of a version, if anything that is copied changes."""
    touched = _touched(version, planned.version)
    before = tx.versions.regions(version.uid)
    after = revised(planned.version, context)
    statuses: Sequence[RegionStatus] = before
    if touched:
        after = replace(after, generation=version.generation + 1)
        statuses = next_statuses(after, before, touched)
    elif planned.version == version:
        after = version
    else:
        statuses = _reordered(after, before)
    after = replace(after, state=provisioning_state(after, statuses))
    tx.usage.admit_replicas(after, before, statuses)
    if requested.validate_only:
        return tx.operations.preview_version(after, statuses)
    tx.versions.write(after, statuses)
    if after.encryption_sets != version.encryption_sets:
        tx.uses.replace(after.name, needed_by(after))
    if touched:
        tx.outbox.add(after.uid, ENSURE_REPLICAS, desired_of(after, authority))
    waited = tuple(dict.fromkeys((*planned.named, *touched)))
    change = VersionChange(
        verb=requested.verb,
        version_uid=after.uid,
        generation=after.generation,
        wait_for=requested.wait_for,
        regions=waited,
        home=after.location,
    )
    at_once = not touched or requested.wait_for is WaitMode.ACCEPTED
    untouched_home = requested.wait_for is WaitMode.HOME_REGION and after.location not in touched
    return tx.operations.start_version_change(
        change, after, statuses, owner=context.caller.id, done=at_once or untouched_home
    )


def next_statuses(
    version: Version, before: Sequence[RegionStatus], touched: Sequence[str]
) -> list[RegionStatus]:
    """Answer the regions after a change of what is wanted: the usable ones stay usable.

    A region that is wanted no more cannot be used from now on.
    """
    known = {one.location: one for one in before}
    wanted = {one.location for one in version.target_regions}
    after: list[RegionStatus] = []
    for position, target in enumerate(version.target_regions):
        count = version.count_in(target)
        one = known.get(target.location)
        if one is None:
            after.append(RegionStatus(target.location, position, count, version.generation))
            continue
        since = version.generation if target.location in touched else one.wanted_since
        state = RegionState.PENDING if one.removing else one.state
        after.append(replace(one, position=position, wanted=count, wanted_since=since, state=state))
    for one in before:
        if one.location not in wanted:
            going = replace(one, position=None, usable=False, state=RegionState.REMOVING)
            since = version.generation if not one.removing else one.wanted_since
            after.append(replace(going, wanted=0, wanted_since=since))
    return after


def _reordered(version: Version, before: Sequence[RegionStatus]) -> list[RegionStatus]:
    """Answer the regions in the order of the target regions, nothing else about them changed."""
    places = {one.location: place for place, one in enumerate(version.target_regions)}
    return [replace(one, position=places.get(one.location)) for one in before]


def _touched(before: Version, after: Version) -> tuple[str, ...]:
    """Answer the regions of which something that is copied is wanted otherwise.

    Of a version that becomes a full one those are all.
    """
    if before.mode is not after.mode:
        return tuple(one.location for one in after.target_regions)
    old = {
        one.location: (before.count_in(one), before.storage_in(one))
        for one in before.target_regions
    }
    new = {
        one.location: (after.count_in(one), after.storage_in(one)) for one in after.target_regions
    }
    return tuple(
        location
        for location in dict.fromkeys((*new, *old))
        if old.get(location) != new.get(location)
    )


def weigh(
    tx: Tx,
    before: Version,
    after: Version,
    placed: Sequence[Placement],
    *,
    violations: Violations,
) -> None:
    """Note the regions that do not have what a change wants more of them.

    What is promised already is not weighed again.
    """
    weighed = _weighed(tx, after, _touched(before, after), placed)
    check_capacity(after, weighed, violations)
    security = security_type(tx, after)
    check_confidential(weighed, security, violations)
    encryption_rules.check_confidential(weighed, security, violations)


def security_type(tx: Tx, version: Version) -> str:
    """Answer the security type of a version, by the features that its definition gives it."""
    definition = tx.definitions.get(parent(version.key))
    found = definition.features if definition else ()
    return features.security_type(features.in_force(found, version.number))


def _weighed(
    tx: Tx, version: Version, touched: Sequence[str], placed: Sequence[Placement]
) -> list[Placement]:
    """Answer the regions whose capacity is asked: those touched, with their paths if named."""
    paths = {one.target.location: one.path for one in placed}
    regions = tx.regions.of(touched)
    return [
        Placement(one, regions[one.location], paths.get(one.location, f"regions/{one.location}"))
        for one in version.target_regions
        if one.location in touched and one.location in regions
    ]


def new_ones(version: Version, placed: Sequence[Placement]) -> list[Placement]:
    """Answer the regions of a request that a version does not have."""
    present = {one.location for one in version.target_regions}
    return [one for one in placed if one.target.location not in present]
