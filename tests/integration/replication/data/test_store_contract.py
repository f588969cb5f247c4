"""What every store promises, on each backend."""

import http
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from services.replication.content.direct import SigningStore
from services.replication.content.errors import (
    ObjectCorrupt,
    ObjectMissing,
    RefConflict,
    ReplicaMismatch,
    StoreAccessDenied,
    UnsupportedStore,
)
from services.replication.content.store import PutOutcome, Store
from services.replication.domain.region import StoreAddress
from services.replication.stores.bucket import initialise_bucket, open_client
from services.replication.stores.object_store import ObjectStore
from services.replication.stores.opening import initialise_store, open_store
from tests.object_servers import ObjectServer

KEY = "objects/t1/ab/cd/abcd"


class Backend:
    """Opens one store again and again."""

    def __init__(self, opener: Callable[[str | None], Store], replica_id: str) -> None:
        self.open_as = opener
        self.replica_id = replica_id

    def open(self, replica_id: str | None = None) -> Store:
        return self.open_as(replica_id)


def in_memory() -> Backend:
    memory = MemoryStore()
    replica_id = initialise_bucket(memory, "memory://")
    return Backend(lambda wanted: ObjectStore(memory, "memory://", replica_id=wanted), replica_id)


def at(address: StoreAddress) -> Backend:
    def opened(wanted: str | None) -> Store:
        return open_store(address.url, replica_id=wanted, options=address.options)

    return Backend(opened, initialise_store(address.url, address.options))


@pytest.fixture(params=["local", "memory", "s3", "azure"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    match request.param:
        case "local":
            return at(StoreAddress(f"file://{tmp_path / 'store'}"))
        case "memory":
            return in_memory()
        case name:
            server: ObjectServer = request.getfixturevalue(name)
            return at(server.address())


@pytest.fixture(params=["s3", "azure"])
def remote(request: pytest.FixtureRequest) -> ObjectServer:
    """A server of objects."""
    server: ObjectServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    opened = backend.open()
    yield opened
    opened.close()


def put(store: Store, key: str, *parts: bytes) -> PutOutcome:
    with store.begin("task") as window:
        outcome = window.put(key, [memoryview(part) for part in parts])
        window.commit()
    return outcome


def read_range(store: Store, key: str, offset: int, length: int, *, uncached: bool) -> bytes:
    data = bytearray(length)
    store.read_into(key, offset, memoryview(data), uncached=uncached)
    return bytes(data)


def test_parts_become_one_object(store: Store) -> None:
    assert store.length(KEY) is None
    assert put(store, KEY, b"one", b"two") is PutOutcome.WRITTEN
    assert store.length(KEY) == 6
    assert store.read(KEY, limit=6) == b"onetwo"


def test_an_object_of_the_same_length_is_left_alone(store: Store) -> None:
    put(store, KEY, b"first")
    assert put(store, KEY, b"other") is PutOutcome.PRESENT
    assert store.read(KEY, limit=10) == b"first"


def test_an_object_of_another_length_is_set_aside_and_replaced(store: Store) -> None:
    put(store, KEY, b"torn")
    assert put(store, KEY, b"whole") is PutOutcome.WRITTEN
    assert store.read(KEY, limit=10) == b"whole"
    kept = list(store.list_objects("quarantine"))
    assert [store.read(item.key, limit=10) for item in kept] == [b"torn"]


def test_one_window_writes_a_key_once(store: Store) -> None:
    with store.begin("task") as window:
        outcomes = [window.put(KEY, [memoryview(b"same")]) for _ in range(2)]
        window.commit()
    assert outcomes == [PutOutcome.WRITTEN, PutOutcome.PRESENT]


def test_two_writers_of_one_object_both_succeed(store: Store) -> None:
    barrier = threading.Barrier(2)
    errors: list[Exception] = []

    def write() -> None:
        try:
            with store.begin("task") as window:
                barrier.wait()
                window.put(KEY, [memoryview(b"same")])
                barrier.wait()
                window.commit()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.read(KEY, limit=10) == b"same"


@pytest.mark.parametrize("uncached", [False, True])
@pytest.mark.parametrize(("offset", "length"), [(0, 5 << 20), (4096, 2 << 20), (7, 100), (9, 0)])
def test_ranges_are_read_from_cache_and_medium(
    store: Store, offset: int, length: int, uncached: bool
) -> None:
    data = os.urandom((5 << 20) + 1000)
    put(store, KEY, data)
    expected = data[offset : offset + length]
    assert read_range(store, KEY, offset, length, uncached=uncached) == expected


@pytest.mark.parametrize("offset", [0, 3, 5, 900])
def test_a_range_that_ends_behind_the_object_is_corruption(store: Store, offset: int) -> None:
    put(store, KEY, b"short")
    with pytest.raises(ObjectCorrupt, match="ends before"):
        read_range(store, KEY, offset, 6, uncached=False)


def test_a_missing_object_is_told_by_its_key(store: Store) -> None:
    with pytest.raises(ObjectMissing) as caught:
        store.read(KEY, limit=10)
    assert caught.value.key == KEY
    with pytest.raises(ObjectMissing):
        read_range(store, KEY, 0, 1, uncached=True)


def test_an_object_longer_than_the_limit_is_refused(store: Store) -> None:
    put(store, KEY, b"12345")
    with pytest.raises(ObjectCorrupt, match="longer than 4"):
        store.read(KEY, limit=4)


def test_lists_name_what_is_below_a_prefix(store: Store) -> None:
    for key in ("objects/t1/aa/bb/aabb", "objects/t1/cc/dd/ccdd", "objects/t10/aa/bb/aabb"):
        put(store, key, b"x" * len(key))
    found = {item.key: item.length for item in store.list_objects("objects/t1")}
    assert found == {"objects/t1/aa/bb/aabb": 21, "objects/t1/cc/dd/ccdd": 21}
    assert list(store.list_objects("manifests")) == []


def test_what_is_deleted_or_quarantined_is_gone_and_repeats_are_harmless(store: Store) -> None:
    put(store, KEY, b"x")
    store.delete([KEY, KEY])
    assert store.length(KEY) is None
    put(store, KEY, b"y")
    store.quarantine(KEY)
    store.quarantine(KEY)
    assert store.length(KEY) is None


def test_a_ref_changes_only_for_whoever_read_its_last_state(store: Store) -> None:
    first = store.put_ref("refs/v1", b"1", expected=None)
    with pytest.raises(RefConflict):
        store.put_ref("refs/v1", b"x", expected=None)
    second = store.put_ref("refs/v1", b"22", expected=first)
    with pytest.raises(RefConflict):
        store.put_ref("refs/v1", b"x", expected=first)
    found = store.get_ref("refs/v1")
    assert found is not None
    assert (found.data, found.tag) == (b"22", second)
    with pytest.raises(RefConflict):
        store.delete_ref("refs/v1", expected=first)
    store.delete_ref("refs/v1", expected=second)
    assert store.get_ref("refs/v1") is None
    with pytest.raises(RefConflict):
        store.put_ref("refs/v1", b"x", expected=second)


def test_of_many_who_create_a_ref_one_succeeds(store: Store) -> None:
    barrier = threading.Barrier(8)
    created: list[int] = []

    def create(number: int) -> None:
        barrier.wait()
        try:
            store.put_ref("refs/v1", str(number).encode(), expected=None)
        except RefConflict:
            return
        created.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.get_ref("refs/v1")
    assert found is not None
    assert [str(number).encode() for number in created] == [found.data]


def test_a_store_answers_to_its_replica_id_alone(backend: Backend) -> None:
    opened = backend.open(backend.replica_id)
    assert opened.replica_id == backend.replica_id
    opened.close()
    with pytest.raises(ReplicaMismatch, match=r"not 0{32}"):
        backend.open("0" * 32)


def test_what_one_opening_wrote_another_reads(backend: Backend) -> None:
    first, second = backend.open(), backend.open()
    put(first, KEY, b"shared")
    assert second.read(KEY, limit=10) == b"shared"
    first.close()
    second.close()


@pytest.mark.parametrize("key", ["objects/../refs/x", "/etc/passwd", "objects//x", "a/B"])
def test_keys_that_could_lead_out_are_refused(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="store key"):
        store.length(key)
    with pytest.raises(ValueError, match="store key"):
        put(store, key, b"x")


@pytest.mark.parametrize("url", ["ftp://host/dir", "file://elsewhere/dir", "s3:///dir", "http://x"])
def test_an_address_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(UnsupportedStore, match="neither"):
        open_store(url)
    with pytest.raises(UnsupportedStore, match="neither"):
        initialise_store(url)


def test_what_was_copied_is_found_whole_after_a_sweep_of_scratch(store: Store) -> None:
    put(store, KEY, b"x")
    assert store.sweep_temporary(older_than=0, live_tasks=()) == 0
    assert store.read(KEY, limit=10) == b"x"


def test_a_bucket_is_initialised_once_and_nothing_else_becomes_one(remote: ObjectServer) -> None:
    address = remote.address()
    first = initialise_store(address.url, address.options)
    assert initialise_store(address.url, address.options) == first
    taken = remote.address()
    client = open_client(taken.url, taken.options)
    obstore.put(client, "somebody/else", b"x")
    with pytest.raises(ReplicaMismatch, match="not empty"):
        initialise_store(taken.url, taken.options)
    with pytest.raises(ReplicaMismatch, match="not an initialised"):
        open_store(taken.url, options=taken.options)


def test_signed_urls_are_read_without_credentials_and_name_one_object(
    remote: ObjectServer,
) -> None:
    store = at(remote.address()).open()
    put(store, KEY, b"signed bytes")
    assert isinstance(store, SigningStore)
    (url,) = store.sign([KEY], seconds=60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"signed bytes"
    elsewhere = url.replace("objects/t1/ab/cd/abcd", "replica-id")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(elsewhere)
    assert refused.value.code == http.HTTPStatus.FORBIDDEN
    refused.value.close()


def test_wrong_credentials_are_told_from_a_store_that_is_away(s3: ObjectServer) -> None:
    address = s3.address(secret_access_key="wrong")
    with pytest.raises(StoreAccessDenied):
        initialise_store(address.url, address.options)


def test_settings_of_connections_are_taken(remote: ObjectServer) -> None:
    address = remote.address(timeout="5s", connect_timeout="5s")
    assert at(address).open().length(KEY) is None
