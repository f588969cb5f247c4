"""`ManagedImageService`."""

from typing import Any, Final

from stoa.catalog.v1 import managed_image_pb2
from stoa.catalog.v1 import managed_image_service_pb2 as pb

from services.catalog.convert import hardware
from services.catalog.convert import managed_images as convert
from services.catalog.domain.hardware import (
    Architecture,
    HyperVGeneration,
    MachineSecurityType,
)
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import SYSTEM_FIELDS, Sources
from services.catalog.usecases import managed_images
from services.catalog.usecases.source_types import MANAGED_IMAGE
from services.kernel.errors import Unimplemented
from services.kernel.rpc.call import Call


class ManagedImageServicer:
    """Managed images."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._sources: Final = Sources(
            dependencies,
            MANAGED_IMAGE,
            dependencies.readers.managed_images,
            pb.ListManagedImagesResponse,
            entries="managed_images",
            fields=SYSTEM_FIELDS,
        )

    def CreateManagedImage(self, request: pb.CreateManagedImageRequest, call: Call) -> bytes:
        command = _command(request, call)
        reply = mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: managed_images.create(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                regions=self._d.regions,
                sources=self._d.sources,
            ),
        )
        return self._sources.held(reply, managed_image_pb2.ManagedImage, convert.encode)

    def GetManagedImage(self, request: pb.GetManagedImageRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListManagedImages(self, request: pb.ListManagedImagesRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteManagedImage(self, request: pb.DeleteManagedImageRequest, call: Call) -> bytes:
        return self._sources.delete(request, call)


def _command(
    request: pb.CreateManagedImageRequest, call: Call
) -> managed_images.CreateManagedImage:
    sent = request.managed_image
    source = sent.WhichOneof("source")
    if source not in {None, "blobs"}:
        raise Unimplemented(f"managed images of {source} are not built yet: upload blobs")
    if sent.disk_encryption_set:
        raise Unimplemented("disk encryption sets are not built yet")
    return managed_images.CreateManagedImage(
        parent=mutations.scope_of(call),
        id=request.managed_image_id,
        location=sent.location,
        disks=convert.decode_blobs(sent.blobs, "managed_image.blobs") if source else (),
        os_type=hardware.OS_TYPES.member(sent.os_type),
        os_state=hardware.OS_STATES.member(sent.os_state),
        hyper_v_generation=hardware.GENERATIONS.member(sent.hyper_v_generation)
        or HyperVGeneration.V1,
        architecture=hardware.ARCHITECTURES.member(sent.architecture) or Architecture.X64,
        security_type=hardware.MACHINE_SECURITY.member(sent.security_type)
        or MachineSecurityType.STANDARD,
        carries_vm_guest_state=sent.carries_vm_guest_state,
        accelerated_networking=sent.accelerated_networking_supported
        if sent.HasField("accelerated_networking_supported")
        else None,
        disk_controllers=tuple(
            found
            for one in sent.disk_controller_types
            if (found := hardware.CONTROLLERS.member(one)) is not None
        ),
        purchase_plan=hardware.decode_plan(sent.purchase_plan)
        if sent.HasField("purchase_plan")
        else None,
        tags=dict(sent.tags),
    )
