"""RoleAssignmentService."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from stoa.authz.v1 import role_assignment_pb2
from stoa.authz.v1 import role_assignment_service_pb2 as pb

from services.authz.convert.assignments import new_role_assignment, role_assignment
from services.authz.ports.policy import Unit
from services.authz.servicers.asking import scope_of
from services.authz.servicers.scoped_lists import ROLE_ASSIGNMENTS, list_at_scope
from services.authz.servicers.writing import Context
from services.authz.usecases import role_assignments
from services.authz.usecases.limits import Limits
from services.authz.usecases.roles import Reader
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call

_READ: Final = "Microsoft.Authorization/roleAssignments/read"


class RoleAssignmentServicer:
    """Giving and taking roles."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context: Final = context
        self._limits: Final = limits

    def CreateRoleAssignment(self, request: pb.CreateRoleAssignmentRequest, call: Call) -> bytes:
        new = new_role_assignment(
            request.role_assignment,
            scope_of(call),
            request.role_assignment_id,
            self._context.caller_name(call),
        )
        role_assignments.check(new, call.violations)

        def create(unit: Unit, _: Access) -> role_assignment_pb2.RoleAssignment:
            reader = Reader(self._context.control.at(call.caller, unit.index))
            return role_assignment(
                role_assignments.create(unit, new, self._limits, call.violations, reader=reader)
            )

        return self._context.write(
            call,
            request,
            create,
            validate_only=request.validate_only,
            about=lambda _, index: role_assignments.about_new(index, new),
        )

    def GetRoleAssignment(
        self, request: pb.GetRoleAssignmentRequest, call: Call
    ) -> role_assignment_pb2.RoleAssignment:
        call.violations.raise_if_any()
        name = scope_of(call)
        return role_assignment(
            self._context.store.read(lambda facts: role_assignments.get(facts, name))
        )

    def ListRoleAssignments(
        self, request: pb.ListRoleAssignmentsRequest, call: Call
    ) -> pb.ListRoleAssignmentsResponse:
        found, token = list_at_scope(self._context, call, request, ROLE_ASSIGNMENTS, _READ)
        return pb.ListRoleAssignmentsResponse(
            role_assignments=map(role_assignment, found), next_page_token=token
        )

    def DeleteRoleAssignment(self, request: pb.DeleteRoleAssignmentRequest, call: Call) -> bytes:
        call.violations.raise_if_any()
        name = scope_of(call)

        def delete(unit: Unit, _: Access) -> Empty:
            role_assignments.delete(unit, name, request.etag)
            return Empty()

        return self._context.write(
            call,
            request,
            delete,
            wait=request.wait_for_replicas,
            about=lambda facts, index: role_assignments.about_old(facts, index, name),
        )
