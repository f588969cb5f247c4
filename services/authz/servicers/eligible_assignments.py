"""EligibleAssignmentService."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from stoa.authz.v1 import eligible_assignment_pb2
from stoa.authz.v1 import eligible_assignment_service_pb2 as pb

from services.authz.convert.eligible import (
    activation,
    eligible_assignment,
    new_eligible_assignment,
    span,
)
from services.authz.domain.eligibility import EligibleAssignment
from services.authz.ports.policy import Unit
from services.authz.servicers.asking import scope_of
from services.authz.servicers.scoped_lists import ELIGIBLE_ASSIGNMENTS, Own, list_at_scope
from services.authz.servicers.writing import Context
from services.authz.usecases import activations, eligible_assignments
from services.authz.usecases.activations import Asked
from services.authz.usecases.eligible_assignments import READ, Person
from services.authz.usecases.limits import Limits
from services.authz.usecases.roles import Reader
from services.kernel.names import key
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call
from services.policy.index import PolicyIndex


class EligibleAssignmentServicer:
    """Roles that are taken when they are needed."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context: Final = context
        self._limits: Final = limits

    def CreateEligibleAssignment(
        self, request: pb.CreateEligibleAssignmentRequest, call: Call
    ) -> bytes:
        new = new_eligible_assignment(
            request.eligible_assignment,
            scope_of(call),
            request.eligible_assignment_id,
            self._context.caller_name(call),
        )
        eligible_assignments.check(new, call.violations)

        def create(unit: Unit, _: Access) -> eligible_assignment_pb2.EligibleAssignment:
            made = eligible_assignments.create(
                unit,
                new,
                self._limits,
                call.violations,
                reader=Reader(self._context.control.at(call.caller, unit.index)),
            )
            return eligible_assignment(made, unit.now)

        return self._context.write(
            call,
            request,
            create,
            validate_only=request.validate_only,
            about=lambda _, index: eligible_assignments.about_new(index, new),
        )

    def GetEligibleAssignment(
        self, request: pb.GetEligibleAssignmentRequest, call: Call
    ) -> eligible_assignment_pb2.EligibleAssignment:
        call.violations.raise_if_any()
        name = scope_of(call)
        person = self._person(call, self._context.current())
        record = self._context.store.read(
            lambda facts: eligible_assignments.get(facts, name, person, call.access)
        )
        return self._shown(record, call, person, full=call.access.allowed(READ, name))

    def ListEligibleAssignments(
        self, request: pb.ListEligibleAssignmentsRequest, call: Call
    ) -> pb.ListEligibleAssignmentsResponse:
        person = self._person(call, self._context.current())
        own = Own(person.identities, person.includes)
        found, token = list_at_scope(
            self._context, call, request, ELIGIBLE_ASSIGNMENTS, READ, own=own
        )
        wild = call.scope is not None and call.scope.has_wildcard
        full = not wild and call.access.allowed(READ, scope_of(call))
        return pb.ListEligibleAssignmentsResponse(
            eligible_assignments=[
                self._shown(one, call, person, full=full or call.access.allowed(READ, one.scope))
                for one in found
            ],
            next_page_token=token,
        )

    def DeleteEligibleAssignment(
        self, request: pb.DeleteEligibleAssignmentRequest, call: Call
    ) -> bytes:
        call.violations.raise_if_any()
        name = scope_of(call)

        def delete(unit: Unit, _: Access) -> Empty:
            eligible_assignments.delete(unit, name, request.etag)
            return Empty()

        return self._context.write(
            call,
            request,
            delete,
            wait=request.wait_for_replicas,
            about=lambda facts, index: eligible_assignments.about_old(facts, index, name),
        )

    def ActivateEligibleAssignment(
        self, request: pb.ActivateEligibleAssignmentRequest, call: Call
    ) -> bytes:
        call.violations.raise_if_any()
        asked = Asked(
            scope_of(call),
            span(request.duration) if request.HasField("duration") else None,
            request.justification,
        )

        def activate(unit: Unit, _: Access) -> eligible_assignment_pb2.Activation:
            access = self._context.control.at(call.caller, unit.index)
            person = self._person(call, unit.index)
            return activation(
                activations.activate(unit, asked, person, access, limits=self._limits)
            )

        details = {"justification": request.justification} if request.justification else None
        return self._context.write(call, request, activate, details=details)

    def DeactivateEligibleAssignment(
        self, request: pb.DeactivateEligibleAssignmentRequest, call: Call
    ) -> bytes:
        activations.check_principal(request.principal, call.violations)
        name = scope_of(call)

        def deactivate(unit: Unit, _: Access) -> Empty:
            access = self._context.control.at(call.caller, unit.index)
            person = self._person(call, unit.index)
            activations.deactivate(unit, name, person, access, principal=request.principal)
            return Empty()

        details = {"principal": request.principal} if request.principal else None
        return self._context.write(
            call, request, deactivate, wait=request.wait_for_replicas, details=details
        )

    def _person(self, call: Call, index: PolicyIndex) -> Person:
        askers = self._context.control.askers_of(call.caller, scope_of(call), index)
        return Person(index, tuple(map(key, askers)))

    def _shown(
        self, record: EligibleAssignment, call: Call, person: Person, *, full: bool
    ) -> eligible_assignment_pb2.EligibleAssignment:
        only = None if full else frozenset(person.principals)
        return eligible_assignment(record, self._context.now(), only)
