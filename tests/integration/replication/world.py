"""A replication service without its listeners: real rows, real stores, real bytes."""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from services.kernel.clock import Clock, SystemClock
from services.kernel.db.engine import Database
from services.kernel.ids import new_uid
from services.kernel.telemetry.telemetry import Telemetry
from services.replication.clients.source_files import SourceFiles
from services.replication.clients.store_pool import StorePool
from services.replication.content.progress import Control, CopyOptions
from services.replication.content.pull import pull_disk
from services.replication.content.refs import read_version
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import read_manifest
from services.replication.content.slots import Slot as ContentSlot
from services.replication.content.store import Store
from services.replication.content.upload import BlobUpload
from services.replication.domain.desired import (
    DesiredDisk,
    DesiredRegion,
    DesiredReplicas,
    DiskSource,
    ReplicaSet,
    SourceKind,
)
from services.replication.domain.events import Event
from services.replication.domain.grants import Demand, Grant
from services.replication.domain.names import storage_id
from services.replication.domain.records import Replica, ReplicationRecord
from services.replication.domain.region import Limits, Region, Slot, StoreAddress
from services.replication.domain.snapshots import ReplicationView
from services.replication.domain.source_stores import parse_source_stores
from services.replication.domain.states import (
    CopyState,
    DiskFormat,
    ReplicationMode,
    StorageType,
)
from services.replication.store import tables
from services.replication.store.blob_sources import BlobSourceTable
from services.replication.store.feed import initialise
from services.replication.store.flows import Flows
from services.replication.store.unit_of_work import SqlUnitOfWork
from services.replication.usecases.claims import Claims
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.ensure import EnsureReplicas
from services.replication.usecases.inspecting import Inspection
from services.replication.usecases.origins import Origins
from services.replication.usecases.retry import Retry
from services.replication.usecases.settings import EngineSettings
from services.replication.usecases.tasks import Tasks
from services.replication.workers.engine import Engine

GROUP = "subscriptions/s1/resourceGroups/rg"
VERSION = f"{GROUP}/galleries/g/images/i/versions/1.0.0"
TENANT = storage_id("t1")
MIB = 1 << 20


class Results:
    """What operations are answered, as text."""

    def metadata(self, view: ReplicationView) -> bytes:
        return b"metadata"

    def response(self, view: ReplicationView) -> bytes:
        return view.record.id.encode()

    def failure(self, view: ReplicationView) -> bytes:
        return view.record.state.value.encode()


class AnyGrant:
    """Takes every token for a grant of the desired state that was asked for last."""

    def __init__(self) -> None:
        self.granted: Grant | None = None

    def verify(self, token: bytes) -> Grant:
        assert self.granted is not None
        return self.granted


class SomeRights:
    """Rights that can be taken away."""

    def __init__(self) -> None:
        self.missing: Demand | None = None

    def lost(self, grant: Grant) -> Demand | None:
        return self.missing


@dataclass
class World:
    """The parts, put together for one database and one directory."""

    db: Database
    root: Path
    settings: EngineSettings = field(
        default_factory=lambda: EngineSettings(
            lease=timedelta(seconds=5),
            retry_base=0.01,
            retry_cap=0.05,
            progress_every=0.05,
            options=CopyOptions(workers=2, window_bytes=4 * MIB),
        )
    )
    clock: Clock | None = None

    def __post_init__(self) -> None:
        self.rows = SqlUnitOfWork(self.db, self.clock)
        clock = self.clock or SystemClock()
        self.stores = StorePool(clock, Flows(self.db, clock))
        self.files = SourceFiles(
            parse_source_stores({"vhds": f"home file://{self.root / 'files'}"})
        )
        self.grants = AnyGrant()
        self.rights = SomeRights()
        self.results = Results()
        self.blobs = BlobSourceTable(self.db)
        self.origins = Origins(self.rows, self.blobs)
        self.claims = Claims(self.rows, self.origins, self.results, self.settings)
        self.tasks = Tasks(self.rows, self.results, self.settings)
        self.telemetry = Telemetry()
        self.trace_context = ""
        self.inspection = Inspection(self.rows, self.blobs, self.stores, self.files)
        self.copier = CopyReplica(
            self.tasks, self.origins, self.stores, self.rights, files=self.files
        )
        self.ensuring = EnsureReplicas(
            self.rows, self.grants, self.results, time_budget=self.settings.time_budget
        )

    def create_schema(self) -> "World":
        self.db.transact(tables.metadata.create_all)
        initialise(self.db)
        return self

    def add_region(
        self,
        location: str,
        slots: int = 1,
        *,
        bandwidth: int | None = None,
        stores: Sequence[StoreAddress] = (),
    ) -> Region:
        """Make a region of directories, or of the buckets that are to be its stores."""
        made: list[Slot] = []
        folder = f"file://{self.root}/{location}"
        addresses = stores or [StoreAddress(f"{folder}/{one}") for one in range(1, slots + 1)]
        for number, address in enumerate(addresses, start=1):
            replica_id = self.stores.initialise(address)
            made.append(Slot(f"s{number}", address, replica_id=replica_id))
        now = SystemClock().now()
        limits = Limits(bandwidth_bytes_per_second=bandwidth) if bandwidth else None
        region = Region(location, new_uid(), location, (), tuple(made), (), None, limits, now, now)
        self.rows.transact(lambda tx: tx.regions.insert(region))
        return region

    def limit(self, location: str, total: int) -> None:
        """Set how many bytes may be in a region altogether."""
        region = self.rows.read(lambda tx: tx.regions.get(location))
        assert region is not None
        changed = replace(region, limits=Limits(total_bytes=total))
        self.rows.transact(lambda tx: tx.regions.update(changed))

    def slot_store(self, location: str, slot: str = "s1") -> Store:
        region = self.rows.read(lambda tx: tx.regions.get(location))
        assert region is not None
        found = region.slot(slot)
        assert found is not None
        return self.stores.open(location, found)

    def file(self, path: str, data: bytes) -> DiskSource:
        """Make a file of the allowed source store, pinned as it is then."""
        found = self.root / "files" / path
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_bytes(data)
        source = self.files.open("vhds", path)
        source.close()
        return DiskSource(SourceKind.STORE_FILE, "vhds", path=path, etag=source.pin)

    def upload(
        self,
        name: str,
        data: bytes,
        location: str = "home",
        slot: str = "s1",
        *,
        form: DiskFormat = DiskFormat.RAW,
        tenant: str = TENANT,
    ) -> DiskSource:
        """Make a committed blob of some bytes."""
        uid = new_uid()
        store = self.slot_store(location, slot)
        with BlobUpload(uid, ContentSlot(store, tenant, f"{uid}.upload"), Control()) as upload:
            upload.write(0, data)
            ref = upload.commit()
        now = SystemClock().now()
        row: dict[str, object] = {
            "uid": uid,
            "name": f"{GROUP}/blobs/{name}",
            "name_key": f"{GROUP}/blobs/{name}".lower(),
            "parent_key": GROUP.lower(),
            "subscription_key": "subscriptions/s1",
            "tenant": tenant,
            "location": location,
            "slot": slot,
            "format": form.value,
            "size_bytes": len(data),
            "state": "COMMITTED",
            "committed_bytes": len(data),
            "zero_bytes": 0,
            "stored_bytes": len(data),
            "root": ref.root.hex(),
            "tags": {},
            "fence": 0,
            "create_time": now,
            "update_time": now,
            "revision": 1,
        }
        self.db.transact(lambda tx: tx.execute(insert(tables.blobs), row))
        return DiskSource(SourceKind.BLOB, f"{GROUP}/blobs/{name}", uid)

    def desired(
        self,
        disks: Mapping[str, DiskSource],
        regions: Mapping[str, int],
        *,
        uid: str = "a" * 32,
        generation: int = 1,
        form: DiskFormat = DiskFormat.RAW,
        version: str = VERSION,
        tenant: str = TENANT,
    ) -> DesiredReplicas:
        return DesiredReplicas(
            version=version,
            uid=uid,
            tenant=tenant,
            generation=generation,
            mode=ReplicationMode.FULL,
            home="home",
            disks=tuple(DesiredDisk(disk, source, form) for disk, source in disks.items()),
            regions=tuple(
                DesiredRegion(location, (ReplicaSet(StorageType.STANDARD_LRS, count),))
                for location, count in regions.items()
            ),
        )

    def ensure(self, desired: DesiredReplicas, *, retry: Retry | None = None) -> ReplicationRecord:
        self.grants.granted = Grant(
            subject="tenants/t1/users/ann",
            action="write",
            version=desired.version,
            uid=desired.uid,
            generation=desired.generation,
            sources={one.disk: f"{one.source.identity()}#{one.root}" for one in desired.disks},
        )
        return self.ensuring.ensure(
            desired, b"token", retry=retry, trace_context=self.trace_context
        )

    def engine(self, *, owner: str = "", threads: int = 4) -> Engine:
        return Engine(
            self.claims,
            self.tasks,
            self.copier,
            owner=owner or new_uid(),
            threads=threads,
            tracer=self.telemetry.tracer,
        )

    @contextmanager
    def working(self, *, threads: int = 4) -> Iterator[Engine]:
        """Run an engine as long as the block lasts."""
        stop = threading.Event()
        engine = self.engine(threads=threads)
        thread = threading.Thread(target=engine.run, args=(stop,))
        thread.start()
        try:
            yield engine
        finally:
            stop.set()
            thread.join()

    def wait_end(self, replication: str, timeout: float = 20.0) -> ReplicationView:
        """Wait for the end of a replication; answer it as it is kept."""
        pause = threading.Event()
        for _ in range(int(timeout / 0.02)):
            view = self.rows.read(lambda tx: tx.replications.final(replication))
            if view is not None:
                return view
            pause.wait(0.02)
        record = self.rows.read(lambda tx: tx.replications.get(replication))
        events = self.rows.read(lambda tx: tx.replications.events_after(replication, 0, 1000))
        raise AssertionError(f"{replication} has not ended: {record} {events[-3:]}")

    def replica(self, location: str, slot: str = "s1", uid: str = "a" * 32) -> Replica:
        found = self.rows.read(lambda tx: tx.replicas.get(uid, location, slot))
        assert found is not None
        return found

    def wait_state(self, state: CopyState, location: str, slot: str = "s1") -> Replica:
        """Wait until a replica is in a state."""
        pause = threading.Event()
        for _ in range(1000):
            if self.replica(location, slot).state is state:
                return self.replica(location, slot)
            pause.wait(0.01)
        raise AssertionError(f"{location}/{slot} is {self.replica(location, slot)}")

    def events(self, replication: str) -> Sequence[Event]:
        return self.rows.read(lambda tx: tx.replications.events_after(replication, 0, 10_000))

    def content(self, uid: str, location: str, disk: str, slot: str = "s1") -> bytes | None:
        """Read a disk back from a slot through its ref; None where no ref is."""
        store = self.slot_store(location, slot)
        ref = read_version(store, uid)
        if ref is None:
            return None
        manifest = read_manifest(store, ref.tenant, ref.disks[disk])
        path = self.root / f"pulled-{new_uid()}"
        pull_disk(Origin(store, ref.tenant, manifest), str(path), Control())
        return path.read_bytes()

    def close(self) -> None:
        self.stores.close()


def some_bytes(size: int, seed: int = 1) -> bytes:
    """Bytes that compress to nothing and repeat nowhere."""
    return random.Random(seed).randbytes(size)
