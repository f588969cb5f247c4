"""Having a soft-deleted version back."""

from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import encryption_rules, features, reasons
from services.catalog.domain.desired import ENSURE_REPLICAS, WRITE_ACTION, Authority, desired_of
from services.catalog.domain.gallery import SharingMode
from services.catalog.domain.progress import provisioning_state
from services.catalog.domain.targets import Placement, check_capacity, check_confidential
from services.catalog.domain.version import Version, VersionState, WaitMode
from services.catalog.ports.calls import Context, Subscriptions
from services.catalog.ports.operations import StartedOperation, VersionChange
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks, version_encryption
from services.catalog.usecases.definitions import check_gallery, check_plan
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.next_generation import next_statuses
from services.catalog.usecases.updates import check_etag, revised
from services.catalog.usecases.version_delete import missing
from services.kernel.names import Name, parent
from services.kernel.violations import Violations

_SHARED: Final = frozenset({SharingMode.GROUPS, SharingMode.COMMUNITY})


@dataclass(frozen=True, slots=True)
class UndeleteVersion:
    """A soft-deleted version to be had back."""

    name: Name
    etag: str = ""
    wait_for: WaitMode = WaitMode.ALL_REGIONS
    validate_only: bool = False


def undelete(
    command: UndeleteVersion,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    subscriptions: Subscriptions,
) -> bytes:
    """Make a soft-deleted version ACTIVE again, with the counts that it had: a new generation.

    It comes back in its home region and all others; those that no replica was kept in are copied
    again.

    Raises:
        InvalidArgument: the request is wrong.
        FailedPrecondition: VERSION_NOT_DELETED, or what a region or the gallery does not have or
            forbids by now.
        NotFound: there is no such version, or VERSION_DELETED.
        Aborted: ETAG_MISMATCH, or OPERATION_IN_PROGRESS: its soft delete is not done, it is being
            purged, or it is being undeleted already.
        ResourceExhausted: QUOTA_EXCEEDED.
    """
    name = command.name
    demand = Demand(WRITE_ACTION, name.text, "name")
    authority = authority_of(context, WRITE_ACTION, (demand,))
    checks.subscription(subscriptions, name.text, context.violations)

    def work(tx: Tx) -> StartedOperation:
        violations = context.violations.copy()
        version = tx.versions.get(name.key, lock=True)
        if version is None:
            violations.raise_if_any()
            raise missing(name.text, tx.versions.deleted(name.key))
        if version.soft_deleted:
            _check(tx, version, violations)
        elif not version.deleting and not tx.operations.undeleting(version.name):
            _refuse_active(version, violations)
        violations.raise_if_any()
        checks.not_going(tx, version)
        under_way = tx.operations.unfinished_delete(version.name, soft=True)
        if under_way is not None:
            raise checks.in_progress(version, "is being soft-deleted", under_way.name)
        check_etag(command.etag, version)
        if version.purge_time is not None and version.purge_time <= context.clock.now():
            raise missing(name.text, version.purge_time)
        return _restore(tx, version, command, context, authority=authority)

    return mutation.commit(work)


def _restore(
    tx: Tx,
    version: Version,
    command: UndeleteVersion,
    context: Context,
    *,
    authority: Authority,
) -> StartedOperation:
    restored = revised(
        version,
        context,
        version_state=VersionState.ACTIVE,
        delete_time=None,
        consumption_end_time=None,
        purge_time=None,
        retention_ended=False,
        generation=version.generation + 1,
    )
    locations = tuple(one.location for one in restored.target_regions)
    before = tx.versions.regions(version.uid)
    statuses = next_statuses(restored, before, locations)
    restored = replace(restored, state=provisioning_state(restored, statuses))
    tx.usage.admit_replicas(restored, before, statuses)
    if command.validate_only:
        return tx.operations.preview_version(restored, statuses)
    tx.versions.write(restored, statuses)
    tx.outbox.add(restored.uid, ENSURE_REPLICAS, desired_of(restored, authority))
    change = VersionChange(
        verb="undelete",
        version_uid=restored.uid,
        generation=restored.generation,
        wait_for=command.wait_for,
        regions=locations,
        home=restored.location,
    )
    done = command.wait_for is WaitMode.ACCEPTED
    return tx.operations.start_version_change(
        change, restored, statuses, owner=context.caller.id, done=done
    )


def _check(tx: Tx, version: Version, violations: Violations) -> None:
    """Note what the regions or the gallery do not have, or do not allow, any more."""
    regions = tx.regions.of([one.location for one in version.target_regions])
    placed = [
        Placement(one, regions[one.location], f"regions/{one.location}")
        for one in version.target_regions
        if one.location in regions
    ]
    check_capacity(replace(version, version_state=VersionState.ACTIVE), placed, violations)
    definition = tx.definitions.get(parent(version.key), share=True)
    gallery = tx.galleries.get(parent(parent(version.key)), share=True)
    if definition is None or gallery is None:
        raise AssertionError(f"{version.name} lies in a definition of a gallery")
    security = features.security_type(features.in_force(definition.features, version.number))
    check_confidential(placed, security, violations)
    encryption_rules.check_confidential(placed, security, violations)
    check_gallery(gallery, version.name, version.location, violations, modes=_SHARED)
    check_plan(definition.purchase_plan, gallery, version.name, violations)
    features.check_sharing(definition.features, gallery.effective_mode, version.name, violations)
    version_encryption.check_gallery(gallery, version, violations)


def _refuse_active(version: Version, violations: Violations) -> None:
    violations.precondition(
        reasons.VERSION_NOT_DELETED,
        version.name,
        f"{version.name} is not soft-deleted",
        reason=reasons.VERSION_NOT_DELETED,
        metadata={"resource": version.name},
    )
