"""`ImageVersionService`."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

from google.protobuf.message import Message
from stoa.catalog.v1 import deployment_check_pb2, image_resolution_pb2
from stoa.catalog.v1 import image_version_pb2 as pb
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1 import target_region_requests_pb2 as regions_pb

from services.catalog.convert import definitions as convert_definitions
from services.catalog.convert import version_requests as convert
from services.catalog.convert.common import timestamp
from services.catalog.convert.versions import STATES as VERSION_STATES
from services.catalog.domain import names
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.progress import AggregatedState
from services.catalog.domain.version import ReplicationMode, VersionState
from services.catalog.servicers import mutations, reading
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.deployment import DeploymentChecks
from services.catalog.servicers.resource_groups import COMMON_FIELDS, COMMON_ORDERS
from services.catalog.servicers.version_changes import Use, VersionChanges
from services.catalog.servicers.version_plans import VersionPlans
from services.catalog.servicers.view_resolution import resolve_view
from services.catalog.usecases import (
    resolve,
    version_delete,
    version_undelete,
)
from services.kernel.errors import NotFound
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call

_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    **COMMON_FIELDS,
    "target_regions.location": Kind.STRING,
    "replication_mode": frozenset(one.name for one in ReplicationMode),
    "storage_account_type": frozenset(one.name for one in StorageType),
    "exclude_from_latest": Kind.BOOLEAN,
    "publish_time": Kind.TIME,
    "end_of_life_time": Kind.TIME,
    "effective_end_of_life_time": Kind.TIME,
    "state": frozenset(one.name for one in VersionState),
    "delete_time": Kind.TIME,
    "purge_time": Kind.TIME,
    "generation": Kind.INTEGER,
    "replication_status.aggregated_state": frozenset(one.name for one in AggregatedState),
}
_ORDERS: Final = (
    *COMMON_ORDERS,
    "publish_time",
    "effective_end_of_life_time",
    "delete_time",
)
# What the readers of the store call the views.
_VIEWS: Final = {
    pb.IMAGE_VERSION_VIEW_REPLICATION_STATUS: "status",
    pb.IMAGE_VERSION_VIEW_FULL: "full",
}


class ImageVersionServicer:
    """Image versions."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._deployments: Final = DeploymentChecks(dependencies)
        self._changes: Final = VersionChanges(dependencies)
        self._plans: Final = VersionPlans(dependencies, self._changes)
        self._listing: Final = reading.Listing(
            _FIELDS,
            _ORDERS,
            _response,
            lambda parent: dependencies.readers.definitions.exists(parent.key),
            names.DEFINITION_TYPE,
        )

    def CreateImageVersion(
        self, request: requests_pb.CreateImageVersionRequest, call: Call
    ) -> bytes:
        use = self._changes.create(request, call, mutations.scope_of(call))
        return self._start(request, call, use, name="parent")

    def GetImageVersion(self, request: requests_pb.GetImageVersionRequest, call: Call) -> bytes:
        view = _VIEWS.get(request.view, "")
        reader = self._d.readers.versions
        try:
            return reading.get(self._d, call, reader, names.VERSION_TYPE, view=view)
        except NotFound:
            name = mutations.scope_of(call)
            raise version_delete.missing(name.text, reader.deleted(name.key)) from None

    def ListImageVersions(self, request: requests_pb.ListImageVersionsRequest, call: Call) -> Any:
        view = _VIEWS.get(request.view, "")
        return reading.page(
            self._d, call, self._d.readers.versions, request, listing=self._listing, view=view
        )

    def UpdateImageVersion(
        self, request: requests_pb.UpdateImageVersionRequest, call: Call
    ) -> bytes:
        use = self._changes.update(request, call)
        return self._start(request, call, use, name="image_version.name")

    def DeleteImageVersion(
        self, request: requests_pb.DeleteImageVersionRequest, call: Call
    ) -> bytes:
        command = version_delete.DeleteVersion(
            mutations.scope_of(call), request.etag, request.purge, request.validate_only
        )
        return self._start(request, call, partial(version_delete.delete, command))

    def UndeleteImageVersion(
        self, request: requests_pb.UndeleteImageVersionRequest, call: Call
    ) -> bytes:
        command = version_undelete.UndeleteVersion(
            mutations.scope_of(call),
            request.etag,
            convert.wait_mode(request.wait_for),
            request.validate_only,
        )
        use = partial(version_undelete.undelete, command, subscriptions=self._d.subscriptions)
        return self._start(request, call, use)

    def AddTargetRegions(self, request: regions_pb.AddTargetRegionsRequest, call: Call) -> bytes:
        return self._change_targets(request, call)

    def RemoveTargetRegions(
        self, request: regions_pb.RemoveTargetRegionsRequest, call: Call
    ) -> bytes:
        return self._change_targets(request, call)

    def SetReplicaCounts(self, request: regions_pb.SetReplicaCountsRequest, call: Call) -> bytes:
        return self._change_targets(request, call)

    def PromoteImageVersion(
        self, request: requests_pb.PromoteImageVersionRequest, call: Call
    ) -> bytes:
        use = self._changes.promote(request, mutations.scope_of(call))
        return self._start(request, call, use)

    def PlanImageVersion(self, request: requests_pb.PlanImageVersionRequest, call: Call) -> bytes:
        return self._plans.plan(request, call)

    def ResolveImageVersion(
        self, request: image_resolution_pb2.ResolveImageVersionRequest, call: Call
    ) -> image_resolution_pb2.ResolveImageVersionResponse:
        image = mutations.scope_of(call)
        identifier = None
        if request.HasField("identifier"):
            identifier = convert_definitions.decode_identifier(request.identifier)
        command = resolve.Resolve(image, identifier, request.location)
        context = mutations.context_of(self._d, call)
        if "location" in image.ids:
            return _resolution(resolve_view(command, context, dependencies=self._d, call=call))
        found = resolve.resolve(command, context, readers=self._d.readers, regions=self._d.regions)
        version = found.version
        reading.judge_anew(
            self._d, call, version.policy_revision, version.name, action=resolve.READ_ACTION
        )
        return _resolution(found)

    def CheckDeployment(
        self, request: deployment_check_pb2.CheckDeploymentRequest, call: Call
    ) -> deployment_check_pb2.CheckDeploymentResponse:
        return self._deployments.check(request, call)

    def _start(self, request: Message, call: Call, use: Use, *, name: str = "name") -> bytes:
        """Answer the operation that a use case starts; `name` is the field with the resource."""
        return mutations.mutate(
            self._d, call, request, encode=mutations.started, names=(name,), use=use
        )

    def _change_targets(self, request: Any, call: Call) -> bytes:
        use = self._changes.targets(request, mutations.scope_of(call))
        return self._start(request, call, use)


def _resolution(found: resolve.Resolution) -> image_resolution_pb2.ResolveImageVersionResponse:
    version = found.version
    response = image_resolution_pb2.ResolveImageVersionResponse(
        image_version=version.name,
        location=found.location,
        publish_time=timestamp(version.publish_time),
        state=VERSION_STATES.number(version.state),
    )
    if version.end_of_life_time is not None:
        response.effective_end_of_life_time.FromDatetime(version.end_of_life_time)
    if version.consumption_end_time is not None:
        response.consumption_end_time.FromDatetime(version.consumption_end_time)
    return response


def _response(rows: Any, token: str) -> requests_pb.ListImageVersionsResponse:
    response = requests_pb.ListImageVersionsResponse(next_page_token=token)
    for row in rows:
        response.image_versions.add().ParseFromString(row.body)
    return response
