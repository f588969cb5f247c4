"""Deleting an image version: softly where its gallery says so, or for good."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from services.catalog.domain import names, reasons
from services.catalog.domain.desired import (
    DELETE_ACTION,
    DELETE_VERSION,
    SOFT_DELETE_VERSION,
    Authority,
    desired_of,
)
from services.catalog.domain.gallery import SoftDeletePolicy
from services.catalog.domain.progress import provisioning_state
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.version import Version, VersionState
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import deletes, deletion_blocks, source_holds
from services.catalog.usecases.deletion_blocks import Block
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.updates import check_etag, revised
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.names import Name, parent


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    """A version to be deleted; `purge` passes over the soft delete of its gallery."""

    name: Name
    etag: str = ""
    purge: bool = False
    validate_only: bool = False


def delete(command: DeleteVersion, context: Context, mutation: Mutation[StartedOperation]) -> bytes:
    """Begin to delete a version, softly or for good.

    It cancels whatever is being done to the version, and wins. A repeated call answers the
    operation that is under way.

    Raises:
        InvalidArgument: the request is wrong.
        NotFound: there is no such version, or VERSION_DELETED.
        FailedPrecondition: VERSION_SOFT_DELETED, DELETION_BLOCKED_UNTIL_END_OF_LIFE or
            SOURCE_IN_USE.
        Aborted: ETAG_MISMATCH.
    """
    context.violations.raise_if_any()
    demand = Demand(DELETE_ACTION, command.name.text, "name")
    authority = authority_of(context, DELETE_ACTION, (demand,))

    def work(tx: Tx) -> StartedOperation:
        version = tx.versions.get(command.name.key, lock=True)
        if version is None:
            raise missing(command.name.text, tx.versions.deleted(command.name.key))
        under_way = tx.operations.unfinished_delete(version.name)
        if under_way is None and not command.purge:
            under_way = tx.operations.unfinished_delete(version.name, soft=True)
        if under_way is not None:
            return under_way
        check_etag(command.etag, version)
        deletion_blocks.refuse([*_blocks(tx, version, context, purge=command.purge)])
        if command.validate_only:
            return tx.operations.preview_delete((version.name,))
        policy = _policy(tx, version)
        if policy is not None and not command.purge:
            return _delete_softly(tx, version, policy, context, authority=authority)
        going = begin(tx, version, authority)
        return tx.operations.start_delete(
            version.name, owner=context.caller.id, resources=(version.name,), regions=going
        )

    try:
        return mutation.commit(work)
    except deletion_blocks.BlockedError as blocked:
        raise deletion_blocks.error_of(blocked, context) from blocked


def begin(tx: Tx, version: Version, authority: Authority) -> list[RegionStatus]:
    """Begin to delete a version for good: from now on it can be used nowhere.

    Answers its regions, which are told to let go of the bytes.
    """
    going = replace(
        version,
        state=ProvisioningState.DELETING,
        generation=version.generation + 1,
        policy_revision=authority.revision,
    )
    regions = [_leaving(one) for one in tx.versions.regions(version.uid)]
    tx.versions.write(going, regions)
    tx.operations.cancel_changes(version.name, "the version is being deleted")
    # What was to be had back goes with the rest: the soft delete is done, and more.
    tx.operations.finish_delete(version.name, soft=True)
    # The subject may lose the right meanwhile: a version that goes is never held up by that.
    tx.outbox.add(version.uid, DELETE_VERSION, desired_of(going, replace(authority, demands=())))
    return regions


def finish(tx: Tx, uid: str) -> None:
    """Remove a version that no region answers for any more; again: nothing."""
    version = tx.versions.by_uid(uid, lock=True)
    if version is None:
        return
    tx.versions.forget(version)
    tx.uses.remove(version.key)
    source_holds.let_go(tx, version)
    tx.operations.finish_delete(version.name)
    deletes.child_gone(tx, version.name)


def finish_softly(tx: Tx, uid: str, generation: int) -> None:
    """End a soft delete that replication has taken in; again, or when overtaken: nothing."""
    version = tx.versions.by_uid(uid, lock=True)
    if version is not None and version.generation == generation:
        tx.operations.finish_delete(version.name, soft=True)


def missing(name: str, deleted: datetime | None) -> NotFound:
    """Build the error for a version that is not there, or not there any more."""
    if deleted is None:
        return NotFound.of(names.VERSION_TYPE, name)
    return NotFound(
        f"{name} was deleted",
        reason=reasons.VERSION_DELETED,
        metadata={"resource": name, "delete_time": deleted.isoformat()},
        resource=ResourceInfo(names.VERSION_TYPE, name),
    )


def _delete_softly(
    tx: Tx,
    version: Version,
    policy: SoftDeletePolicy,
    context: Context,
    *,
    authority: Authority,
) -> StartedOperation:
    """Keep a version with one replica in each region that has it, until it is purged.

    What was being copied stops: a deletion begins no copy, and what failed is not tried again.
    Undeleting brings the other regions back.
    """
    now = context.clock.now()
    end = now + policy.retention
    deleted = revised(
        version,
        context,
        version_state=VersionState.SOFT_DELETED,
        delete_time=now,
        consumption_end_time=end,
        purge_time=end + policy.grace,
        generation=version.generation + 1,
    )
    regions = [
        _kept(one, deleted.generation) if one.usable else _leaving(one)
        for one in tx.versions.regions(version.uid)
    ]
    deleted = replace(deleted, state=provisioning_state(deleted, regions))
    tx.versions.write(deleted, regions)
    tx.operations.cancel_changes(version.name, "the version is soft-deleted")
    kept = {one.location for one in regions if not one.removing}
    desired = desired_of(deleted, replace(authority, demands=()))
    wanted = tuple(one for one in desired.regions if one.location in kept)
    tx.outbox.add(version.uid, SOFT_DELETE_VERSION, replace(desired, regions=wanted))
    return tx.operations.start_delete(
        version.name,
        owner=context.caller.id,
        resources=(version.name,),
        regions=[one for one in regions if one.removing],
        soft=True,
    )


def _kept(region: RegionStatus, generation: int) -> RegionStatus:
    return replace(region, wanted=1, wanted_since=generation)


def _leaving(region: RegionStatus) -> RegionStatus:
    return replace(region, usable=False, position=None, state=RegionState.REMOVING)


def _blocks(tx: Tx, version: Version, context: Context, *, purge: bool) -> Iterator[Block]:
    if version.soft_deleted and not purge:
        yield soft_deleted_block(version)
    yield from deletion_blocks.of_version(version, context.clock.now())
    yield from deletion_blocks.of_uses(tx, version.key, (version,))


def soft_deleted_block(version: Version) -> Block:
    """Answer that a version is soft-deleted, which forbids more than to purge it."""
    purge_time = version.purge_time.isoformat() if version.purge_time else ""
    return Block(
        reasons.VERSION_SOFT_DELETED,
        version.name,
        f"{version.name} is soft-deleted: undelete it first, or purge it",
        {"resource": version.name, "purge_time": purge_time},
    )


def _policy(tx: Tx, version: Version) -> SoftDeletePolicy | None:
    """Answer the soft-delete policy that holds for a version, None where it goes for good."""
    gallery = tx.galleries.get(parent(parent(version.key)), share=True)
    if gallery is None or gallery.soft_delete is None or not gallery.soft_delete.enabled:
        return None
    return gallery.soft_delete
