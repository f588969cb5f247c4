"""The names that the replication service parses and makes; patterns equal to the contract's."""

import hashlib
from typing import Final

from services.kernel.names import Pattern, fold

VERSION_PATTERN: Final = (
    "subscriptions/{subscription}/resourceGroups/{resource_group}/galleries/{gallery}"
    "/images/{image}/versions/{version}"
)

REGIONS: Final = Pattern("regions/{region}")
REPLICATIONS: Final = Pattern("replications/{replication}")
IMAGE_VERSIONS: Final = Pattern(VERSION_PATTERN)
REPLICATIONS_OR_VERSIONS: Final = Pattern("replications/{replication}", VERSION_PATTERN)
RESOURCE_GROUPS: Final = Pattern("subscriptions/{subscription}/resourceGroups/{resource_group}")
BLOBS: Final = Pattern("subscriptions/{subscription}/resourceGroups/{resource_group}/blobs/{blob}")
SHARED_VERSIONS: Final = Pattern(
    "subscriptions/{subscription}/locations/{location}/sharedGalleries/{shared_gallery}"
    "/images/{image}/versions/{version}"
)
COMMUNITY_VERSIONS: Final = Pattern(
    "subscriptions/{subscription}/locations/{location}/communityGalleries/{community_gallery}"
    "/images/{image}/versions/{version}"
)

REGION_TYPE: Final = "stoa.dev/Region"
REPLICATION_TYPE: Final = "stoa.dev/Replication"
VERSION_TYPE: Final = "stoa.dev/ImageVersion"
BLOB_TYPE: Final = "stoa.dev/Blob"

OS_DISK: Final = "os"
"""The key of the OS disk; that of a data disk is its LUN in decimal."""


def region_name(location: str) -> str:
    """Answer the name of the region with this id."""
    return f"regions/{location}"


def replication_name(replication_id: str) -> str:
    """Answer the name of the replication with this id; empty for none."""
    return f"replications/{replication_id}" if replication_id else ""


def location_key(text: str) -> str:
    """Answer what a region's id and its display name are compared by: `East US 2` = `eastus2`."""
    return fold(text).replace(" ", "")


def subscription_of(name: str) -> str:
    """Answer `subscriptions/{s}` of a name that lies in one, as spelled there."""
    return "/".join(name.split("/")[:2])


def storage_id(tenant: str) -> str:
    """Answer the opaque id under which a tenant's bytes lie in every store.

    `tenant` is the tenant's id. Derived, so that every service names the same one.
    """
    return hashlib.sha256(f"stoa storage {fold(tenant)}".encode()).hexdigest()[:32]


def disk_order(disk: str) -> int:
    """Answer where a disk stands in a list: the OS disk, then the data disks by LUN."""
    return -1 if disk == OS_DISK else int(disk)
