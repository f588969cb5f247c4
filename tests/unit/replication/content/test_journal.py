import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.replication.content.errors import InvalidEncoding
from services.replication.content.journal import (
    Journal,
    JournalEntry,
    decode_journal,
    encode_journal,
)
from services.replication.content.leaf_page import SegmentLeaves

SUBJECT = b"\x09" * 32


def entry(index: int, length: int, *, with_leaves: bool, deduplicated: bool) -> JournalEntry:
    leaves = bytes([index % 251 + 1]) * 32 * -(-length // 65536)
    digest = SegmentLeaves(length, leaves).digest()
    return JournalEntry(index, digest, length, leaves if with_leaves else b"", deduplicated)


@given(
    st.dictionaries(st.integers(5, 90), st.integers(1, 4 << 20), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_a_journal_comes_back_as_it_was(
    lengths: dict[int, int], with_leaves: bool, deduplicated: bool
) -> None:
    entries = tuple(
        entry(index, length, with_leaves=with_leaves, deduplicated=deduplicated)
        for index, length in sorted(lengths.items())
    )
    journal = Journal(SUBJECT, 5, 91, entries)
    assert decode_journal(encode_journal(journal)) == journal


def test_a_flipped_bit_anywhere_is_refused() -> None:
    one = entry(7, 100, with_leaves=True, deduplicated=False)
    good = encode_journal(Journal(SUBJECT, 5, 9, (one,)))
    for offset in range(len(good)):
        data = bytearray(good)
        data[offset] ^= 1
        with pytest.raises(InvalidEncoding):
            decode_journal(bytes(data))


def test_leaves_of_another_segment_are_refused() -> None:
    wrong = JournalEntry(7, b"\x01" * 32, 100, b"\x02" * 32)
    with pytest.raises(InvalidEncoding, match="not those of their segment"):
        decode_journal(encode_journal(Journal(SUBJECT, 5, 9, (wrong,))))


def test_a_segment_outside_the_window_is_refused() -> None:
    outside = entry(9, 100, with_leaves=False, deduplicated=False)
    with pytest.raises(InvalidEncoding, match="out of order"):
        decode_journal(encode_journal(Journal(SUBJECT, 5, 9, (outside,))))
