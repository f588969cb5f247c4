"""Deltas by leaf: what changed between two versions is moved, and the disk comes back whole."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.replication.content.comparison import MAX_OBJECTS
from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import Cancelled
from services.replication.content.journal import forget_task
from services.replication.content.keys import object_key
from services.replication.content.manifest import Manifest
from services.replication.content.marking import journalled_digests
from services.replication.content.progress import Checkpoint, Control, CopyOptions
from services.replication.content.pull import pull_disk
from services.replication.content.replicate import Origin, plan_disk
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store
from services.replication.content.verify import verify_disk
from services.replication.stores.opening import open_store
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    ingest,
    local_store,
    make_image,
    replicate,
)
from tests.integration.replication.data.test_kill import inodes, is_done, run_copier, scratch_bytes

PAGE = 4096


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    home, away = local_store(tmp_path / "home"), local_store(tmp_path / "away")
    yield home, away
    home.close()
    away.close()


def pulled(store: Store, manifest: Manifest, tmp_path: Path) -> bytes:
    target = tmp_path / "pulled"
    pull_disk(Origin(store, TENANT, manifest), str(target), Control())
    return target.read_bytes()


def rewritten_files(data: bytes, share: float, seed: int) -> bytes:
    """An image of files of 64 KiB to 1 MiB on blocks of 4 KiB, a share of them rewritten in place.

    As ext4 lays them out: each in one extent, begun on a block, not on a leaf.
    """
    chance = random.Random(seed)
    changed = bytearray(data)
    at = 0
    while at < len(data):
        length = min(chance.randint(16, 256) * PAGE, len(data) - at)
        if chance.random() < share:
            changed[at : at + length] = chance.randbytes(length)
        at += length
    return bytes(changed)


def moved(store: Store, origin: Store, manifest: Manifest, base: Manifest) -> tuple[Manifest, int]:
    """Copy a version, and answer it with the bytes that were written."""
    plan = plan_disk(manifest, store, TENANT, origin=origin, base=base)
    control = Control()
    found = replicate(manifest, origin, store, control, base=base, task=manifest.root.hex()[:16])
    forget_task(store, manifest.root.hex()[:16])
    assert found.root == manifest.root
    counters = control.progress.sample()
    assert counters.copied == plan.missing
    assert counters.copied + counters.deduplicated == manifest.occupied_bytes == counters.verified
    return found, counters.copied


def test_an_image_with_five_per_cent_of_its_files_changed_moves_at_most_fifteen_per_cent(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    home, away = stores
    image = tmp_path / "image"
    make_image(image, 128 * MIB, [(0, 96 * MIB)])
    before = image.read_bytes()
    first = ingest(image, home, task="first")
    base = replicate(first, home, away)
    forget_task(away, "replicate")
    after = rewritten_files(before[: 96 * MIB], 0.05, 3) + before[96 * MIB :]
    differing = sum(
        before[at : at + PAGE] != after[at : at + PAGE] for at in range(0, len(before), PAGE)
    )
    assert 0.03 < differing * PAGE / (96 * MIB) < 0.07
    image.write_bytes(after)
    second = ingest(image, home, task="second")
    found, copied = moved(away, home, second, base)
    assert 0 < copied <= 0.15 * second.occupied_bytes
    assert pulled(away, found, tmp_path) == after
    assert verify_disk(Origin(away, TENANT, found), Control()) == []


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    size=st.integers(1, 14 * MIB),
    edits=st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 14 * MIB),
                st.integers(1, 300_000),
                st.sampled_from(["noise", "zero"]),
            ),
            max_size=8,
        ),
        min_size=1,
        max_size=5,
    ),
    grown=st.integers(-MIB, MIB),
    seed=st.integers(0, 5),
)
def test_generations_of_deltas_come_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    edits: list[list[tuple[int, int, str]]],
    grown: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("generations")
    home, away = local_store(folder / "home"), local_store(folder / "away")
    chance = random.Random(seed)
    data = bytearray(chance.randbytes(size))
    (folder / "image").write_bytes(data)
    versions = [(bytes(data), replicate(ingest(folder / "image", home), home, away))]
    forget_task(home, "ingest")
    forget_task(away, "replicate")
    for number, changes in enumerate(edits):
        size = max(1, len(data) + grown)
        data = data[:size] + bytearray(max(0, size - len(data)))
        for offset, length, kind in changes:
            end = min(offset + length, size)
            if offset < end:
                data[offset:end] = (
                    bytes(end - offset) if kind == "zero" else chance.randbytes(end - offset)
                )
        (folder / "image").write_bytes(data)
        manifest = ingest(folder / "image", home, task=f"v{number}")
        found, _ = moved(away, home, manifest, versions[-1][1])
        versions.append((bytes(data), found))
    for content, manifest in versions:
        assert pulled(away, manifest, folder) == content
        for segment in manifest.segments():
            assert len({extent.digest for extent in segment.extents}) <= MAX_OBJECTS
    home.close()
    away.close()


def two_versions(home: Store, away: Store, tmp_path: Path) -> tuple[bytes, Manifest, Manifest]:
    """The bytes and the manifest of a second version, and the first as the far slot has it."""
    image = tmp_path / "image"
    make_image(image, 64 * MIB, [(0, 64 * MIB)])
    base = replicate(ingest(image, home, task="first"), home, away)
    forget_task(away, "replicate")
    data = rewritten_files(image.read_bytes(), 0.15, 9)
    image.write_bytes(data)
    return data, ingest(image, home, task="second"), base


def test_a_delta_that_was_stopped_goes_on_where_it_was_durable(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    home, away = stores
    data, second, base = two_versions(home, away, tmp_path)
    planned = plan_disk(second, away, TENANT, origin=home, base=base).missing
    options = CopyOptions(workers=2, window_bytes=8 * MIB)
    copied, stops, durable = 0, 0, 0
    while True:
        control = Control()

        def stop(point: Checkpoint, control: Control = control) -> None:
            nonlocal durable
            durable = point.counters.copied
            control.cancelled.set()

        control.checkpoint = stop
        try:
            found = replicate(second, home, away, control, options=options, base=base)
        except Cancelled:
            stops += 1
            packs = [
                name for name in journalled_digests(away) if away.length(object_key(TENANT, name))
            ]
            assert packs
            assert durable > copied
            copied = durable
            continue
        break
    assert stops >= 2
    assert control.progress.sample().copied <= planned
    assert pulled(away, found, tmp_path) == data


def test_a_base_that_is_bad_is_not_relied_on(stores: tuple[Store, Store], tmp_path: Path) -> None:
    home, away = stores
    data, second, base = two_versions(home, away, tmp_path)
    kept = next(
        segment
        for segment in base.segments()
        if (new := second.find(segment.index)) is not None and new.digest != segment.digest
    )
    path = tmp_path / "away" / object_key(TENANT, kept.digest)
    path.chmod(0o600)
    held = bytearray(path.read_bytes())
    for at in range(0, len(held), LEAF_BYTES):
        held[at] ^= 0xFF
    path.write_bytes(held)
    found = replicate(second, home, away, base=base)
    segment = found.find(kept.index)
    assert segment is not None
    assert segment.is_plain
    assert pulled(away, found, tmp_path) == data
    # What others may still read in part stays where it is.
    assert path.read_bytes() == held


def test_a_segment_of_which_more_than_half_changed_is_written_whole(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    home, away = stores
    image = tmp_path / "image"
    make_image(image, 2 * SEGMENT_BYTES, [(0, 2 * SEGMENT_BYTES)])
    base = replicate(ingest(image, home, task="first"), home, away)
    forget_task(away, "replicate")
    data = bytearray(image.read_bytes())
    data[: 33 * LEAF_BYTES] = random.Random(11).randbytes(33 * LEAF_BYTES)
    data[SEGMENT_BYTES : SEGMENT_BYTES + 32 * LEAF_BYTES] = random.Random(12).randbytes(
        32 * LEAF_BYTES
    )
    image.write_bytes(data)
    found, copied = moved(away, home, ingest(image, home, task="second"), base)
    assert [segment.is_plain for segment in found.segments()] == [True, False]
    assert copied == SEGMENT_BYTES + 32 * LEAF_BYTES


def test_a_segment_in_pieces_of_too_many_versions_is_written_whole(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    home, away = stores
    image = tmp_path / "image"
    make_image(image, SEGMENT_BYTES, [(0, SEGMENT_BYTES)])
    found = replicate(ingest(image, home, task="v0"), home, away)
    forget_task(away, "replicate")
    data = bytearray(image.read_bytes())
    written, objects = [], []
    for number in range(1, MAX_OBJECTS + 2):
        at = number * LEAF_BYTES
        data[at : at + LEAF_BYTES] = random.Random(number).randbytes(LEAF_BYTES)
        image.write_bytes(data)
        found, copied = moved(away, home, ingest(image, home, task=f"v{number}"), found)
        (segment,) = found.segments()
        objects.append(len({extent.digest for extent in segment.extents}))
        written.append(copied)
    # What the first one brought, and a pack of each that follows.
    assert objects == [*range(2, MAX_OBJECTS + 1), 1, 2]
    assert written == [*[LEAF_BYTES] * (MAX_OBJECTS - 1), SEGMENT_BYTES, LEAF_BYTES]
    assert pulled(away, found, tmp_path) == data


def test_a_delta_killed_again_and_again_writes_nothing_durable_twice(tmp_path: Path) -> None:
    """SIGKILL of a real process in the middle of packs."""
    home, away = local_store(tmp_path / "home"), local_store(tmp_path / "away")
    data, second, base = two_versions(home, away, tmp_path)
    planned = plan_disk(second, away, TENANT, origin=home, base=base).missing
    home.close()
    away.close()
    chance = random.Random(5)
    folders = [str(tmp_path / name) for name in ("image", "home", "away")]
    first = inodes(tmp_path / "away")
    told: set[int] = set()
    said: list[str] = []
    kills = 0
    while not is_done(said):
        before = inodes(tmp_path / "away")
        lines = chance.randint(1, 3) if kills < 8 else 0
        said = run_copier([*folders, base.root.hex()], lines=lines, delay=chance.uniform(0, 0.02))
        kills += not is_done(said)
        after = inodes(tmp_path / "away")
        assert {key: after[key] for key in before} == before
        assert scratch_bytes(tmp_path / "away") <= kills * 16 * MIB
        now = {int(line.split()[1]) for line in said if line.startswith("replicate ")}
        assert not told & now
        told |= now
    assert kills >= 3
    written = sum(Path(path).stat().st_size for path in inodes(tmp_path / "away").keys() - first)
    assert len(told) >= 2
    assert written <= planned
    with_it = open_store(str(tmp_path / "away"))
    found = read_manifest(with_it, TENANT, second.root)
    assert not all(segment.is_plain for segment in found.segments())
    assert pulled(with_it, found, tmp_path) == data
    with_it.close()
