"""Steps in the sharing of galleries between the contract and the domain."""

from typing import Final

from stoa.catalog.v1 import gallery_sharing_pb2 as pb

from services.catalog.convert import galleries
from services.catalog.convert.common import EnumMap
from services.catalog.domain.gallery import ShareOperation
from services.catalog.ports.rows import ShownGallery
from services.catalog.usecases.sharing import Shared

OPERATIONS: Final = EnumMap(ShareOperation, pb.ShareOperation, "SHARE_OPERATION_")


def encode(shared: Shared) -> pb.ShareGalleryResponse:
    """Answer what came of a step as the contract has it."""
    answer = shared.answer
    return pb.ShareGalleryResponse(
        gallery=galleries.encode_shown(ShownGallery(shared.gallery, shared.locations)),
        exposure=_encode_exposure(shared),
        simulation_digest=answer.simulation_digest,
        consistency_token=answer.consistency_token,
        effective_everywhere=shared.waited and not answer.lagging,
        lagging_replicas=answer.lagging if shared.waited else (),
    )


def _encode_exposure(shared: Shared) -> pb.SharingExposure:
    audience, contents = shared.audience, shared.contents
    message = pb.SharingExposure(
        public=audience.public,
        image_definitions=[
            pb.ExposedImageDefinition(
                image_definition=one.name,
                image_version_count=one.versions,
                locations=one.locations,
            )
            for one in contents.definitions
        ],
        image_definition_count=contents.definition_count,
        image_version_count=contents.version_count,
    )
    if audience.gaining:
        galleries.encode_consumers(audience.gaining, message.gaining)
    if audience.losing:
        galleries.encode_consumers(audience.losing, message.losing)
    if shared.texts is not None:
        galleries.encode_community(shared.gallery, message.community_gallery_info)
    return message
