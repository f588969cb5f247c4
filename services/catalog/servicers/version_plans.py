"""Plans of changes: a planned call is rehearsed as if it had come, and undone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb

from services.catalog.domain.desired import WRITE_ACTION
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.version_changes import Use, VersionChanges
from services.catalog.usecases import version_plan
from services.catalog.usecases.version_plan import Rehearsed
from services.kernel.names import Name, key
from services.kernel.rpc.call import Call
from services.kernel.violations import Violations, nested

_NAME: Final = "name"


class VersionPlans:
    """Answers `PlanImageVersion`."""

    def __init__(self, dependencies: Dependencies, changes: VersionChanges) -> None:
        self._d: Final = dependencies
        self._changes: Final = changes

    def plan(self, request: requests_pb.PlanImageVersionRequest, call: Call) -> bytes:
        """Begin the operation that plans."""
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.started,
            names=(_NAME,),
            use=lambda context, mutation: self._use(request, call, context, mutation),
        )

    def _use(
        self,
        request: requests_pb.PlanImageVersionRequest,
        call: Call,
        context: Context,
        mutation: Mutation[StartedOperation],
    ) -> bytes:
        name = mutations.scope_of(call)
        kind = request.WhichOneof("change")
        if kind is None:
            call.violations.raise_if_any()
            raise AssertionError("the contract demands a change")
        planned = type(getattr(request, kind))()
        planned.CopyFrom(getattr(request, kind))
        # A call that is only validated leaves off before it says what it wants.
        planned.validate_only = False
        _check_version(kind, planned, name, call.violations)
        if kind == "create":
            call.access.require(WRITE_ACTION, name.parent().text)
        rehearsal = Rehearsal(self._d, name)
        with nested(kind, call.violations) as violations:
            self._made_ready(kind, planned, call, name)(
                replace(context, violations=violations), rehearsal
            )
        rehearsed = rehearsal.result
        return mutation.commit(lambda tx: version_plan.start(tx, name, rehearsed, context))

    def _made_ready(self, kind: Any, planned: Any, call: Call, name: Name) -> Use:
        match kind:
            case "create":
                return self._changes.create(planned, call, name.parent())
            case "update":
                return self._changes.update(planned, call)
            case "add_target_regions" | "remove_target_regions" | "set_replica_counts":
                return self._changes.targets(planned, name)
            case "promote":
                return self._changes.promote(planned, name)
            case _:
                raise AssertionError(f"{kind} is no change of the contract")


class Rehearsal:
    """Fulfils the port `Mutation` for a planned call: its work is done, looked at and undone."""

    def __init__(self, dependencies: Dependencies, name: Name) -> None:
        self._d: Final = dependencies
        self._name: Final = name
        self._result: Rehearsed | None = None

    @property
    def result(self) -> Rehearsed:
        """What the work would have made of the version."""
        if self._result is None:
            raise AssertionError("a use case commits, or raises")
        return self._result

    def commit(self, work: Callable[[Tx], object]) -> bytes:
        """Run `work` in a transaction that leaves nothing behind."""

        def run(connection: Any) -> None:
            raise _UndoneError(
                self._d.run(connection, lambda tx: version_plan.rehearse(tx, self._name, work))
            )

        try:
            self._d.db.transact(run)
        except _UndoneError as undone:
            self._result = undone.rehearsed
        return b""


class _UndoneError(Exception):
    """Carries what a planned call would have done out of the transaction that it undoes."""

    def __init__(self, rehearsed: Rehearsed) -> None:
        super().__init__("rehearsed only")
        self.rehearsed: Final = rehearsed


def _check_version(kind: str, planned: Any, name: Name, violations: Violations) -> None:
    """Note a planned call that is about another version."""
    if kind == "create":
        about = f"{planned.parent}/versions/{planned.image_version_id}"
    elif kind == "update":
        about = planned.image_version.name
    else:
        about = planned.name
    if key(about) != name.key:
        violations.add(_NAME, f"the planned call is about '{about}'")
