"""Disks and snapshots between the contract and the domain."""

from typing import Any

from stoa.catalog.v1 import disk_pb2, snapshot_pb2

from services.catalog.convert.common import fill
from services.catalog.convert.hardware import DISK_TYPES
from services.catalog.convert.systems import fill_system
from services.catalog.domain.disks import Disk, DiskLike, Snapshot


def encode_disk(disk: Disk) -> disk_pb2.Disk:
    """Answer a disk as the contract has it."""
    message = disk_pb2.Disk(disk_type=DISK_TYPES.number(disk.disk_type))
    _fill(message, disk)
    return message


def encode_snapshot(snapshot: Snapshot) -> snapshot_pb2.Snapshot:
    """Answer a snapshot as the contract has it."""
    message = snapshot_pb2.Snapshot()
    _fill(message, snapshot)
    return message


def _fill(message: Any, found: DiskLike) -> None:
    fill(message, found)
    fill_system(message, found.system)
    message.blob = found.image.source.name
    message.size_bytes = found.image.size_bytes
    message.disk_encryption_set = found.disk_encryption_set
