"""A first reading beside an older disk: all is hashed, and what changed alone is written."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import Cancelled
from services.replication.content.journal import forget_task
from services.replication.content.keys import object_key
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Checkpoint, Control, CopyOptions
from services.replication.content.pull import pull_disk
from services.replication.content.replicate import Origin
from services.replication.content.store import Store
from services.replication.content.verify import verify_disk
from tests.integration.replication.data.samples import TENANT, ingest, local_store

LEAVES = SEGMENT_BYTES // LEAF_BYTES
SHORT = 4464
SIZE = 5 * SEGMENT_BYTES + LEAF_BYTES + SHORT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = local_store(tmp_path / "slot")
    yield made
    made.close()


def noise(length: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(length)


def first_disk(tmp_path: Path, store: Store) -> tuple[bytearray, Manifest]:
    """Five segments and a bit: the third one is a hole."""
    data = bytearray(noise(SIZE, 1))
    data[2 * SEGMENT_BYTES : 3 * SEGMENT_BYTES] = bytes(SEGMENT_BYTES)
    (tmp_path / "image").write_bytes(data)
    manifest = ingest(tmp_path / "image", store, task="first")
    forget_task(store, "first")
    return data, manifest


def put(data: bytearray, leaf: int, count: int = 1) -> None:
    at = leaf * LEAF_BYTES
    length = min(count * LEAF_BYTES, len(data) - at)
    data[at : at + length] = noise(length, leaf + 7)


def check(store: Store, manifest: Manifest, data: bytes, tmp_path: Path) -> None:
    """It is the disk, and has the identity that it has where nothing is older."""
    alone = local_store(tmp_path / "alone")
    assert ingest(tmp_path / "image", alone).root == manifest.root
    alone.close()
    shutil.rmtree(tmp_path / "alone")
    pull_disk(Origin(store, TENANT, manifest), str(tmp_path / "pulled"), Control())
    assert (tmp_path / "pulled").read_bytes() == data
    assert verify_disk(Origin(store, TENANT, manifest), Control()) == []


def test_changed_leaves_alone_are_written_through_generations(store: Store, tmp_path: Path) -> None:
    data, manifest = first_disk(tmp_path, store)
    data[20 * LEAF_BYTES : 21 * LEAF_BYTES] = bytes(LEAF_BYTES)
    generations: list[tuple[list[tuple[int, int]], int]] = [
        # Scattered leaves, one in the hole, and the short one at the end.
        ([(3, 1), (9, 2), (2 * LEAVES + 5, 1), (5 * LEAVES + 1, 1)], 4 * LEAF_BYTES + SHORT),
        # Nothing at all: what lies in packs is referred to.
        ([], 0),
        # More than half of a segment, whose one zero leaf is not written, and a leaf of another.
        ([(21, 40), (LEAVES, 1)], SEGMENT_BYTES - LEAF_BYTES + LEAF_BYTES),
    ]
    for number, (changed, moved) in enumerate(generations):
        for leaf, count in changed:
            put(data, leaf, count)
        (tmp_path / "image").write_bytes(data)
        control = Control()
        manifest = ingest(tmp_path / "image", store, control, task=f"v{number}", base=manifest)
        forget_task(store, f"v{number}")
        counters = control.progress.sample()
        assert counters.copied == moved
        assert counters.copied + counters.deduplicated == manifest.occupied_bytes
        assert counters.verified == manifest.occupied_bytes
        check(store, manifest, bytes(data), tmp_path)


def test_a_reading_that_was_stopped_goes_on_with_what_it_has_in_packs(
    store: Store, tmp_path: Path
) -> None:
    data, base = first_disk(tmp_path, store)
    for leaf in range(0, SIZE // LEAF_BYTES, 32):
        put(data, leaf)
    (tmp_path / "image").write_bytes(data)
    options = CopyOptions(workers=1, window_bytes=SEGMENT_BYTES)
    stops = 0
    while True:
        control = Control()

        def stop(_: Checkpoint, control: Control = control) -> None:
            control.cancelled.set()

        control.checkpoint = stop
        try:
            found = ingest(tmp_path / "image", store, control, options=options, base=base)
        except Cancelled:
            stops += 1
            continue
        break
    assert stops >= 2
    # Two leaves of each segment, counted once however often it was stopped.
    assert control.progress.sample().copied == 10 * LEAF_BYTES + LEAF_BYTES
    check(store, found, bytes(data), tmp_path)


def test_an_older_segment_that_is_bad_is_not_relied_on(store: Store, tmp_path: Path) -> None:
    data, base = first_disk(tmp_path, store)
    older = base.segment(1)
    path = tmp_path / "slot" / object_key(TENANT, older.digest)
    held = bytearray(path.read_bytes())
    held[30 * LEAF_BYTES] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(held)
    put(data, 64)
    put(data, 0)
    (tmp_path / "image").write_bytes(data)
    found = ingest(tmp_path / "image", store, base=base)
    assert [found.segment(index).is_plain for index in (0, 1)] == [False, True]
    # What others may still read in part stays where it is.
    assert path.read_bytes() == held
    check(store, found, bytes(data), tmp_path)


def test_an_older_segment_that_is_gone_is_not_referred_to(store: Store, tmp_path: Path) -> None:
    data, base = first_disk(tmp_path, store)
    store.delete([object_key(TENANT, base.segment(1).digest)])
    put(data, 64)
    (tmp_path / "image").write_bytes(data)
    control = Control()
    found = ingest(tmp_path / "image", store, control, base=base)
    assert found.segment(1).is_plain
    assert control.progress.sample().copied == SEGMENT_BYTES
    check(store, found, bytes(data), tmp_path)
