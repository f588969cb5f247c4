"""What a directory must bear that a bucket never meets."""

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.replication.content.errors import (
    DataError,
    ErrorClass,
    ReplicaMismatch,
    StoreAccessDenied,
    StoreBusy,
    StoreFull,
    StoreIoError,
    StoreUnavailable,
    UnsupportedStore,
)
from services.replication.content.store import Store
from services.replication.stores.local import LocalStore
from services.replication.stores.opening import initialise_store, open_store
from services.replication.stores.posix import store_error
from tests.integration.replication.data.samples import MIB, files_below, local_store

KEY = "objects/t1/ab/cd/abcd"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> Iterator[Store]:
    opened = local_store(root)
    yield opened
    with contextlib.suppress(OSError):
        opened.close()


def put(store: Store, key: str, data: bytes) -> None:
    with store.begin("task") as window:
        window.put(key, [memoryview(data)])
        window.commit()


def test_initialising_twice_keeps_the_id(root: Path) -> None:
    assert initialise_store(str(root)) == initialise_store(f"file://{root}")


def test_a_directory_with_other_things_is_not_made_a_store(root: Path) -> None:
    root.mkdir()
    (root / "holiday.jpg").touch()
    with pytest.raises(ReplicaMismatch, match="not empty"):
        initialise_store(str(root))


def test_a_crash_in_mid_initialisation_is_healed_by_the_next(root: Path) -> None:
    root.mkdir()
    (root / "FORMAT").write_bytes(b"{")
    (root / "replica-id.new").write_bytes(b"12")
    replica_id = initialise_store(str(root))
    open_store(str(root), replica_id=replica_id).close()


def test_an_empty_mount_is_refused(root: Path) -> None:
    root.mkdir()
    with pytest.raises(ReplicaMismatch, match="is it mounted"):
        open_store(str(root))


def test_another_format_is_refused(root: Path) -> None:
    initialise_store(str(root))
    (root / "FORMAT").write_bytes(b'{"format":2}')
    with pytest.raises(UnsupportedStore):
        open_store(str(root))


def test_a_store_swapped_under_us_takes_no_more_writes(root: Path, store: Store) -> None:
    root.rename(root.with_name("old"))
    initialise_store(str(root))
    with pytest.raises(ReplicaMismatch, match="another directory"):
        store.begin("task")
    with pytest.raises(ReplicaMismatch, match="another directory"):
        store.put_ref("refs/v1", b"x", expected=None)


def test_a_vanished_store_is_unavailable(root: Path, store: Store) -> None:
    shutil.rmtree(root)
    with pytest.raises(StoreUnavailable, match="is gone"):
        store.begin("task")


def test_one_who_wants_it_exclusively_excludes_others(root: Path, store: Store) -> None:
    with pytest.raises(StoreBusy):
        LocalStore(str(root), exclusive=True)
    store.close()
    alone = LocalStore(str(root), exclusive=True)
    with pytest.raises(StoreBusy):
        open_store(str(root))
    alone.close()


@pytest.mark.parametrize("part", ["objects", "objects/t1", "objects/t1/ab/cd"])
def test_a_planted_link_leads_nowhere(root: Path, store: Store, tmp_path: Path, part: str) -> None:
    outside = tmp_path / "outside"
    (outside / "t1/ab/cd").mkdir(parents=True)
    (outside / "abcd").write_bytes(b"secret")
    (root / part).parent.mkdir(parents=True, exist_ok=True)
    (root / part).symlink_to(outside)
    before = files_below(outside)
    with pytest.raises(StoreAccessDenied):
        store.read(KEY, limit=10)
    with pytest.raises(StoreAccessDenied):
        put(store, KEY, b"x")
    assert files_below(outside) == before


def test_a_link_in_an_objects_place_is_set_aside(root: Path, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).symlink_to(secret)
    with pytest.raises(StoreAccessDenied):
        store.read(KEY, limit=10)
    put(store, KEY, b"object")
    assert store.read(KEY, limit=10) == b"object"
    assert secret.read_bytes() == b"secret"
    assert not (root / KEY).is_symlink()


def test_nothing_is_visible_before_the_commit_and_nothing_stays_without_it(
    root: Path, store: Store
) -> None:
    with store.begin("task") as window:
        window.put(KEY, [memoryview(b"x" * 100)])
        assert store.length(KEY) is None
        assert len(files_below(root / "tmp")) == 1
    assert store.length(KEY) is None
    assert files_below(root / "tmp") == []
    assert len(list((root / "tmp").iterdir())) <= 1


def test_a_committed_window_leaves_no_scratch(root: Path, store: Store) -> None:
    put(store, KEY, b"x")
    assert files_below(root / "tmp") == []
    assert len(list((root / "tmp").iterdir())) <= 1


def test_a_failed_fsync_loses_the_window_and_is_an_error_of_the_medium(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with store.begin("task") as window:
        window.put(KEY, [memoryview(b"x")])
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StoreIoError):
            window.commit()
    monkeypatch.undo()
    assert store.length(KEY) is None
    assert files_below(root / "tmp") == []


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, MIB + 17])
def test_aligned_writes_of_every_length_come_back(store: Store, size: int) -> None:
    import mmap

    memory = memoryview(mmap.mmap(-1, 2 * MIB))
    memory[:size] = os.urandom(size)
    with store.begin("task") as window:
        window.put(KEY, [memory[:size]], aligned=True)
        window.commit()
    assert store.read(KEY, limit=2 * MIB) == bytes(memory[:size])


def test_a_reservation_counts_until_its_bytes_are_written(root: Path) -> None:
    store = local_store(root)
    free = store.free_bytes()
    assert free is not None
    with store.reserve(free // 2) as reservation:
        with pytest.raises(StoreFull):
            store.reserve(free - free // 4)
        reservation.use(free // 2)
        store.reserve(free // 2).use(free // 2)
    with pytest.raises(StoreFull, match="bytes are needed"):
        store.reserve(free * 2)
    store.close()


def test_the_margin_is_never_promised(root: Path) -> None:
    initialise_store(str(root))
    store = open_store(str(root), margin_bytes=1 << 60)
    assert store.free_bytes() == 0
    with pytest.raises(StoreFull):
        store.reserve(1)
    store.reserve(0).use(0)
    store.close()


def test_sweeping_takes_what_is_old_and_dead_alone(root: Path, store: Store) -> None:
    def leave(task: str, age: float) -> Path:
        file = root / "tmp" / task / "attempt" / "1"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"12345")
        then = file.stat().st_mtime - age
        os.utime(file, (then, then))
        return file

    dead, fresh, live = leave("dead", 100), leave("fresh", 0), leave("live", 100)
    assert store.sweep_temporary(older_than=50, live_tasks={"live"}) == 5
    assert not dead.parent.parent.exists()
    assert fresh.exists()
    assert live.exists()


@pytest.mark.parametrize(
    ("number", "kind", "error_class"),
    [
        (errno.ENOSPC, StoreFull, ErrorClass.CAPACITY),
        (errno.EDQUOT, StoreFull, ErrorClass.CAPACITY),
        (errno.EIO, StoreIoError, ErrorClass.TRANSIENT),
        (errno.EROFS, StoreAccessDenied, ErrorClass.PERMANENT),
        (errno.ETIMEDOUT, StoreUnavailable, ErrorClass.TRANSIENT),
    ],
)
def test_errors_of_the_system_are_classed_by_what_a_retry_may_hope(
    number: int, kind: type[DataError], error_class: ErrorClass
) -> None:
    error = store_error(OSError(number, os.strerror(number)), "cannot write")
    assert type(error) is kind
    assert error.error_class is error_class


def test_a_full_file_system_is_a_matter_of_capacity_and_leaves_nothing(tiny: Path) -> None:
    initialise_store(str(tiny))
    store = open_store(str(tiny), margin_bytes=0)
    with store.begin("task") as window:
        for number in range(2):
            window.put(f"objects/t1/ab/cd/{number}", [memoryview(os.urandom(2 * MIB))])
        with pytest.raises(StoreFull, match="No space left"):
            window.put("objects/t1/ab/cd/2", [memoryview(os.urandom(3 * MIB))])
    assert files_below(tiny / "tmp") == []
    put(store, KEY, b"there is room again")
    store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the limits of Linux")
def test_writing_and_reading_leave_no_descriptor_open(store: Store) -> None:
    put(store, KEY, b"x")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        put(store, f"objects/t1/ab/cd/{number}", b"x")
        store.read(KEY, limit=1)
        store.length(KEY)
    assert len(os.listdir("/proc/self/fd")) == before
