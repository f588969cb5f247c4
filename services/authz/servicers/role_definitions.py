"""RoleDefinitionService: reading roles."""

from typing import Final

from stoa.authz.v1 import role_definition_pb2
from stoa.authz.v1 import role_definition_service_pb2 as pb

from services.authz.convert.roles import role_definition
from services.authz.domain.records import ROLE_DEFINITION, RoleDefinition
from services.authz.ports import Facts
from services.authz.servicers.asking import asked
from services.authz.servicers.writing import Context
from services.authz.usecases import roles
from services.authz.usecases.finding import chain_keys
from services.authz.usecases.role_lists import page_of
from services.kernel.names import ROOT, key
from services.kernel.rpc.call import Call
from services.policy.scopes import Scope


class RoleDefinitionServicer:
    """Roles, built in and custom."""

    def __init__(self, context: Context) -> None:
        self._context: Final = context

    def GetRoleDefinition(
        self, request: pb.GetRoleDefinitionRequest, call: Call
    ) -> role_definition_pb2.RoleDefinition:
        with call.violations.collect():
            ROLE_DEFINITION.parse(request.name)
        call.violations.raise_if_any()
        access = call.access
        return role_definition(
            self._context.store.read(lambda facts: roles.get(facts, request.name, access))
        )

    def ListRoleDefinitions(
        self, request: pb.ListRoleDefinitionsRequest, call: Call
    ) -> pb.ListRoleDefinitionsResponse:
        scopes: frozenset[str] = frozenset()
        if request.assignable_at:
            with call.violations.collect():
                Scope.parse(request.assignable_at, field="assignable_at")
                chain = chain_keys(self._context.current(), request.assignable_at)
                scopes = frozenset((*chain, ROOT))

        def fits(role: RoleDefinition) -> bool:
            return not scopes or any(key(one) in scopes for one in role.assignable_scopes)

        access = call.access

        def readable(facts: Facts) -> list[RoleDefinition]:
            return [one for one in roles.visible(facts, access) if fits(one)]

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
