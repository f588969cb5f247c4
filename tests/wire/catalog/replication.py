"""A replication service that tests conduct: the real contract, over mTLS, without copying."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from stoa.replication.v1 import (
    blob_pb2,
    blob_service_pb2_grpc,
    copy_state_pb2,
    desired_replicas_pb2,
    ensure_replicas_pb2,
    region_pb2,
    region_service_pb2_grpc,
    replication_feed_pb2,
    replication_feed_service_pb2,
    replication_feed_service_pb2_grpc,
    replication_pb2,
    replication_plan_pb2,
    replication_service_pb2,
    replication_service_pb2_grpc,
)
from stoa.type.v1 import replication_progress_pb2, storage_pb2
from stoa.type.v1 import replication_state_pb2 as states

from cli.installation.layout import Layout
from services.kernel.clock import Clock, SystemClock
from services.replication.clients.grants import GrantReader
from services.replication.domain.grants import Grant

COMPLETED = states.REGIONAL_REPLICATION_STATE_COMPLETED
FAILED = states.REGIONAL_REPLICATION_STATE_FAILED
REMOVED = states.REGIONAL_REPLICATION_STATE_REMOVED
GIB = 1 << 30


class Replication(
    region_service_pb2_grpc.RegionServiceServicer,
    replication_service_pb2_grpc.ReplicationServiceServicer,
    blob_service_pb2_grpc.BlobServiceServicer,
):
    """Its regions and blobs are what a test says; events are sent when a test sends them."""

    def __init__(self, layout: Layout, clock: Clock | None = None) -> None:
        self.regions: dict[str, region_pb2.Region] = {}
        self.blobs: dict[str, replication_plan_pb2.InspectSourceResponse] = {}
        # The regions of the allowed stores, and the files in them.
        self.stores: dict[str, str] = {"images": "eastus", "western": "westus"}
        self.files: dict[tuple[str, str], replication_plan_pb2.InspectSourceResponse] = {}
        self.ensured: list[ensure_replicas_pb2.EnsureReplicasRequest] = []
        self.grants: list[Grant] = []
        self.cancelled: list[replication_service_pb2.CancelReplicationRequest] = []
        self.planned: list[desired_replicas_pb2.DesiredReplicas] = []
        # What is answered of a desired state; a test may put another function here.
        self.plans: Callable[[Any, Any], Any] = _nothing_moves
        self.held: set[tuple[str, str]] = set()
        self.holds_nothing = False
        self.silent = False
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        # The uids of versions that nothing can be done to for now.
        self.stubborn: set[str] = set()
        self.asked_regions: list[str] = []
        self.arrived = threading.Condition()
        self._reader = GrantReader(layout.identity / "grants.jwks.json", clock or SystemClock())
        self.feed = _Feed(self)
        self._server = grpc.server(ThreadPoolExecutor(16))
        region_service_pb2_grpc.add_RegionServiceServicer_to_server(self, self._server)
        replication_service_pb2_grpc.add_ReplicationServiceServicer_to_server(self, self._server)
        blob_service_pb2_grpc.add_BlobServiceServicer_to_server(self, self._server)
        replication_feed_service_pb2_grpc.add_ReplicationFeedServiceServicer_to_server(
            self.feed, self._server
        )
        credentials = grpc.ssl_server_credentials(
            [_pair(layout)], layout.ca_certificate.read_bytes(), require_client_auth=True
        )
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def close(self) -> None:
        self.feed.close()
        self._server.stop(0).wait()

    def add_region(self, region: str, display_name: str = "", slots: int = 2, **more: Any) -> None:
        """Add a region, or tell another state of it."""
        uid = self.regions[region].uid if region in self.regions else f"{len(self.regions):032x}"
        made = region_pb2.Region(
            name=f"regions/{region}", uid=uid, display_name=display_name, **more
        )
        made.capacities.add(tier=region_pb2.SLOT_TIER_STANDARD, replica_count=slots)
        self.regions[region] = made
        self.feed.send(replication_feed_pb2.FeedEntry(region=made))

    def add_blob(self, name: str, location: str, **more: Any) -> None:
        found: dict[str, Any] = {
            "size_bytes": GIB,
            "uid": f"{len(self.blobs):032x}",
            "root_digest": b"\1" * 32,
        }
        self.blobs[name] = replication_plan_pb2.InspectSourceResponse(
            exists=True, location=location, **(found | more)
        )

    def add_file(self, path: str, store: str = "images", **more: Any) -> None:
        """Add a VHD of fixed size to an allowed store."""
        found: dict[str, Any] = {
            "size_bytes": GIB,
            "file_bytes": GIB + 512,
            "format": storage_pb2.DISK_FORMAT_VHD_FIXED,
            "etag": f"etag-{len(self.files)}",
        }
        self.files[store, path] = replication_plan_pb2.InspectSourceResponse(
            exists=True, location=self.stores[store], **(found | more)
        )

    def await_ensured(self, uid: str, generation: int) -> ensure_replicas_pb2.EnsureReplicasRequest:
        def found() -> ensure_replicas_pb2.EnsureReplicasRequest | None:
            return next(
                (
                    one
                    for one in self.ensured
                    if one.desired.image_version_uid == uid and one.desired.generation == generation
                ),
                None,
            )

        with self.arrived:
            assert self.arrived.wait_for(found, 15), self.ensured
            request = found()
        assert request is not None
        return request

    def await_cancelled(self, version: str, count: int = 1) -> list[list[str]]:
        """Answer the regions of a version that were cancelled by each of so many calls."""

        def found() -> list[list[str]]:
            return [list(one.locations) for one in self.cancelled if one.name == version]

        with self.arrived:
            assert self.arrived.wait_for(lambda: len(found()) >= count, 15), self.cancelled
        return found()

    def tell(
        self, uid: str, location: str, state: int, *, generation: int = 1, **more: Any
    ) -> None:
        """Send the state of a region of a version."""
        region = replication_feed_pb2.VersionRegion(
            image_version_uid=uid,
            generation=generation,
            location=location,
            replication="replications/r1",
            state=state,  # type: ignore[arg-type]
            usable=more.pop("usable", state == COMPLETED),
            wanted_replica_count=more.pop("wanted", 1),
            good_replica_count=more.pop("good", int(state == COMPLETED)),
            progress=more.pop("progress", _progress(state)),
            **more,
        )
        self.feed.send(replication_feed_pb2.FeedEntry(version_region=region))

    def GetRegion(self, request: Any, context: Any) -> region_pb2.Region:
        self.asked_regions.append(request.name)
        found = self.regions.get(request.name.rpartition("/")[2])
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such region")
        return found  # type: ignore[return-value]

    def InspectSource(
        self, request: Any, context: Any
    ) -> replication_plan_pb2.InspectSourceResponse:
        if self.silent:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        absent = replication_plan_pb2.InspectSourceResponse()
        if request.source.WhichOneof("source") == "store_file":
            file = request.source.store_file
            if file.path:
                return self.files.get((file.store, file.path), absent)
            found = self.stores.get(file.store, "")
            return replication_plan_pb2.InspectSourceResponse(exists=bool(found), location=found)
        return self.blobs.get(request.source.blob.blob, absent)

    def EnsureReplicas(
        self, request: Any, context: Any
    ) -> ensure_replicas_pb2.EnsureReplicasResponse:
        if self.refusal is not None:
            context.abort(*self.refusal)
        if request.desired.image_version_uid in self.stubborn:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not this one")
        with self.arrived:
            self.grants.append(self._reader.verify(request.operation_grant))
            self.ensured.append(request)
            self.arrived.notify_all()
        return ensure_replicas_pb2.EnsureReplicasResponse(
            replication="replications/r1", state=replication_pb2.Replication.STATE_OPEN
        )

    def PlanReplicas(self, request: Any, context: Any) -> replication_plan_pb2.PlanReplicasResponse:
        with self.arrived:
            self.planned.append(request.desired)
            self.arrived.notify_all()
        plan: replication_plan_pb2.PlanReplicasResponse = self.plans(request.desired, context)
        return plan

    def CancelReplication(self, request: Any, context: Any) -> replication_pb2.Replication:
        if self.refusal is not None:
            context.abort(*self.refusal)
        with self.arrived:
            self.cancelled.append(request)
            self.arrived.notify_all()
        return replication_pb2.Replication(name="replications/r1")

    def HoldBlob(self, request: Any, context: Any) -> Any:
        if self.holds_nothing:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if request.name not in self.blobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
        self.held.add((request.name, request.source_uid))
        return blob_pb2.Blob(name=request.name)

    def ReleaseBlob(self, request: Any, context: Any) -> Any:
        with self.arrived:
            self.held.discard((request.name, request.source_uid))
            self.arrived.notify_all()
        return empty_pb2.Empty()


class _Feed(replication_feed_service_pb2_grpc.ReplicationFeedServiceServicer):
    """A log in memory; whoever watches gets what is sent, in its order."""

    def __init__(self, owner: Replication) -> None:
        self._owner = owner
        self.entries: list[replication_feed_pb2.FeedEntry] = []
        self.snapshots = 0
        self._watchers: list[queue.SimpleQueue[Any]] = []
        self._lock = threading.Lock()
        self._closed = False

    def send(self, entry: replication_feed_pb2.FeedEntry) -> None:
        with self._lock:
            entry.position = len(self.entries) + 1
            entry.event_time.GetCurrentTime()
            self.entries.append(entry)
            for watcher in self._watchers:
                watcher.put(entry)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for watcher in self._watchers:
                watcher.put(None)

    def Snapshot(self, request: Any, context: Any) -> Any:
        self.snapshots += 1
        response = replication_feed_service_pb2.SnapshotResponse
        start = replication_feed_pb2.FeedPosition(log_uid="log", position=len(self.entries))
        yield response(start=start)
        for region in self._owner.regions.values():
            yield response(item=replication_feed_pb2.FeedEntry(region=region, position=1))
        end = replication_feed_service_pb2.SnapshotEnd(item_count=len(self._owner.regions))
        yield response(end=end)

    def Watch(self, request: Any, context: Any) -> Any:
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._lock:
            for entry in self.entries[request.after_position :]:
                waiting.put(entry)
            self._watchers.append(waiting)
        response = replication_feed_service_pb2.WatchResponse
        while context.is_active() and not self._closed:
            try:
                entry = waiting.get(timeout=0.2)
            except queue.Empty:
                beat = replication_feed_service_pb2.FeedHeartbeat(head_position=len(self.entries))
                yield response(heartbeat=beat)
                continue
            if entry is None:
                return
            yield response(entry=entry)


def _nothing_moves(desired: Any, _: Any) -> replication_plan_pb2.PlanReplicasResponse:
    return replication_plan_pb2.PlanReplicasResponse(
        regions=[
            replication_plan_pb2.RegionPlan(
                location=one.location, exactness=replication_plan_pb2.PLAN_EXACTNESS_EXACT
            )
            for one in desired.regions
        ]
    )


def _progress(state: int) -> copy_state_pb2.CopyProgress:
    counted = replication_progress_pb2.ReplicationProgress(total_bytes=100, copied_bytes=100)
    return copy_state_pb2.CopyProgress(bytes=counted, percent=100 if state == COMPLETED else 40)


def _pair(layout: Layout) -> tuple[bytes, bytes]:
    def read(path: Path) -> bytes:
        return path.read_bytes()

    return read(layout.key("replication")), read(layout.certificate("replication"))
