from hypothesis import given
from hypothesis import strategies as st

from services.replication.content.buffers import LeafRun, SegmentBuffer, data_runs
from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES, leaf_digest

ZERO = bytes(32)


def filled(data: bytes) -> SegmentBuffer:
    buffer = SegmentBuffer()
    buffer.view[: len(data)] = data
    return buffer


def test_a_leaf_is_zero_only_if_every_byte_is() -> None:
    buffer = SegmentBuffer()
    assert buffer.is_zero(LEAF_BYTES, LEAF_BYTES)
    for offset in (LEAF_BYTES, LEAF_BYTES + 1, 2 * LEAF_BYTES - 1):
        buffer.view[offset] = 1
        assert not buffer.is_zero(LEAF_BYTES, LEAF_BYTES)
        buffer.clear(offset, offset + 1)
    assert buffer.is_zero(LEAF_BYTES, LEAF_BYTES)


@given(st.lists(st.booleans(), min_size=1, max_size=64), st.integers(1, LEAF_BYTES))
def test_a_scan_packs_what_is_not_zero_and_names_the_rest(data: list[bool], tail: int) -> None:
    length = (len(data) - 1) * LEAF_BYTES + tail
    whole = b"".join(
        bytes([number + 1 if is_data else 0]) * LEAF_BYTES for number, is_data in enumerate(data)
    )[:length]
    scan = filled(whole).scan(length)
    parts = [whole[at : at + LEAF_BYTES] for at in range(0, length, LEAF_BYTES)]
    assert b"".join(scan.packed) == b"".join(part for part in parts if any(part))
    assert scan.packed_length == len(b"".join(scan.packed))
    assert scan.leaves == b"".join(leaf_digest(part) if any(part) else ZERO for part in parts)
    covered = {n for run in data_runs(scan.leaves) for n in range(run.first, run.first + run.count)}
    assert covered == {number for number, is_data in enumerate(data) if is_data}


def test_leaves_outside_the_runs_count_as_zero_whatever_the_memory_holds() -> None:
    buffer = filled(b"\x05" * SEGMENT_BYTES)
    scan = buffer.scan(SEGMENT_BYTES, (LeafRun(2, 1), LeafRun(60, 2)))
    assert scan.packed_length == 3 * LEAF_BYTES
    assert data_runs(scan.leaves) == (LeafRun(2, 1), LeafRun(60, 2))


def test_neighbouring_leaves_are_one_part() -> None:
    scan = filled(b"\x05" * (3 * LEAF_BYTES)).scan(3 * LEAF_BYTES)
    assert [len(part) for part in scan.packed] == [3 * LEAF_BYTES]
