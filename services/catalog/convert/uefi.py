"""UEFI settings between the contract and the domain."""

from typing import Final

from stoa.catalog.v1 import image_version_pb2
from stoa.catalog.v1 import version_profiles_pb2 as pb

from services.catalog.convert.common import EnumMap
from services.catalog.domain.uefi import UefiKey, UefiKeyType, UefiSettings, UefiTemplate

_TEMPLATES: Final = EnumMap(
    UefiTemplate, pb.UefiSettings.UefiSignatureTemplate, "UEFI_SIGNATURE_TEMPLATE_"
)
_TYPES: Final = EnumMap(UefiKeyType, pb.UefiKey.UefiKeyType, "UEFI_KEY_TYPE_")


def fragment(settings: UefiSettings) -> bytes:
    """Answer a version with nothing but its UEFI settings, to append to what a Get answers."""
    signatures = pb.UefiKeySignatures(
        pk=None if settings.pk is None else _encode_key(settings.pk),
        kek=map(_encode_key, settings.kek),
        db=map(_encode_key, settings.db),
        dbx=map(_encode_key, settings.dbx),
    )
    message = pb.UefiSettings(
        signature_templates=[_TEMPLATES.number(one) for one in settings.templates]
    )
    if signatures.ByteSize():
        message.additional_signatures.CopyFrom(signatures)
    return image_version_pb2.ImageVersion(uefi_settings=message).SerializeToString()


def decode(message: pb.UefiSettings) -> UefiSettings:
    """Read UEFI settings."""
    signatures = message.additional_signatures
    templates = (_TEMPLATES.member(one) for one in message.signature_templates)
    return UefiSettings(
        templates=tuple(one for one in templates if one is not None),
        pk=_decode_key(signatures.pk) if signatures.HasField("pk") else None,
        kek=tuple(map(_decode_key, signatures.kek)),
        db=tuple(map(_decode_key, signatures.db)),
        dbx=tuple(map(_decode_key, signatures.dbx)),
    )


def _encode_key(key: UefiKey) -> pb.UefiKey:
    return pb.UefiKey(type=_TYPES.number(key.type), values=key.values)


def _decode_key(message: pb.UefiKey) -> UefiKey:
    return UefiKey(_TYPES.member(message.type), tuple(message.values))
