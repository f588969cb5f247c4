"""Does writes that are only proposed, by the servicers of the real ones, and keeps nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message

from services.authz.ports.policy import Unit
from services.authz.servicers.questioning import READ_ASSIGNMENTS
from services.authz.servicers.writing import About, Context
from services.kernel.names import ROOT
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call
from services.kernel.rpc.method_policy import MethodPolicy, Rule, policies
from services.policy.index import PolicyIndex

PACKAGE: Final = "stoa.authz.v1"
#: The services whose writes can be proposed.
SERVICES: Final = (
    "RoleDefinitionService",
    "RoleAssignmentService",
    "DenyAssignmentService",
    "EligibleAssignmentService",
    "DirectoryService",
)

# The servicers of these services over a context.
Servicers = Callable[[Context], Mapping[str, object]]


class Proposals:
    """Finds the method that a proposed request is of, and calls it on a transaction."""

    def __init__(self, context: Context, servicers: Servicers) -> None:
        self._context: Final = context
        self._servicers: Final = servicers
        found = policies((f"{PACKAGE}.{one}" for one in SERVICES), Default())
        self._policies: Final[Mapping[str, MethodPolicy]] = {
            one.descriptor.input_type.full_name: one for one in found.values()
        }

    def propose(
        self, unit: Unit, request: Message, *, call: Call, caller: str, base: PolicyIndex
    ) -> None:
        """Do what a request asks for in a transaction that will be rolled back.

        The caller, a name, needs the right to read assignments wherever the write itself would
        need a right, and needs it by `base`, whatever was proposed before. Whatever else the
        write would refuse is refused.

        Raises:
            StoaError: as the write itself.
        """
        policy = self._policies[request.DESCRIPTOR.full_name]
        shared = {one.name: getattr(self._context, one.name) for one in fields(Context)}
        shared["control"] = self._context.control.pinned(base)
        context = ProposedContext(**shared, unit=unit, caller=caller)
        service, method = policy.path[1:].removeprefix(f"{PACKAGE}.").split("/")
        proposed = Call(
            policy, self._context.control, call.stopping, call.trace, deadline=call.deadline
        )
        proposed.caller = call.caller
        if call.caller.is_workload:
            proposed.grant()
        if policy.scope is not None:
            proposed.scope = policy.scope.read(request)
        getattr(self._servicers(context)[service], method)(request, proposed)


@dataclass(frozen=True, slots=True)
class ProposedContext(Context):
    """A context in which a write goes into a transaction that is under way."""

    unit: Unit
    caller: str

    def caller_name(self, call: Call) -> str:
        """Answer the name of the calling principal, known already."""
        return self.caller

    def write(
        self,
        call: Call,
        request: Message,
        work: Callable[[Unit, Access], Message],
        *,
        resource: str = "",
        validate_only: bool = False,
        wait: bool = False,
        about: About | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Do a write where reading assignments is allowed."""
        access: Access = call.access
        if not call.caller.is_workload:
            access = _Reading(self.control.at(call.caller, self.unit.index))
        if call.policy.rule is Rule.ACTION:
            access.require(call.policy.action, call.scope.text if call.scope is not None else ROOT)
        return work(self.unit, access).SerializeToString()


class _Reading:
    """Demands the right to read assignments in the place of every other."""

    def __init__(self, access: Access) -> None:
        self._access: Final = access
        self.revision: Final = access.revision
        self.principals: Final = access.principals

    def require(self, action: str, scope: str, attributes: object = None) -> None:
        self._access.require(READ_ASSIGNMENTS, scope)

    def allowed(self, action: str, scope: str) -> bool:
        return self._access.allowed(READ_ASSIGNMENTS, scope)

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        for _, scope, _ in demands:
            self._access.require(READ_ASSIGNMENTS, scope)
