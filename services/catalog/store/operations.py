"""Long-running operations of the catalog, over the kernel's table."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from services.catalog.convert import change_metadata, plans
from services.catalog.convert import operations as convert
from services.catalog.domain.names import subscription_of
from services.catalog.domain.plan import VersionPlan
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.version import Version, WaitMode
from services.catalog.ports.operations import StartedOperation, VersionChange
from services.kernel.clock import Clock
from services.kernel.db.operations import Operation, OperationStore
from services.kernel.errors import StoaError
from services.kernel.rpc.servicers.operations import encoded

_DELETE: Final = "delete"
_PLAN: Final = "plan"
# The verbs of operations that do not wait for regions.
_NO_CHANGES: Final = frozenset({_DELETE, _PLAN})
UNDELETE: Final = "undelete"


class CatalogOperations:
    """The operations in one transaction.

    `detail` of a change of a version holds what it waits for, so that whoever brings the regions
    up to date ends the operation in the same transaction.
    """

    def __init__(self, tx: Connection, store: OperationStore, clock: Clock) -> None:
        self._tx: Final = tx
        self._store: Final = store
        self._clock: Final = clock

    def start_version_change(
        self,
        change: VersionChange,
        version: Version,
        regions: Sequence[RegionStatus],
        *,
        owner: str,
        done: bool,
    ) -> StartedOperation:
        """Begin the operation of a change of a version; `done` ends it at once."""
        now = self._clock.now()
        metadata = change_metadata.began(
            change, version, _waited_for(change, regions), create_time=now, done=done
        )
        operation = self._store.create(
            self._tx,
            subscription=subscription_of(version.name),
            owner=owner,
            verb=change.verb,
            target=version.name,
            metadata=metadata,
            detail={
                "generation": change.generation,
                "wait_for": change.wait_for.value,
                "regions": list(change.regions),
                "home": change.home,
                "uid": change.version_uid,
            },
        )
        if done:
            self._store.succeed(
                self._tx, operation.name, convert.version_response(version, regions)
            )
        return self._answer(operation.name)

    def start_delete(
        self,
        target: str,
        *,
        owner: str,
        resources: Sequence[str],
        regions: Sequence[RegionStatus] = (),
        soft: bool = False,
    ) -> StartedOperation:
        """Begin the operation that deletes `target`, the last of `resources`.

        `regions` are told to let go of the bytes. A `soft` one deletes a version that can be had
        back.
        """
        operation = self._store.create(
            self._tx,
            subscription=subscription_of(target),
            owner=owner,
            verb=_DELETE,
            target=target,
            metadata=convert.delete_metadata(
                target, resources, create_time=self._clock.now(), regions=regions
            ),
            detail={"soft": soft},
        )
        return self._answer(operation.name)

    def preview_version(
        self, version: Version, regions: Sequence[RegionStatus]
    ) -> StartedOperation:
        """Answer a finished operation without a name, with the version as it would be."""
        response = convert.version_response(version, regions)
        return StartedOperation("", True, convert.finished(response=response))

    def preview_delete(self, resources: Sequence[str]) -> StartedOperation:
        """Answer a finished operation without a name, with what would be deleted."""
        now = self._clock.now()
        metadata = convert.delete_metadata(resources[-1], resources, create_time=now, end_time=now)
        serialized = convert.finished(response=convert.nothing(), metadata=metadata)
        return StartedOperation("", True, serialized)

    def start_plan(self, target: str, *, owner: str, total_bytes: int) -> StartedOperation:
        """Begin the operation that plans a change of `target`, whose sources have so many bytes."""
        operation = self._store.create(
            self._tx,
            subscription=subscription_of(target),
            owner=owner,
            verb=_PLAN,
            target=target,
            metadata=plans.plan_metadata(target, total_bytes, create_time=self._clock.now()),
        )
        return self._answer(operation.name)

    def is_planning(self, name: str) -> bool:
        """Whether an operation that plans has not ended."""
        operation = self._store.get(self._tx, name)
        return operation is not None and not operation.done

    def finish_plan(self, name: str, plan: VersionPlan) -> None:
        """End an operation that plans, if it has not ended."""
        operation = self._store.get(self._tx, name)
        if operation is not None:
            now = self._clock.now()
            metadata = plans.plan_ended(operation.metadata, "done", now)
            self._store.succeed(self._tx, name, plans.plan_response(plan, now), metadata=metadata)

    def fail_plan(self, name: str, error: StoaError) -> None:
        """End an operation that plans with an error, if it has not ended."""
        operation = self._store.get(self._tx, name)
        if operation is not None:
            metadata = plans.plan_ended(operation.metadata, error.message, self._clock.now())
            self._store.fail(self._tx, name, convert.refused(error), metadata=metadata)

    def unfinished_delete(self, target: str, *, soft: bool = False) -> StartedOperation | None:
        """Answer the operation that deletes `target` already, for good or softly."""
        found = self._deleting(target, soft=soft)
        return None if found is None else self._answer(found.name)

    def undeleting(self, target: str) -> str:
        """Answer the name of the operation that has `target` back, empty for none."""
        found = self._store.unfinished(self._tx, target)
        return next((one.name for one in found if one.verb == UNDELETE), "")

    def blocking(self, target: str) -> str:
        """Answer the name of the oldest unfinished operation on `target`, empty for none."""
        found = self._store.unfinished(self._tx, target)
        return next((one.name for one in found if one.verb != _PLAN), "")

    def advance(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Bring the operations on a version up to date, and end those that are done."""
        for operation in self._store.unfinished(self._tx, version.name):
            if operation.verb not in _NO_CHANGES and operation.detail["uid"] == version.uid:
                self._advance(operation, version, regions)

    def cancel_changes(self, target: str, message: str) -> None:
        """End the unfinished changes of `target` as CANCELLED."""
        for operation in self._store.unfinished(self._tx, target):
            if operation.verb not in _NO_CHANGES:
                metadata = change_metadata.ended(operation.metadata, message, self._clock.now())
                error = convert.cancelled(message)
                self._store.fail(self._tx, operation.name, error, metadata=metadata)

    def cancelling(self, name: str) -> VersionChange | None:
        """Show that the cancellation of an operation was asked for.

        Answers the change of a version that it is; None for a deletion, which goes on, and for a
        plan, which ends here.
        """
        operation = self._store.require(self._tx, name)
        if operation.verb == _PLAN:
            message = "cancelled on request"
            ended = plans.plan_ended(operation.metadata, message, self._clock.now(), cancelled=True)
            self._store.fail(self._tx, name, convert.cancelled(message), metadata=ended)
            return None
        if operation.verb == _DELETE:
            metadata = convert.delete_progress(operation.metadata, 0, cancel_requested=True)
            self._store.progress(self._tx, name, metadata)
            return None
        self._store.progress(self._tx, name, change_metadata.cancelling(operation.metadata))
        return _change(operation)

    def awaited(self, target: str) -> frozenset[str]:
        """Answer the regions of the unfinished changes of `target` that nobody cancelled."""
        return frozenset(
            location
            for operation in self._store.unfinished(self._tx, target)
            if operation.verb not in _NO_CHANGES and not operation.cancel_requested
            for location in _change(operation).awaited
        )

    def count_deleted(self, target: str) -> None:
        """Count one more that is gone of what the deletion of `target` takes along, if any."""
        operation = self._deleting(target)
        if operation is not None:
            cancelled = operation.cancel_requested
            metadata = convert.delete_progress(operation.metadata, 1, cancel_requested=cancelled)
            self._store.progress(self._tx, operation.name, metadata)

    def finish_delete(self, target: str, *, soft: bool = False) -> None:
        """End the operation that deletes `target`, for good or softly, if there is one."""
        operation = self._deleting(target, soft=soft)
        if operation is None:
            return
        metadata = convert.delete_progress(
            operation.metadata,
            0 if soft else 1,
            cancel_requested=operation.cancel_requested,
            end_time=self._clock.now(),
        )
        self._store.succeed(self._tx, operation.name, convert.nothing(), metadata=metadata)

    def _advance(
        self, operation: Operation, version: Version, regions: Sequence[RegionStatus]
    ) -> None:
        change = _change(operation)
        waited = _waited_for(change, regions)
        due = [one for one in waited if not _done(one, change)]
        metadata = change_metadata.advanced(
            operation.metadata, change, version, waited, due=due, now=self._clock.now()
        )
        if due:
            self._store.progress(self._tx, operation.name, metadata)
            return
        failed = [one for one in waited if one.state.failed]
        if failed:
            named = ", ".join(one.location for one in failed)
            error = (
                convert.cancelled(f"cancelled on request before it was done in {named}")
                if operation.cancel_requested
                else convert.regions_failed(failed, version.replication)
            )
            self._store.fail(self._tx, operation.name, error, metadata=metadata)
        else:
            response = convert.version_response(version, regions)
            self._store.succeed(self._tx, operation.name, response, metadata=metadata)

    def _deleting(self, target: str, *, soft: bool = False) -> Operation | None:
        found = self._store.unfinished(self._tx, target)
        # The first release had no soft delete, and did not say so.
        return next(
            (one for one in found if one.verb == _DELETE and one.detail.get("soft", False) is soft),
            None,
        )

    def _answer(self, name: str) -> StartedOperation:
        operation = self._store.require(self._tx, name)
        return StartedOperation(name, operation.done, encoded(operation).SerializeToString())


def _change(operation: Operation) -> VersionChange:
    detail = operation.detail
    return VersionChange(
        verb=operation.verb,
        version_uid=detail["uid"],
        generation=detail["generation"],
        wait_for=WaitMode(detail["wait_for"]),
        regions=tuple(detail["regions"]),
        home=detail["home"],
    )


def _waited_for(change: VersionChange, regions: Sequence[RegionStatus]) -> list[RegionStatus]:
    """Answer the regions that a change waits for, as they are now.

    One that is not there any more was removed.
    """
    wanted = set(change.awaited)
    found = [one for one in regions if one.location in wanted]
    gone = sorted(wanted - {one.location for one in found})
    return found + [
        RegionStatus(location, None, 0, change.generation, RegionState.REMOVED) for location in gone
    ]


def _done(region: RegionStatus, change: VersionChange) -> bool:
    # A region that is being removed is done when its row is gone, or it was refused for good.
    if region.removing:
        return region.state in {RegionState.REMOVED, RegionState.FAILED}
    return region.state.terminal and region.done_with(change.generation)
