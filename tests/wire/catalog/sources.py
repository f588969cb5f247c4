"""Sources of every kind, made and called alike by the wire tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stoa.catalog.v1 import (
    disk_encryption_set_pb2,
    disk_encryption_set_service_pb2,
    disk_pb2,
    disk_service_pb2,
    provisioning_state_pb2,
    snapshot_pb2,
    snapshot_service_pb2,
    storage_account_pb2,
    storage_account_service_pb2,
    virtual_machine_pb2,
    virtual_machine_service_pb2,
)
from stoa.type.v1 import os_type_pb2

from tests.wire.catalog.installation import Stubs, World

CREATING = provisioning_state_pb2.PROVISIONING_STATE_CREATING
FAILED = provisioning_state_pb2.PROVISIONING_STATE_FAILED
SUCCEEDED = provisioning_state_pb2.PROVISIONING_STATE_SUCCEEDED


@dataclass(frozen=True)
class Source:
    """A kind of source: its names in the contract, and what one needs at least."""

    singular: str
    method: str
    plural: str
    message: Any
    requests: Any
    needed: Callable[[World, str], Mapping[str, Any]]

    def request(self, world: World, group: str = "", **more: Any) -> Any:
        group = group or world.group()
        fields = {"location": "eastus", **self.needed(world, group), **more}
        made = getattr(self.requests, f"Create{self.method}Request")(parent=group)
        setattr(made, f"{self.singular}_id", world.id(self.singular.replace("_", "")))
        getattr(made, self.singular).CopyFrom(self.message(**fields))
        return made

    def create(self, world: World, request: Any = None, stubs: Stubs | None = None) -> Any:
        call = getattr(self._stub(stubs or world.owner), f"Create{self.method}")
        return call(request or self.request(world))

    def get(self, world: World, name: str, stubs: Stubs | None = None) -> Any:
        request = getattr(self.requests, f"Get{self.method}Request")(name=name)
        return getattr(self._stub(stubs or world.owner), f"Get{self.method}")(request)

    def delete(self, world: World, name: str, stubs: Stubs | None = None, **more: Any) -> Any:
        request = getattr(self.requests, f"Delete{self.method}Request")(name=name, **more)
        return getattr(self._stub(stubs or world.owner), f"Delete{self.method}")(request)

    def page(self, world: World, parent: str, stubs: Stubs | None = None, **more: Any) -> Any:
        request = getattr(self.requests, f"List{self.method}sRequest")(parent=parent, **more)
        return getattr(self._stub(stubs or world.owner), f"List{self.method}s")(request)

    def listed(self, world: World, parent: str, stubs: Stubs | None = None, **more: Any) -> Any:
        """Answer the ids on a page."""
        page = self.page(world, parent, stubs, **more)
        return [one.name.rpartition("/")[2] for one in getattr(page, self.plural)]

    def of(self, request: Any) -> Any:
        """Answer the source in a request."""
        return getattr(request, self.singular)

    def _stub(self, stubs: Stubs) -> Any:
        return getattr(stubs, self.plural)


def _blob(world: World, group: str) -> Mapping[str, Any]:
    return {"blob": world.blob(group)}


DISK = Source("disk", "Disk", "disks", disk_pb2.Disk, disk_service_pb2, _blob)
SNAPSHOT = Source(
    "snapshot",
    "Snapshot",
    "snapshots",
    snapshot_pb2.Snapshot,
    snapshot_service_pb2,
    _blob,
)
ENCRYPTION_SET = Source(
    "disk_encryption_set",
    "DiskEncryptionSet",
    "disk_encryption_sets",
    disk_encryption_set_pb2.DiskEncryptionSet,
    disk_encryption_set_service_pb2,
    lambda world, group: {"key_uri": "https://vault.example.org/keys/k/1"},
)
STORAGE_ACCOUNT = Source(
    "storage_account",
    "StorageAccount",
    "storage_accounts",
    storage_account_pb2.StorageAccount,
    storage_account_service_pb2,
    lambda world, group: {"store": "images"},
)


def _machine(world: World, group: str) -> Mapping[str, Any]:
    disk = DISK.create(world, DISK.request(world, group, os_type=os_type_pb2.OS_TYPE_LINUX))
    return {
        "size": "Standard_D2s_v5",
        "os_type": os_type_pb2.OS_TYPE_LINUX,
        "os_state": os_type_pb2.OS_STATE_GENERALIZED,
        "os_disk": virtual_machine_pb2.VirtualMachineOsDisk(disk=disk.name),
    }


MACHINE = Source(
    "virtual_machine",
    "VirtualMachine",
    "virtual_machines",
    virtual_machine_pb2.VirtualMachine,
    virtual_machine_service_pb2,
    _machine,
)
ALL = (MACHINE, DISK, SNAPSHOT, ENCRYPTION_SET, STORAGE_ACCOUNT)
