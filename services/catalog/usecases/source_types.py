"""The kinds of sources: what they are called, their rows, and the rights to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from services.catalog.domain import names, reasons
from services.catalog.ports.rows import Resources
from services.catalog.ports.transaction import Tx
from services.kernel.names import key


@dataclass(frozen=True, slots=True)
class SourceType:
    """A kind of source.

    `collection` is its part of a name, `actions` what its rights begin with; `in_use` is the
    reason why one that something needs cannot be deleted.
    """

    resource_type: str
    collection: str
    actions: str
    rows: Callable[[Tx], Resources[Any]]
    in_use: str = reasons.SOURCE_IN_USE

    @property
    def read(self) -> str:
        """The right to see one."""
        return f"{self.actions}/read"

    @property
    def write(self) -> str:
        """The right to make one, and to use one as a source."""
        return f"{self.actions}/write"


_COMPUTE: Final = "Microsoft.Compute"

VIRTUAL_MACHINE: Final = SourceType(
    names.VIRTUAL_MACHINE_TYPE,
    "virtualMachines",
    f"{_COMPUTE}/virtualMachines",
    lambda tx: tx.virtual_machines,
)
DISK: Final = SourceType(names.DISK_TYPE, "disks", f"{_COMPUTE}/disks", lambda tx: tx.disks)
SNAPSHOT: Final = SourceType(
    names.SNAPSHOT_TYPE, "snapshots", f"{_COMPUTE}/snapshots", lambda tx: tx.snapshots
)
MANAGED_IMAGE: Final = SourceType(
    names.MANAGED_IMAGE_TYPE, "managedImages", f"{_COMPUTE}/images", lambda tx: tx.managed_images
)
STORAGE_ACCOUNT: Final = SourceType(
    names.STORAGE_ACCOUNT_TYPE,
    "storageAccounts",
    "Microsoft.Storage/storageAccounts",
    lambda tx: tx.storage_accounts,
)
ENCRYPTION_SET: Final = SourceType(
    names.DISK_ENCRYPTION_SET_TYPE,
    "diskEncryptionSets",
    f"{_COMPUTE}/diskEncryptionSets",
    lambda tx: tx.encryption_sets,
    reasons.ENCRYPTION_SET_IN_USE,
)
ALL: Final = (
    VIRTUAL_MACHINE,
    DISK,
    SNAPSHOT,
    MANAGED_IMAGE,
    STORAGE_ACCOUNT,
    ENCRYPTION_SET,
)
_BY_COLLECTION: Final = {one.collection.lower(): one for one in ALL}


def type_of(name: str) -> SourceType:
    """Answer the kind of the source with a name."""
    return _BY_COLLECTION[key(name).split("/")[4]]


def read_action_of(name: str) -> str:
    """Answer the right to see a source or an image version."""
    if key(name).split("/")[4] == "galleries":
        return f"{_COMPUTE}/galleries/images/versions/read"
    return type_of(name).read
