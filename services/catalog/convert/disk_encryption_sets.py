"""Disk encryption sets between the contract and the domain."""

from typing import Final

from stoa.catalog.v1 import disk_encryption_set_pb2 as pb

from services.catalog.convert.common import EnumMap, fill
from services.catalog.domain.disk_encryption_set import DiskEncryptionSet, EncryptionType

ENCRYPTION_TYPES: Final = EnumMap(
    EncryptionType, pb.DiskEncryptionSet.EncryptionType, "ENCRYPTION_TYPE_"
)


def encode(found: DiskEncryptionSet) -> pb.DiskEncryptionSet:
    """Answer a set as the contract has it."""
    message = pb.DiskEncryptionSet(
        encryption_type=ENCRYPTION_TYPES.number(found.encryption_type), key_uri=found.key_uri
    )
    fill(message, found)
    return message
