"""Copies between real directories: what arrives, what is counted, what stops them."""

import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import (
    Cancelled,
    ErrorClass,
    FenceLost,
    ObjectCorrupt,
    SourceChanged,
    SourceMissing,
    StoreFull,
)
from services.replication.content.journal import forget_task
from services.replication.content.keys import journal_prefix, object_key
from services.replication.content.progress import (
    Checkpoint,
    Control,
    CopyOptions,
    Counters,
    Phase,
    VerifyPolicy,
)
from services.replication.content.pull import pull_disk
from services.replication.content.replicate import Origin, plan_disk
from services.replication.content.segment_io import read_manifest
from services.replication.content.source import FileSource
from services.replication.content.store import Store
from services.replication.content.verify import verify_disk
from services.replication.stores.bucket import initialise_bucket
from services.replication.stores.object_store import ObjectStore
from services.replication.stores.opening import initialise_store, open_store
from tests.integration.replication.data.samples import (
    MIB,
    SMALL,
    TENANT,
    files_below,
    ingest,
    local_store,
    make_image,
    replicate,
)

EXTENTS = ((0, 3 * MIB), (9 * MIB + 4096, 70_000), (20 * MIB, 9 * MIB))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    first, second = local_store(tmp_path / "first"), local_store(tmp_path / "second")
    yield first, second
    first.close()
    second.close()


def pulled(store: Store, root: bytes, tmp_path: Path) -> bytes:
    target = tmp_path / "pulled"
    pull_disk(Origin(store, TENANT, read_manifest(store, TENANT, root)), str(target), Control())
    return target.read_bytes()


def flip_a_byte(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    size=st.integers(0, 6 * MIB),
    extents=st.lists(st.tuples(st.integers(0, 6 * MIB), st.integers(1, MIB)), max_size=4),
    seed=st.integers(0, 10),
)
def test_any_disk_comes_back_byte_for_byte(
    stores: tuple[Store, Store],
    tmp_path: Path,
    size: int,
    extents: list[tuple[int, int]],
    seed: int,
) -> None:
    first, second = stores
    image = tmp_path / "image"
    inside = [(offset, length) for offset, length in extents if offset < size]
    make_image(image, size, inside, seed)
    for store in stores:
        for task in ("ingest", "replicate"):
            forget_task(store, task)
    manifest = ingest(image, first)
    assert replicate(manifest, first, second).root == manifest.root
    assert pulled(second, manifest.root, tmp_path) == image.read_bytes()
    assert verify_disk(Origin(second, TENANT, manifest), Control()) == []


def test_counters_add_up_and_are_the_same_in_every_slot(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    first, second = stores
    make_image(tmp_path / "image", 40 * MIB + 5, EXTENTS)
    data = (tmp_path / "image").read_bytes()
    ingested, copied = Control(), Control()
    manifest = ingest(tmp_path / "image", first, ingested)
    replicate(manifest, first, second, copied)
    leaves = [data[at : at + LEAF_BYTES] for at in range(0, len(data), LEAF_BYTES)]
    occupied = sum(len(leaf) for leaf in leaves if any(leaf))
    expected = Counters(
        total=occupied, copied=occupied, zero=len(data) - occupied, verified=occupied
    )
    assert ingested.progress.sample() == expected
    assert copied.progress.sample() == expected
    assert manifest.occupied_bytes == occupied
    stored = sum(item.length for item in second.list_objects(f"objects/{TENANT}"))
    assert occupied < stored < occupied + 64 * 1024


def test_zeros_inside_data_are_not_stored(stores: tuple[Store, Store], tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(9 * MIB) + b"x" + bytes(MIB))
    control = Control()
    manifest = ingest(image, stores[0], control)
    assert len(manifest) == 1
    assert control.progress.sample().copied == LEAF_BYTES
    assert control.progress.sample().zero == 10 * MIB + 1 - LEAF_BYTES


def test_an_image_of_nothing_but_holes_is_a_manifest_alone(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 1 << 40, ())
    manifest = ingest(tmp_path / "image", stores[0])
    assert len(manifest) == 0
    assert list(stores[0].list_objects("objects")) == []
    assert replicate(manifest, *stores).root == manifest.root


def test_a_second_disk_moves_only_what_the_slot_lacks(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    first, second = stores
    make_image(tmp_path / "one", 16 * MIB, [(0, 16 * MIB)])
    replicate(ingest(tmp_path / "one", first), first, second)
    changed = bytearray((tmp_path / "one").read_bytes())
    changed[5 * MIB] ^= 1
    (tmp_path / "two").write_bytes(changed)
    control = Control()
    manifest = ingest(tmp_path / "two", first, control, task="ingest-two")
    assert control.progress.sample().deduplicated == 12 * MIB
    plan = plan_disk(manifest, second, TENANT)
    assert (plan.missing, plan.present, plan.occupied) == (4 * MIB, 12 * MIB, 16 * MIB)
    control = Control()
    replicate(manifest, first, second, control, task="replicate-two")
    assert control.progress.sample() == Counters(
        total=16 * MIB, copied=4 * MIB, deduplicated=12 * MIB, verified=16 * MIB
    )


def test_a_segment_that_the_disk_holds_often_is_written_once_even_across_windows(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    block = random.Random(1).randbytes(SEGMENT_BYTES)
    (tmp_path / "image").write_bytes(block * 5)
    manifest = ingest(tmp_path / "image", stores[0])
    assert plan_disk(manifest, stores[1], TENANT).missing == SEGMENT_BYTES
    control = Control()
    replicate(manifest, *stores, control)
    counters = control.progress.sample()
    assert (counters.copied, counters.deduplicated) == (SEGMENT_BYTES, 4 * SEGMENT_BYTES)


def test_what_the_disks_before_bring_into_the_slot_is_planned_once(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    shared, own = (random.Random(seed).randbytes(SEGMENT_BYTES) for seed in (1, 2))
    (tmp_path / "one").write_bytes(shared)
    (tmp_path / "two").write_bytes(shared + own)
    one = ingest(tmp_path / "one", stores[0])
    two = ingest(tmp_path / "two", stores[0], task="ingest-two")
    planned: set[bytes] = set()
    plans = [plan_disk(disk, stores[1], TENANT, planned=planned) for disk in (one, two)]
    assert [(plan.missing, plan.present) for plan in plans] == [
        (SEGMENT_BYTES, 0),
        (SEGMENT_BYTES, SEGMENT_BYTES),
    ]
    for number, disk in enumerate((one, two)):
        control = Control()
        replicate(disk, *stores, control, task=f"replicate-{number}")
        assert control.progress.sample().copied == plans[number].missing


def test_a_copy_within_its_own_slot_writes_nothing(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    store = stores[0]
    make_image(tmp_path / "image", 12 * MIB, [(0, 12 * MIB)])
    manifest = ingest(tmp_path / "image", store)
    forget_task(store, "ingest")
    before = {path: path.stat().st_ino for path in files_below(tmp_path / "first")}
    control = Control()
    replicate(manifest, store, store, control)
    forget_task(store, "replicate")
    assert {path: path.stat().st_ino for path in files_below(tmp_path / "first")} == before
    assert control.progress.sample() == Counters(
        total=12 * MIB, deduplicated=12 * MIB, verified=12 * MIB
    )


def test_replicas_share_no_blocks_and_no_inodes(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 8 * MIB, [(0, 8 * MIB)])
    replicate(ingest(tmp_path / "image", stores[0]), *stores)
    files = [path for name in ("first", "second") for path in files_below(tmp_path / name)]
    assert all(path.stat().st_nlink == 1 for path in files)


def test_a_disk_goes_through_a_bucket_and_back(stores: tuple[Store, Store], tmp_path: Path) -> None:
    client = MemoryStore()
    initialise_bucket(client, "memory://")
    bucket = ObjectStore(client, "memory://")
    make_image(tmp_path / "image", 40 * MIB + 5, EXTENTS)
    ingested = ingest(tmp_path / "image", bucket)
    copied = Control()
    manifest = replicate(ingested, bucket, stores[0], copied)
    replicate(manifest, stores[0], bucket, task="back")
    assert copied.progress.sample().verified == manifest.occupied_bytes
    assert verify_disk(Origin(bucket, TENANT, manifest), Control()) == []
    assert pulled(stores[0], manifest.root, tmp_path) == (tmp_path / "image").read_bytes()


def test_a_copy_waits_for_room_and_then_goes_on(
    stores: tuple[Store, Store], tmp_path: Path, tiny: Path
) -> None:
    make_image(tmp_path / "image", 12 * MIB, [(0, 12 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    initialise_store(str(tiny))
    target = open_store(str(tiny), margin_bytes=0)
    with pytest.raises(StoreFull) as caught:
        replicate(manifest, stores[0], target)
    assert caught.value.error_class is ErrorClass.CAPACITY
    assert files_below(tiny / "objects") == []
    subprocess.run(["mount", "-o", "remount,size=20m", str(tiny)], check=True)
    assert replicate(manifest, stores[0], target).root == manifest.root
    target.close()


@pytest.mark.parametrize("leaf", [0, 31, 63])
def test_a_bad_origin_is_told_at_the_right_leaf_and_nothing_is_committed(
    stores: tuple[Store, Store], tmp_path: Path, leaf: int
) -> None:
    make_image(tmp_path / "image", 8 * MIB, [(0, 8 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    key = object_key(TENANT, manifest.segment(1).digest)
    flip_a_byte(tmp_path / "first" / key, leaf * LEAF_BYTES + 100)
    with pytest.raises(ObjectCorrupt) as caught:
        replicate(manifest, *stores)
    assert caught.value.key == key
    assert caught.value.disk_offset == SEGMENT_BYTES + leaf * LEAF_BYTES
    assert list(stores[1].list_objects("manifests")) == []
    faults = verify_disk(Origin(stores[0], TENANT, manifest), Control())
    assert [(fault.segment, fault.key, fault.disk_offset) for fault in faults] == [
        (1, key, SEGMENT_BYTES + leaf * LEAF_BYTES)
    ]


def test_verification_tells_missing_and_truncated_objects_and_bad_pages(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 12 * MIB, [(0, 12 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    origin = Origin(stores[0], TENANT, manifest)
    keys = [object_key(TENANT, item.digest) for item in manifest.segments()]
    (tmp_path / "first" / keys[0]).unlink()
    os.truncate(tmp_path / "first" / keys[2], 2 * MIB)
    faults = verify_disk(origin, Control())
    assert [(fault.segment, fault.key) for fault in faults] == [(0, keys[0]), (2, keys[2])]
    page = object_key(TENANT, next(manifest.pages()).digest)
    flip_a_byte(tmp_path / "first" / page, 50)
    assert {fault.key for fault in verify_disk(origin, Control())} == {page}


def test_an_object_that_was_bad_in_the_slot_is_set_aside_and_written_again(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 12 * MIB, [(0, 12 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    replicate(manifest, *stores)
    key = object_key(TENANT, manifest.segment(1).digest)
    flip_a_byte(tmp_path / "second" / key, 7)
    control = Control()
    replicate(manifest, *stores, control, task="again")
    assert verify_disk(Origin(stores[1], TENANT, manifest), Control()) == []
    assert len(list(stores[1].list_objects("quarantine"))) == 1
    counters = control.progress.sample()
    assert counters.repaired == SEGMENT_BYTES
    assert counters.verified == counters.total == 12 * MIB


def test_a_bad_leaf_page_in_the_slot_is_replaced(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 4 * MIB, [(0, 4 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    replicate(manifest, *stores)
    flip_a_byte(tmp_path / "second" / object_key(TENANT, next(manifest.pages()).digest), 50)
    replicate(manifest, *stores, task="again")
    assert verify_disk(Origin(stores[1], TENANT, manifest), Control()) == []


@pytest.mark.parametrize(
    ("policy", "verified"),
    [(VerifyPolicy.NONE, 0), (VerifyPolicy.SAMPLE, 3 * SEGMENT_BYTES)],
)
def test_a_policy_reads_back_less_of_what_was_written_but_all_that_was_there(
    stores: tuple[Store, Store], tmp_path: Path, policy: VerifyPolicy, verified: int
) -> None:
    make_image(tmp_path / "image", 36 * MIB, [(0, 36 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    options = CopyOptions(workers=2, verify=policy, sample_every=4)
    control = Control()
    replicate(manifest, *stores, control, options=options)
    assert control.progress.sample().verified == verified
    control = Control()
    replicate(manifest, *stores, control, task="again", options=options)
    assert control.progress.sample().verified == 36 * MIB


def test_a_source_that_changes_meanwhile_commits_nothing(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    image = tmp_path / "image"
    make_image(image, 16 * MIB, [(0, 16 * MIB)])

    def change(checkpoint: Checkpoint) -> None:
        flip_a_byte(image, 100)

    with pytest.raises(SourceChanged):
        ingest(image, stores[0], Control(checkpoint=change))
    assert list(stores[0].list_objects("manifests")) == []


def test_a_source_changed_between_two_attempts_is_refused(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    image = tmp_path / "image"
    make_image(image, 16 * MIB, [(0, 16 * MIB)])
    stop = Control()
    stop.checkpoint = lambda _: stop.cancelled.set()
    with pytest.raises(Cancelled):
        ingest(image, stores[0], stop)
    flip_a_byte(image, 100)
    with pytest.raises(SourceChanged):
        ingest(image, stores[0])


def test_a_source_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    image = tmp_path / "image"
    make_image(image, MIB, [(0, MIB)])
    source = FileSource(str(image))
    image.rename(tmp_path / "old")
    make_image(image, MIB, [(0, MIB)])
    with pytest.raises(SourceChanged):
        source.check()
    (tmp_path / "image").unlink()
    with pytest.raises(SourceMissing):
        source.check()
    source.close()


def test_sources_that_are_no_disks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing", "."):
        with pytest.raises(SourceMissing):
            FileSource(str(tmp_path / name))


def test_holes_are_not_read(tmp_path: Path) -> None:
    make_image(tmp_path / "image", 1 << 40, [(5 * MIB, 100), ((1 << 40) - 10, 10)])
    source = FileSource(str(tmp_path / "image"))
    extents = list(source.extents(0))
    assert extents[0][0] >= 4 * MIB
    assert extents[-1][1] == 1 << 40
    assert sum(end - begin for begin, end in extents) <= 2 * LEAF_BYTES
    source.close()


def test_a_copy_that_will_not_fit_writes_nothing(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 8 * MIB, [(0, 8 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0])
    initialise_store(str(tmp_path / "full"))
    full = open_store(str(tmp_path / "full"), margin_bytes=1 << 60)
    with pytest.raises(StoreFull):
        replicate(manifest, stores[0], full)
    with pytest.raises(StoreFull):
        ingest(tmp_path / "image", full)
    assert list(full.list_objects("objects")) == []
    full.close()


def test_phases_and_checkpoints_come_in_order_on_the_callers_thread(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 20 * MIB, [(0, 20 * MIB)])
    phases: list[Phase] = []
    points: list[Checkpoint] = []
    threads: set[int] = set()
    control = Control(phase=phases.append)

    def note(point: Checkpoint) -> None:
        threads.add(threading.get_ident())
        points.append(point)
        # Told after durability: the objects of the window are there under their names.
        durable = point.end_segment * SEGMENT_BYTES
        assert sum(item.length for item in stores[0].list_objects("objects")) >= durable
        assert point.counters.verified >= durable

    control.checkpoint = note
    ingest(tmp_path / "image", stores[0], control)
    assert phases == [Phase.PLANNING, Phase.COPYING, Phase.VERIFYING]
    assert [(point.sequence, point.end_segment) for point in points] == [(0, 2), (1, 4), (2, 5)]
    assert threads == {threading.get_ident()}


def test_many_small_segments_do_not_keep_many_files_open(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(
        tmp_path / "image", 300 * SEGMENT_BYTES, [(n * SEGMENT_BYTES, 1) for n in range(300)]
    )
    points: list[int] = []
    control = Control(checkpoint=lambda point: points.append(point.end_segment))
    ingest(tmp_path / "image", stores[0], control, options=CopyOptions())
    assert points == [128, 256, 300]


def test_a_cancelled_copy_goes_on_where_it_stopped(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    first, second = stores
    make_image(tmp_path / "image", 40 * MIB, [(0, 40 * MIB)])
    for step in (ingest_step, replicate_step):
        stop = Control()
        stop.checkpoint = lambda point, stop=stop: (  # type: ignore[misc]
            stop.cancelled.set() if point.sequence == 2 else None
        )
        with pytest.raises(Cancelled):
            step(tmp_path, first, second, stop)
        target = first if step is ingest_step else second
        before = {item.key for item in target.list_objects("objects")}
        assert len(before) == 6
        moved = {
            path: path.stat().st_ino
            for path in files_below(tmp_path / ("first" if target is first else "second"))
            if "objects" in path.parts
        }
        again = Control()
        step(tmp_path, first, second, again)
        assert again.progress.sample() == Counters(
            total=40 * MIB, copied=40 * MIB, verified=40 * MIB
        )
        assert all(path.stat().st_ino == inode for path, inode in moved.items())
    root = ingest(tmp_path / "image", first, task="third").root
    assert pulled(second, root, tmp_path) == (tmp_path / "image").read_bytes()


def ingest_step(tmp_path: Path, first: Store, second: Store, control: Control) -> None:
    ingest(tmp_path / "image", first, control)


def replicate_step(tmp_path: Path, first: Store, second: Store, control: Control) -> None:
    manifest = ingest(tmp_path / "image", first, task="known")
    replicate(manifest, first, second, control)


def test_a_lost_fence_stops_before_the_next_window_and_before_the_commit(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 20 * MIB, [(0, 20 * MIB)])
    for allowed in range(4):
        calls = 0

        def fence(allowed: int = allowed) -> None:
            nonlocal calls
            calls += 1
            if calls > allowed:
                raise FenceLost

        with pytest.raises(FenceLost):
            ingest(tmp_path / "image", stores[0], Control(fence=fence), task=f"task{allowed}")
        windows = list(stores[0].list_objects(journal_prefix(f"task{allowed}")))
        assert len(windows) == allowed
    assert list(stores[0].list_objects("manifests")) == []


def test_a_torn_journal_is_dropped_and_its_window_copied_again(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 24 * MIB, [(0, 24 * MIB)])
    ingest(tmp_path / "image", stores[0])
    journals = sorted((tmp_path / "first" / "journals" / "ingest").iterdir())
    assert len(journals) == 3
    os.truncate(journals[1], 40)
    control = Control()
    ingest(tmp_path / "image", stores[0], control)
    counters = control.progress.sample()
    assert (counters.copied, counters.deduplicated) == (8 * MIB, 16 * MIB)


def test_a_finished_task_leaves_journals_until_it_is_forgotten(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    make_image(tmp_path / "image", 24 * MIB, [(0, 24 * MIB)])
    manifest = ingest(tmp_path / "image", stores[0], options=SMALL)
    assert ingest(tmp_path / "image", stores[0]).root == manifest.root
    forget_task(stores[0], "ingest")
    assert list(stores[0].list_objects("journals")) == []
