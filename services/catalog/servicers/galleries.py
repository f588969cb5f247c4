"""`GalleryService`."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stoa.catalog.v1 import gallery_service_pb2 as pb
from stoa.catalog.v1 import gallery_sharing_pb2

from services.catalog.convert import galleries as convert
from services.catalog.domain import names
from services.catalog.domain.gallery import SharingMode
from services.catalog.servicers import mutations, reading, sharing
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.resource_groups import COMMON_FIELDS, COMMON_ORDERS, delete
from services.catalog.servicers.updates import update_of
from services.catalog.usecases import deletes, galleries, gallery_update
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call

_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    **COMMON_FIELDS,
    "description": Kind.STRING,
    "sharing_profile.mode": frozenset(one.name for one in SharingMode),
    "soft_delete_policy.enabled": Kind.BOOLEAN,
}


class GalleryServicer:
    """Galleries."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._listing: Final = reading.Listing(
            _FIELDS,
            COMMON_ORDERS,
            _response,
            lambda parent: dependencies.readers.groups.exists(parent.key),
            names.RESOURCE_GROUP_TYPE,
        )

    def CreateGallery(self, request: pb.CreateGalleryRequest, call: Call) -> bytes:
        sent = request.gallery
        profile = sent.sharing_profile
        command = galleries.CreateGallery(
            parent=mutations.scope_of(call),
            id=request.gallery_id,
            location=sent.location,
            description=sent.description,
            allow_copy=sent.allow_copy,
            soft_delete=convert.decode_soft_delete(sent.soft_delete_policy)
            if sent.HasField("soft_delete_policy")
            else None,
            mode=convert.MODES.member(profile.mode) or SharingMode.PRIVATE,
            texts=convert.decode_texts(profile.community_gallery_info)
            if profile.HasField("community_gallery_info")
            else None,
            tags=dict(sent.tags),
        )
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode_shown),
            names=("parent",),
            use=lambda context, mutation: galleries.create(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                regions=self._d.regions,
            ),
        )

    def GetGallery(self, request: pb.GetGalleryRequest, call: Call) -> bytes:
        return reading.get(self._d, call, self._d.readers.galleries, names.GALLERY_TYPE)

    def ListGalleries(self, request: pb.ListGalleriesRequest, call: Call) -> Any:
        return reading.page(
            self._d, call, self._d.readers.galleries, request, listing=self._listing
        )

    def ShareGallery(self, request: gallery_sharing_pb2.ShareGalleryRequest, call: Call) -> bytes:
        return sharing.share(self._d, call, request)

    def UpdateGallery(self, request: pb.UpdateGalleryRequest, call: Call) -> bytes:
        sent = request.gallery
        values = convert.update_fields(sent)
        command = update_of(call, sent, request.update_mask, values, regions=self._d.regions)
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode_shown),
            names=("gallery.name",),
            use=lambda context, mutation: gallery_update.update(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                transact=self._d.transact,
                authority=self._d.sharing,
            ),
        )

    def DeleteGallery(self, request: pb.DeleteGalleryRequest, call: Call) -> bytes:
        return delete(self._d, call, request, deletes.GALLERY)


def _response(rows: Any, token: str) -> pb.ListGalleriesResponse:
    response = pb.ListGalleriesResponse(next_page_token=token)
    for row in rows:
        response.galleries.add().ParseFromString(row.body)
    return response
