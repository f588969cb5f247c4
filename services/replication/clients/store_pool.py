"""The stores behind the slots, opened once per process."""

import os
import threading
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from services.kernel.clock import Clock
from services.replication.clients.throttle import Flow, RegionBucket, ThrottledStore
from services.replication.content.errors import (
    DataError,
    ReplicaMismatch,
    StoreAccessDenied,
    StoreUnavailable,
    UnsupportedStore,
)
from services.replication.content.keys import (
    BLOB_REFS,
    MANIFESTS,
    OBJECTS,
    REPLICA_ID_KEY,
    VERSION_REFS,
)
from services.replication.content.store import Store
from services.replication.domain.region import Slot, SlotHealth, SlotProbe, StoreAddress
from services.replication.stores.opening import identify_bucket, initialise_store, open_store


class StorePool:
    """Fulfils `ports.outside.Stores`.

    `root` is the directory below which local stores must lie, None for anywhere.
    """

    def __init__(
        self,
        clock: Clock,
        flow: Flow,
        *,
        root: Path | None = None,
        margin_bytes: int = 0,
    ) -> None:
        self._clock: Final = clock
        self._flow: Final = flow
        self._root: Final = root
        self._margin: Final = margin_bytes
        self._lock: Final = threading.Lock()
        self._open: Final[dict[tuple[str, str], Store]] = {}
        self._buckets: Final[dict[str, RegionBucket]] = {}

    def probe(self, address: StoreAddress, *, replica_id: str = "") -> SlotProbe:
        """Look at a store without changing it; with a `replica_id`, whether it is that one."""
        try:
            store = self._opened(address, replica_id)
        except ReplicaMismatch:
            return self._probe(address, SlotHealth.WRONG_ROOT)
        except (StoreUnavailable, StoreAccessDenied):
            return self._probe(address, SlotHealth.UNREACHABLE)
        try:
            free = store.free_bytes()
            full = free is not None and free == 0
            health = SlotHealth.FULL if full else SlotHealth.AVAILABLE
            return self._probe(address, health, free)
        except DataError:
            return self._probe(address, SlotHealth.UNREACHABLE)
        finally:
            store.close()

    def identify(self, address: StoreAddress) -> str:
        """Answer the replica id of a store, empty for an empty or missing root."""
        self._check_place(address)
        _require_apart(address)
        path = local_path(address)
        if path is not None:
            # The nearest directory that is there has to take the ones that are not.
            parent = path
            while not os.path.exists(parent):
                parent = os.path.dirname(parent)
            if not os.access(parent, os.R_OK | os.W_OK | os.X_OK):
                raise StoreAccessDenied(f"{parent} cannot be read and written")
            if parent != path or set(os.listdir(path)) <= {"lost+found"}:
                return ""
        elif not identify_bucket(address.url, address.options):
            return ""
        store = self._opened(address, "")
        try:
            return store.replica_id
        finally:
            store.close()

    def initialise(self, address: StoreAddress) -> str:
        """Make an empty root a store; answer its replica id."""
        self._check_place(address)
        _require_apart(address)
        return initialise_store(address.url, address.options)

    def holds_anything(self, address: StoreAddress) -> bool:
        """Whether there are objects or refs in an initialised store."""
        store = self._opened(address, "")
        try:
            parts = (OBJECTS, MANIFESTS, VERSION_REFS, BLOB_REFS)
            return any(next(iter(store.list_objects(part)), None) for part in parts)
        finally:
            store.close()

    def open(self, location: str, slot: Slot) -> Store:
        """Answer the opened store of a slot; it stays open."""
        key = slot.replica_id, slot.address.url
        with self._lock:
            store = self._open.get(key)
            if store is None:
                store = self._opened(slot.address, slot.replica_id)
                self._open[key] = store
            return store

    def limited(self, store: Store, location: str, bytes_per_second: int | None) -> Store:
        """Answer the store with the region's limit on what is written into it."""
        if bytes_per_second is None:
            return store
        with self._lock:
            bucket = self._buckets.get(location)
            if bucket is None:
                bucket = self._buckets[location] = RegionBucket(
                    self._flow, location, bytes_per_second
                )
            bucket.set_rate(bytes_per_second)
        limited: Any = ThrottledStore(store, bucket)
        found: Store = limited
        return found

    def close(self) -> None:
        """Let go of all stores."""
        with self._lock:
            for store in self._open.values():
                store.close()
            self._open.clear()

    def _opened(self, address: StoreAddress, replica_id: str) -> Store:
        self._check_place(address)
        return open_store(
            address.url,
            replica_id=replica_id or None,
            options=address.options,
            margin_bytes=self._margin,
        )

    def _check_place(self, address: StoreAddress) -> None:
        path = local_path(address)
        if path is None or self._root is None:
            return
        root = os.path.realpath(self._root)
        if not os.path.realpath(path).startswith(f"{root}{os.sep}"):
            raise UnsupportedStore(f"{address.url} is not below the directory allowed for stores")

    def _probe(
        self, address: StoreAddress, health: SlotHealth, free: int | None = None
    ) -> SlotProbe:
        device = ""
        path = local_path(address)
        if path is not None and os.path.exists(path):
            device = str(os.stat(path).st_dev)
        return SlotProbe(health, free, device, self._clock.now())


def local_path(address: StoreAddress) -> str | None:
    """Answer the directory of a local store, None for a bucket."""
    parts = urlsplit(address.url)
    return os.path.normpath(unquote(parts.path)) if parts.scheme == "file" else None


def _require_apart(address: StoreAddress) -> None:
    """Refuse a directory within a store, which would collect what it does not know."""
    path = local_path(address)
    if path is None:
        return
    above = os.path.dirname(os.path.realpath(path))
    while not os.path.exists(os.path.join(above, REPLICA_ID_KEY)):
        if above == (above := os.path.dirname(above)):
            return
    raise ReplicaMismatch(f"{address.url} lies within a store")
