"""`ManagedImageService`."""

from typing import Any, Final

from stoa.catalog.v1 import managed_image_pb2
from stoa.catalog.v1 import managed_image_service_pb2 as pb

from services.catalog.convert import hardware
from services.catalog.convert import managed_images as convert
from services.catalog.convert.systems import decode_system
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import SYSTEM_FIELDS, Sources
from services.catalog.usecases import managed_images
from services.catalog.usecases.source_create import NewSource
from services.catalog.usecases.source_types import MANAGED_IMAGE
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
        sent = request.managed_image
        command = managed_images.CreateManagedImage(
            new=NewSource(
                mutations.scope_of(call),
                request.managed_image_id,
                sent.location,
                dict(sent.tags),
            ),
            source=convert.decode_source(sent),
            system=decode_system(sent),
            generation=hardware.GENERATIONS.member(sent.hyper_v_generation),
            architecture=hardware.ARCHITECTURES.member(sent.architecture),
            disk_encryption_set=sent.disk_encryption_set,
        )
        reply = mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: managed_images.create(
                command, context, mutation, world=self._sources.world
            ),
        )
        return self._sources.held(reply, managed_image_pb2.ManagedImage, convert.encode)

    def GetManagedImage(self, request: pb.GetManagedImageRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListManagedImages(self, request: pb.ListManagedImagesRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteManagedImage(self, request: pb.DeleteManagedImageRequest, call: Call) -> bytes:
        return self._sources.delete(request, call)
