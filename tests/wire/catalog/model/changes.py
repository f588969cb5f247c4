"""Rules of changing parts of what is wanted: target_region_requests.proto, DESIGN section 4."""

from dataclasses import replace

from tests.wire.catalog.model import progress
from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Operation, Version
from tests.wire.catalog.model.requests import AddRegions, RemoveRegions, SetCounts, Target
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.targets import (
    canonical,
    check_fitting,
    check_locations,
    check_targets,
    valid,
)
from tests.wire.catalog.model.versions import check_changeable, missing


def check_add(state: State, request: AddRegions) -> Faults:
    faults = Faults()
    if not request.targets:
        faults.fields["target_regions"] = ""
    known = check_targets(request.targets, "target_regions", faults)
    found = _changeable(state, request.name, faults)
    if found is None:
        return faults
    for target in request.targets:
        where = place(target.location)
        if where not in known or not valid(target.count):
            faults.doubtful_states |= {"REPLICA_CAPACITY", "REGION_TARGETED_OTHERWISE"}
            continue
        known.remove(where)
        wished = canonical(target)
        there = found.target(where)
        if there is None:
            count = found.wanted(wished)
            check_fitting(where, count, found.kept_on(wished), faults)
        elif _wish(found, there) != _wish(found, wished):
            faults.states.append("REGION_TARGETED_OTHERWISE")
    return faults


def add(state: State, request: AddRegions) -> tuple[Version, Operation]:
    found = state.version(request.name)
    assert found is not None
    named = [canonical(one) for one in request.targets]
    new = [one for one in named if found.target(one.location) is None]
    changed = progress.restate(found, [*found.targets, *new], found.count)
    names = {one.location for one in named}
    made = progress.start(state, found, "add_target_regions", request.wait, changed, named=names)
    made.doubtful = not changed
    return found, made


def check_remove(state: State, request: RemoveRegions) -> Faults:
    faults = Faults()
    if not request.locations:
        faults.fields["locations"] = ""
    paths = {f"locations[{at}]": one for at, one in enumerate(request.locations)}
    known = check_locations(paths, faults)
    found = _changeable(state, request.name, faults)
    if found is None:
        return faults
    if found.location in known:
        faults.states.append("HOME_REGION_REQUIRED")
        # The home region cannot go in any case; the guard may be named besides.
        faults.doubtful_states.add("REGION_REMOVAL_FORBIDDEN")
    if found.guard is False and any(found.target(one) for one in known):
        faults.states.append("REGION_REMOVAL_FORBIDDEN")
    return faults


def remove(state: State, request: RemoveRegions) -> tuple[Version, Operation]:
    found = state.version(request.name)
    assert found is not None
    gone = {place(one) for one in request.locations}
    kept = [one for one in found.targets if one.location not in gone]
    touched = progress.restate(found, kept, found.count)
    made = progress.start(state, found, "remove_target_regions", request.wait, touched)
    made.doubtful = not touched
    return found, made


def check_set(state: State, request: SetCounts) -> Faults:
    faults = Faults()
    if request.count is None and not request.regions:
        # A rule of the whole message: the contract names no field.
        faults.fields[""] = ""
    if not valid(request.count):
        faults.fields["replica_count"] = ""
    for at, (_, count) in enumerate(request.regions):
        if not valid(count):
            faults.fields[f"regional_replica_counts[{at}].replica_count"] = ""
    paths = {
        f"regional_replica_counts[{at}].location": one
        for at, (one, _) in enumerate(request.regions)
    }
    known = check_locations(paths, faults)
    found = _changeable(state, request.name, faults)
    if found is None:
        return faults
    faults.states += ["REGION_NOT_TARGETED" for one in known if found.target(one) is None]
    if faults.fields:
        faults.doubtful_states.add("REPLICA_CAPACITY")
        return faults
    common = request.count or found.count
    counts = _counts(request)
    for target in found.targets:
        own = counts.get(target.location, target.count)
        check_fitting(
            target.location, common if own is None else own, found.kept_on(target), faults
        )
    return faults


def set_counts(state: State, request: SetCounts) -> tuple[Version, Operation]:
    found = state.version(request.name)
    assert found is not None
    counts = _counts(request)
    targets = [
        replace(one, count=counts[one.location]) if one.location in counts else one
        for one in found.targets
    ]
    touched = progress.restate(found, targets, request.count or found.count)
    made = progress.start(state, found, "set_replica_counts", request.wait, touched, named=counts)
    made.doubtful = not touched
    return found, made


def _counts(request: SetCounts) -> dict[str, int | None]:
    return {found: count for one, count in request.regions if (found := place(one))}


def _wish(version: Version, target: Target) -> tuple[object, ...]:
    """How a region is wanted, by whatever says so: the region itself or the whole version."""
    excluded = version.exclude if target.exclude is None else target.exclude
    return version.wanted(target), version.kept_on(target), excluded


def _changeable(state: State, name: str, faults: Faults) -> Version | None:
    found = state.version(name)
    if found is None:
        faults.add_missing(*missing(state, name))
    else:
        check_changeable(state, found, faults)
    return found
