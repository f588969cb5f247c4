"""RoleDefinitionService."""

import uuid
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from stoa.authz.v1 import role_definition_pb2
from stoa.authz.v1 import role_definition_service_pb2 as pb

from services.authz.convert.roles import role_definition, sent_fields
from services.authz.domain.names import ROLE_DEFINITION
from services.authz.domain.records import RoleDefinition
from services.authz.ports.policy import Facts, Unit
from services.authz.servicers.asking import asked
from services.authz.servicers.writing import Context
from services.authz.usecases import role_writes, roles
from services.authz.usecases.finding import chain_keys
from services.authz.usecases.limits import Limits
from services.authz.usecases.role_lists import page_of
from services.authz.usecases.role_writes import FIELDS, NewRole, read_scopes
from services.authz.usecases.roles import Reader
from services.authz.usecases.updating import Update
from services.kernel.names import ROOT, key
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call
from services.kernel.violations import Violations
from services.policy.index import PolicyIndex
from services.policy.scopes import Scope

_SCOPES: Final = "assignable_scopes"


class RoleDefinitionServicer:
    """Roles, built in and custom."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context: Final = context
        self._limits: Final = limits

    def CreateRoleDefinition(self, request: pb.CreateRoleDefinitionRequest, call: Call) -> bytes:
        fields = sent_fields(request.role_definition)
        scopes = read_scopes(fields[_SCOPES], call.violations)
        # Judged again at the head of the log; who has no right at all does not come so far.
        for scope in scopes:
            call.access.require(role_writes.WRITE, scope)
        name = f"roleDefinitions/{request.role_definition_id or uuid.uuid4()}"
        new = NewRole(name, **{**fields, _SCOPES: scopes})

        def create(unit: Unit, access: Access) -> role_definition_pb2.RoleDefinition:
            return role_definition(
                role_writes.create(
                    unit, new, self._limits, access=access, violations=call.violations
                )
            )

        return self._context.write(
            call, request, create, resource=name, validate_only=request.validate_only
        )

    def GetRoleDefinition(
        self, request: pb.GetRoleDefinitionRequest, call: Call
    ) -> role_definition_pb2.RoleDefinition:
        name = _name(request.name, call)
        call.violations.raise_if_any()
        reader = self._reader(call, self._context.current())
        return role_definition(
            self._context.store.read(lambda facts: roles.get(facts, name, reader))
        )

    def ListRoleDefinitions(
        self, request: pb.ListRoleDefinitionsRequest, call: Call
    ) -> pb.ListRoleDefinitionsResponse:
        index = self._context.current()
        scopes: frozenset[str] = frozenset()
        if request.assignable_at:
            with call.violations.collect():
                Scope.parse(request.assignable_at, field="assignable_at")
                scopes = frozenset((*chain_keys(index, request.assignable_at), ROOT))
        reader = self._reader(call, index)

        def fits(role: RoleDefinition) -> bool:
            return not scopes or any(key(one) in scopes for one in role.assignable_scopes)

        def readable(facts: Facts) -> list[RoleDefinition]:
            return [one for one in roles.visible(facts, reader) if fits(one)]

        found, token = page_of(
            self._context.store,
            self._context.tokens,
            asked(call, request, extra=key(request.assignable_at)),
            readable,
            call.violations,
        )
        return pb.ListRoleDefinitionsResponse(
            role_definitions=map(role_definition, found), next_page_token=token
        )

    def UpdateRoleDefinition(self, request: pb.UpdateRoleDefinitionRequest, call: Call) -> bytes:
        message = request.role_definition
        name = _name(message.name, call, field="role_definition.name")
        mask = tuple(request.update_mask.paths)
        sent: dict[str, Any] = dict(sent_fields(message))
        if _SCOPES in FIELDS.changes(mask, sent, {}, Violations()):
            sent[_SCOPES] = read_scopes(sent[_SCOPES], call.violations)
        if call.violations.has_field("role_definition.name"):
            call.violations.raise_if_any()
        asked_for = Update(name, mask, sent, message.etag)

        def update(unit: Unit, access: Access) -> role_definition_pb2.RoleDefinition:
            return role_definition(
                role_writes.update(
                    unit,
                    asked_for,
                    reader=self._reader(call, unit.index),
                    access=access,
                    violations=call.violations,
                )
            )

        return self._context.write(
            call,
            request,
            update,
            resource=name,
            validate_only=request.validate_only,
            wait=request.wait_for_replicas,
        )

    def DeleteRoleDefinition(self, request: pb.DeleteRoleDefinitionRequest, call: Call) -> bytes:
        name = _name(request.name, call)
        call.violations.raise_if_any()

        def delete(unit: Unit, access: Access) -> Empty:
            reader = self._reader(call, unit.index)
            role_writes.delete(unit, name, request.etag, reader=reader, access=access)
            return Empty()

        return self._context.write(call, request, delete, resource=name)

    def _reader(self, call: Call, index: PolicyIndex) -> Reader:
        return Reader(self._context.control.at(call.caller, index))


def _name(text: str, call: Call, *, field: str = "name") -> str:
    with call.violations.collect():
        return ROLE_DEFINITION.parse(text, field=field).text
    return text
