"""stoa.replication.v1.ReplicationService."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from stoa.replication.v1 import (
    ensure_replicas_pb2,
    replica_verification_pb2,
    replication_pb2,
    replication_plan_pb2,
    replication_watch_pb2,
)
from stoa.replication.v1 import replication_service_pb2 as pb

from services.kernel.filter import Comparison, Op
from services.kernel.names import Name, key
from services.kernel.rpc.call import Call
from services.kernel.rpc.servicers.operations import encoded
from services.kernel.telemetry import trace
from services.replication.convert.common import (
    FORMAT,
    REPLICATION_STATE,
    cause_message,
    disk_key,
)
from services.replication.convert.desired import desired_of, source_of
from services.replication.convert.plans import plan_message
from services.replication.convert.replications import replica_message, replication_message
from services.replication.convert.verifications import depth_of
from services.replication.domain.names import replication_name
from services.replication.domain.snapshots import ReplicationView
from services.replication.ports.requests import Listing
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.listed_fields import (
    REPLICA_COLUMNS,
    REPLICA_FIELDS,
    REPLICA_ORDERS,
    REPLICATION_COLUMNS,
    REPLICATION_FIELDS,
    REPLICATION_ORDERS,
)
from services.replication.servicers.requests import (
    Pages,
    identified,
    locations_of,
    matches,
    prefix_of,
    serialized,
)
from services.replication.servicers.watch_stream import WatchStream
from services.replication.usecases.acting import ReplicationActions
from services.replication.usecases.ensure import EnsureReplicas
from services.replication.usecases.inspecting import Inspection
from services.replication.usecases.origins import Origins
from services.replication.usecases.planning import Planning
from services.replication.usecases.reading import Replications
from services.replication.usecases.retry import Retry
from services.replication.usecases.verifying import Asked

READ: Final = "Microsoft.Compute/galleries/images/versions/read"
WRITE: Final = "Microsoft.Compute/galleries/images/versions/write"


class ReplicationServicer:
    """What is under way, how it goes, and what the catalog wants."""

    def __init__(self, parts: Dependencies) -> None:
        budget = timedelta(hours=parts.config.time_budget_hours)
        self._parts: Final = parts
        self._replications: Final = Replications(parts.rows)
        self._ensuring: Final = EnsureReplicas(
            parts.rows, parts.grants, parts.results, time_budget=budget
        )
        self._actions: Final = ReplicationActions(
            parts.rows, parts.results, parts.rights, time_budget=budget
        )
        self._inspection: Final = Inspection(parts.rows, parts.blobs, parts.stores, parts.files)
        self._planning: Final = Planning(
            parts.rows, Origins(parts.rows, parts.blobs), parts.stores, parts.files
        )
        self._pages: Final = Pages(parts.page_tokens)

    def GetReplication(
        self, request: pb.GetReplicationRequest, call: Call
    ) -> replication_pb2.Replication:
        record = self._replications.find(_name(call), READ, call.access)
        call.violations.raise_if_any()
        full = request.view != replication_pb2.REPLICATION_VIEW_BASIC
        return replication_message(self._replications.view(record.id), full=full)

    def ListReplications(
        self, request: pb.ListReplicationsRequest, call: Call
    ) -> pb.ListReplicationsResponse:
        listing, binding = self._pages.listing(
            request,
            call,
            fields=REPLICATION_FIELDS,
            columns=REPLICATION_COLUMNS,
            orders=REPLICATION_ORDERS,
            default="create_time desc",
            extra=str(request.view),
        )
        listing = _below(listing, _name(call))
        full = request.view == replication_pb2.REPLICATION_VIEW_FULL
        found, last = self._replications.list(listing, _readable(call), full=full)
        return pb.ListReplicationsResponse(
            replications=[replication_message(one, full=full) for one in found],
            next_page_token=self._pages.token(last, binding),
        )

    def ListReplicas(self, request: pb.ListReplicasRequest, call: Call) -> pb.ListReplicasResponse:
        listing, binding = self._pages.listing(
            request,
            call,
            fields=REPLICA_FIELDS,
            columns=REPLICA_COLUMNS,
            orders=REPLICA_ORDERS,
            default="",
        )
        if not request.filter:
            removed = Comparison("state", Op.NE, "REMOVED")
            listing = replace(listing, where=(*listing.where, removed))
        listing = _below(listing, _name(call))
        found, last = self._replications.replicas(listing, _readable(call))
        return pb.ListReplicasResponse(
            replicas=[
                replica_message(
                    one.replica,
                    one.disks,
                    one.contents,
                    version=one.version,
                    region=one.region,
                )
                for one in found
            ],
            next_page_token=self._pages.token(last, binding),
        )

    async def WatchReplication(
        self, request: replication_watch_pb2.WatchReplicationRequest, call: Call
    ) -> AsyncIterator[replication_watch_pb2.WatchReplicationResponse]:
        hub = self._parts.hub
        name = _name(call)
        record = await hub.read(lambda: self._replications.authorized(name, READ, call.access))
        call.violations.raise_if_any()
        stream = WatchStream(
            hub,
            self._parts.rows,
            self._replications,
            self._parts.clock,
            follow=request.follow_successors,
        )
        if record is not None:
            after = request.after_sequence if request.HasField("after_sequence") else None
            messages = stream.of_replication(record, after)
        else:
            messages = stream.of_version(
                name, uid=request.image_version_uid, generation=request.minimum_generation
            )
        async for message in messages:
            yield message

    def CancelReplication(self, request: pb.CancelReplicationRequest, call: Call) -> bytes:
        record = self._replications.find(_name(call), WRITE, call.access)
        locations = self._locations(request.locations, call)
        again = identified(request, call, _reply, names=("name",))
        return self._actions.cancel(record, locations, again)

    def RetryReplication(self, request: pb.RetryReplicationRequest, call: Call) -> bytes:
        record = self._replications.find(_name(call), WRITE, call.access)
        locations = self._locations(request.locations, call)
        again = identified(request, call, str.encode, names=("name",))
        return self._operation(self._actions.retry(record, locations, again))

    def VerifyReplicas(
        self, request: replica_verification_pb2.VerifyReplicasRequest, call: Call
    ) -> bytes:
        asked = Asked(
            name=_name(call),
            locations=self._locations(request.locations, call),
            disk=disk_key(request.disk) if request.HasField("disk") else "",
            depth=depth_of(request.depth),
            report_only=request.report_only,
        )
        again = identified(request, call, str.encode, names=("name",))
        return self._operation(self._parts.verifications.begin(asked, again))

    def EnsureReplicas(
        self, request: ensure_replicas_pb2.EnsureReplicasRequest, call: Call
    ) -> ensure_replicas_pb2.EnsureReplicasResponse:
        call.violations.raise_if_any()
        retry = None
        if request.HasField("retry"):
            retry = Retry(request.request_id.lower(), tuple(request.retry.locations))
        record = self._ensuring.ensure(
            desired_of(request.desired),
            request.operation_grant,
            retry=retry,
            trace_context=_traceparent(),
        )
        return ensure_replicas_pb2.EnsureReplicasResponse(
            replication=replication_name(record.id),
            state=REPLICATION_STATE.Value(f"STATE_{record.state.value}"),
        )

    def PlanReplicas(
        self, request: replication_plan_pb2.PlanReplicasRequest, call: Call
    ) -> replication_plan_pb2.PlanReplicasResponse:
        call.violations.raise_if_any()
        plans = self._planning.plan(desired_of(request.desired))
        return replication_plan_pb2.PlanReplicasResponse(regions=map(plan_message, plans))

    def InspectSource(
        self, request: replication_plan_pb2.InspectSourceRequest, call: Call
    ) -> replication_plan_pb2.InspectSourceResponse:
        call.violations.raise_if_any()
        found = self._inspection.inspect(source_of(request.source))
        if found is None:
            return replication_plan_pb2.InspectSourceResponse(exists=False)
        return replication_plan_pb2.InspectSourceResponse(
            exists=True,
            location=found.location,
            size_bytes=found.size_bytes,
            file_bytes=found.file_bytes,
            format=FORMAT.Value(f"DISK_FORMAT_{found.format or 'UNSPECIFIED'}"),
            etag=found.etag,
            uid=found.uid,
            root_digest=bytes.fromhex(found.root),
            problem=cause_message(found.problem),
        )

    def _operation(self, name: bytes) -> bytes:
        operation = self._parts.db.read(lambda c: self._parts.operations.require(c, name.decode()))
        return serialized(encoded(operation))

    def _locations(self, texts: Sequence[str], call: Call) -> tuple[str, ...]:
        found = locations_of(texts, self._region_id, self._region_ids, call.violations)
        call.violations.raise_if_any()
        return found

    def _region_id(self, text: str) -> str | None:
        region = self._parts.rows.read(lambda tx: tx.regions.find(text))
        return region.id if region is not None else None

    def _region_ids(self) -> Sequence[str]:
        return [one.id for one in self._parts.rows.read(lambda tx: tx.regions.all())]


def _name(call: Call) -> Name:
    if call.scope is None:
        raise RuntimeError("the contract gives the method a scope")
    return call.scope


def _below(listing: Listing, parent: Name) -> Listing:
    """Narrow a list to one version, or to those that a parent with `-` stands for."""
    if parent.has_wildcard:
        return replace(listing, prefix=prefix_of(parent.text))
    exact = Comparison("name_key", Op.EQ, key(parent.text))
    return replace(listing, where=(*listing.where, exact))


def _readable(call: Call) -> Callable[[str], bool]:
    """Answer whether the caller may read what lies at a name that the parent stands for."""
    parent = _name(call)
    fits = matches(parent.text)
    known: dict[str, bool] = {}

    def may_read(name: str) -> bool:
        if not parent.has_wildcard:
            return True
        if name not in known:
            known[name] = fits(name) and call.access.allowed(READ, name)
        return known[name]

    return may_read


def _reply(view: ReplicationView) -> bytes:
    return serialized(replication_message(view, full=True))


def _traceparent() -> str:
    running = trace.current()
    return running.context.header() if running is not None else ""
