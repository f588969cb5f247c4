"""`ResourceGroupService`."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stoa.catalog.v1 import resource_group_service_pb2 as pb

from services.catalog.convert import resource_groups as convert
from services.catalog.domain import names
from services.catalog.domain.resource import ProvisioningState
from services.catalog.servicers import mutations, reading
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.updates import update_of
from services.catalog.usecases import container_delete, deletes, resource_groups
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call

STATES: Final = frozenset(one.name for one in ProvisioningState)
COMMON_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    "name": Kind.STRING,
    "location": Kind.STRING,
    "provisioning_state": STATES,
    "create_time": Kind.TIME,
    "update_time": Kind.TIME,
    "tags": Kind.MAP,
}
COMMON_ORDERS: Final = ("name", "create_time", "update_time", "location")


class ResourceGroupServicer:
    """Resource groups."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._listing: Final = reading.Listing(
            COMMON_FIELDS,
            COMMON_ORDERS,
            _response,
            lambda parent: dependencies.subscriptions.find(parent.key) is not None,
            names.SUBSCRIPTION_TYPE,
        )

    def CreateResourceGroup(self, request: pb.CreateResourceGroupRequest, call: Call) -> bytes:
        sent = request.resource_group
        command = resource_groups.CreateResourceGroup(
            mutations.scope_of(call), request.resource_group_id, sent.location, dict(sent.tags)
        )
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: resource_groups.create(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                regions=self._d.regions,
            ),
        )

    def GetResourceGroup(self, request: pb.GetResourceGroupRequest, call: Call) -> bytes:
        return reading.get(self._d, call, self._d.readers.groups, names.RESOURCE_GROUP_TYPE)

    def ListResourceGroups(self, request: pb.ListResourceGroupsRequest, call: Call) -> Any:
        return reading.page(self._d, call, self._d.readers.groups, request, listing=self._listing)

    def UpdateResourceGroup(self, request: pb.UpdateResourceGroupRequest, call: Call) -> bytes:
        sent = request.resource_group
        values = {"location": sent.location, "tags": dict(sent.tags)}
        command = update_of(call, sent, request.update_mask, values, regions=self._d.regions)
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("resource_group.name",),
            use=lambda context, mutation: resource_groups.update(
                command, context, mutation, subscriptions=self._d.subscriptions
            ),
        )

    def DeleteResourceGroup(self, request: pb.DeleteResourceGroupRequest, call: Call) -> bytes:
        return delete(self._d, call, request, deletes.GROUP)


def delete(dependencies: Dependencies, call: Call, request: Any, kind: deletes.Deletable) -> bytes:
    """Answer the operation that deletes a resource."""
    command = deletes.Delete(
        mutations.scope_of(call), request.etag, request.force, request.validate_only
    )
    return mutations.mutate(
        dependencies,
        call,
        request,
        encode=mutations.started,
        names=("name",),
        use=lambda context, mutation: container_delete.delete(
            kind, command, context, mutation, transact=dependencies.transact
        ),
    )


def _response(rows: Any, token: str) -> pb.ListResourceGroupsResponse:
    response = pb.ListResourceGroupsResponse(next_page_token=token)
    for row in rows:
        response.resource_groups.add().ParseFromString(row.body)
    return response
