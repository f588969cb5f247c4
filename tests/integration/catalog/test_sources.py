"""Rows of sources are the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from stoa.catalog.v1 import disk_pb2, virtual_machine_pb2

from services.catalog.domain.disk_encryption_set import DiskEncryptionSet, EncryptionType
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.disks import Disk, Snapshot
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    DiskType,
    HostCaching,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
    PurchasePlan,
)
from services.catalog.domain.names import RESOURCE_GROUPS
from services.catalog.domain.resource import Resource
from services.catalog.domain.storage_account import StorageAccount, Vhd
from services.catalog.domain.system import System
from services.catalog.domain.virtual_machine import MachineDisk, PowerState, VirtualMachine
from services.catalog.ports.reading import ListQuery
from services.catalog.store import tables
from services.catalog.store.reading import StoreReaders
from services.catalog.store.schema import MIGRATIONS
from services.catalog.store.transaction import Stores, Transaction
from services.catalog.usecases.source_types import ALL, type_of
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.filter import Kind, parse_filter
from services.kernel.ids import new_uid

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GROUP = "subscriptions/S/resourceGroups/Rg"
BLOB = f"{GROUP}/blobs/Blob"
SYSTEM = System(
    os_type=OsType.WINDOWS,
    os_state=OsState.SPECIALIZED,
    hyper_v_generation=HyperVGeneration.V2,
    architecture=Architecture.ARM64,
    security_type=MachineSecurityType.CONFIDENTIAL_VM,
    carries_vm_guest_state=True,
    accelerated_networking=False,
    disk_controllers=(DiskControllerType.SCSI, DiskControllerType.NVME),
    purchase_plan=PurchasePlan("n", "p", "o"),
)
IMAGE = SourceDisk("os", ByteSource(SourceKind.BLOB, BLOB, "u"), 5)


def _common(name: str) -> dict[str, Any]:
    return {
        "name": f"{GROUP}/{name}",
        "uid": new_uid(),
        "location": "eastus",
        "create_time": NOW,
        "update_time": NOW,
        "tags": {"env": "test"},
    }


SOURCES: tuple[Resource, ...] = (
    Disk(
        **_common("disks/Full"),
        image=IMAGE,
        system=SYSTEM,
        disk_type=DiskType.ULTRA_SSD_LRS,
        disk_encryption_set=f"{GROUP}/diskEncryptionSets/Key",
    ),
    Disk(**_common("disks/Data"), image=IMAGE, system=System()),
    Snapshot(**_common("snapshots/Full"), image=IMAGE, system=SYSTEM),
    VirtualMachine(
        **_common("virtualMachines/Full"),
        size="Standard_D2s_v5",
        system=SYSTEM,
        disks=(
            MachineDisk("os", managed=f"{GROUP}/disks/Full", host_caching=HostCaching.READ_ONLY),
            MachineDisk("7", vhd=Vhd(f"{GROUP}/storageAccounts/vhds", "a/b.vhd", '"tag"', 9)),
        ),
        power_state=PowerState.STOPPED,
        hibernation=True,
    ),
    VirtualMachine(
        **_common("virtualMachines/Ephemeral"),
        size="Standard_D2s_v5",
        system=SYSTEM,
        disks=(MachineDisk("os", ephemeral=True),),
    ),
    StorageAccount(**_common("storageAccounts/vhds"), store="images"),
    DiskEncryptionSet(
        **_common("diskEncryptionSets/Key"),
        key_uri="https://vault.example.org/k",
        encryption_type=EncryptionType.CONFIDENTIAL_VM_WITH_CUSTOMER_KEY,
    ),
)


class Store:
    def __init__(self, db: Database) -> None:
        clock = FakeClock(NOW)
        stores = Stores(
            OperationStore(db, tables.operations, clock), Outbox(tables.outbox, clock), clock
        )
        self.readers = StoreReaders.of(db)
        self.run: Callable[[Callable[[Transaction], Any]], Any] = lambda work: db.transact(
            lambda connection: stores.run(connection, work)
        )

    def found(self, reader: Any, text: str) -> list[str]:
        fields: dict[str, Any] = dict.fromkeys(
            ("blob", "os_type", "os_state", "disk_type", "architecture", "store"), Kind.STRING
        )
        comparisons = parse_filter(text, {**fields, "encryption_type": Kind.STRING})
        parent = RESOURCE_GROUPS.parse(GROUP)
        rows = reader.page(ListQuery(parent=parent, limit=10, comparisons=comparisons))
        return [row.key.rpartition("/")[2] for row in rows]


@pytest.fixture
def store(database_url: str, open_database: Callable[..., Database]) -> Store:
    migrate(database_url, MIGRATIONS)
    found = Store(open_database(database_url))

    def insert(tx: Transaction) -> None:
        for one in SOURCES:
            type_of(one.name).rows(tx).insert(one)

    found.run(insert)
    return found


def test_every_kind_of_source_is_read_as_it_was_written(store: Store) -> None:
    def read(tx: Transaction) -> tuple[Any, ...]:
        return tuple(type_of(one.name).rows(tx).get(one.key) for one in SOURCES)

    assert store.run(read) == SOURCES
    assert {type_of(one.name) for one in SOURCES} | {type_of(f"{GROUP}/managedImages/i")} == set(
        ALL
    )


def test_answers_are_made_when_rows_are_written(store: Store) -> None:
    stored = store.readers.disks.get(SOURCES[0].key)
    assert stored is not None
    disk = disk_pb2.Disk.FromString(stored.body)
    assert (disk.name, disk.blob, disk.size_bytes) == (SOURCES[0].name, BLOB, 5)

    stored = store.readers.virtual_machines.get(SOURCES[3].key)
    assert stored is not None
    machine = virtual_machine_pb2.VirtualMachine.FromString(stored.body)
    assert machine.os_disk.disk == f"{GROUP}/disks/Full"
    assert machine.data_disks[0].vhd.path == "a/b.vhd"


def test_sources_are_found_by_what_they_are(store: Store) -> None:
    readers = store.readers

    assert store.found(readers.disks, "os_type = WINDOWS") == ["full"]
    assert store.found(readers.disks, "os_type != WINDOWS") == ["data"]
    assert store.found(readers.disks, "disk_type = ULTRA_SSD_LRS AND os_state:spec") == ["full"]
    assert store.found(readers.disks, f'blob = "{BLOB.upper()}"') == ["data", "full"]
    assert store.found(readers.disks, f'blob != "{BLOB}"') == []
    assert store.found(readers.snapshots, "blob:BLOB AND architecture = ARM64") == ["full"]
    assert store.found(readers.virtual_machines, "os_state = SPECIALIZED") == ["ephemeral", "full"]
    assert store.found(readers.storage_accounts, "store = images") == ["vhds"]
    assert store.found(readers.encryption_sets, "encryption_type:CONFIDENTIAL") == ["key"]
    assert store.found(readers.encryption_sets, "encryption_type = AT_REST_WITH_CUSTOMER_KEY") == []


def test_what_sources_need_is_forgotten_with_them(store: Store) -> None:
    machine, disk = SOURCES[3], SOURCES[0]
    store.run(lambda tx: tx.uses.add(disk.key, machine.name))
    assert store.run(lambda tx: tx.uses.users(disk.key, 5)) == [machine.name]

    store.run(lambda tx: tx.uses.remove(machine.key))

    assert store.run(lambda tx: tx.uses.users(disk.key, 5)) == []
