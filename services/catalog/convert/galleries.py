"""Galleries between the contract and the domain."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoa.catalog.v1 import gallery_pb2 as pb
from stoa.catalog.v1 import sharing_profile_pb2 as sharing_pb

from services.catalog.convert.common import EnumMap, duration, fill
from services.catalog.domain.gallery import (
    CommunityTexts,
    Consumers,
    Gallery,
    SharingMode,
    SharingState,
    SoftDeletePolicy,
)
from services.catalog.ports.rows import ShownGallery

MODES: Final = EnumMap(SharingMode, sharing_pb.SharingProfile.SharingMode, "SHARING_MODE_")
_STATES: Final = EnumMap(SharingState, sharing_pb.SharingStatus.SharingState, "SHARING_STATE_")


def encode(gallery: Gallery) -> pb.Gallery:
    """Answer a gallery as the contract has it.

    How far a change of sharing has come is not in here: the row alone does not tell the regions.
    """
    message = pb.Gallery(
        description=gallery.description,
        unique_name=gallery.shared_id,
        allow_copy=gallery.allow_copy,
    )
    fill(message, gallery)
    if gallery.soft_delete is not None:
        message.soft_delete_policy.CopyFrom(encode_soft_delete(gallery.soft_delete))
    encode_sharing(gallery, message.sharing_profile)
    return message


def encode_shown(shown: ShownGallery) -> pb.Gallery:
    """Answer a gallery as a Get does, with how far its sharing has come."""
    message = encode(shown.gallery)
    message.MergeFromString(sharing_fragment(shown.gallery, shown.locations))
    return message


def sharing_fragment(gallery: Gallery, locations: Sequence[str]) -> bytes:
    """Answer a message with nothing but how far sharing has come, to append to what `encode` gave.

    `locations` are the regions with a view. There is nothing in mode PRIVATE.
    """
    if gallery.sharing.mode is SharingMode.PRIVATE:
        return b""
    state = _STATES.number(gallery.sharing_state)
    details = gallery.sharing.failure if gallery.sharing_state is SharingState.FAILED else ""
    status = sharing_pb.SharingStatus(
        aggregated_state=state,
        summary=[
            sharing_pb.RegionalSharingStatus(location=one, state=state, details=details)
            for one in locations
        ],
    )
    return pb.Gallery(sharing_status=status).SerializeToString()


def encode_soft_delete(policy: SoftDeletePolicy) -> pb.SoftDeletePolicy:
    """Answer a soft-delete policy as the contract has it."""
    return pb.SoftDeletePolicy(
        enabled=policy.enabled,
        retention_duration=duration(policy.retention),
        grace_duration=duration(policy.grace),
    )


def decode_soft_delete(message: pb.SoftDeletePolicy) -> SoftDeletePolicy:
    """Read a soft-delete policy, with the defaults of what is absent."""
    plain = SoftDeletePolicy()
    return SoftDeletePolicy(
        enabled=message.enabled,
        retention=message.retention_duration.ToTimedelta()
        if message.HasField("retention_duration")
        else plain.retention,
        grace=message.grace_duration.ToTimedelta()
        if message.HasField("grace_duration")
        else plain.grace,
    )


def encode_sharing(gallery: Gallery, message: sharing_pb.SharingProfile) -> None:
    """Fill in with whom a gallery is shared."""
    sharing = gallery.sharing
    message.mode = MODES.number(sharing.mode)
    if sharing.groups:
        encode_consumers(sharing.groups, message.groups)
    if sharing.mode is SharingMode.COMMUNITY:
        encode_community(gallery, message.community_gallery_info)


def encode_community(gallery: Gallery, message: sharing_pb.CommunityGalleryInfo) -> None:
    """Fill in what the public is told, and the names that it knows the gallery by."""
    sharing = gallery.sharing
    message.publisher_uri = sharing.texts.publisher_uri
    message.publisher_contact = sharing.texts.publisher_contact
    message.eula = sharing.texts.eula
    message.privacy_statement_uri = sharing.texts.privacy_statement_uri
    message.public_name_prefix = sharing.texts.public_name_prefix
    message.community_gallery_enabled = sharing.community_enabled
    if sharing.public_name:
        message.public_names.append(sharing.public_name)
    if sharing.blocked:
        encode_consumers(sharing.blocked, message.blocked_consumers)


def decode_texts(message: sharing_pb.CommunityGalleryInfo) -> CommunityTexts:
    """Read what the public is to be told."""
    return CommunityTexts(
        publisher_uri=message.publisher_uri,
        publisher_contact=message.publisher_contact,
        eula=message.eula,
        privacy_statement_uri=message.privacy_statement_uri,
        public_name_prefix=message.public_name_prefix,
    )


def encode_consumers(consumers: Consumers, message: Any) -> None:
    """Fill in subscriptions and tenants."""
    message.subscriptions.extend(consumers.subscriptions)
    message.tenants.extend(consumers.tenants)


def update_fields(message: pb.Gallery) -> Mapping[str, Any]:
    """Answer what an update sends, by the first parts of the paths; None: not populated."""
    profile, soft = message.sharing_profile, message.soft_delete_policy
    info = profile.community_gallery_info
    return {
        "location": message.location,
        "description": message.description,
        "allow_copy": message.allow_copy if message.HasField("allow_copy") else None,
        "tags": dict(message.tags),
        "sharing_profile": {
            "mode": MODES.member(profile.mode),
            "community_gallery_info": {
                field: getattr(info, field) or None
                for field in (
                    "publisher_uri",
                    "publisher_contact",
                    "eula",
                    "privacy_statement_uri",
                    "public_name_prefix",
                )
            },
        },
        "soft_delete_policy": {
            "enabled": soft.enabled if soft.HasField("enabled") else None,
            **{
                field: getattr(soft, field).ToTimedelta() if soft.HasField(field) else None
                for field in ("retention_duration", "grace_duration")
            },
        },
    }
