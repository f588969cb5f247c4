"""What the catalog asks of the authz service."""

import uuid
from typing import Final

import grpc
from stoa.authz.v1 import (
    audit_service_pb2,
    scope_service_pb2,
    scope_service_pb2_grpc,
    sharing_service_pb2,
)

from services.kernel.rpc.remote import translated

SERVICE: Final = "authz"
# By their descriptors: a service is known by its name once its module is imported.
SERVICES: Final[tuple[str, ...]] = (
    scope_service_pb2.DESCRIPTOR.services_by_name["ScopeService"].full_name,
    sharing_service_pb2.DESCRIPTOR.services_by_name["SharingService"].full_name,
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name,
)


class AuthzScopes:
    """Fulfils the port `Scopes`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub: Final = scope_service_pb2_grpc.ScopeServiceStub(channel)

    def tombstone(self, name: str, uid: str) -> None:
        """Remove everything granted at or below a resource that is going; again: nothing.

        Raises:
            StoaError: the authz service does not answer, or refuses.
        """
        request = scope_service_pb2.TombstoneScopeRequest(
            scope=name,
            resource_uid=uid,
            # Idempotent by the uid as it is: the same request has the same id.
            request_id=str(uuid.UUID(hex=uid)),
        )
        try:
            self._stub.TombstoneScope(request)
        except grpc.RpcError as error:
            raise translated(error, SERVICE) from error
