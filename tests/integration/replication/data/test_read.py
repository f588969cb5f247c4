"""Reading by ranges and pulling whole disks, verified and sparse."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import Cancelled, ObjectCorrupt, ObjectMissing
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.manifest import (
    Extent,
    Manifest,
    Segment,
    build_manifest,
)
from services.replication.content.progress import Control
from services.replication.content.pull import pull_disk
from services.replication.content.reader import BATCH_BYTES, Data, DiskReader, Piece, Zeros
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    allocated_bytes,
    ingest,
    local_store,
    make_image,
    replicate,
)

SIZE = 14 * MIB + 777
EXTENTS = (
    (100, 200_000),
    (3 * MIB, 2 * MIB),
    (9 * MIB, 5),
    (12 * MIB + LEAF_BYTES, 2 * MIB + 777 - LEAF_BYTES),
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


@pytest.fixture(scope="module")
def store(directory: Path) -> Iterator[Store]:
    opened = local_store(directory / "store")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def manifest(directory: Path, store: Store) -> Manifest:
    make_image(directory / "image", SIZE, EXTENTS)
    return ingest(directory / "image", store)


class Content(bytes):
    """The bytes of the image, kept out of what Hypothesis prints of a test's arguments."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Content()"


@pytest.fixture(scope="module")
def content(directory: Path, manifest: Manifest) -> Content:
    return Content((directory / "image").read_bytes())


def put_together(pieces: Iterator[Data | Zeros]) -> bytes:
    return b"".join(
        bytes(piece.data) if isinstance(piece, Data) else bytes(piece.length) for piece in pieces
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_any_range_is_that_of_the_image(
    store: Store, manifest: Manifest, content: bytes, one: int, other: int
) -> None:
    start, end = sorted((one, other))
    pieces = list(DiskReader(store, TENANT, manifest).read(start, end - start))
    assert put_together(iter(pieces)) == content[start:end]
    at = start
    for piece in pieces:
        assert piece.offset == at
        at += piece.length
        assert piece.length > 0
        assert isinstance(piece, Zeros) or piece.length <= BATCH_BYTES


def test_neighbouring_zeros_are_one_piece_even_across_segments(
    store: Store, manifest: Manifest
) -> None:
    pieces = list(DiskReader(store, TENANT, manifest).read(0, SIZE))
    assert not any(
        isinstance(one, Zeros) and isinstance(other, Zeros)
        for one, other in itertools.pairwise(pieces)
    )
    assert Zeros(5 * MIB, 4 * MIB) in pieces


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, SIZE + 1), (SIZE, 1), (5, -1)])
def test_a_range_beyond_the_disk_is_refused(
    store: Store, manifest: Manifest, offset: int, length: int
) -> None:
    with pytest.raises(ValueError, match="does not lie on the disk"):
        list(DiskReader(store, TENANT, manifest).read(offset, length))


def test_extents_in_other_objects_are_followed(
    store: Store, manifest: Manifest, content: bytes, directory: Path
) -> None:
    """As a delta pack will do it: leaves of one segment in three objects, in the middle of two."""
    moved = []
    for segment in manifest.segments():
        key = object_key(TENANT, segment.digest)
        packed = store.read(key, limit=SEGMENT_BYTES)
        cuts = [0, LEAF_BYTES, 3 * LEAF_BYTES, len(packed)]
        cuts = sorted({min(cut, len(packed)) for cut in cuts})
        extents = []
        for number, (begin, end) in enumerate(itertools.pairwise(cuts)):
            name = bytes([segment.index, number]) * 16
            with store.begin("packs") as window:
                padded = [memoryview(bytes(4096 * number)), memoryview(packed[begin:end])]
                window.put(object_key(TENANT, name), padded)
                window.commit()
            extents.append(Extent(name, 4096 * number, end - begin))
        moved.append(Segment(segment.index, segment.digest, segment.packed_length, tuple(extents)))
    delta = build_manifest(manifest.header, moved, list(manifest.pages()))
    assert delta.root == manifest.root
    reader = DiskReader(store, TENANT, delta)
    assert put_together(reader.read(0, SIZE)) == content
    assert put_together(reader.read(3 * MIB + 5, MIB)) == content[3 * MIB + 5 : 4 * MIB + 5]
    target = local_store(directory / "plain")
    assert replicate(delta, store, target).data == manifest.data
    target.close()


def test_a_pull_is_the_image_and_stays_sparse(
    store: Store, manifest: Manifest, content: bytes, tmp_path: Path
) -> None:
    control = Control()
    pull_disk(Origin(store, TENANT, manifest), str(tmp_path / "disk"), control)
    assert (tmp_path / "disk").read_bytes() == content
    assert allocated_bytes(tmp_path / "disk") <= manifest.occupied_bytes + 64 * 1024
    assert control.progress.sample().verified == manifest.occupied_bytes
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_a_sparse_disk_of_a_tebibyte_stays_small_everywhere(tmp_path: Path) -> None:
    size = 1 << 40
    make_image(tmp_path / "image", size, [(0, 10_000), (size // 2, 10_000), (size - 9, 9)])
    store = local_store(tmp_path / "store")
    manifest = ingest(tmp_path / "image", store)
    pull_disk(Origin(store, TENANT, manifest), str(tmp_path / "disk"), Control())
    assert os.stat(tmp_path / "disk").st_size == size
    assert allocated_bytes(tmp_path / "disk") <= 4 * LEAF_BYTES
    assert ingest(tmp_path / "disk", store, task="again").root == manifest.root
    pieces = list(DiskReader(store, TENANT, manifest).read(0, size))
    assert len(pieces) == 5
    store.close()


def test_a_bad_leaf_ends_the_reading_after_what_is_good(tmp_path: Path) -> None:
    make_image(tmp_path / "image", 6 * MIB, [(0, 6 * MIB)])
    store = local_store(tmp_path / "store")
    manifest = ingest(tmp_path / "image", store)
    key = object_key(TENANT, manifest.segment(1).digest)
    with (tmp_path / "store" / key).open("r+b") as file:
        file.seek(MIB + 5 * LEAF_BYTES)
        file.write(b"rotten")
    reader = DiskReader(store, TENANT, manifest)
    good: list[Piece] = []
    with pytest.raises(ObjectCorrupt) as caught:
        good.extend(reader.read(0, 6 * MIB))
    assert (caught.value.key, caught.value.disk_offset) == (key, 5 * MIB + 5 * LEAF_BYTES)
    expected = (tmp_path / "image").read_bytes()
    assert put_together(reader.read(0, 5 * MIB)) == expected[: 5 * MIB]
    with pytest.raises(ObjectCorrupt):
        pull_disk(Origin(store, TENANT, manifest), str(tmp_path / "disk"), Control())
    assert not (tmp_path / "disk").exists()
    assert not (tmp_path / "disk.partial").exists()
    store.close()


def test_a_manifest_under_another_root_or_torn_is_corrupt(
    store: Store, manifest: Manifest, directory: Path
) -> None:
    with pytest.raises(ObjectMissing):
        read_manifest(store, TENANT, bytes(32))
    wrong = manifest_key(TENANT, b"\x05" * 32)
    torn = manifest_key(TENANT, b"\x06" * 32)
    with store.begin("task") as window:
        window.put(wrong, [memoryview(manifest.data)])
        window.put(torn, [memoryview(manifest.data[:-1])])
        window.commit()
    for root, message in ((b"\x05" * 32, "another root"), (b"\x06" * 32, "checksum")):
        with pytest.raises(ObjectCorrupt, match=message):
            read_manifest(store, TENANT, root)


def test_a_cancelled_pull_leaves_nothing(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    control = Control()
    control.cancelled.set()
    with pytest.raises(Cancelled):
        pull_disk(Origin(store, TENANT, manifest), str(tmp_path / "disk"), control)
    assert list(tmp_path.iterdir()) == []
