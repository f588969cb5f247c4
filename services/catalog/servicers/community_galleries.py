"""`CommunityGalleryService`."""

from collections.abc import Sequence
from typing import Any, Final

from stoa.catalog.v1 import community_gallery_pb2 as views_pb
from stoa.catalog.v1 import community_gallery_service_pb2 as pb

from services.catalog.convert.views import ViewType
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.views import Views
from services.kernel.rpc.call import Call


class CommunityGalleryServicer:
    """Galleries that are open to everyone with a subscription."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._views: Final = Views(dependencies, ViewType.COMMUNITY)
        self._disclaimer: Final = dependencies.community_disclaimer

    def GetCommunityGallery(
        self, request: pb.GetCommunityGalleryRequest, call: Call
    ) -> views_pb.CommunityGallery:
        found: views_pb.CommunityGallery = self._views.gallery(call)
        self._disclaim([found])
        return found

    def ListCommunityGalleries(
        self, request: pb.ListCommunityGalleriesRequest, call: Call
    ) -> pb.ListCommunityGalleriesResponse:
        shown, token = self._views.galleries(request, call, None)
        self._disclaim(shown)
        return pb.ListCommunityGalleriesResponse(community_galleries=shown, next_page_token=token)

    def SearchCommunityGalleries(
        self, request: pb.SearchCommunityGalleriesRequest, call: Call
    ) -> pb.SearchCommunityGalleriesResponse:
        shown, token = self._views.search(request, call)
        self._disclaim([part for match in shown for part in (match.gallery, match.image)])
        return pb.SearchCommunityGalleriesResponse(matches=shown, next_page_token=token)

    def GetCommunityGalleryImage(
        self, request: pb.GetCommunityGalleryImageRequest, call: Call
    ) -> views_pb.CommunityGalleryImage:
        found: views_pb.CommunityGalleryImage = self._views.image(call)
        self._disclaim([found])
        return found

    def ListCommunityGalleryImages(
        self, request: pb.ListCommunityGalleryImagesRequest, call: Call
    ) -> pb.ListCommunityGalleryImagesResponse:
        shown, token = self._views.images(request, call)
        self._disclaim(shown)
        return pb.ListCommunityGalleryImagesResponse(
            community_gallery_images=shown, next_page_token=token
        )

    def GetCommunityGalleryImageVersion(
        self, request: pb.GetCommunityGalleryImageVersionRequest, call: Call
    ) -> views_pb.CommunityGalleryImageVersion:
        found: views_pb.CommunityGalleryImageVersion = self._views.version(call)
        self._disclaim([found])
        return found

    def ListCommunityGalleryImageVersions(
        self, request: pb.ListCommunityGalleryImageVersionsRequest, call: Call
    ) -> pb.ListCommunityGalleryImageVersionsResponse:
        shown, token = self._views.versions(request, call)
        self._disclaim(shown)
        return pb.ListCommunityGalleryImageVersionsResponse(
            community_gallery_image_versions=shown, next_page_token=token
        )

    def _disclaim(self, shown: Sequence[Any]) -> None:
        """Say beside what publishers tell what the operator says about it."""
        for message in shown:
            message.disclaimer = self._disclaimer
