"""Managed images between the contract and the domain."""

from stoa.catalog.v1 import managed_image_pb2 as pb
from stoa.type.v1 import storage_pb2

from services.catalog.convert.common import fill
from services.catalog.convert.hardware import (
    ARCHITECTURES,
    CACHINGS,
    CONTROLLERS,
    GENERATIONS,
    MACHINE_SECURITY,
    OS_STATES,
    OS_TYPES,
    encode_plan,
)
from services.catalog.domain.disk_source import SourceDisk, SourceKind
from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.names import OS_DISK
from services.catalog.usecases.managed_images import BlobDisk


def encode(image: ManagedImage) -> pb.ManagedImage:
    """Answer a managed image as the contract has it."""
    message = pb.ManagedImage(
        os_type=OS_TYPES.number(image.os_type),
        os_state=OS_STATES.number(image.os_state),
        hyper_v_generation=GENERATIONS.number(image.hyper_v_generation),
        architecture=ARCHITECTURES.number(image.architecture),
        security_type=MACHINE_SECURITY.number(image.security_type),
        carries_vm_guest_state=image.carries_vm_guest_state,
        accelerated_networking_supported=image.accelerated_networking,
        disk_controller_types=[CONTROLLERS.number(one) for one in image.disk_controllers],
        disk_encryption_set=image.disk_encryption_set,
        disks=[_encode_disk(one) for one in image.disks],
    )
    fill(message, image)
    if image.purchase_plan is not None:
        message.purchase_plan.CopyFrom(encode_plan(image.purchase_plan))
    if not image.origin and all(one.source.kind is SourceKind.BLOB for one in image.disks):
        message.blobs.CopyFrom(_encode_blobs(image))
    return message


def decode_blobs(message: pb.ManagedImageBlobs, field: str) -> list[BlobDisk]:
    """Read which blobs become which disks; `field` is where the request has the message."""
    none = HostCaching.NONE
    return [
        BlobDisk(
            OS_DISK,
            message.os_blob,
            f"{field}.os_blob",
            CACHINGS.member(message.os_host_caching) or none,
        ),
        *(
            BlobDisk(
                str(one.lun),
                one.blob,
                f"{field}.data_blobs[{index}].blob",
                CACHINGS.member(one.host_caching) or none,
            )
            for index, one in enumerate(message.data_blobs)
        ),
    ]


def selector(disk: str) -> storage_pb2.DiskSelector:
    """Answer which disk a key means."""
    if disk == OS_DISK:
        return storage_pb2.DiskSelector(os=True)
    return storage_pb2.DiskSelector(lun=int(disk))


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
