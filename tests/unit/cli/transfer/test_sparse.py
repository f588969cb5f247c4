import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from cli.transfer.sparse import Data, Zeros, digests_of, extents, pieces

KIB = 1024
MIB = 1024 * KIB


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "disk", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def joined(fd: int, size: int, start: int = 0) -> bytes:
    found = b""
    for piece in pieces(fd, size, start):
        assert piece.offset == start + len(found)
        found += piece.data if isinstance(piece, Data) else bytes(piece.length)
    return found


def test_holes_are_lengths_and_data_is_cut_at_multiples_of_a_mebibyte(file: int) -> None:
    os.ftruncate(file, 8 * MIB)
    os.pwrite(file, b"x" * (2 * MIB), 3 * MIB + 64 * KIB)
    found = list(pieces(file, 8 * MIB))
    assert [(type(one), one.offset, one.end) for one in found] == [
        (Zeros, 0, 3 * MIB + 64 * KIB),
        (Data, 3 * MIB + 64 * KIB, 4 * MIB),
        (Data, 4 * MIB, 5 * MIB),
        (Data, 5 * MIB, 5 * MIB + 64 * KIB),
        (Zeros, 5 * MIB + 64 * KIB, 8 * MIB),
    ]


def test_zeros_that_are_stored_are_not_data(file: int) -> None:
    os.pwrite(file, bytes(4 * MIB), 0)
    assert list(pieces(file, 4 * MIB)) == [Zeros(0, 4 * MIB)]


def test_a_file_without_data_has_no_extents(file: int) -> None:
    os.ftruncate(file, MIB)
    assert list(extents(file, MIB)) == []


def test_data_behind_the_part_that_is_asked_for_is_no_extent_of_it(file: int) -> None:
    os.pwrite(file, b"x" * MIB, 2 * MIB)
    assert list(extents(file, MIB)) == []
    assert list(extents(file, 2 * MIB + 64 * KIB)) == [(2 * MIB, 2 * MIB + 64 * KIB)]


def test_reading_goes_on_in_the_middle(file: int) -> None:
    content = os.urandom(300 * KIB)
    os.pwrite(file, content, 0)
    assert joined(file, len(content), 100 * KIB + 7) == content[100 * KIB + 7 :]


@given(
    st.lists(
        st.tuples(st.integers(0, 5 * MIB), st.integers(1, 200 * KIB), st.booleans()), max_size=5
    ),
    st.integers(1, 5 * MIB),
)
def test_pieces_are_the_file(runs: list[tuple[int, int, bool]], size: int) -> None:
    fd = os.memfd_create("disk")
    try:
        for offset, length, zero in runs:
            os.pwrite(fd, bytes(length) if zero else os.urandom(length), offset)
        os.ftruncate(fd, size)
        content = os.pread(fd, size, 0)
        assert joined(fd, size) == content
        digests = digests_of(fd, size, sha256=True)
        assert digests.named() == {
            "blake3": blake3(content).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    finally:
        os.close(fd)


def test_a_file_that_became_shorter_is_an_error(file: int) -> None:
    os.pwrite(file, b"x" * (2 * MIB), 0)
    reading = pieces(file, 2 * MIB)
    next(reading)
    os.ftruncate(file, MIB + 1)
    with pytest.raises(OSError, match="shorter"):
        list(reading)
