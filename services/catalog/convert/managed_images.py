"""Managed images between the contract and the domain."""

from typing import Any, Final

from stoa.catalog.v1 import managed_image_pb2 as pb
from stoa.catalog.v1 import vhd_pb2
from stoa.type.v1 import storage_pb2

from services.catalog.convert.common import fill
from services.catalog.convert.hardware import CACHINGS
from services.catalog.convert.storage_accounts import encode_vhd
from services.catalog.convert.systems import fill_system
from services.catalog.domain import names
from services.catalog.domain.disk_source import SourceDisk, SourceKind
from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.names import OS_DISK
from services.catalog.domain.storage_account import Vhd
from services.catalog.usecases.managed_image_sources import (
    PATH,
    ImageDisk,
    ImageSource,
    ImageSourceKind,
)
from services.kernel.names import Pattern

_ORIGINS: Final[dict[str, Pattern]] = {
    "disk": names.DISKS,
    "snapshot": names.SNAPSHOTS,
    "virtual_machine": names.VIRTUAL_MACHINES,
}


def encode(image: ManagedImage) -> pb.ManagedImage:
    """Answer a managed image as the contract has it."""
    message = pb.ManagedImage(
        disk_encryption_set=image.disk_encryption_set,
        disks=[_encode_disk(one) for one in image.disks],
    )
    fill(message, image)
    fill_system(message, image.system)
    if image.origin:
        field = next(one for one, pattern in _ORIGINS.items() if pattern.matches(image.origin))
        setattr(message, field, image.origin)
    elif all(one.source.kind is SourceKind.BLOB for one in image.disks):
        message.blobs.CopyFrom(_encode_blobs(image))
    else:
        message.vhds.CopyFrom(_encode_vhds(image))
    return message


def decode_source(message: pb.ManagedImage) -> ImageSource | None:
    """Read what an image is to be made from, None where the request does not say."""
    which = message.WhichOneof("source")
    if which is None:
        return None
    kind = ImageSourceKind(which)
    match kind:
        case ImageSourceKind.BLOBS:
            return ImageSource(kind, disks=_decode_blobs(message.blobs))
        case ImageSourceKind.VHDS:
            return ImageSource(kind, disks=_decode_vhds(message.vhds))
        case _:
            return ImageSource(kind, getattr(message, which))


def selector(disk: str) -> storage_pb2.DiskSelector:
    """Answer which disk a key means."""
    if disk == OS_DISK:
        return storage_pb2.DiskSelector(os=True)
    return storage_pb2.DiskSelector(lun=int(disk))


def _decode_blobs(message: pb.ManagedImageBlobs) -> tuple[ImageDisk, ...]:
    path = f"{PATH}.blobs"
    return (
        _decode_blob(OS_DISK, f"{path}.os_blob", message.os_blob, message.os_host_caching),
        *(
            _decode_blob(
                str(one.lun), f"{path}.data_blobs[{index}].blob", one.blob, one.host_caching
            )
            for index, one in enumerate(message.data_blobs)
        ),
    )


def _decode_blob(disk: str, field: str, blob: str, caching: int) -> ImageDisk:
    return ImageDisk(disk, field, blob, host_caching=_caching(caching))


def _decode_vhds(message: pb.ManagedImageVhds) -> tuple[ImageDisk, ...]:
    path = f"{PATH}.vhds"
    return (
        _decode_vhd(OS_DISK, f"{path}.os_vhd", message.os_vhd, message.os_host_caching),
        *(
            _decode_vhd(str(one.lun), f"{path}.data_vhds[{index}].vhd", one.vhd, one.host_caching)
            for index, one in enumerate(message.data_vhds)
        ),
    )


def _decode_vhd(disk: str, field: str, vhd: vhd_pb2.Vhd, caching: int) -> ImageDisk:
    return ImageDisk(disk, field, vhd.storage_account, vhd.path, _caching(caching))


def _caching(number: int) -> HostCaching:
    return CACHINGS.member(number) or HostCaching.NONE


def _encode_disk(disk: SourceDisk) -> pb.ManagedImageDisk:
    return pb.ManagedImageDisk(
        disk=selector(disk.disk),
        size_bytes=disk.size_bytes,
        host_caching=CACHINGS.number(disk.host_caching),
    )


def _encode_blobs(image: ManagedImage) -> pb.ManagedImageBlobs:
    message = pb.ManagedImageBlobs()
    for disk in image.disks:
        if disk.disk == OS_DISK:
            message.os_blob = disk.source.name
            message.os_host_caching = CACHINGS.number(disk.host_caching)
        else:
            message.data_blobs.add(
                lun=int(disk.disk),
                blob=disk.source.name,
                host_caching=CACHINGS.number(disk.host_caching),
            )
    return message


def _encode_vhds(image: ManagedImage) -> pb.ManagedImageVhds:
    message = pb.ManagedImageVhds()
    for disk in image.disks:
        caching: Any = CACHINGS.number(disk.host_caching)
        source = disk.source
        vhd = encode_vhd(Vhd(disk.origin, source.path, source.etag, disk.size_bytes))
        if disk.disk == OS_DISK:
            message.os_vhd.CopyFrom(vhd)
            message.os_host_caching = caching
        else:
            message.data_vhds.add(lun=int(disk.disk), vhd=vhd, host_caching=caching)
    return message
