"""`SharedGalleryService`."""

from typing import Final

from stoa.catalog.v1 import shared_gallery_pb2 as views_pb
from stoa.catalog.v1 import shared_gallery_service_pb2 as pb

from services.catalog.convert.views import ViewType
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.views import Views
from services.kernel.rpc.call import Call
from services.policy.model import SharingGrant, Subscription


class SharedGalleryServicer:
    """Galleries that are shared directly."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._views: Final = Views(dependencies, ViewType.SHARED)

    def GetSharedGallery(
        self, request: pb.GetSharedGalleryRequest, call: Call
    ) -> views_pb.SharedGallery:
        found: views_pb.SharedGallery = self._views.gallery(call)
        return found

    def ListSharedGalleries(
        self, request: pb.ListSharedGalleriesRequest, call: Call
    ) -> pb.ListSharedGalleriesResponse:
        to_tenant = request.shared_to == pb.SHARED_TO_TENANT
        covers = _with_tenant if to_tenant else _with_subscription
        shown, token = self._views.galleries(request, call, covers, f"tenant={to_tenant}")
        return pb.ListSharedGalleriesResponse(shared_galleries=shown, next_page_token=token)

    def GetSharedGalleryImage(
        self, request: pb.GetSharedGalleryImageRequest, call: Call
    ) -> views_pb.SharedGalleryImage:
        found: views_pb.SharedGalleryImage = self._views.image(call)
        return found

    def ListSharedGalleryImages(
        self, request: pb.ListSharedGalleryImagesRequest, call: Call
    ) -> pb.ListSharedGalleryImagesResponse:
        shown, token = self._views.images(request, call)
        return pb.ListSharedGalleryImagesResponse(
            shared_gallery_images=shown, next_page_token=token
        )

    def GetSharedGalleryImageVersion(
        self, request: pb.GetSharedGalleryImageVersionRequest, call: Call
    ) -> views_pb.SharedGalleryImageVersion:
        found: views_pb.SharedGalleryImageVersion = self._views.version(call)
        return found

    def ListSharedGalleryImageVersions(
        self, request: pb.ListSharedGalleryImageVersionsRequest, call: Call
    ) -> pb.ListSharedGalleryImageVersionsResponse:
        shown, token = self._views.versions(request, call)
        return pb.ListSharedGalleryImageVersionsResponse(
            shared_gallery_image_versions=shown, next_page_token=token
        )


def _with_subscription(grant: SharingGrant, consumer: Subscription) -> bool:
    return consumer.key in grant.subscriptions


def _with_tenant(grant: SharingGrant, consumer: Subscription) -> bool:
    return consumer.tenant in grant.tenants
