"""Creating an image version."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from services.catalog.domain import encryption_rules, features, names, reasons, uefi
from services.catalog.domain.audit import APPEND_AUDIT
from services.catalog.domain.definition import Definition
from services.catalog.domain.desired import ENSURE_REPLICAS, WRITE_ACTION, Authority, desired_of
from services.catalog.domain.encryption_rules import entries
from services.catalog.domain.gallery import SharingMode
from services.catalog.domain.hardware import HyperVGeneration
from services.catalog.domain.needs import needed_by
from services.catalog.domain.progress import provisioning_state
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.targets import Placement, check_confidential
from services.catalog.domain.usage import UsageLimits
from services.catalog.domain.version import Version, WaitMode
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.operations import StartedOperation, VersionChange
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import (
    checks,
    linked,
    source_holds,
    version_contents,
    version_encryption,
    version_limits,
    version_sources,
)
from services.catalog.usecases.definitions import check_gallery
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.version_contents import Seen
from services.catalog.usecases.version_draft import (
    REGIONS,
    UEFI,
    CreateVersion,
    draw_up,
)
from services.catalog.usecases.version_sources import SourceRequest
from services.kernel.errors import AlreadyExists, ResourceInfo
from services.kernel.violations import Violations

_SHARED: Final = frozenset({SharingMode.GROUPS, SharingMode.COMMUNITY})

Look = Callable[[SourceRequest], Seen]
"""Looks at the sources of a request before the transaction: `version_contents.look`."""


def create(
    command: CreateVersion,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
    look: Look,
    limits: UsageLimits,
) -> bytes:
    """Create a version: it exists, in state CREATING, when this answers.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: LINKED_PERMISSION_DENIED, the right to a source is missing.
        NotFound: PARENT_NOT_FOUND or SOURCE_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS, LOCATION_CONFLICT or VERSION_NUMBER_TAKEN.
        Aborted: the definition is being deleted.
        ResourceExhausted: QUOTA_EXCEEDED or SOURCE_THROTTLED.
        Unavailable: the replication service is needed and does not answer.
    """
    violations = context.violations
    of_sources = version_sources.check_shape(command.source, command.disks, violations)
    sets = version_encryption.demands(entries(command.target_regions, REGIONS), violations)
    demands = (*of_sources, *sets)
    target = Demand(WRITE_ACTION, command.parent.text, "parent")
    linked.authorize(target, demands, context)
    info = checks.subscription(subscriptions, command.parent.text, violations)
    draft, placed = draw_up(command, context, regions, tenant=info.tenant if info else "")
    checks.enabled_regions(info, placed, violations)
    if command.uefi is not None:
        uefi.check(command.uefi, UEFI, violations)
    linked.refuse_foreign(of_sources, subscriptions, violations)
    request = version_sources.well_named(
        SourceRequest(command.source, command.disks, command.accept_terms), violations
    )
    seen = look(request)
    authority = authority_of(context, WRITE_ACTION, (target, *demands))

    def work(tx: Tx) -> StartedOperation:
        found = violations.copy()
        definition = tx.definitions.get(command.parent.key, share=True)
        gallery = tx.galleries.get(command.parent.parent().key, share=True)
        if info is None or definition is None or gallery is None:
            raise checks.parent_missing(names.DEFINITION_TYPE, command.parent.text, found)
        version = replace(draft, name=f"{definition.name}/versions/{command.id}")
        filled = version_contents.fill(
            tx, version, request, seen, definition=definition, violations=found
        )
        version = filled.version
        version_limits.check_sizes(version, limits, found)
        check_gallery(gallery, version.name, version.location, found, modes=_SHARED)
        features.check_sharing(definition.features, gallery.effective_mode, version.name, found)
        version_encryption.check_gallery(gallery, version, found)
        _check_definition(version, definition, placed, found)
        version = version_encryption.find_sets(tx, version, placed, found)
        if filled.missing is not None and not found.fields:
            raise filled.missing
        found.raise_if_any()
        checks.not_going(tx, definition)
        _refuse_taken(tx, version)
        version_limits.check_load(tx, version, limits.versions_per_source)
        accepted = version_contents.acceptance(version, seen, context)
        if accepted is not None and not command.validate_only:
            # In the order of the version's messages: the log has it before a byte is copied.
            tx.outbox.add(version.uid, APPEND_AUDIT, accepted)
        return start(tx, version, command, context, authority=authority)

    return mutation.commit(work)


def start(
    tx: Tx,
    version: Version,
    command: CreateVersion,
    context: Context,
    *,
    authority: Authority,
) -> StartedOperation:
    """Write a new version, what is wanted of it, and the operation that waits for it."""
    statuses = [
        RegionStatus(one.location, index, version.count_in(one), version.generation)
        for index, one in enumerate(version.target_regions)
    ]
    version = replace(version, state=provisioning_state(version, statuses))
    tx.usage.admit_replicas(version, (), statuses)
    # Of a call that is validated only it is undone, once the limits have been asked.
    tx.versions.insert(version, uefi=command.uefi)
    if command.validate_only:
        return tx.operations.preview_version(version, statuses)
    tx.versions.put_regions(version, statuses)
    tx.uses.replace(version.name, needed_by(version))
    source_holds.keep(tx, version)
    tx.outbox.add(version.uid, ENSURE_REPLICAS, desired_of(version, authority))
    change = VersionChange(
        verb="create",
        version_uid=version.uid,
        generation=version.generation,
        wait_for=command.wait_for,
        regions=tuple(one.location for one in version.target_regions),
        home=version.location,
    )
    done = command.wait_for is WaitMode.ACCEPTED
    return tx.operations.start_version_change(
        change, version, statuses, owner=context.caller.id, done=done
    )


def _check_definition(
    version: Version,
    definition: Definition,
    placed: Sequence[Placement],
    violations: Violations,
) -> None:
    """Note what does not fit the definition of a version, or its disks."""
    security = features.security_type(features.in_force(definition.features, version.number))
    check_confidential(placed, security, violations)
    encryption_rules.check_confidential(placed, security, violations)
    if version.source is not None:
        disks = [one.disk for one in version.disks]
        encryption_rules.check_disks(placed, disks, violations, stored=True)
    if version.uefi_digest and definition.hyper_v_generation is HyperVGeneration.V1:
        violations.precondition(
            "UEFI_SETTINGS", UEFI, f"{definition.name} is of generation V1, which has no UEFI"
        )


def _refuse_taken(tx: Tx, version: Version) -> None:
    existing = tx.versions.get(version.key)
    if existing is None:
        return
    if existing.soft_deleted:
        purge = existing.purge_time.isoformat() if existing.purge_time else ""
        raise AlreadyExists(
            f"{existing.name} is soft-deleted, and holds the number until it is purged",
            reason=reasons.VERSION_NUMBER_SOFT_DELETED,
            metadata={"resource": existing.name, "purge_time": purge},
            resource=ResourceInfo(names.VERSION_TYPE, existing.name),
        )
    if existing.name.rpartition("/")[2] != version.name.rpartition("/")[2]:
        raise AlreadyExists(
            f"{existing.name} has the same number",
            reason=reasons.VERSION_NUMBER_TAKEN,
            metadata={"resource": existing.name},
            resource=ResourceInfo(names.VERSION_TYPE, existing.name),
        )
    raise checks.taken(names.VERSION_TYPE, version.location, existing)
