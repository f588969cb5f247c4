"""Changing an image version: its regions given whole, its counts, flags, end of life and tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.catalog.domain import encryption_rules, reasons
from services.catalog.domain.desired import WRITE_ACTION
from services.catalog.domain.encryption import alike
from services.catalog.domain.encryption_rules import entries, named_sets
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.profile import Profile, ProfileDisk
from services.catalog.domain.region import Region
from services.catalog.domain.targets import (
    Placement,
    check_home,
    check_replica_sets,
    check_shallow,
    place,
)
from services.catalog.domain.version import (
    ReplicationMode,
    SafetyProfile,
    TargetRegion,
    Version,
    WaitMode,
)
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Transact, Tx
from services.catalog.usecases import checks, linked, next_generation, version_encryption
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.next_generation import Planned, Requested
from services.catalog.usecases.resource_groups import tags_after
from services.catalog.usecases.updates import Update, admit, refuse_absent
from services.catalog.usecases.version_delete import missing
from services.kernel.errors import Aborted
from services.kernel.field_mask import FieldTable, replaced
from services.kernel.names import Name, key
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
# What these mean where they are not set.
_UNSET: Final = {
    "storage_account_type": StorageType.STANDARD_LRS,
    "replication_mode": ReplicationMode.FULL,
}


@dataclass(frozen=True, slots=True)
class UpdateVersion:
    """A change of a version; the update's `target_regions` are spelled as they were sent."""

    update: Update
    wait_for: WaitMode
    validate_only: bool


def update(
    command: UpdateVersion,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
    transact: Transact,
) -> bytes:
    """Change a version: the next generation, where anything that is copied changes.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: LINKED_PERMISSION_DENIED, the right to a new encryption set is missing.
        NotFound: there is no such version, VERSION_DELETED or ENCRYPTION_SET_NOT_FOUND.
        Aborted: ETAG_MISMATCH, or the version is being deleted.
        Unavailable: a region is not known yet, and replication does not answer.
    """
    sent = command.update.with_defaults(_UNSET)
    name = sent.name
    target = Demand(WRITE_ACTION, name.text, "name")
    targets: Sequence[TargetRegion] = sent.sent[_REGIONS] or ()
    sets = _new_sets(targets, name, context.violations, transact)
    if sets:
        linked.authorize(target, sets, context)
    allowed = {key(one.scope) for one in sets}
    info = checks.subscription(subscriptions, name.text, context.violations)
    spellings = [one.location for one in targets if one.location]
    known: Mapping[str, Region | None] = regions.find(spellings)
    placed = place(targets, known, _PATH, context.violations, known=regions.known())
    check_replica_sets(placed, context.violations)
    encryption_rules.check_alike(placed, context.violations)
    authority = authority_of(context, WRITE_ACTION, (target, *sets))

    def work(tx: Tx) -> StartedOperation:
        violations = context.violations.copy()
        version = tx.versions.get(name.key, lock=True)
        if version is None:
            absent = missing(name.text, tx.versions.deleted(name.key))
            raise refuse_absent(sent, FIELDS, violations, absent)
        checks.not_soft_deleted(version, violations)
        values = _as_stored(sent.sent, version)
        changes = FIELDS.changes(sent.mask, values, fields_of(version), violations)
        after = _changed(version, changes, placed, violations)
        if _REGIONS in changes:
            new = next_generation.new_ones(version, placed)
            checks.enabled_regions(info, new, violations)
            after = version_encryption.check_new(tx, version, after, placed, violations=violations)
            _check_decided(version, after, allowed)
        next_generation.weigh(tx, version, after, placed, violations=violations)
        admit(tx, version, sent.etag, violations)
        named = tuple(one.target.location for one in placed) if _REGIONS in changes else ()
        requested = Requested("update", command.wait_for, command.validate_only)
        planned = Planned(after, named)
        return next_generation.commit(
            tx, requested, context, version, planned=planned, authority=authority
        )

    return mutation.commit(work)


def fields_of(version: Version) -> Mapping[str, Any]:
    """Answer the immutable values of a version by their paths."""
    return {
        "location": version.location,
        "storage_profile": profile_of(version),
        "storage_account_type": version.storage_type,
        "replication_mode": version.mode,
        "uefi_settings": version.uefi_digest or None,
    }


def profile_of(version: Version) -> Profile:
    """Answer what the storage profile of a version is compared by."""
    whole = version.source
    return Profile(
        None if whole is None else (whole.kind.value, key(whole.name)),
        tuple(
            ProfileDisk(one.disk, one.naming_key if whole is None else "", one.host_caching)
            for one in version.disks
        ),
    )


def _as_stored(sent: Mapping[str, Any], version: Version) -> Mapping[str, Any]:
    """Answer what was sent with the stored profile where what is sent of it is the same."""
    profile: Profile | None = sent["storage_profile"]
    stored = profile_of(version)
    if profile is None or not profile.is_of(stored):
        return sent
    return {**sent, "storage_profile": stored}


def _new_sets(
    targets: Sequence[TargetRegion], name: Name, violations: Violations, transact: Transact
) -> list[Demand]:
    """Answer the rights to the sets that the version does not have yet.

    They are decided before anything is looked at, so the version is read for this alone.
    """
    sent = entries(targets, _PATH)
    if not named_sets(sent):
        return []
    version = transact(lambda tx: tx.versions.get(name.key))
    known = frozenset(map(key, version.encryption_sets)) if version else frozenset[str]()
    return version_encryption.demands(sent, violations, known=known)


def _check_decided(before: Version, after: Version, allowed: set[str]) -> None:
    """Refuse a set that was the version's when rights were decided, and is not any more.

    Raises:
        Aborted: try again.
    """
    known = set(map(key, before.encryption_sets)) | allowed
    if any(key(one) not in known for one in after.encryption_sets):
        raise Aborted(
            f"the regions of {before.name} were changed at the same moment; try again",
            reason=reasons.OPERATION_IN_PROGRESS,
        )


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
        check_home(placed, version.location, _PATH, violations, stored=True)
        check_shallow(after, placed, _PATH, violations)
        _check_kept(version, after, placed, violations)
        _check_left_out(version, after, violations)
    return after


def _check_kept(
    before: Version, after: Version, placed: Sequence[Placement], violations: Violations
) -> None:
    """Note a region that the version has and that would be kept or encrypted otherwise."""
    present = {one.location: one for one in before.target_regions}
    for one in placed:
        existing = present.get(one.target.location)
        if existing is None:
            continue
        if before.storage_in(existing) != after.storage_in(one.target):
            violations.immutable(f"{one.path}.storage_account_type")
        if not alike(existing.encryption, one.target.encryption):
            violations.immutable(f"{one.path}.encryption")


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
