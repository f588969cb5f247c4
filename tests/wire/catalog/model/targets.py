"""Rules of target regions and replica counts: gallery-semantics 3.3, 3.4, 3.13; target_region*."""

from collections.abc import Mapping, Sequence

from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.places import PLACES, place
from tests.wire.catalog.model.requests import Target
from tests.wire.catalog.model.words import Storage

_COUNTS = range(1, 101)


def valid(count: int | None) -> bool:
    return count is None or count in _COUNTS


def check_locations(locations: Mapping[str, str], faults: Faults) -> list[str]:
    """Judge locations by their paths; answer the ids of those that are regions, each once."""
    seen: list[str] = []
    unknown: set[str] = set()
    for path, text in locations.items():
        found = place(text)
        if not text:
            faults.fields[path] = ""
        elif found is None:
            # One that is unknown and named twice may be called either.
            faults.fields[path] = "" if text in unknown else "REGION_UNKNOWN"
            unknown.add(text)
        elif found in seen:
            faults.fields[path] = "REGION_REPEATED"
        else:
            seen.append(found)
    return seen


def check_targets(targets: Sequence[Target], prefix: str, faults: Faults) -> list[str]:
    """What the list alone shows."""
    for at, target in enumerate(targets):
        if not valid(target.count):
            faults.fields[f"{prefix}[{at}].regional_replica_count"] = ""
    paths = {f"{prefix}[{at}].location": one.location for at, one in enumerate(targets)}
    return check_locations(paths, faults)


def check_fitting(location: str, count: int | None, storage: Storage, faults: Faults) -> None:
    """What the region shows: zones, stores of that kind, slots for a count that is one."""
    known = PLACES[location]
    if count is None:
        # A count that is none may be measured against the slots, or not at all.
        faults.doubtful_states.add("REPLICA_CAPACITY")
    if storage is Storage.STANDARD_ZRS and not known.zones:
        faults.states.append("ZONE_UNAVAILABLE")
        return
    slots = known.slots.get(storage, 0)
    if not slots:
        faults.states.append("STORAGE_TYPE_UNAVAILABLE")
    elif count is not None and count > slots:
        faults.states.append("REPLICA_CAPACITY")
        faults.maxima[location] = slots


def canonical(target: Target) -> Target:
    """A target region as it is answered."""
    found = place(target.location)
    assert found is not None
    return Target(found, target.count, target.storage, target.exclude)
