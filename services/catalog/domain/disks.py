"""Managed disks and snapshots: a blob, and what is known of the system on it."""

from dataclasses import dataclass

from services.catalog.domain.disk_source import SourceDisk
from services.catalog.domain.hardware import DiskType
from services.catalog.domain.resource import Resource
from services.catalog.domain.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLike(Resource):
    """What disks and snapshots have in common.

    `image` tells the bytes, as the OS disk of whatever is made of it; `disk_encryption_set` is
    the name of the key's set, empty for none.
    """

    image: SourceDisk
    system: System
    disk_encryption_set: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk(DiskLike):
    """A managed disk."""

    disk_type: DiskType = DiskType.STANDARD_LRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(DiskLike):
    """A snapshot of a disk."""
