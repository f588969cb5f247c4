"""Resumable uploads that end as committed blobs."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.replication.content.digests import SEGMENT_BYTES
from services.replication.content.errors import Cancelled, FenceLost, OffsetMismatch
from services.replication.content.journal import forget_task
from services.replication.content.keys import blob_ref_key
from services.replication.content.progress import Control, CopyOptions, Counters
from services.replication.content.reader import Data, DiskReader
from services.replication.content.refs import BlobRef, read_blob, remove_blob
from services.replication.content.segment_io import read_manifest
from services.replication.content.slots import Slot
from services.replication.content.store import Store
from services.replication.content.upload import BlobUpload
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    ingest,
    local_store,
    replicate,
)

SMALL_WINDOWS = CopyOptions(window_bytes=2 * SEGMENT_BYTES)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = local_store(tmp_path / "store")
    yield opened
    opened.close()


def begin(store: Store, control: Control | None = None) -> BlobUpload:
    slot = Slot(store, TENANT, "blob-b1")
    return BlobUpload("b1", slot, control or Control(), options=SMALL_WINDOWS)


def content_of(store: Store, ref: BlobRef) -> bytes:
    manifest = read_manifest(store, TENANT, ref.root)
    pieces = DiskReader(store, TENANT, manifest).read(0, ref.logical_size)
    return b"".join(
        bytes(piece.data) if isinstance(piece, Data) else bytes(piece.length) for piece in pieces
    )


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 3 * MIB)), max_size=6),
    st.integers(0, 1),
    st.integers(0, 5),
)
def test_any_mixture_of_bytes_and_zeros_comes_back(
    store: Store, steps: list[tuple[bool, int]], big: int, seed: int
) -> None:
    remove_blob(store, "b1")
    forget_task(store, "blob-b1")
    source = random.Random(seed)
    expected = bytearray()
    with begin(store) as upload:
        for is_data, length in [*steps, (False, big * 9 * MIB)]:
            if is_data:
                data = source.randbytes(length)
                upload.write(len(expected), data)
                expected += data
            else:
                upload.write_zeros(len(expected), length)
                expected += bytes(length)
        ref = upload.commit()
    assert ref.logical_size == len(expected)
    assert content_of(store, ref) == expected


def test_a_blob_has_the_root_of_the_same_file(store: Store, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5 * MIB + 3) + bytes(6 * MIB)
    (tmp_path / "image").write_bytes(data)
    with begin(store) as upload:
        for at in range(0, len(data), MIB):
            upload.write(at, memoryview(data)[at : at + MIB])
        ref = upload.commit()
    assert ref.root == ingest(tmp_path / "image", store).root
    assert read_blob(store, "b1") == ref


def test_a_version_made_from_a_blob_beside_it_copies_nothing(store: Store) -> None:
    data = random.Random(1).randbytes(9 * MIB)
    with begin(store) as upload:
        upload.write(0, data)
        ref = upload.commit()
    control = Control()
    replicate(read_manifest(store, TENANT, ref.root), store, store, control)
    assert control.progress.sample() == Counters(
        total=9 * MIB, deduplicated=9 * MIB, verified=9 * MIB
    )


def test_bytes_at_another_offset_are_refused_and_the_upload_goes_on(store: Store) -> None:
    with begin(store) as upload:
        upload.write(0, b"abc")
        for offset in (0, 2, 4):
            with pytest.raises(OffsetMismatch) as caught:
                upload.write(offset, b"x")
            assert caught.value.expected == 3
        with pytest.raises(OffsetMismatch):
            upload.write_zeros(0, 5)
        upload.write(3, b"def")
        ref = upload.commit()
    assert content_of(store, ref) == b"abcdef"


def test_an_upload_goes_on_at_its_durable_offset(store: Store) -> None:
    data = random.Random(1).randbytes(19 * MIB)
    with begin(store) as upload:
        upload.write(0, data)
        assert upload.durable_offset == 16 * MIB
        assert upload.offset == 19 * MIB
    assert read_blob(store, "b1") is None
    before = {item.key for item in store.list_objects("objects")}
    control = Control()
    with begin(store, control) as upload:
        assert upload.offset == upload.durable_offset == 16 * MIB
        assert control.progress.sample().copied == 16 * MIB
        upload.write(16 * MIB, data[16 * MIB :])
        ref = upload.commit()
    assert content_of(store, ref) == data
    assert before < {item.key for item in store.list_objects("objects")}
    assert control.progress.sample() == Counters(total=19 * MIB, copied=19 * MIB, verified=19 * MIB)


def test_flushing_makes_full_segments_durable(store: Store) -> None:
    with begin(store) as upload:
        upload.write(0, random.Random(1).randbytes(5 * MIB))
        assert upload.durable_offset == 0
        assert upload.flush() == SEGMENT_BYTES
        upload.write_zeros(5 * MIB, 100 * MIB)
        assert upload.flush() == 104 * MIB
    with begin(store) as upload:
        assert upload.offset == 104 * MIB


def test_a_commit_repeated_after_a_crash_gives_the_same_blob(store: Store) -> None:
    data = random.Random(1).randbytes(9 * MIB)
    stop = Control()
    with begin(store, stop) as upload:
        upload.write(0, data)
        calls = iter([True, False])

        def fence() -> None:
            if not next(calls):
                raise FenceLost

        stop.fence = fence
        with pytest.raises(FenceLost):
            upload.commit()
    assert store.get_ref(blob_ref_key("b1")) is None
    with begin(store) as upload:
        assert upload.offset == 8 * MIB
        upload.write(8 * MIB, data[8 * MIB :])
        assert content_of(store, upload.commit()) == data
    assert list(store.list_objects("journals")) == []


def test_zeros_of_a_tebibyte_cost_nothing(store: Store) -> None:
    with begin(store) as upload:
        upload.write_zeros(0, 1 << 40)
        upload.write(1 << 40, b"end")
        ref = upload.commit()
    manifest = read_manifest(store, TENANT, ref.root)
    assert manifest.header.logical_size == (1 << 40) + 3
    assert manifest.occupied_bytes == 3


def test_an_empty_blob_is_a_blob(store: Store) -> None:
    with begin(store) as upload:
        ref = upload.commit()
    assert ref.logical_size == 0
    assert content_of(store, ref) == b""


def test_a_cancelled_upload_stops_at_the_next_segment(store: Store) -> None:
    control = Control()
    with begin(store, control) as upload:
        upload.write(0, b"x" * 100)
        control.cancelled.set()
        with pytest.raises(Cancelled):
            upload.write(100, bytes(SEGMENT_BYTES))
