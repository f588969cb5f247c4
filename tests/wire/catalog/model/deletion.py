"""Rules of deleting and having back: gallery-semantics 3.6, 3.8; DESIGN section 4, Delete."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.wire.catalog.model import progress
from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.records import Definition, Gallery, Operation, Version
from tests.wire.catalog.model.requests import Delete, SoftDelete, Undelete
from tests.wire.catalog.model.state import State, last, parent
from tests.wire.catalog.model.targets import check_fitting
from tests.wire.catalog.model.versions import missing
from tests.wire.catalog.model.words import RegionState

Resource = Gallery | Definition | Version


def check_delete(state: State, request: Delete) -> Faults:
    faults = Faults()
    found = find(state, request.name)
    if found is None:
        faults.add_missing(*_reasons(state, request.name))
    elif isinstance(found, Version):
        _check_version(state, found, request, faults)
    else:
        _check_parent(state, found, request, faults)
    return faults


def find(state: State, name: str) -> Resource | None:
    by_depth = {6: state.gallery, 8: state.definition, 10: state.version}
    return by_depth[name.count("/") + 1](name)


def _check_version(state: State, version: Version, request: Delete, faults: Faults) -> None:
    if version.deleting:
        # It goes already: the operation is answered again, whatever the etag.
        faults.repeated = True
    elif version.soft_deleted and not request.purge:
        faults.states.append("VERSION_SOFT_DELETED")
    _check_blocks(state, [version], faults)


def _check_blocks(state: State, versions: Iterable[Version], faults: Faults) -> None:
    faults.states += [
        "DELETION_BLOCKED_UNTIL_END_OF_LIFE" for one in versions if blocked(state, one)
    ]


def _check_parent(
    state: State, found: Gallery | Definition, request: Delete, faults: Faults
) -> None:
    below = list(versions_of(found))
    if request.force:
        _check_blocks(state, below, faults)
        return
    kept = any(one.soft_deleted for one in below)
    if isinstance(found, Gallery):
        children = bool(found.definitions)
        # The definitions stand in the way; what they hold may be said besides.
        faults.doubtful_states.add("SOFT_DELETED_CHILDREN")
    else:
        children = any(not one.soft_deleted for one in below)
    if children:
        faults.states.append("RESOURCE_NOT_EMPTY")
    if kept:
        faults.states.append("SOFT_DELETED_CHILDREN")


def versions_of(found: Gallery | Definition) -> Iterable[Version]:
    definitions = found.definitions.values() if isinstance(found, Gallery) else [found]
    return [version for one in definitions for version in one.versions.values()]


def blocked(state: State, version: Version) -> bool:
    """Only the version's own end of life arms the block."""
    end = version.end_of_life
    return version.block and end is not None and end > state.now


def delete(state: State, request: Delete) -> Resource:
    """Keep a version where the gallery does and nothing is purged; otherwise it is gone."""
    found = find(state, request.name)
    assert found is not None
    gallery = state.gallery_of(found.name)
    if isinstance(found, Version) and found.deleting:
        return found
    if isinstance(found, Version) and gallery.keeps_deleted() and not request.purge:
        soft_delete(state, found, gallery.soft_delete)
    else:
        remove(state, found)
    return found


def soft_delete(state: State, version: Version, policy: SoftDelete | None) -> None:
    """One replica in each region that has one, never latest, the number stays taken.

    The version keeps the policy that holds now.
    """
    version.policy = policy
    progress.cancel(state, version)
    version.undeleting = False
    before = {one.location: version.wanted(one) for one in version.targets}
    version.soft_deleted = True
    version.generation += 1
    kept = [row for row in version.rows.values() if row.usable]
    version.wishes[version.generation] = {row.location: 1 for row in kept}
    for row in version.rows.values():
        if row.usable and before[row.location] != 1:
            row.wished = version.generation
        elif not row.usable and row.removed is None:
            row.state, row.removed = RegionState.REMOVING, version.generation


def date(version: Version, deleted: datetime) -> None:
    """How long a version is kept that was soft-deleted then; 7 days and no grace by default."""
    policy = version.policy or SoftDelete(enabled=True)
    retention = 168 if policy.retention_hours is None else policy.retention_hours
    version.consumption_end = deleted + timedelta(hours=retention)
    version.purge = version.consumption_end + timedelta(hours=policy.grace_hours or 0)


def hold(state: State, version: Version) -> None:
    """A delete for good that replication does not let come to its end yet."""
    progress.cancel(state, version)
    version.deleting = True
    version.undeleting = False
    version.generation += 1
    for row in version.rows.values():
        row.state, row.usable = RegionState.REMOVING, False
        row.removed = version.generation if row.removed is None else row.removed


def remove(state: State, found: Resource) -> None:
    """Deleted for good, with everything below it."""
    below = [found] if isinstance(found, Version) else versions_of(found)
    for version in below:
        progress.cancel(state, version)
        state.gone.add((parent(version.name).lower(), version.number))
    if isinstance(found, Version):
        definition = state.definition_of(found)
        del definition.versions[found.number]
        definition.gone.add(found.number)
    elif isinstance(found, Definition):
        del state.gallery_of(found.name).definitions[last(found.name).lower()]
    else:
        del state.galleries[found.name.lower()]


def check_undelete(state: State, request: Undelete) -> Faults:
    faults = Faults()
    found = state.version(request.name)
    if found is None:
        faults.add_missing(*missing(state, request.name))
    elif found.deleting or found.undeleting:
        faults.add_conflict("OPERATION_IN_PROGRESS")
    elif not found.soft_deleted:
        faults.states.append("VERSION_NOT_DELETED")
    else:
        for target in found.targets:
            count = found.count if target.count is None else target.count
            check_fitting(target.location, count, found.kept_on(target), faults)
    return faults


def undelete(state: State, request: Undelete) -> tuple[Version, Operation]:
    found = state.version(request.name)
    assert found is not None
    found.soft_deleted = False
    found.policy = found.consumption_end = found.purge = None
    found.undeleting = True
    found.generation += 1
    found.wishes[found.generation] = {one.location: found.wanted(one) for one in found.targets}
    for target in found.targets:
        row = found.rows.get(target.location)
        if row is None or row.removed is not None:
            found.rows[target.location] = progress.fresh(target.location, found.generation, row)
        else:
            row.wished = found.generation
    regions = [one.location for one in found.targets]
    return found, progress.start(state, found, "undelete", request.wait, regions)


def _reasons(state: State, name: str) -> tuple[str, ...]:
    return missing(state, name) if name.count("/") == 9 else ("RESOURCE_NOT_FOUND",)
