import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.replication.content.digests import SEGMENT_BYTES, leaf_count
from services.replication.content.errors import InvalidEncoding
from services.replication.content.leaf_page import (
    PAGE_LIMIT,
    SegmentLeaves,
    decode_page,
    encode_page,
)


def leaves(length: int, fill: int = 7) -> SegmentLeaves:
    return SegmentLeaves(length, bytes([fill]) * 32 * leaf_count(length))


@given(st.dictionaries(st.integers(0, 255), st.integers(1, SEGMENT_BYTES), max_size=20))
def test_a_page_comes_back_as_it_was(lengths: dict[int, int]) -> None:
    entries = {at: leaves(length, at) for at, length in sorted(lengths.items())}
    assert decode_page(encode_page(entries.items())) == entries


def test_the_golden_encoding_does_not_move() -> None:
    data = encode_page([(3, leaves(65537))])
    assert data == (
        b"STOALEAF\x01\x00\x00\x00\x01\x00\x00\x00\x03\x00\x02\x00\x01\x00\x01\x00" + b"\x07" * 64
    )


def test_a_full_page_is_as_long_as_the_limit() -> None:
    page = encode_page((at, leaves(SEGMENT_BYTES)) for at in range(256))
    assert len(page) == PAGE_LIMIT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"STOALEAF",
        b"STOALEAX" + encode_page([])[8:],
        encode_page([(1, leaves(10))]) + b"\x00",
        encode_page([(1, leaves(10))])[:-1],
        encode_page([(2, leaves(10)), (1, leaves(10))]),
        encode_page([(256, leaves(10))]),
        encode_page([(1, SegmentLeaves(70000, bytes(32)))]),
        encode_page([(1, SegmentLeaves(0, b""))]),
    ],
)
def test_what_is_not_a_page_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        decode_page(data)
