"""Changing an image version: its regions given whole, its counts, flags, end of life and tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.catalog.domain import reasons
from services.catalog.domain.desired import WRITE_ACTION
from services.catalog.domain.region import Region
from services.catalog.domain.targets import Placement, check_home, check_shallow, place
from services.catalog.domain.version import SafetyProfile, TargetRegion, Version, WaitMode
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks, version_targets
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.resource_groups import tags_after
from services.catalog.usecases.updates import Update, check_etag
from services.catalog.usecases.version_create import authority_of
from services.catalog.usecases.version_delete import missing
from services.catalog.usecases.version_targets import Planned, Requested
from services.kernel.errors import Unimplemented
from services.kernel.field_mask import FieldTable, replaced
from services.kernel.names import key
from services.kernel.violations import Violations

_REGIONS: Final = "target_regions"
_PATH: Final = f"image_version.{_REGIONS}"
_SAFETY: Final = "safety_profile"
_GUARD: Final = "allow_deletion_of_replicated_locations"
FIELDS: Final = FieldTable(
    mutable=frozenset(
        {
            _REGIONS,
            "replica_count",
            "exclude_from_latest",
            "end_of_life_time",
            f"{_SAFETY}.{_GUARD}",
            f"{_SAFETY}.block_deletion_before_end_of_life",
            "tags",
        }
    ),
    immutable=frozenset(
        {
            "location",
            "storage_profile",
            "storage_account_type",
            "replication_mode",
            "uefi_settings",
        }
    ),
    output_only=frozenset(
        {
            "effective_end_of_life_time",
            "publish_time",
            f"{_SAFETY}.reported_for_policy_violation",
            f"{_SAFETY}.policy_violations",
            "validations_profile",
            "replication_status",
            "generation",
            "state",
            "delete_time",
            "consumption_end_time",
            "purge_time",
            "create_time",
            "update_time",
            "uid",
            "provisioning_state",
        }
    ),
    maps=frozenset({"tags"}),
)

Shape = tuple[tuple[str, str], ...]
"""What a storage profile is compared by: pairs of a kind or disk and the key of a source."""


@dataclass(frozen=True, slots=True)
class UpdateVersion:
    """A change of a version; the update's `target_regions` are spelled as they were sent."""

    update: Update
    encrypted: tuple[str, ...]
    wait_for: WaitMode
    validate_only: bool


def update(
    command: UpdateVersion,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
) -> bytes:
    """Change a version: the next generation, where anything that is copied changes.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: there is no such version, or VERSION_DELETED.
        Aborted: ETAG_MISMATCH, or the version is being deleted.
        Unavailable: a region is not known yet, and replication does not answer.
    """
    sent = command.update
    name = sent.name
    checks.subscription(subscriptions, name.text, context.violations)
    targets: Sequence[TargetRegion] = sent.sent[_REGIONS] or ()
    spellings = [one.location for one in targets if one.location]
    known: Mapping[str, Region | None] = regions.find(spellings)
    placed = place(targets, known, _PATH, context.violations, known=regions.known())
    if command.encrypted:
        context.violations.raise_if_any()
        raise Unimplemented("encryption sets are not built yet")
    authority = authority_of(context, WRITE_ACTION, (Demand(WRITE_ACTION, name.text, "name"),))

    def work(tx: Tx) -> StartedOperation:
        violations = context.violations.copy()
        version = tx.versions.get(name.key, lock=True)
        if version is None:
            violations.raise_if_any()
            raise missing(name.text, tx.versions.deleted(name.key))
        changes = FIELDS.changes(sent.mask, sent.sent, fields_of(version), violations)
        after = _changed(version, changes, placed, violations)
        version_targets.weigh(tx, version, after, placed, violations=violations)
        violations.raise_if_any()
        checks.not_going(tx, version)
        check_etag(sent.etag, version)
        named = tuple(one.target.location for one in placed) if _REGIONS in changes else ()
        requested = Requested("update", command.wait_for, command.validate_only)
        planned = Planned(after, named)
        return version_targets.commit(
            tx, requested, context, version, planned=planned, authority=authority
        )

    return mutation.commit(work)


def fields_of(version: Version) -> Mapping[str, Any]:
    """Answer the immutable values of a version by their paths."""
    return {
        "location": version.location,
        "storage_profile": shape_of(version),
        "storage_account_type": version.storage_type,
        "replication_mode": version.mode,
        "uefi_settings": None,
    }


def shape_of(version: Version) -> Shape:
    """Answer what the storage profile of a version is compared by."""
    if version.source is not None:
        return ((version.source.kind.value, key(version.source.name)),)
    return tuple((one.disk, key(one.source.name)) for one in version.disks)


def _changed(
    version: Version,
    changes: Mapping[str, Any],
    placed: Sequence[Placement],
    violations: Violations,
) -> Version:
    after = replace(version, tags=tags_after(version.tags, changes))
    if "replica_count" in changes:
        after = replace(after, replica_count=changes["replica_count"] or 1)
    if "exclude_from_latest" in changes:
        after = replace(after, exclude_from_latest=bool(changes["exclude_from_latest"]))
    if "end_of_life_time" in changes:
        after = replace(after, end_of_life_time=changes["end_of_life_time"])
    flags = {
        path.rpartition(".")[2]: value
        for path, value in changes.items()
        if path.startswith(f"{_SAFETY}.")
    }
    if flags:
        safety = replaced(version.safety or SafetyProfile(), flags)
        after = replace(after, safety=safety if safety != SafetyProfile() else None)
    if _REGIONS in changes:
        targets = tuple(one.target for one in placed)
        after = replace(after, target_regions=targets)
        check_home(placed, version.location, _PATH, violations)
        check_shallow(after, placed, _PATH, violations)
        _check_storage(version, after, placed, violations)
        _check_left_out(version, after, violations)
    return after


def _check_storage(
    before: Version, after: Version, placed: Sequence[Placement], violations: Violations
) -> None:
    """Note a region that the version has and that would be kept on something else."""
    present = {one.location: one for one in before.target_regions}
    for one in placed:
        existing = present.get(one.target.location)
        if existing is not None and before.storage_in(existing) != after.storage_in(one.target):
            violations.immutable(f"{one.path}.storage_account_type")


def _check_left_out(before: Version, after: Version, violations: Violations) -> None:
    """Note regions that are left out where the deletion guard is not true (three states).

    The guard that holds is the one that the version has when the update arrives: an update
    cannot lift it and use that at once.
    """
    kept = {one.location for one in after.target_regions}
    gone = [one.location for one in before.target_regions if one.location not in kept]
    guard = before.safety.allow_deletion_of_replicated_locations if before.safety else None
    # The home region is no matter of the guard, and is told of by itself.
    gone = [one for one in gone if one != before.location]
    if gone and guard is not True:
        violations.precondition(
            reasons.REGION_REMOVAL_FORBIDDEN,
            before.name,
            f"{', '.join(gone)} would be removed: RemoveTargetRegions does that",
            reason=reasons.REGION_REMOVAL_FORBIDDEN,
            metadata={"locations": ",".join(gone)},
        )
