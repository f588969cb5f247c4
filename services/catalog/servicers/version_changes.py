"""Requests that change where a version is wanted, made ready: to be carried out, or planned."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1 import target_region_requests_pb2 as regions_pb

from services.catalog.convert import version_requests as convert
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.updates import update_of
from services.catalog.servicers.view_sources import ViewSources
from services.catalog.usecases import (
    version_contents,
    version_create,
    version_promote,
    version_targets,
    version_update,
)
from services.kernel.names import Name
from services.kernel.rpc.call import Call

Use = Callable[[Context, Mutation[StartedOperation]], bytes]
"""A use case of which everything is known but the call and its transaction."""


class VersionChanges:
    """Makes use cases of requests; `name` is that of the version."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies

    def create(
        self, request: requests_pb.CreateImageVersionRequest, call: Call, parent: Name
    ) -> Use:
        """Answer what creates a version of the definition `parent`."""
        command = convert.decode_create(request, parent)
        return lambda context, mutation: version_create.create(
            command,
            context,
            mutation,
            subscriptions=self._d.subscriptions,
            regions=self._d.regions,
            look=lambda sources: version_contents.look(
                sources,
                sources=self._d.sources,
                opened=ViewSources(self._d, call),
                read=self._d.look,
            ),
            limits=self._d.limits,
        )

    def update(self, request: requests_pb.UpdateImageVersionRequest, call: Call) -> Use:
        """Answer what updates the version that the call is about."""
        sent = request.image_version
        command = version_update.UpdateVersion(
            update_of(
                call,
                sent,
                request.update_mask,
                convert.update_fields(sent),
                regions=self._d.regions,
            ),
            convert.wait_mode(request.wait_for),
            request.validate_only,
        )
        return lambda context, mutation: version_update.update(
            command,
            context,
            mutation,
            subscriptions=self._d.subscriptions,
            regions=self._d.regions,
            transact=self._d.transact,
        )

    def targets(self, request: Any, name: Name) -> Use:
        """Answer what adds or removes target regions, or sets counts."""
        verb, change = _TARGETS[type(request)](request)
        command = version_targets.ChangeTargets(
            name=name,
            etag=request.etag,
            verb=verb,
            change=change,
            wait_for=convert.wait_mode(request.wait_for),
            validate_only=request.validate_only,
        )
        return lambda context, mutation: version_targets.change_targets(
            command,
            context,
            mutation,
            subscriptions=self._d.subscriptions,
            regions=self._d.regions,
        )

    def promote(self, request: requests_pb.PromoteImageVersionRequest, name: Name) -> Use:
        """Answer what makes a shallow version a full one."""
        command = version_promote.PromoteVersion(
            name=name,
            etag=request.etag,
            wait_for=convert.wait_mode(request.wait_for),
            validate_only=request.validate_only,
        )
        return lambda context, mutation: version_promote.promote(
            command,
            context,
            mutation,
            subscriptions=self._d.subscriptions,
            sources=self._d.sources,
            read=self._d.look,
            limits=self._d.limits,
        )


def _add(request: regions_pb.AddTargetRegionsRequest) -> tuple[str, version_targets.Change]:
    regions = tuple(map(convert.decode_target, request.target_regions))
    return "add_target_regions", version_targets.Add(regions)


def _remove(request: regions_pb.RemoveTargetRegionsRequest) -> tuple[str, version_targets.Change]:
    return "remove_target_regions", version_targets.Remove(tuple(request.locations))


def _set_counts(request: regions_pb.SetReplicaCountsRequest) -> tuple[str, version_targets.Change]:
    return "set_replica_counts", version_targets.SetCounts(
        common=request.replica_count if request.HasField("replica_count") else None,
        regional=tuple(
            (one.location, one.replica_count if one.HasField("replica_count") else None)
            for one in request.regional_replica_counts
        ),
    )


_TARGETS: Final[Mapping[type[Any], Callable[[Any], tuple[str, version_targets.Change]]]] = {
    regions_pb.AddTargetRegionsRequest: _add,
    regions_pb.RemoveTargetRegionsRequest: _remove,
    regions_pb.SetReplicaCountsRequest: _set_counts,
}
