"""Lists of what is to be collected, in a directory and in a bucket alike."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from services.replication.content.collection import Collected, Rules, collect
from services.replication.content.errors import Cancelled, InvalidEncoding, StoreBusy
from services.replication.content.keys import object_key, tombstones_key
from services.replication.content.refs import VersionRef, commit_version, remove_version
from services.replication.content.store import Store
from services.replication.content.tombstones import (
    LIST_KEYS,
    UNDATED,
    State,
    Tombstones,
    bury,
    content_keys,
    decode_tombstones,
    keep,
    keep_content,
    read_tombstones,
)
from services.replication.stores.bucket import initialise_bucket
from services.replication.stores.object_store import ObjectStore
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    ingest,
    local_store,
    make_image,
)

TIME = datetime(2026, 1, 31, 12, tzinfo=UTC)
# Everything is older than this, by any clock.
NO_GRACE = timedelta(hours=-1)
ON = threading.Event()


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "directory":
        made = local_store(tmp_path / "store")
    else:
        client = MemoryStore()
        initialise_bucket(client, "memory:///")
        made = ObjectStore(client, "memory:///")
    yield made
    made.close()


def put(store: Store, name: str) -> None:
    with store.begin("test") as window:
        window.put(name, [memoryview(b"bytes")])
        window.commit()


def rules(grace: timedelta = NO_GRACE, **more: datetime) -> Rules:
    return Rules(grace, 100, lambda: TIME, **more)


def test_a_list_is_what_it_was_when_it_was_written():
    content = Tombstones(State.WAITING, TIME, ("objects/t1/aa/bb/" + "aa" * 32,))
    assert decode_tombstones(content.encode()) == content
    for data in (b"", b"{}", b'{"format":2}', content.encode().replace(b"waiting", b"asleep")):
        with pytest.raises(InvalidEncoding):
            decode_tombstones(data)


def test_many_objects_are_put_on_several_lists(store: Store):
    names = [object_key(TENANT, number.to_bytes(32, "big")) for number in range(LIST_KEYS + 1)]
    bury(store, names, lambda: TIME)
    lists = [one.content for one in read_tombstones(store)]
    assert sorted(len(one.keys) for one in lists) == [1, LIST_KEYS]
    assert {name for one in lists for name in one.keys} == set(names)


def test_what_a_writer_names_is_taken_off_and_the_rest_stays(store: Store):
    names = [object_key(TENANT, bytes([number]) * 32) for number in range(3)]
    bury(store, names, lambda: TIME)
    keep(store, [object_key(TENANT, b"z" * 32)])
    assert [one.content.keys for one in read_tombstones(store)] == [tuple(names)]
    keep(store, names[:2])
    assert [one.content.keys for one in read_tombstones(store)] == [(names[2],)]
    # Asked a second time, when the list is known already.
    keep(store, names)
    assert [one.content.keys for one in read_tombstones(store)] == [()]


def test_a_list_is_dated_once_it_can_be_seen_and_waits_until_then(store: Store):
    name = object_key(TENANT, b"a" * 32)
    put(store, name)
    seen: list[list[datetime]] = []

    def now() -> datetime:
        seen.append([one.content.time for one in read_tombstones(store)])
        return TIME

    bury(store, [name], now)
    assert seen == [[UNDATED]]
    assert [one.content.time for one in read_tombstones(store)] == [TIME]
    # As a crash in between leaves it: the next round dates it, and only a later one sweeps.
    (listed,) = read_tombstones(store)
    undated = Tombstones(State.WAITING, UNDATED, (name,))
    store.put_ref(listed.key, undated.encode(), expected=listed.tag)
    assert collect(store, rules(), ON) == Collected()
    assert [one.content.time for one in read_tombstones(store)] == [TIME]
    assert collect(store, rules(), ON).deleted == 1


@pytest.mark.parametrize("rounds", [2, 3])
def test_two_rounds_take_what_nothing_leads_to_and_no_more(
    store: Store, tmp_path: Path, rounds: int
):
    make_image(tmp_path / "kept", 5 * MIB, [(0, 5 * MIB)], 1)
    make_image(tmp_path / "gone", 5 * MIB, [(0, 5 * MIB)], 2)
    kept = ingest(tmp_path / "kept", store, task="kept")
    gone = ingest(tmp_path / "gone", store, task="gone")
    store.delete([item.key for item in store.list_objects("journals")])
    for version, manifest in (("v1", kept), ("v2", gone)):
        commit_version(store, VersionRef(version, TENANT, 1, "r", 1, {"os": manifest.root}))
    assert collect(store, rules(), ON) == Collected()
    remove_version(store, "v2", up_to_generation=1)
    doomed = content_keys(TENANT, gone)
    assert collect(store, rules(timedelta(hours=1)), ON) == Collected()
    assert collect(store, rules(), ON).buried == len(doomed)
    # A job that began before the list was made may have seen what is on it.
    assert collect(store, rules(oldest_job=TIME - timedelta(days=9)), ON) == Collected()
    for _ in range(rounds):
        collect(store, rules(oldest_job=TIME + timedelta(seconds=1)), ON)
    assert all(store.length(name) is None for name in doomed)
    assert all(store.length(name) is not None for name in content_keys(TENANT, kept))


def test_a_ref_that_is_committed_takes_all_of_its_disk_off_the_lists(store: Store, tmp_path: Path):
    make_image(tmp_path / "image", 5 * MIB, [(0, 5 * MIB)])
    manifest = ingest(tmp_path / "image", store)
    store.delete([item.key for item in store.list_objects("journals")])
    names = content_keys(TENANT, manifest)
    assert collect(store, rules(), ON).buried == len(names)
    commit_version(store, VersionRef("v1", TENANT, 1, "r", 1, {"os": manifest.root}))
    assert [one.content.keys for one in read_tombstones(store)] == [()]
    assert collect(store, rules(), ON) == Collected()


def test_no_ref_is_committed_to_what_is_being_deleted(store: Store, tmp_path: Path):
    make_image(tmp_path / "image", 5 * MIB, [(0, 5 * MIB)])
    manifest = ingest(tmp_path / "image", store)
    name = object_key(TENANT, manifest.segment(0).digest)
    content = Tombstones(State.DELETING, TIME, (name,))
    store.put_ref(tombstones_key("a" * 32), content.encode(), expected=None)
    ref = VersionRef("v1", TENANT, 1, "r", 1, {"os": manifest.root})
    with pytest.raises(StoreBusy):
        commit_version(store, ref)
    assert store.get_ref("refs/v1") is None
    with pytest.raises(StoreBusy):
        keep_content(store, TENANT, manifest.root)


def test_what_a_journal_relies_on_stays(store: Store, tmp_path: Path):
    make_image(tmp_path / "image", 9 * MIB, [(0, 9 * MIB)])
    manifest = ingest(tmp_path / "image", store)
    collect(store, rules(), ON)
    listed = {name for one in read_tombstones(store) for name in one.content.keys}
    segments = {object_key(TENANT, item.digest) for item in manifest.segments()}
    assert listed == content_keys(TENANT, manifest) - segments


def test_a_round_ends_when_it_is_told_to(store: Store):
    names = [object_key(TENANT, bytes([number]) * 32) for number in range(3)]
    for name in names:
        put(store, name)
        bury(store, [name], lambda: TIME)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        collect(store, rules(), stop)
    assert all(store.length(name) is not None for name in names)
