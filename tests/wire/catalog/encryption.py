"""Target regions with keys of a customer, for the wire tests."""

from typing import Any

from stoa.catalog.v1 import disk_encryption_set_pb2, target_region_pb2

from tests.wire.catalog.installation import World
from tests.wire.catalog.sources import ENCRYPTION_SET

Region = target_region_pb2.TargetRegion
Encryption = target_region_pb2.TargetRegionEncryption
Profile = target_region_pb2.OsDiskImageSecurityProfile
WITH_CMK = Profile.CONFIDENTIAL_VM_ENCRYPTION_TYPE_ENCRYPTED_WITH_CMK
WITH_PMK = Profile.CONFIDENTIAL_VM_ENCRYPTION_TYPE_ENCRYPTED_WITH_PMK
SECURE = disk_encryption_set_pb2.DiskEncryptionSet.ENCRYPTION_TYPE_CONFIDENTIAL_VM_WITH_CUSTOMER_KEY
LUN = 3
"""That of the data disk of the versions that `World.version_request` makes."""


def make_set(world: World, location: str = "eastus", group: str = "", **more: Any) -> str:
    request = ENCRYPTION_SET.request(world, group, location=location, **more)
    name: str = ENCRYPTION_SET.create(world, request).name
    return name


def keyed(location: str, found: str, lun: int = LUN) -> Region:
    """A region in which one set serves both disks of a version."""
    region = Region(location=location)
    region.encryption.os_disk_image.disk_encryption_set = found
    region.encryption.data_disk_images.add(lun=lun, disk_encryption_set=found)
    return region


def confidential(location: str, kind: Any, found: str = "", data: str = "") -> Region:
    """A region with a confidential encryption of the OS disk."""
    region = Region(location=location)
    profile = region.encryption.os_disk_image.security_profile
    profile.confidential_vm_encryption_type = kind
    profile.secure_vm_disk_encryption_set = found
    if data:
        region.encryption.data_disk_images.add(lun=LUN, disk_encryption_set=data)
    return region


def request(world: World, *regions: Region, definition: str = "", **more: Any) -> Any:
    """A request for a version in these regions."""
    made = world.version_request(definition, regions=(), **more)
    made.image_version.target_regions.extend(regions)
    return made
