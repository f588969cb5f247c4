"""`DiskService`."""

from typing import Any, Final

from stoa.catalog.v1 import disk_pb2
from stoa.catalog.v1 import disk_service_pb2 as pb

from services.catalog.convert import disks as convert
from services.catalog.convert.hardware import DISK_TYPES
from services.catalog.convert.systems import decode_system
from services.catalog.domain.hardware import DiskType
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import SYSTEM_FIELDS, Sources
from services.catalog.usecases import source_disks
from services.catalog.usecases.source_create import NewSource
from services.catalog.usecases.source_types import DISK
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call


class DiskServicer:
    """Managed disks."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._sources: Final = Sources(
            dependencies,
            DISK,
            dependencies.readers.disks,
            pb.ListDisksResponse,
            entries="disks",
            fields={
                "blob": Kind.STRING,
                "disk_type": frozenset(one.name for one in DiskType),
                **SYSTEM_FIELDS,
            },
        )

    def CreateDisk(self, request: pb.CreateDiskRequest, call: Call) -> bytes:
        sent = request.disk
        command = source_disks.CreateDisk(
            new=NewSource(
                mutations.scope_of(call), request.disk_id, sent.location, dict(sent.tags)
            ),
            blob=sent.blob,
            system=decode_system(sent),
            disk_encryption_set=sent.disk_encryption_set,
            disk_type=DISK_TYPES.member(sent.disk_type) or DiskType.STANDARD_LRS,
        )
        reply = mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode_disk),
            names=("parent",),
            use=lambda context, mutation: source_disks.create(
                source_disks.DISK, command, context, mutation, world=self._sources.world
            ),
        )
        return self._sources.held(reply, disk_pb2.Disk, convert.encode_disk)

    def GetDisk(self, request: pb.GetDiskRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListDisks(self, request: pb.ListDisksRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteDisk(self, request: pb.DeleteDiskRequest, call: Call) -> bytes:
        return self._sources.delete(request, call)
