"""Views of galleries: what consumers see, built field by field from what may be told.

Nothing is copied from the owner's messages, so that a field added there never shows here.
"""

import enum
from typing import Any, Final

from stoa.catalog.v1 import community_gallery_pb2 as community_pb
from stoa.catalog.v1 import community_gallery_service_pb2 as community_service_pb
from stoa.catalog.v1 import shared_gallery_pb2 as shared_pb
from stoa.catalog.v1 import view_storage_profile_pb2 as storage_pb

from services.catalog.convert import definitions
from services.catalog.convert.hardware import (
    ARCHITECTURES,
    CACHINGS,
    DISK_TYPES,
    GENERATIONS,
    OS_STATES,
    OS_TYPES,
    encode_plan,
)
from services.catalog.convert.versions import STATES
from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.names import OS_DISK
from services.catalog.domain.version import Version
from services.catalog.ports.views import DefinitionView, VersionView, ViewId


class ViewType(enum.Enum):
    """The two kinds of view; the value is their collection."""

    SHARED = "sharedGalleries"
    COMMUNITY = "communityGalleries"

    @property
    def id(self) -> ViewId:
        """By which of its ids a gallery is known here."""
        return ViewId.SHARED if self is ViewType.SHARED else ViewId.PUBLIC

    def id_of(self, gallery: Gallery) -> str:
        """Answer the id of a gallery here."""
        if self is ViewType.SHARED:
            return gallery.shared_id
        return gallery.sharing.public_name


_IMAGES: Final[dict[ViewType, Any]] = {
    ViewType.SHARED: shared_pb.SharedGalleryImage,
    ViewType.COMMUNITY: community_pb.CommunityGalleryImage,
}
_VERSIONS: Final[dict[ViewType, Any]] = {
    ViewType.SHARED: shared_pb.SharedGalleryImageVersion,
    ViewType.COMMUNITY: community_pb.CommunityGalleryImageVersion,
}


def encode_gallery(view: ViewType, gallery: Gallery, location: str, consumer: str) -> Any:
    """Answer a gallery as the consumer's subscription sees it in a region."""
    name = _name(view, gallery, location, consumer)
    if view is ViewType.SHARED:
        return shared_pb.SharedGallery(name=name, location=location, unique_name=gallery.shared_id)
    texts, public_name = gallery.sharing.texts, gallery.sharing.public_name
    return community_pb.CommunityGallery(
        name=name,
        location=location,
        public_name=public_name,
        community_metadata=community_pb.CommunityGalleryMetadata(
            publisher_uri=texts.publisher_uri,
            publisher_contact=texts.publisher_contact,
            eula=texts.eula,
            public_names=[public_name],
            privacy_statement_uri=texts.privacy_statement_uri,
        ),
    )


def encode_image(view: ViewType, row: DefinitionView, consumer: str) -> Any:
    """Answer a definition as the consumer's subscription sees it in a region."""
    definition = row.definition
    message = _IMAGES[view](
        name=_image_name(view, row.gallery, definition, row.location, consumer=consumer),
        location=row.location,
        os_type=OS_TYPES.number(definition.os_type),
        os_state=OS_STATES.number(definition.os_state),
        identifier=definitions.encode_identifier(definition.identifier),
        hyper_v_generation=GENERATIONS.number(definition.hyper_v_generation),
        architecture=ARCHITECTURES.number(definition.architecture),
        eula=definition.eula,
        privacy_statement_uri=definition.privacy_statement_uri,
        features=[definitions.encode_feature(one) for one in definition.features],
    )
    if definition.end_of_life_time is not None:
        message.end_of_life_time.FromDatetime(definition.end_of_life_time)
    if definition.recommended is not None:
        message.recommended.CopyFrom(definitions.encode_recommended(definition.recommended))
    if definition.disallowed_disk_types:
        message.disallowed.disk_types.extend(
            DISK_TYPES.number(one) for one in definition.disallowed_disk_types
        )
    if definition.purchase_plan is not None:
        message.purchase_plan.CopyFrom(encode_plan(definition.purchase_plan))
    return message


def encode_match(row: DefinitionView, consumer: str) -> community_service_pb.CommunityGalleryMatch:
    """Answer a definition that was searched for, and its gallery."""
    view = ViewType.COMMUNITY
    return community_service_pb.CommunityGalleryMatch(
        gallery=encode_gallery(view, row.gallery, row.location, consumer),
        image=encode_image(view, row, consumer),
    )


def encode_version(view: ViewType, row: VersionView, consumer: str) -> Any:
    """Answer a version as the consumer's subscription sees it in a region."""
    version = row.version
    message = _VERSIONS[view](
        name=version_name(view, row, consumer),
        location=row.location,
        exclude_from_latest=_excluded(version, row.location),
        storage_profile=_encode_storage(version),
        state=STATES.number(version.version_state),
    )
    message.publish_time.FromDatetime(version.publish_time)
    end = version.end_of_life_time or row.definition.end_of_life_time
    if end is not None:
        message.end_of_life_time.FromDatetime(end)
    if version.consumption_end_time is not None:
        message.consumption_end_time.FromDatetime(version.consumption_end_time)
    return message


def version_name(view: ViewType, row: VersionView, consumer: str) -> str:
    """Answer the name of a version as the consumer's subscription knows it in a region."""
    image = _image_name(view, row.gallery, row.definition, row.location, consumer=consumer)
    return f"{image}/versions/{_last(row.version.name)}"


def _encode_storage(version: Version) -> storage_pb.ViewStorageProfile:
    message = storage_pb.ViewStorageProfile()
    for disk in version.disks:
        caching = CACHINGS.number(disk.host_caching)
        if disk.disk == OS_DISK:
            message.os_disk_image.CopyFrom(
                storage_pb.ViewOsDiskImage(size_bytes=disk.size_bytes, host_caching=caching)
            )
        else:
            message.data_disk_images.add(
                lun=int(disk.disk), size_bytes=disk.size_bytes, host_caching=caching
            )
    return message


def _excluded(version: Version, location: str) -> bool:
    target = next((one for one in version.target_regions if one.location == location), None)
    return version.exclude_from_latest if target is None else version.excluded_in(target)


def _name(view: ViewType, gallery: Gallery, location: str, consumer: str) -> str:
    return f"{consumer}/locations/{location}/{view.value}/{view.id_of(gallery)}"


def _image_name(
    view: ViewType, gallery: Gallery, definition: Definition, location: str, *, consumer: str
) -> str:
    return f"{_name(view, gallery, location, consumer)}/images/{_last(definition.name)}"


def _last(name: str) -> str:
    return name.rpartition("/")[2]
