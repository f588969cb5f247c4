"""`SnapshotService`."""

from typing import Any, Final

from stoa.catalog.v1 import snapshot_pb2
from stoa.catalog.v1 import snapshot_service_pb2 as pb

from services.catalog.convert import disks as convert
from services.catalog.convert.systems import decode_system
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import SYSTEM_FIELDS, Sources
from services.catalog.usecases import source_disks
from services.catalog.usecases.source_create import NewSource
from services.catalog.usecases.source_types import SNAPSHOT
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call


class SnapshotServicer:
    """Snapshots of disks."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._sources: Final = Sources(
            dependencies,
            SNAPSHOT,
            dependencies.readers.snapshots,
            pb.ListSnapshotsResponse,
            entries="snapshots",
            fields={"blob": Kind.STRING, **SYSTEM_FIELDS},
        )

    def CreateSnapshot(self, request: pb.CreateSnapshotRequest, call: Call) -> bytes:
        sent = request.snapshot
        command = source_disks.CreateDisk(
            new=NewSource(
                mutations.scope_of(call), request.snapshot_id, sent.location, dict(sent.tags)
            ),
            blob=sent.blob,
            system=decode_system(sent),
            disk_encryption_set=sent.disk_encryption_set,
        )
        reply = mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode_snapshot),
            names=("parent",),
            use=lambda context, mutation: source_disks.create(
                source_disks.SNAPSHOT, command, context, mutation, world=self._sources.world
            ),
        )
        return self._sources.held(reply, snapshot_pb2.Snapshot, convert.encode_snapshot)

    def GetSnapshot(self, request: pb.GetSnapshotRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListSnapshots(self, request: pb.ListSnapshotsRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteSnapshot(self, request: pb.DeleteSnapshotRequest, call: Call) -> bytes:
        return self._sources.delete(request, call)
