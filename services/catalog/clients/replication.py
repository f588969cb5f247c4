"""What the catalog asks of the replication service."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2
from stoa.replication.v1 import (
    blob_service_pb2,
    ensure_replicas_pb2,
    region_service_pb2,
    region_service_pb2_grpc,
    replication_feed_service_pb2,
    replication_plan_pb2,
    replication_service_pb2,
    replication_service_pb2_grpc,
)

from services.catalog.clients.grants import GrantSigner
from services.catalog.convert.hardware import FORMATS
from services.catalog.convert.plans import decode_plan
from services.catalog.convert.replication import (
    decode_region,
    encode_desired,
    encode_source,
)
from services.catalog.domain import reasons
from services.catalog.domain.desired import Desired
from services.catalog.domain.disk_source import ByteSource
from services.catalog.domain.hardware import DiskFormat
from services.catalog.domain.plan import PlanOrder, RegionPlan
from services.catalog.domain.region import Region, location_key
from services.catalog.domain.region_status import Cause
from services.catalog.ports.calls import RegionRows
from services.catalog.ports.sources import Inspection
from services.kernel.errors import Code, InvalidArgument, NotFound, StoaError
from services.kernel.names import id_problem
from services.kernel.rpc.remote import RemoteStatus, translated

_LOG = logging.getLogger(__name__)

SERVICE: Final = "replication"
# By their descriptors: a service is known by its name once its module is imported.
SERVICES: Final[tuple[str, ...]] = (
    replication_service_pb2.DESCRIPTOR.services_by_name["ReplicationService"].full_name,
    region_service_pb2.DESCRIPTOR.services_by_name["RegionService"].full_name,
    replication_feed_service_pb2.DESCRIPTOR.services_by_name["ReplicationFeedService"].full_name,
    blob_service_pb2.DESCRIPTOR.services_by_name["BlobService"].full_name,
)
# Answers that another attempt would get again.
_FINAL: Final = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.FAILED_PRECONDITION,
        Code.PERMISSION_DENIED,
        Code.NOT_FOUND,
        Code.OUT_OF_RANGE,
        Code.UNIMPLEMENTED,
    }
)
# What a plan finds gone; the catalog has the same reasons.
_GONE: Final[Mapping[str, type[StoaError]]] = {
    reasons.SOURCE_NOT_FOUND: NotFound,
    reasons.REGION_UNKNOWN: InvalidArgument,
}
# A plan looks for every segment of every disk in every slot.
_PLAN_SECONDS: Final = 120.0
# Refusals of a grant that a fresh one does not get.
_PASSING_REASONS: Final = frozenset({"GRANT_INVALID"})


class RefusedError(Exception):
    """Replication refuses what is wanted, and would refuse it again; `cause` says why."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.message)
        self.cause: Final = cause


class ReplicationClient:
    """Fulfils the port `Sources`, and brings about what versions want."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub: Final = replication_service_pb2_grpc.ReplicationServiceStub(channel)

    def inspect(self, source: ByteSource) -> Inspection | None:
        """Answer what a source is now, None where there is none.

        Raises:
            Unavailable: the replication service does not answer.
        """
        request = replication_plan_pb2.InspectSourceRequest(source=encode_source(source))
        try:
            found = self._stub.InspectSource(request)
        except grpc.RpcError as error:
            if RemoteStatus.of(error).code is Code.NOT_FOUND:
                return None
            raise translated(error, SERVICE) from error
        if not found.exists:
            return None
        problem = ""
        if found.HasField("problem"):
            problem = RemoteStatus.decode(found.problem.status).reason or "SOURCE_NOT_READY"
        return Inspection(
            location=found.location,
            size_bytes=found.size_bytes,
            format=FORMATS.member(found.format) or DiskFormat.RAW,
            uid=found.uid,
            etag=found.etag,
            root_digest=found.root_digest.hex(),
            problem=problem,
        )

    def ensure(self, desired: Desired, signer: GrantSigner) -> str:
        """Ask for a desired state under a fresh grant; answer the replication's name.

        Raises:
            RefusedError: it would be refused again.
            StoaError: another attempt may succeed.
        """
        request = ensure_replicas_pb2.EnsureReplicasRequest(
            desired=encode_desired(desired), operation_grant=signer.sign(desired)
        )
        try:
            return str(self._stub.EnsureReplicas(request).replication)
        except grpc.RpcError as error:
            status = RemoteStatus.of(error)
            if status.code in _FINAL and status.reason not in _PASSING_REASONS:
                raise RefusedError(_cause(status)) from error
            raise translated(error, SERVICE) from error

    def plan(self, order: PlanOrder) -> list[RegionPlan]:
        """Ask what a desired state would move, take and cost.

        Raises:
            NotFound: SOURCE_NOT_FOUND, a source is gone.
            InvalidArgument: REGION_UNKNOWN, a region is gone.
            StoaError: another attempt may succeed.
        """
        request = replication_plan_pb2.PlanReplicasRequest(desired=encode_desired(order.desired))
        try:
            found = self._stub.PlanReplicas(request, timeout=_PLAN_SECONDS)
        except grpc.RpcError as error:
            status = RemoteStatus.of(error)
            gone = _GONE.get(status.reason)
            if gone is None:
                raise translated(error, SERVICE) from error
            # In our words: the source may be known to the caller by the name of a view alone.
            raise gone("it is gone since the plan was asked for", reason=status.reason) from error
        return [decode_plan(one) for one in found.regions]

    def cancel(self, version: str, locations: Sequence[str]) -> None:
        """Cancel regions of the newest replication of a version that are not done.

        Raises:
            StoaError: another attempt may succeed.
        """
        request = replication_service_pb2.CancelReplicationRequest(
            name=version, locations=locations
        )
        try:
            self._stub.CancelReplication(request)
        except grpc.RpcError as error:
            if RemoteStatus.of(error).code not in _FINAL:
                raise translated(error, SERVICE) from error
            # There is nothing to cancel: nothing was begun, or the regions are gone.
            _LOG.info("no region of %s was cancelled: %s", version, error)


class MirroredRegions:
    """Fulfils the port `Regions`: the mirror, and the replication service for what it lacks."""

    def __init__(self, rows: RegionRows, channel: grpc.Channel) -> None:
        self._rows: Final = rows
        self._stub: Final = region_service_pb2_grpc.RegionServiceStub(channel)

    def find(self, spellings: Iterable[str]) -> Mapping[str, Region | None]:
        """Answer the region that each id or display name means, None for an unknown one.

        Raises:
            Unavailable: one is not in the mirror, and the replication service does not answer.
        """
        wanted = list(dict.fromkeys(spellings))
        found = self._rows.spelled(wanted)
        return {one: found.get(one) or self._ask(one) for one in wanted}

    def known(self) -> Sequence[str]:
        """Answer the ids of all regions, in their order."""
        return self._rows.known()

    def _ask(self, spelling: str) -> Region | None:
        region_id = location_key(spelling)
        if id_problem(region_id) is not None or not region_id.isascii():
            return None
        request = region_service_pb2.GetRegionRequest(name=f"regions/{region_id}")
        try:
            return decode_region(self._stub.GetRegion(request))
        except grpc.RpcError as error:
            code = RemoteStatus.of(error).code
            if code in {Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED}:
                return None
            raise translated(error, SERVICE) from error


def _cause(status: RemoteStatus) -> Cause:
    message = status_pb2.Status(code=int(status.code), message=status.message)
    message.details.add().Pack(
        error_details_pb2.ErrorInfo(
            reason=status.reason, domain=status.domain, metadata=status.metadata
        )
    )
    return Cause(message.SerializeToString(), int(status.code), status.reason, status.message)
