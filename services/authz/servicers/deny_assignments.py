"""DenyAssignmentService."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from stoa.authz.v1 import deny_assignment_pb2
from stoa.authz.v1 import deny_assignment_service_pb2 as pb

from services.authz.convert.assignments import deny_assignment, new_deny_assignment
from services.authz.ports.policy import Unit
from services.authz.servicers.asking import scope_of
from services.authz.servicers.scoped_lists import DENY_ASSIGNMENTS, list_at_scope
from services.authz.servicers.writing import Context
from services.authz.usecases import deny_assignments
from services.authz.usecases.limits import Limits
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call

_READ: Final = "Microsoft.Authorization/denyAssignments/read"


class DenyAssignmentServicer:
    """Forbidding actions, whatever roles say."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context: Final = context
        self._limits: Final = limits

    def CreateDenyAssignment(self, request: pb.CreateDenyAssignmentRequest, call: Call) -> bytes:
        new = new_deny_assignment(
            request.deny_assignment,
            scope_of(call),
            request.deny_assignment_id,
            self._context.caller_name(call),
        )
        return self._context.write(
            call,
            request,
            lambda unit, _: deny_assignment(
                deny_assignments.create(unit, new, self._limits, call.violations)
            ),
            validate_only=request.validate_only,
            wait=request.wait_for_replicas,
        )

    def GetDenyAssignment(
        self, request: pb.GetDenyAssignmentRequest, call: Call
    ) -> deny_assignment_pb2.DenyAssignment:
        call.violations.raise_if_any()
        name = scope_of(call)
        return deny_assignment(
            self._context.store.read(lambda facts: deny_assignments.get(facts, name))
        )

    def ListDenyAssignments(
        self, request: pb.ListDenyAssignmentsRequest, call: Call
    ) -> pb.ListDenyAssignmentsResponse:
        found, token = list_at_scope(self._context, call, request, DENY_ASSIGNMENTS, _READ)
        return pb.ListDenyAssignmentsResponse(
            deny_assignments=map(deny_assignment, found), next_page_token=token
        )

    def DeleteDenyAssignment(self, request: pb.DeleteDenyAssignmentRequest, call: Call) -> bytes:
        call.violations.raise_if_any()
        name = scope_of(call)

        def delete(unit: Unit, _: Access) -> Empty:
            deny_assignments.delete(unit, name, request.etag)
            return Empty()

        return self._context.write(call, request, delete, wait=request.wait_for_replicas)
