"""The names that the catalog parses and makes; patterns equal to the contract's."""

from typing import Final

from services.kernel.names import Pattern

_GROUP: Final = "subscriptions/{subscription}/resourceGroups/{resource_group}"
_GALLERY: Final = f"{_GROUP}/galleries/{{gallery}}"
_DEFINITION: Final = f"{_GALLERY}/images/{{image}}"
_VERSION: Final = f"{_DEFINITION}/versions/{{version}}"
_SHARED: Final = (
    "subscriptions/{subscription}/locations/{location}/sharedGalleries/{shared_gallery}"
)
_COMMUNITY: Final = (
    "subscriptions/{subscription}/locations/{location}/communityGalleries/{community_gallery}"
)

TENANTS: Final = Pattern("tenants/{tenant}")
SUBSCRIPTIONS: Final = Pattern("subscriptions/{subscription}")
RESOURCE_GROUPS: Final = Pattern(_GROUP)
GALLERIES: Final = Pattern(_GALLERY)
DEFINITIONS: Final = Pattern(_DEFINITION)
VERSIONS: Final = Pattern(_VERSION)

VIRTUAL_MACHINES: Final = Pattern(f"{_GROUP}/virtualMachines/{{virtual_machine}}")
DISKS: Final = Pattern(f"{_GROUP}/disks/{{disk}}")
SNAPSHOTS: Final = Pattern(f"{_GROUP}/snapshots/{{snapshot}}")
MANAGED_IMAGES: Final = Pattern(f"{_GROUP}/managedImages/{{managed_image}}")
STORAGE_ACCOUNTS: Final = Pattern(f"{_GROUP}/storageAccounts/{{storage_account}}")
DISK_ENCRYPTION_SETS: Final = Pattern(f"{_GROUP}/diskEncryptionSets/{{disk_encryption_set}}")
USAGES: Final = Pattern("subscriptions/{subscription}/locations/{location}/usages/{usage}")
BLOBS: Final = Pattern(f"{_GROUP}/blobs/{{blob}}")

SHARED_GALLERIES: Final = Pattern(_SHARED)
SHARED_DEFINITIONS: Final = Pattern(f"{_SHARED}/images/{{image}}")
SHARED_VERSIONS: Final = Pattern(f"{_SHARED}/images/{{image}}/versions/{{version}}")
COMMUNITY_GALLERIES: Final = Pattern(_COMMUNITY)
COMMUNITY_DEFINITIONS: Final = Pattern(f"{_COMMUNITY}/images/{{image}}")
COMMUNITY_VERSIONS: Final = Pattern(f"{_COMMUNITY}/images/{{image}}/versions/{{version}}")

SUBSCRIPTION_TYPE: Final = "stoa.dev/Subscription"
RESOURCE_GROUP_TYPE: Final = "stoa.dev/ResourceGroup"
GALLERY_TYPE: Final = "stoa.dev/Gallery"
DEFINITION_TYPE: Final = "stoa.dev/ImageDefinition"
VERSION_TYPE: Final = "stoa.dev/ImageVersion"
VIRTUAL_MACHINE_TYPE: Final = "stoa.dev/VirtualMachine"
DISK_TYPE: Final = "stoa.dev/Disk"
SNAPSHOT_TYPE: Final = "stoa.dev/Snapshot"
MANAGED_IMAGE_TYPE: Final = "stoa.dev/ManagedImage"
STORAGE_ACCOUNT_TYPE: Final = "stoa.dev/StorageAccount"
DISK_ENCRYPTION_SET_TYPE: Final = "stoa.dev/DiskEncryptionSet"
BLOB_TYPE: Final = "stoa.dev/Blob"
USAGE_TYPE: Final = "stoa.dev/Usage"
SHARED_VERSION_TYPE: Final = "stoa.dev/SharedGalleryImageVersion"
COMMUNITY_VERSION_TYPE: Final = "stoa.dev/CommunityGalleryImageVersion"

PATTERNS: Final = {
    RESOURCE_GROUP_TYPE: RESOURCE_GROUPS,
    GALLERY_TYPE: GALLERIES,
    DEFINITION_TYPE: DEFINITIONS,
    VERSION_TYPE: VERSIONS,
    VIRTUAL_MACHINE_TYPE: VIRTUAL_MACHINES,
    DISK_TYPE: DISKS,
    SNAPSHOT_TYPE: SNAPSHOTS,
    MANAGED_IMAGE_TYPE: MANAGED_IMAGES,
    STORAGE_ACCOUNT_TYPE: STORAGE_ACCOUNTS,
    DISK_ENCRYPTION_SET_TYPE: DISK_ENCRYPTION_SETS,
    USAGE_TYPE: USAGES,
    "stoa.dev/SharedGallery": SHARED_GALLERIES,
    "stoa.dev/SharedGalleryImage": SHARED_DEFINITIONS,
    SHARED_VERSION_TYPE: SHARED_VERSIONS,
    "stoa.dev/CommunityGallery": COMMUNITY_GALLERIES,
    "stoa.dev/CommunityGalleryImage": COMMUNITY_DEFINITIONS,
    COMMUNITY_VERSION_TYPE: COMMUNITY_VERSIONS,
}
"""What each resource type of the contract is called, for the test that compares them."""

OS_DISK: Final = "os"
"""The key of the OS disk; that of a data disk is its LUN in decimal."""


def disk_order(disk: str) -> int:
    """Answer where a disk stands in a list: the OS disk, then the data disks by LUN."""
    return -1 if disk == OS_DISK else int(disk)


def subscription_of(name: str) -> str:
    """Answer `subscriptions/{s}` of a name that lies in one, as spelled there."""
    return "/".join(name.split("/")[:2])


def group_of(name: str) -> str:
    """Answer the name of the resource group that a name lies in, as spelled there."""
    return "/".join(name.split("/")[:4])


def ordered_key(key: str) -> str:
    """Answer what sorts the keys of versions as names are listed: numbers as numbers.

    Other keys are answered as they are, so that what lies below a scope is one range of these
    too.
    """
    above, slash, number = key.rpartition("/versions/")
    if not slash:
        return key
    return f"{above}/versions/{'.'.join(part.zfill(10) for part in number.split('.'))}"
