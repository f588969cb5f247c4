"""Image definitions between the contract and the domain."""

from collections.abc import Mapping
from typing import Any

from stoa.catalog.v1 import image_definition_pb2 as pb

from services.catalog.convert.common import fill, optional_time, timestamp
from services.catalog.convert.hardware import (
    ARCHITECTURES,
    DISK_TYPES,
    GENERATIONS,
    OS_STATES,
    OS_TYPES,
    decode_plan,
    encode_plan,
)
from services.catalog.domain.definition import (
    Definition,
    Feature,
    Identifier,
    Recommended,
    ResourceRange,
)


def encode(definition: Definition) -> pb.ImageDefinition:
    """Answer a definition as the contract has it."""
    message = pb.ImageDefinition(
        os_type=OS_TYPES.number(definition.os_type),
        os_state=OS_STATES.number(definition.os_state),
        identifier=encode_identifier(definition.identifier),
        hyper_v_generation=GENERATIONS.number(definition.hyper_v_generation),
        architecture=ARCHITECTURES.number(definition.architecture),
        description=definition.description,
        eula=definition.eula,
        privacy_statement_uri=definition.privacy_statement_uri,
        release_note_uri=definition.release_note_uri,
        features=[encode_feature(one) for one in definition.features],
    )
    fill(message, definition)
    if definition.end_of_life_time is not None:
        message.end_of_life_time.CopyFrom(timestamp(definition.end_of_life_time))
    if definition.recommended is not None:
        message.recommended.CopyFrom(encode_recommended(definition.recommended))
    if definition.disallowed_disk_types:
        message.disallowed.disk_types.extend(
            DISK_TYPES.number(one) for one in definition.disallowed_disk_types
        )
    if definition.purchase_plan is not None:
        message.purchase_plan.CopyFrom(encode_plan(definition.purchase_plan))
    return message


def encode_identifier(identifier: Identifier) -> pb.ImageIdentifier:
    """Answer publisher, offer and SKU as the contract has them."""
    return pb.ImageIdentifier(
        publisher=identifier.publisher, offer=identifier.offer, sku=identifier.sku
    )


def encode_feature(feature: Feature) -> pb.ImageFeature:
    """Answer a feature as the contract has it."""
    return pb.ImageFeature(
        name=feature.name, value=feature.value, starts_at_version=feature.starts_at_version
    )


def decode_feature(message: pb.ImageFeature) -> Feature:
    """Read a feature, as it was spelled."""
    return Feature(message.name, message.value, message.starts_at_version)


def decode_identifier(message: pb.ImageIdentifier) -> Identifier:
    """Read publisher, offer and SKU."""
    return Identifier(message.publisher, message.offer, message.sku)


def encode_recommended(recommended: Recommended) -> pb.RecommendedMachine:
    """Answer a recommendation as the contract has it."""
    message = pb.RecommendedMachine()
    if recommended.vcpus is not None:
        message.vcpus.CopyFrom(_encode_range(recommended.vcpus))
    if recommended.memory_gb is not None:
        message.memory_gb.CopyFrom(_encode_range(recommended.memory_gb))
    return message


def decode_recommended(message: pb.RecommendedMachine) -> Recommended:
    """Read a recommendation."""
    return Recommended(
        vcpus=_decode_range(message.vcpus) if message.HasField("vcpus") else None,
        memory_gb=_decode_range(message.memory_gb) if message.HasField("memory_gb") else None,
    )


def _encode_range(range: ResourceRange) -> pb.ResourceRange:
    return pb.ResourceRange(min=range.min, max=range.max)


def _decode_range(message: pb.ResourceRange) -> ResourceRange:
    return ResourceRange(
        min=message.min if message.HasField("min") else None,
        max=message.max if message.HasField("max") else None,
    )


def update_fields(message: pb.ImageDefinition) -> Mapping[str, Any]:
    """Answer what an update sends, by the first parts of the paths; None: not populated."""
    identifier = message.identifier
    disallowed = (DISK_TYPES.member(one) for one in message.disallowed.disk_types)
    return {
        "location": message.location,
        "os_type": OS_TYPES.member(message.os_type),
        "os_state": OS_STATES.member(message.os_state),
        "identifier": {
            part: getattr(identifier, part) or None for part in ("publisher", "offer", "sku")
        },
        "hyper_v_generation": GENERATIONS.member(message.hyper_v_generation),
        "architecture": ARCHITECTURES.member(message.architecture),
        "description": message.description,
        "eula": message.eula,
        "privacy_statement_uri": message.privacy_statement_uri,
        "release_note_uri": message.release_note_uri,
        "end_of_life_time": optional_time(message, "end_of_life_time"),
        "recommended": decode_recommended(message.recommended),
        "disallowed": tuple(one for one in disallowed if one is not None),
        "purchase_plan": decode_plan(message.purchase_plan)
        if message.HasField("purchase_plan")
        else None,
        "features": tuple(map(decode_feature, message.features)),
        "tags": dict(message.tags),
    }
