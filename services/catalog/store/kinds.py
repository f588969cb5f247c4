"""The kinds of resources: which table, which columns, which message."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from services.catalog.convert import (
    definitions,
    disk_encryption_sets,
    disks,
    galleries,
    managed_images,
    resource_groups,
    storage_accounts,
    versions,
    virtual_machines,
)
from services.catalog.domain import names
from services.catalog.domain.definition import Definition
from services.catalog.domain.disk_encryption_set import DiskEncryptionSet
from services.catalog.domain.disks import Disk, DiskLike, Snapshot
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.names import ordered_key
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.domain.storage_account import StorageAccount
from services.catalog.domain.system import System
from services.catalog.domain.version import Version
from services.catalog.domain.virtual_machine import VirtualMachine
from services.catalog.store import tables
from services.catalog.store.resources import Kind, Statements
from services.kernel.names import fold, key


def _serialized(encode: Callable[[Any], Any]) -> Callable[[Any], bytes]:
    return lambda resource: encode(resource).SerializeToString()


def _no_columns(_: ResourceGroup) -> Mapping[str, Any]:
    return {}


def _gallery_columns(gallery: Gallery) -> Mapping[str, Any]:
    return {
        "gallery_id_key": fold(gallery.name.rpartition("/")[2]),
        "description": gallery.description,
        "sharing_mode": gallery.sharing.mode.value,
        "soft_delete_enabled": gallery.soft_delete is not None and gallery.soft_delete.enabled,
        "shared_id": gallery.shared_id,
        "public_name_key": fold(gallery.sharing.public_name),
        "sharing_sequence": gallery.sharing.sequence,
        "sharing_pending_since": gallery.pending.start_time if gallery.pending else None,
    }


def _definition_columns(definition: Definition) -> Mapping[str, Any]:
    identifier = definition.identifier
    return {
        "identifier_key": identifier.key,
        "publisher": identifier.publisher,
        "offer": identifier.offer,
        "sku": identifier.sku,
        "os_type": definition.os_type.value,
        "os_state": definition.os_state.value,
        "hyper_v_generation": definition.hyper_v_generation.value,
        "architecture": definition.architecture.value,
        "description": definition.description,
        "end_of_life_time": definition.end_of_life_time,
    }


def _version_columns(version: Version) -> Mapping[str, Any]:
    major, minor, patch = version.number
    return {
        "major": major,
        "minor": minor,
        "patch": patch,
        "ordered_key": ordered_key(version.key),
        "mode": version.mode.value,
        "storage_type": version.storage_type.value,
        "exclude_from_latest": version.exclude_from_latest,
        "publish_time": version.publish_time,
        "end_of_life_time": version.end_of_life_time,
        "version_state": version.version_state.value,
        "delete_time": version.delete_time,
        "consumption_end_time": version.consumption_end_time,
        "purge_time": version.purge_time,
        "expiry_time": version.expiry_time,
        "generation": version.generation,
        "source_key": key(version.source.name) if version.source else "",
    }


GROUPS: Final = Statements(
    Kind(
        names.RESOURCE_GROUP_TYPE,
        tables.resource_groups,
        ResourceGroup,
        _serialized(resource_groups.encode),
        _no_columns,
    )
)
GALLERIES: Final = Statements(
    Kind(
        names.GALLERY_TYPE,
        tables.galleries,
        Gallery,
        _serialized(galleries.encode),
        _gallery_columns,
    )
)
DEFINITIONS: Final = Statements(
    Kind(
        names.DEFINITION_TYPE,
        tables.image_definitions,
        Definition,
        _serialized(definitions.encode),
        _definition_columns,
    )
)
VERSIONS: Final = Statements(
    Kind(
        names.VERSION_TYPE,
        tables.image_versions,
        Version,
        _serialized(versions.encode),
        _version_columns,
    )
)


def _managed_image_columns(image: ManagedImage) -> Mapping[str, Any]:
    return {
        "os_type": image.os_type.value,
        "os_state": image.os_state.value,
        "hyper_v_generation": image.hyper_v_generation.value,
        "architecture": image.architecture.value,
    }


MANAGED_IMAGES: Final = Statements(
    Kind(
        names.MANAGED_IMAGE_TYPE,
        tables.managed_images,
        ManagedImage,
        _serialized(managed_images.encode),
        _managed_image_columns,
    )
)


def _system_columns(system: System) -> Mapping[str, Any]:
    return {
        "os_type": system.os_type.value if system.os_type else None,
        "os_state": system.os_state.value if system.os_state else None,
        "hyper_v_generation": system.hyper_v_generation.value,
        "architecture": system.architecture.value,
    }


def _disk_columns(disk: DiskLike) -> Mapping[str, Any]:
    return {"blob_key": key(disk.image.source.name), **_system_columns(disk.system)}


VIRTUAL_MACHINES: Final = Statements(
    Kind(
        names.VIRTUAL_MACHINE_TYPE,
        tables.virtual_machines,
        VirtualMachine,
        _serialized(virtual_machines.encode),
        lambda machine: _system_columns(machine.system),
    )
)
DISKS: Final = Statements(
    Kind(
        names.DISK_TYPE,
        tables.disks,
        Disk,
        _serialized(disks.encode_disk),
        lambda disk: {"disk_type": disk.disk_type.value, **_disk_columns(disk)},
    )
)
SNAPSHOTS: Final = Statements(
    Kind(
        names.SNAPSHOT_TYPE,
        tables.snapshots,
        Snapshot,
        _serialized(disks.encode_snapshot),
        _disk_columns,
    )
)
STORAGE_ACCOUNTS: Final = Statements(
    Kind(
        names.STORAGE_ACCOUNT_TYPE,
        tables.storage_accounts,
        StorageAccount,
        _serialized(storage_accounts.encode),
        lambda account: {"store": account.store},
    )
)
ENCRYPTION_SETS: Final = Statements(
    Kind(
        names.DISK_ENCRYPTION_SET_TYPE,
        tables.disk_encryption_sets,
        DiskEncryptionSet,
        _serialized(disk_encryption_sets.encode),
        lambda found: {"encryption_type": found.encryption_type.value},
    )
)
