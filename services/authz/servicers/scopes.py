"""ScopeService, for the services that own scopes."""

from typing import Final

from stoa.authz.v1 import scope_service_pb2 as pb

from services.authz.ports.policy import Unit
from services.authz.servicers.writing import Context
from services.authz.usecases import scopes
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call


class ScopeServicer:
    """Forgets what was granted on resources that are gone."""

    def __init__(self, context: Context) -> None:
        self._context: Final = context

    def TombstoneScope(
        self, request: pb.TombstoneScopeRequest, call: Call
    ) -> pb.TombstoneScopeResponse:
        def bury(unit: Unit, _: Access) -> pb.TombstoneScopeResponse:
            tombstone, before = scopes.bury(
                unit, request.scope, request.resource_uid, call.violations
            )
            return pb.TombstoneScopeResponse(
                already_tombstoned=before, removed_count=tombstone.removed_count
            )

        reply, position = self._context.write_once(call, request, bury, resource=request.scope)
        response = pb.TombstoneScopeResponse.FromString(reply)
        response.consistency_token = self._context.store.token(position)
        return response
