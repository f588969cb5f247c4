"""Which class serves which proto service: the one list, extended by whoever adds a service."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from services.catalog.servicers.community_galleries import CommunityGalleryServicer
from services.catalog.servicers.definitions import ImageDefinitionServicer
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.disk_encryption_sets import DiskEncryptionSetServicer
from services.catalog.servicers.disks import DiskServicer
from services.catalog.servicers.galleries import GalleryServicer
from services.catalog.servicers.managed_images import ManagedImageServicer
from services.catalog.servicers.resource_groups import ResourceGroupServicer
from services.catalog.servicers.shared_galleries import SharedGalleryServicer
from services.catalog.servicers.snapshots import SnapshotServicer
from services.catalog.servicers.storage_accounts import StorageAccountServicer
from services.catalog.servicers.usages import UsageServicer
from services.catalog.servicers.versions import ImageVersionServicer
from services.catalog.servicers.virtual_machines import VirtualMachineServicer
from services.catalog.usecases import version_cancel
from services.kernel.db.operations import Operation
from services.kernel.rpc.servicers import operations


def _operations(dependencies: Dependencies) -> object:
    def cancelled(connection: Any, operation: Operation) -> None:
        dependencies.run(connection, lambda tx: version_cancel.cancel(tx, operation.name))

    return operations.OperationsServicer(
        dependencies.db,
        dependencies.operations,
        dependencies.page_tokens,
        read_action="Microsoft.Compute/locations/capsOperations/read",
        cancelled=cancelled,
    )


FACTORIES: Final[Mapping[str, Callable[[Dependencies], object]]] = MappingProxyType(
    {
        operations.SERVICE: _operations,
        "stoa.catalog.v1.ResourceGroupService": ResourceGroupServicer,
        "stoa.catalog.v1.GalleryService": GalleryServicer,
        "stoa.catalog.v1.ImageDefinitionService": ImageDefinitionServicer,
        "stoa.catalog.v1.ImageVersionService": ImageVersionServicer,
        "stoa.catalog.v1.ManagedImageService": ManagedImageServicer,
        "stoa.catalog.v1.DiskService": DiskServicer,
        "stoa.catalog.v1.SnapshotService": SnapshotServicer,
        "stoa.catalog.v1.VirtualMachineService": VirtualMachineServicer,
        "stoa.catalog.v1.StorageAccountService": StorageAccountServicer,
        "stoa.catalog.v1.DiskEncryptionSetService": DiskEncryptionSetServicer,
        "stoa.catalog.v1.SharedGalleryService": SharedGalleryServicer,
        "stoa.catalog.v1.CommunityGalleryService": CommunityGalleryServicer,
        "stoa.catalog.v1.UsageService": UsageServicer,
    }
)
