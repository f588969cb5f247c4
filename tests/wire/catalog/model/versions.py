"""Rules of creating and updating versions: gallery-semantics 1.3, 3.1 to 3.5, 3.10."""

from tests.wire.catalog.model import progress
from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Definition, Operation, Row, Version
from tests.wire.catalog.model.requests import CreateVersion, Target, UpdateVersion
from tests.wire.catalog.model.state import State, number
from tests.wire.catalog.model.targets import (
    canonical,
    check_fitting,
    check_targets,
    valid,
)
from tests.wire.catalog.model.words import Storage

MUTABLE = frozenset(
    {
        "target_regions",
        "replica_count",
        "exclude_from_latest",
        "end_of_life_time",
        "safety_profile.allow_deletion_of_replicated_locations",
        "safety_profile.block_deletion_before_end_of_life",
        "tags",
    }
)
IMMUTABLE = frozenset({"location", "storage_account_type"})
_LIST = "image_version.target_regions"


def check_create(state: State, request: CreateVersion) -> Faults:
    faults = Faults()
    home = place(request.location)
    _check_fields(request, home, faults)
    _check_regions(request, home, faults)
    found = state.definition(request.parent)
    if found is None:
        faults.add_missing("PARENT_NOT_FOUND")
        return faults
    gallery = state.gallery_of(found.name)
    if found.deleting or gallery.deleting:
        faults.add_conflict("OPERATION_IN_PROGRESS")
    if home is None:
        faults.doubtful_states.add("SOFT_DELETE_REGION_MISMATCH")
    elif gallery.keeps_deleted() and home != gallery.location:
        faults.states.append("SOFT_DELETE_REGION_MISMATCH")
    there = found.versions.get(number(request.number) or (-1, -1, -1))
    if there is not None:
        _check_taken(there, request, faults)
    return faults


def _check_fields(request: CreateVersion, home: str | None, faults: Faults) -> None:
    if number(request.number) is None:
        faults.fields["image_version_id"] = ""
    if home is None:
        path = "image_version.location"
        faults.fields[path] = "REGION_UNKNOWN" if request.location else ""
    if not valid(request.count):
        faults.fields["image_version.replica_count"] = ""
    if request.sourceless:
        faults.fields["image_version.storage_profile.source"] = "SOURCE_KIND_INVALID"


def _check_regions(request: CreateVersion, home: str | None, faults: Faults) -> None:
    regions = check_targets(request.targets, _LIST, faults)
    if home is None:
        faults.doubtful.add(_LIST)
    elif request.targets and home not in regions:
        faults.fields[_LIST] = "HOME_REGION_MISSING"
    for target in _wanted(request, home):
        where = place(target.location)
        count = request.count or 1 if target.count is None else target.count
        storage = request.storage if target.storage is Storage.UNSPECIFIED else target.storage
        if where is not None and (where in regions or not request.targets):
            regions = [one for one in regions if one != where]
            check_fitting(where, count if valid(count) else None, _default(storage), faults)


def _wanted(request: CreateVersion, home: str | None) -> tuple[Target, ...]:
    """No regions: the home region alone."""
    return request.targets or ((Target(home),) if home else ())


def _check_taken(there: Version, request: CreateVersion, faults: Faults) -> None:
    spelled = there.name.rsplit("/", 1)[1] == request.number
    moved = place(request.location) != there.location
    if there.soft_deleted:
        faults.add_taken("VERSION_NUMBER_SOFT_DELETED")
    elif not spelled:
        faults.add_taken("VERSION_NUMBER_TAKEN")
    elif not moved:
        faults.add_taken("RESOURCE_EXISTS")
    if moved:
        faults.add_taken("LOCATION_CONFLICT")


def create(state: State, request: CreateVersion) -> tuple[Version, Operation]:
    definition = state.definition(request.parent)
    home = place(request.location)
    key = number(request.number)
    assert definition is not None
    assert home is not None
    assert key is not None
    made = Version(
        name=f"{definition.name}/versions/{request.number}",
        number=key,
        location=home,
        targets=[canonical(one) for one in _wanted(request, home)],
        count=request.count or 1,
        exclude=bool(request.exclude),
        storage=_default(request.storage),
        end_of_life=request.end_of_life,
        guard=request.guard,
        block=bool(request.block),
        tags=dict(request.tags),
    )
    made.rows = {one.location: Row(one.location, 1, 1) for one in made.targets}
    made.wishes[1] = {one.location: made.wanted(one) for one in made.targets}
    definition.versions[key] = made
    definition.gone.discard(key)
    return made, progress.start(state, made, "create", request.wait, made.rows)


def check_update(state: State, request: UpdateVersion) -> Faults:
    faults = Faults()
    known = MUTABLE | IMMUTABLE
    if request.mask and any(path not in known and path != "*" for path in request.mask):
        faults.fields["update_mask"] = ""
    if not valid(request.count):
        faults.fields["image_version.replica_count"] = ""
    regions = check_targets(request.targets, _LIST, faults)
    if "target_regions" in _paths(request) and not request.targets:
        # No list can be without the home region: this one shows that it is.
        faults.fields[_LIST] = "HOME_REGION_MISSING"
    elif not regions:
        faults.doubtful.add(_LIST)
    found = state.version(request.name)
    if found is None:
        faults.doubtful.add(_LIST)
        faults.add_missing(*missing(state, request.name))
        return faults
    check_changeable(state, found, faults)
    changes = {
        "location": place(request.location) != found.location,
        "storage_account_type": _default(request.storage) is not found.storage,
    }
    faults.states += [
        "PROPERTY_CHANGE_NOT_ALLOWED" for path in request.mask or () if changes.get(path)
    ]
    if not faults.fields:
        _check_wish(found, request, regions, faults)
    else:
        faults.doubtful_states |= {
            "REPLICA_CAPACITY",
            "ZONE_UNAVAILABLE",
            "STORAGE_TYPE_UNAVAILABLE",
            "HOME_REGION_MISSING",
            "REGION_REMOVAL_FORBIDDEN",
            "PROPERTY_CHANGE_NOT_ALLOWED",
        }
    return faults


def _check_wish(
    version: Version, request: UpdateVersion, regions: list[str], faults: Faults
) -> None:
    """What the stored version shows of the regions and counts that are sent."""
    paths = _paths(request)
    if "target_regions" in paths:
        gone = {one.location for one in version.targets} - set(regions)
        if version.location in gone:
            faults.states.append("HOME_REGION_MISSING")
            # That it is missing says all; that the guard forbids it too may be said besides.
            faults.doubtful_states.add("REGION_REMOVAL_FORBIDDEN")
        if gone and version.guard is not True:
            faults.states.append("REGION_REMOVAL_FORBIDDEN")
    targets, count = _wish(version, request)
    for target in targets:
        there = version.target(target.location)
        storage = version.kept_on(target)
        if there is not None and version.kept_on(there) is not storage:
            faults.states.append("PROPERTY_CHANGE_NOT_ALLOWED")
            # What cannot come may not fit either.
            faults.doubtful_states |= {"ZONE_UNAVAILABLE", "STORAGE_TYPE_UNAVAILABLE"}
            faults.doubtful_states.add("REPLICA_CAPACITY")
        else:
            wanted = count if target.count is None else target.count
            check_fitting(target.location, wanted, storage, faults)


def _wish(version: Version, request: UpdateVersion) -> tuple[list[Target], int]:
    paths = _paths(request)
    targets = version.targets
    if "target_regions" in paths:
        targets = [canonical(one) for one in request.targets]
    return targets, request.count or 1 if "replica_count" in paths else version.count


def update(state: State, request: UpdateVersion) -> tuple[Version, Operation]:
    found = state.version(request.name)
    assert found is not None
    paths = _paths(request)
    targets, count = _wish(found, request)
    if "exclude_from_latest" in paths:
        found.exclude = bool(request.exclude)
    if "end_of_life_time" in paths:
        found.end_of_life = request.end_of_life
    if "safety_profile.allow_deletion_of_replicated_locations" in paths:
        found.guard = request.guard
    if "safety_profile.block_deletion_before_end_of_life" in paths:
        found.block = bool(request.block)
    if "tags" in paths:
        found.tags = dict(request.tags)
    touched = progress.restate(found, targets, count)
    named = {one.location for one in targets} if "target_regions" in paths else set()
    return found, progress.start(state, found, "update", request.wait, touched, named=named)


def missing(state: State, name: str) -> tuple[str, ...]:
    """The reasons that may tell why there is no such version.

    That one was deleted for good is told to those who could read it; whether also where the
    definition went with it, or came again under its name, is left open.
    """
    key = number(name.rsplit("/", 1)[1])
    above = name.rsplit("/", 2)[0]
    definition: Definition | None = state.definition(above)
    if definition and key in definition.gone:
        return ("VERSION_DELETED",)
    if (above.lower(), key) in state.gone:
        return ("VERSION_DELETED", "RESOURCE_NOT_FOUND")
    return ("RESOURCE_NOT_FOUND",)


def check_changeable(state: State, version: Version, faults: Faults) -> None:
    """A change other than Delete waits for a deletion or an undelete."""
    if version.deleting or version.undeleting:
        faults.add_conflict("OPERATION_IN_PROGRESS")
        # Of a soft-deleted one that is being purged, both are true.
        faults.doubtful_states.add("VERSION_SOFT_DELETED")
    elif version.soft_deleted:
        faults.states.append("VERSION_SOFT_DELETED")


def _paths(request: UpdateVersion) -> frozenset[str]:
    if request.mask is None:
        sent = {
            "target_regions": request.targets or None,
            "replica_count": request.count,
            "exclude_from_latest": request.exclude,
            "end_of_life_time": request.end_of_life,
            "safety_profile.allow_deletion_of_replicated_locations": request.guard,
            "safety_profile.block_deletion_before_end_of_life": request.block,
            "tags": request.tags or None,
        }
        return frozenset(path for path, value in sent.items() if value is not None)
    return MUTABLE if "*" in request.mask else frozenset(request.mask)


def _default(storage: Storage) -> Storage:
    return Storage.STANDARD_LRS if storage is Storage.UNSPECIFIED else storage
