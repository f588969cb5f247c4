"""Deleting an image version for good."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.catalog.domain import names, reasons
from services.catalog.domain.desired import (
    DELETE_ACTION,
    DELETE_VERSION,
    Authority,
    desired_of,
)
from services.catalog.domain.region_status import RegionState
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.version import Version
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.updates import check_etag
from services.catalog.usecases.version_create import authority_of
from services.kernel.errors import (
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
    ResourceInfo,
    Unimplemented,
)
from services.kernel.names import Name

_NAMED = 20


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    """A version to be deleted; `purge` passes over the soft delete of its gallery."""

    name: Name
    etag: str = ""
    purge: bool = False
    validate_only: bool = False


def delete(command: DeleteVersion, context: Context, mutation: Mutation[StartedOperation]) -> bytes:
    """Begin to delete a version: from now on it can be used nowhere.

    It cancels whatever is being done to the version, and wins. A repeated call answers the
    operation that is under way.

    Raises:
        InvalidArgument: the request is wrong.
        NotFound: there is no such version, or VERSION_DELETED.
        FailedPrecondition: DELETION_BLOCKED_UNTIL_END_OF_LIFE or SOURCE_IN_USE.
        Aborted: ETAG_MISMATCH.
    """
    context.violations.raise_if_any()
    demand = Demand(DELETE_ACTION, command.name.text, "name")
    authority = authority_of(context, DELETE_ACTION, (demand,))

    def work(tx: Tx) -> StartedOperation:
        version = tx.versions.get(command.name.key, lock=True)
        if version is None:
            raise missing(command.name.text, tx.versions.deleted(command.name.key))
        check_etag(command.etag, version)
        under_way = tx.operations.unfinished_delete(version.name)
        if under_way is not None:
            return under_way
        _refuse_blocked(tx, version, context)
        _refuse_soft(tx, version, command)
        if command.validate_only:
            return tx.operations.preview_delete((version.name,))
        return _start(tx, version, context, authority)

    return mutation.commit(work)


def _start(tx: Tx, version: Version, context: Context, authority: Authority) -> StartedOperation:
    going = replace(
        version,
        state=ProvisioningState.DELETING,
        generation=version.generation + 1,
        policy_revision=context.access.revision,
    )
    regions = [
        replace(one, usable=False, position=None, state=RegionState.REMOVING)
        for one in tx.versions.regions(version.uid)
    ]
    tx.versions.write(going, regions)
    tx.operations.cancel_changes(version.name, "the version is being deleted")
    # The subject may lose the right meanwhile: a version that goes is never held up by that.
    tx.outbox.add(version.uid, DELETE_VERSION, desired_of(going, replace(authority, demands=())))
    return tx.operations.start_delete(
        version.name, owner=context.caller.id, resources=(version.name,), detail={}
    )


def finish(tx: Tx, uid: str) -> None:
    """Remove a version that no region answers for any more; again: nothing."""
    version = tx.versions.by_uid(uid, lock=True)
    if version is None:
        return
    tx.versions.forget(version)
    tx.uses.remove(version.key)
    tx.operations.finish_delete(version.name)


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


def _refuse_blocked(tx: Tx, version: Version, context: Context) -> None:
    end, safety = version.end_of_life_time, version.safety
    if (
        safety is not None
        and safety.block_deletion_before_end_of_life
        and end is not None
        and end > context.clock.now()
    ):
        _refuse(
            version,
            reasons.DELETION_BLOCKED_UNTIL_END_OF_LIFE,
            f"{version.name} may not be deleted before {end.isoformat()}",
            {"end_of_life_time": end.isoformat()},
        )
    users = tx.uses.users(version.key, _NAMED)
    if users:
        _refuse(
            version,
            reasons.SOURCE_IN_USE,
            f"{version.name} is needed by {', '.join(users)}",
            {"users": ",".join(users)},
        )


def _refuse_soft(tx: Tx, version: Version, command: DeleteVersion) -> None:
    gallery = tx.galleries.get(command.name.parent().parent().key)
    if gallery is None or gallery.soft_delete is None or not gallery.soft_delete.enabled:
        return
    if not command.purge:
        raise Unimplemented(f"soft delete of {version.name} is not built yet: use purge")


def _refuse(version: Version, reason: str, description: str, metadata: dict[str, str]) -> None:
    raise FailedPrecondition(
        description,
        reason=reason,
        metadata={"resource": version.name, **metadata},
        precondition=[PreconditionViolation(reason, version.name, description)],
    )
