"""The encryption of target regions between the contract and the domain."""

from typing import Final

from stoa.catalog.v1 import target_region_pb2 as pb

from services.catalog.convert.common import EnumMap
from services.catalog.domain.encryption import (
    ConfidentialEncryption,
    DataDiskKey,
    RegionEncryption,
)

CONFIDENTIAL: Final = EnumMap(
    ConfidentialEncryption,
    pb.OsDiskImageSecurityProfile.ConfidentialVmEncryptionType,
    "CONFIDENTIAL_VM_ENCRYPTION_TYPE_",
)


def encode(encryption: RegionEncryption) -> pb.TargetRegionEncryption:
    """Answer the encryption of a region as the contract has it."""
    message = pb.TargetRegionEncryption(
        data_disk_images=[
            pb.DataDiskImageEncryption(lun=one.lun, disk_encryption_set=one.set)
            for one in encryption.data
        ]
    )
    if encryption.os_set:
        message.os_disk_image.disk_encryption_set = encryption.os_set
    if encryption.confidential is not None:
        profile = message.os_disk_image.security_profile
        profile.confidential_vm_encryption_type = CONFIDENTIAL.number(encryption.confidential)
        profile.secure_vm_disk_encryption_set = encryption.secure_set
    return message


def decode(message: pb.TargetRegionEncryption) -> RegionEncryption | None:
    """Read the encryption of a region; one that names nothing is none."""
    profile = message.os_disk_image.security_profile
    found = RegionEncryption(
        os_set=message.os_disk_image.disk_encryption_set,
        confidential=CONFIDENTIAL.member(profile.confidential_vm_encryption_type),
        secure_set=profile.secure_vm_disk_encryption_set,
        data=tuple(
            DataDiskKey(one.lun, one.disk_encryption_set) for one in message.data_disk_images
        ),
    )
    return None if found == RegionEncryption() else found
