"""Changing where a version is wanted: each change makes the next generation at once.

Changes never get in each other's way (DESIGN section 4): each is made to what is stored when its
turn comes, and has an operation of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import reasons
from services.catalog.domain.desired import (
    WRITE_ACTION,
)
from services.catalog.domain.encryption import alike
from services.catalog.domain.encryption_rules import entries
from services.catalog.domain.region import Region
from services.catalog.domain.targets import (
    Placement,
    check_replica_sets,
    note_unknown,
    place,
)
from services.catalog.domain.version import (
    ReplicationMode,
    TargetRegion,
    Version,
    WaitMode,
)
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks, linked, next_generation, version_encryption
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.next_generation import Planned, Requested
from services.catalog.usecases.updates import admit
from services.catalog.usecases.version_delete import missing
from services.kernel.names import Name
from services.kernel.violations import Violations

_TARGETS: Final = "target_regions"
_LOCATIONS: Final = "locations"
_COUNTS: Final = "regional_replica_counts"

Known = Mapping[str, Region | None]


@dataclass(frozen=True, slots=True)
class Add:
    """Regions to add, as they were sent."""

    regions: tuple[TargetRegion, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """Regions to remove, as they were spelled."""

    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetCounts:
    """The common count, None to leave it, and counts of regions, None to follow the common."""

    common: int | None
    regional: tuple[tuple[str, int | None], ...]


Change = Add | Remove | SetCounts


@dataclass(frozen=True, slots=True)
class ChangeTargets:
    """A change of where a version is wanted."""

    name: Name
    etag: str
    verb: str
    change: Change
    wait_for: WaitMode
    validate_only: bool


def change_targets(
    command: ChangeTargets,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
) -> bytes:
    """Add or remove regions, or set counts: all or nothing.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: LINKED_PERMISSION_DENIED, the right to an encryption set is missing.
        NotFound: there is no such version, VERSION_DELETED or ENCRYPTION_SET_NOT_FOUND.
        Aborted: ETAG_MISMATCH, or the version is being deleted.
        Unavailable: a region is not known yet, and replication does not answer.
    """
    violations = context.violations
    demand = Demand(WRITE_ACTION, command.name.text, "name")
    sets: list[Demand] = []
    if isinstance(command.change, Add):
        sets = version_encryption.demands(entries(command.change.regions, _TARGETS), violations)
    if sets:
        linked.authorize(demand, sets, context)
    info = checks.subscription(subscriptions, command.name.text, violations)
    known = regions.find([one for one in _spellings(command.change) if one])
    placed = _place(command.change, known, regions, violations)
    if isinstance(command.change, Add):
        check_replica_sets(placed, violations)
    authority = authority_of(context, WRITE_ACTION, (demand, *sets))

    def work(tx: Tx) -> StartedOperation:
        found = violations.copy()
        version = tx.versions.get(command.name.key, lock=True)
        if version is None:
            found.raise_if_any()
            raise missing(command.name.text, tx.versions.deleted(command.name.key))
        checks.not_soft_deleted(version, found)
        planned = _plan(version, command.change, placed, found)
        next_generation.weigh(tx, version, planned.version, placed, violations=found)
        if isinstance(command.change, Add):
            checks.enabled_regions(info, next_generation.new_ones(version, placed), found)
            after = version_encryption.check_new(
                tx, version, planned.version, placed, violations=found
            )
            planned = replace(planned, version=after)
        admit(tx, version, command.etag, found)
        requested = Requested(command.verb, command.wait_for, command.validate_only)
        return next_generation.commit(
            tx, requested, context, version, planned=planned, authority=authority
        )

    return mutation.commit(work)


def _spellings(change: Change) -> list[str]:
    match change:
        case Add():
            return [one.location for one in change.regions]
        case Remove():
            return list(change.locations)
        case SetCounts():
            return [location for location, _ in change.regional]


def _place(
    change: Change, known: Known, regions: Regions, violations: Violations
) -> list[Placement]:
    """Answer the regions that a change names, noting those that are unknown or repeated."""
    match change:
        case Add():
            return place(change.regions, known, _TARGETS, violations, known=regions.known())
        case SetCounts():
            sent = [TargetRegion(location, count) for location, count in change.regional]
            return place(sent, known, _COUNTS, violations, known=regions.known())
        case Remove():
            return _place_locations(change.locations, known, violations, regions=regions)


def _place_locations(
    locations: Sequence[str], known: Known, violations: Violations, *, regions: Regions
) -> list[Placement]:
    found: list[Placement] = []
    seen: set[str] = set()
    for index, text in enumerate(locations):
        path = f"{_LOCATIONS}[{index}]"
        region = known.get(text)
        if region is None:
            if text:
                note_unknown(violations, path, text, known=regions.known())
        elif region.id in seen:
            violations.add(
                path,
                f"'{text}' is named twice",
                reason=reasons.REGION_REPEATED,
                metadata={"location": text},
            )
        else:
            seen.add(region.id)
            found.append(Placement(TargetRegion(region.id), region, path))
    return found


def _plan(
    version: Version, change: Change, placed: Sequence[Placement], violations: Violations
) -> Planned:
    named = tuple(one.target.location for one in placed)
    match change:
        case Add():
            return Planned(_added(version, placed, violations), named)
        case Remove():
            return Planned(_removed(version, placed, violations), named)
        case SetCounts():
            return Planned(_counted(version, change, placed, violations), named)


def _added(version: Version, placed: Sequence[Placement], violations: Violations) -> Version:
    if version.mode is ReplicationMode.SHALLOW:
        _refuse(violations, reasons.VERSION_SHALLOW, version.name, {"resource": version.name})
    present = {one.location: one for one in version.target_regions}
    new: list[TargetRegion] = []
    for one in placed:
        target = one.target
        existing = present.get(target.location)
        if existing is None:
            new.append(target)
        elif not _same(version, existing, target):
            _refuse(
                violations,
                reasons.REGION_TARGETED_OTHERWISE,
                one.path,
                {"location": target.location},
            )
    return replace(version, target_regions=(*version.target_regions, *new))


def _removed(version: Version, placed: Sequence[Placement], violations: Violations) -> Version:
    going = {one.target.location for one in placed}
    present = {one.location for one in version.target_regions}
    guard = version.safety.allow_deletion_of_replicated_locations if version.safety else None
    if version.location in going:
        _refuse(
            violations,
            reasons.HOME_REGION_REQUIRED,
            version.location,
            {"location": version.location},
        )
    if guard is False and going & present:
        _refuse(
            violations,
            reasons.REGION_REMOVAL_FORBIDDEN,
            version.name,
            {"locations": ",".join(sorted(going & present))},
        )
    kept = tuple(one for one in version.target_regions if one.location not in going)
    return replace(version, target_regions=kept)


def _counted(
    version: Version, change: SetCounts, placed: Sequence[Placement], violations: Violations
) -> Version:
    if version.mode is ReplicationMode.SHALLOW:
        _refuse(violations, reasons.VERSION_SHALLOW, version.name, {"resource": version.name})
    counts = {one.target.location: one.target.replica_count for one in placed}
    present = {one.location for one in version.target_regions}
    for one in placed:
        if one.target.location not in present:
            _refuse(
                violations,
                reasons.REGION_NOT_TARGETED,
                one.path,
                {"location": one.target.location},
            )
    return replace(
        version,
        replica_count=version.replica_count if change.common is None else change.common,
        target_regions=tuple(
            replace(one, replica_count=counts[one.location]) if one.location in counts else one
            for one in version.target_regions
        ),
    )


def _same(version: Version, existing: TargetRegion, sent: TargetRegion) -> bool:
    return (
        version.count_in(existing) == version.count_in(sent)
        and version.storage_in(existing) == version.storage_in(sent)
        and version.excluded_in(existing) == version.excluded_in(sent)
        and set(existing.additional) == set(sent.additional)
        and alike(existing.encryption, sent.encryption)
    )


_SENTENCES: Final = {
    reasons.VERSION_SHALLOW: "a shallow version has its own region alone; promote it first",
    reasons.REGION_TARGETED_OTHERWISE: "the version has the region already, otherwise",
    reasons.HOME_REGION_REQUIRED: "the home region cannot be removed",
    reasons.REGION_REMOVAL_FORBIDDEN: "the deletion guard forbids to remove regions",
    reasons.REGION_NOT_TARGETED: "the version does not have the region",
}


def _refuse(violations: Violations, reason: str, subject: str, metadata: Mapping[str, str]) -> None:
    violations.precondition(reason, subject, _SENTENCES[reason], reason=reason, metadata=metadata)
