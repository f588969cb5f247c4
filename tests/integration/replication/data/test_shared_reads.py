"""One reading for several copies: who fetches, who waits, and who is left behind."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.replication.content.digests import SEGMENT_BYTES
from services.replication.content.errors import ObjectMissing
from services.replication.content.keys import object_key
from services.replication.content.shared_reads import SharedReads
from services.replication.content.store import ObjectReader, Store
from tests.integration.replication.data.samples import MIB, TENANT, ingest, local_store, make_image


class Watched:
    """A store whose readings are counted, and wait until the test lets them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read_times = Counter[str]()
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def length(self, key: str) -> int | None:
        return self._store.length(key)

    def read(self, key: str, *, limit: int) -> bytes:
        return self._store.read(key, limit=limit)

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        self.read_times[key] += 1
        self.begun.release()
        self.gate.wait()
        self._store.read_into(key, offset, target, uncached=uncached)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[tuple[Watched, list[str], list[bytes]]]:
    """A store, the keys of six segments, and what is in them."""
    image = tmp_path / "image"
    make_image(image, 6 * SEGMENT_BYTES, [(0, 6 * SEGMENT_BYTES)])
    store = local_store(tmp_path / "store")
    manifest = ingest(image, store)
    data = image.read_bytes()
    segments = list(manifest.segments())
    yield (
        Watched(store),
        [object_key(TENANT, one.digest) for one in segments],
        [data[one.index * SEGMENT_BYTES :][:SEGMENT_BYTES] for one in segments],
    )
    store.close()


def read(reader: ObjectReader, key: str, *, uncached: bool = False) -> bytes:
    target = bytearray(SEGMENT_BYTES)
    reader.read_into(key, 0, memoryview(target), uncached=uncached)
    return bytes(target)


Origin = tuple[Watched, list[str], list[bytes]]


def test_what_is_being_fetched_is_waited_for(origin: Origin) -> None:
    store, keys, data = origin
    reads = SharedReads()
    store.gate.clear()
    with reads.of(store, "r") as one, reads.of(store, "r") as two, ThreadPoolExecutor(2) as pool:
        first = pool.submit(read, one, keys[0])
        store.begun.acquire()
        second = pool.submit(read, two, keys[0])
        store.gate.set()
        assert first.result() == second.result() == data[0]
    assert store.read_times[keys[0]] == 1


def test_who_reads_alone_fetches_every_time(origin: Origin) -> None:
    store, keys, data = origin
    reads = SharedReads()
    with reads.of(store, "r") as one, reads.of(store, "another") as two:
        assert read(one, keys[0]) == read(two, keys[0]) == read(one, keys[0]) == data[0]
    assert store.read_times[keys[0]] == 3


def test_who_lags_behind_the_window_reads_for_itself(origin: Origin) -> None:
    store, keys, data = origin
    reads = SharedReads(window_bytes=2 * SEGMENT_BYTES)
    with reads.of(store, "r") as one, reads.of(store, "r") as two:
        assert [read(one, key) for key in keys] == data
        assert read(two, keys[5]) == data[5]
        assert read(two, keys[0]) == data[0]
    assert store.read_times[keys[5]] == 1
    assert store.read_times[keys[0]] == 2


def test_a_range_is_not_taken_for_another(origin: Origin) -> None:
    store, keys, data = origin
    reads = SharedReads()
    with reads.of(store, "r") as one, reads.of(store, "r") as two:
        read(one, keys[0])
        part = bytearray(MIB)
        two.read_into(keys[0], MIB, memoryview(part))
    assert bytes(part) == data[0][MIB : 2 * MIB]


def test_nothing_is_kept_once_one_reader_is_left(origin: Origin) -> None:
    store, keys, _ = origin
    reads = SharedReads()
    with reads.of(store, "r") as one:
        with reads.of(store, "r"):
            read(one, keys[0])
        with reads.of(store, "r") as three:
            read(three, keys[0])
    assert store.read_times[keys[0]] == 2


def test_the_medium_is_read_where_that_is_asked_for(origin: Origin) -> None:
    store, keys, _ = origin
    reads = SharedReads()
    with reads.of(store, "r") as one, reads.of(store, "r") as two:
        read(one, keys[0])
        read(two, keys[0], uncached=True)
    assert store.read_times[keys[0]] == 2


def test_a_failure_is_each_readers_own(origin: Origin) -> None:
    store, keys, data = origin
    reads = SharedReads()
    absent = object_key(TENANT, bytes(32))
    with ExitStack() as stack:
        one, two = (stack.enter_context(reads.of(store, "r")) for _ in range(2))
        for reader in (one, two):
            with pytest.raises(ObjectMissing):
                read(reader, absent)
        assert read(one, keys[0]) == data[0]
    assert store.read_times[absent] == 2


def test_after_a_copy_that_failed_all_is_fetched_anew(origin: Origin) -> None:
    store, keys, _ = origin
    reads = SharedReads()
    with reads.of(store, "r") as one, reads.of(store, "r") as two:
        read(one, keys[0])
        with pytest.raises(ObjectMissing), reads.of(store, "r"):
            raise ObjectMissing(keys[0])
        read(two, keys[0])
    assert store.read_times[keys[0]] == 2
