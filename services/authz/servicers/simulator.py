"""Does proposed writes one after the other, and tells what the policy would be after each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from stoa.authz.v1 import simulation_pb2 as pb

from services.authz.convert.sharing import step_of
from services.authz.domain.names import GALLERY
from services.authz.domain.sharing_steps import MODES, Operation
from services.authz.ports.policy import Command, Unit
from services.authz.servicers.proposing import Proposals
from services.authz.servicers.writing import Context
from services.authz.usecases import sharing
from services.authz.usecases.digests import SimulationDigests
from services.authz.usecases.limits import Limits
from services.kernel.ids import new_uid
from services.kernel.names import ROOT, key
from services.kernel.rpc.call import Call
from services.policy.index import PolicyIndex
from services.policy.model import (
    Change,
    DenyAssignment,
    EligibleAssignment,
    RoleAssignment,
    SharingMode,
)

_SHARE: Final = "Microsoft.Compute/galleries/share/action"


@dataclass(slots=True)
class Simulated:
    """The policy before, between and after writes, and what each of them means to decisions.

    `digest` is that of a change of sharing, with when it lapses; `spelled` are names that the
    writes would have brought along.
    """

    now: datetime
    roots: list[PolicyIndex]
    steps: list[Sequence[Change]] = field(default_factory=list)
    spelled: dict[str, str] = field(default_factory=dict)
    digest: tuple[str, datetime] | None = None


class Simulator:
    """Does writes in a transaction that is rolled back."""

    def __init__(
        self, context: Context, proposals: Proposals, limits: Limits, digests: SimulationDigests
    ) -> None:
        self._context: Final = context
        self._proposals: Final = proposals
        self._limits: Final = limits
        self._digests: Final = digests

    def simulate(self, request: pb.SimulateChangeRequest, call: Call) -> Simulated:
        """Do the writes of a request in their order, and keep nothing.

        Raises:
            StoaError: as the first write that would be refused.
        """
        found: list[Simulated] = []
        caller = self._context.caller_name(call)

        def work(unit: Unit) -> Simulated:
            done = Simulated(unit.now, [unit.index])
            for position, change in enumerate(request.changes):
                kind = change.WhichOneof("change") or ""
                proposed = getattr(change, kind)
                if isinstance(proposed, pb.ProposedSharing):
                    field = f"changes[{position}].{kind}"
                    done.digest = self._share(_Doing(unit, call, done, field), proposed)
                else:
                    self._proposals.propose(
                        unit, proposed, call=call, caller=caller, base=done.roots[0]
                    )
                done.steps.append(unit.advance())
                done.roots.append(unit.index)
                done.spelled |= unit.facts.spelled(_scopes(done.steps[-1]))
            if len(request.changes) > 1:
                # A digest is that of one step by itself.
                done.digest = None
            found.append(done)
            return done

        command = Command(method=call.policy.path[1:], resource=ROOT, caller_id=call.caller.id)
        self._context.store.write(command, work, lambda _: b"", validate_only=True)
        # A transaction may be begun again.
        return found[-1]

    def _share(self, doing: "_Doing", proposed: pb.ProposedSharing) -> tuple[str, datetime]:
        """Take a step in the sharing of a gallery; answer its digest."""
        unit, call, done = doing.unit, doing.call, doing.done
        gallery = GALLERY.parse(proposed.gallery, field=f"{doing.field}.gallery").text
        if not call.caller.is_workload:
            self._context.control.at(call.caller, done.roots[0]).require(_SHARE, gallery)
        before = unit.facts.sharing_grant(key(gallery))
        step = step_of(proposed.change)
        # What the catalog says of a gallery is known here once something was shared. Until then,
        # and while nothing is, it may be in the mode that the step is one of.
        mode = MODES.get(step.operation, SharingMode.PRIVATE)
        if before is not None and before.shares_anything and step.operation is not Operation.RESET:
            mode = before.mode
        asked = sharing.Apply(
            gallery=gallery if before is None else before.gallery,
            gallery_uid=new_uid() if before is None else before.gallery_uid,
            sequence=1 if before is None else before.sequence + 1,
            mode=mode,
            shared_id="" if before is None else before.shared_id,
            content=b"",
            public_name="" if before is None else before.public_name,
            allow_copy=before is not None and before.allow_copy,
            step=step,
            dry=True,
        )
        sharing.apply(unit, asked, self._limits, call.violations, digests=self._digests)
        done.spelled[key(gallery)] = asked.gallery
        return self._digests.make(gallery, step, before, now=unit.now)


@dataclass(frozen=True, slots=True)
class _Doing:
    """Where a simulation is: in a transaction, at a field of the request."""

    unit: Unit
    call: Call
    done: Simulated
    field: str


def _scopes(changes: Sequence[Change]) -> set[str]:
    """Answer the scopes of what was written."""
    return {
        one.scope
        for one in changes
        if isinstance(one, RoleAssignment | DenyAssignment | EligibleAssignment)
    }
