import os
from pathlib import Path

import pytest
from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.errors import CliError
from cli.transfer.partial import PartialFile
from cli.transfer.sparse import extents
from cli.transfer.tree import segment_digest, segment_span

LEAF = 64 * 1024
SEGMENT = 4 * LEAF
SIZE = 5 * SEGMENT - 1000
LAYOUT = DiskLayout(size_bytes=SIZE, leaf_bytes=LEAF, segment_bytes=SEGMENT)


def disk() -> bytes:
    content = bytearray(os.urandom(SIZE))
    content[SEGMENT : 2 * SEGMENT] = bytes(SEGMENT)
    return bytes(content)


def spans() -> list[tuple[int, int]]:
    return [segment_span(LAYOUT, index) for index in range(5)]


def digests(content: bytes) -> list[bytes]:
    return [segment_digest(content[begin:end], LEAF) for begin, end in spans()]


def write(file: PartialFile, content: bytes, *indexes: int) -> None:
    for index in indexes:
        begin, end = segment_span(LAYOUT, index)
        for at in range(begin, end, LEAF):
            file.put(at, memoryview(content)[at : min(at + LEAF, end)])


def test_zero_segments_are_not_missing_and_stay_holes(tmp_path: Path) -> None:
    content = disk()
    target = tmp_path / "os.img"
    with PartialFile(target, LAYOUT, digests(content)) as file:
        assert file.missing() == [0, 2, 3, 4]
        write(file, content, 0, 2, 3, 4)
        assert not target.exists()
        file.finish()
    assert target.read_bytes() == content
    assert target.stat().st_blocks * 512 < SIZE - SEGMENT // 2


def test_segments_written_in_any_order_keep_their_holes(tmp_path: Path) -> None:
    content = bytearray(SIZE)
    content[2 * LEAF] = content[3 * SEGMENT] = 1
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(bytes(content))) as file:
        assert file.missing() == [0, 3]
        write(file, bytes(content), 3, 0)
        stored = [end - begin for begin, end in extents(file.fd, SIZE)]
    assert stored == [LEAF, LEAF]


def test_what_is_right_from_before_is_kept_and_what_is_wrong_is_missing(tmp_path: Path) -> None:
    content = disk()
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(content)) as file:
        write(file, content, 0, 2)
        os.pwrite(file.fd, b"stray", 3 * SEGMENT)
        os.pwrite(file.fd, b"stray", SEGMENT + 5)
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(content)) as file:
        assert file.missing() == [3, 4]
        write(file, content, 3, 4)
        file.finish()
    assert (tmp_path / "os.img").read_bytes() == content


def test_zeros_are_written_over_bytes_from_before(tmp_path: Path) -> None:
    old, new = disk(), bytearray(disk())
    new[LEAF : 2 * LEAF] = bytes(LEAF)
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(old)) as file:
        write(file, old, 0, 2, 3, 4)
    content = bytes(new)
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(content)) as file:
        write(file, content, *file.missing())
        file.finish()
    assert (tmp_path / "os.img").read_bytes() == content


def test_two_pulls_into_one_file_exclude_each_other(tmp_path: Path) -> None:
    content = digests(disk())
    with (
        PartialFile(tmp_path / "os.img", LAYOUT, content),
        pytest.raises(CliError, match="Another command"),
        PartialFile(tmp_path / "os.img", LAYOUT, content),
    ):
        pass


def test_of_a_disk_that_cannot_be_verified_nothing_from_before_counts(tmp_path: Path) -> None:
    content = disk()
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(content)) as file:
        write(file, content, 0)
    with PartialFile(tmp_path / "os.img", LAYOUT, None) as file:
        assert file.missing() == [0, 1, 2, 3, 4]
        assert os.pread(file.fd, 100, 0) == bytes(100)


def test_zeros_are_cleared_only_where_there_are_bytes(tmp_path: Path) -> None:
    content = disk()
    with PartialFile(tmp_path / "os.img", LAYOUT, digests(content)) as file:
        write(file, content, 3)
        assert file.is_begun([3, 4])
        assert not file.is_begun([0, 4])
        file.clear(0, SIZE)
        assert [one for one in extents(file.fd, SIZE) if one[0] < 3 * SEGMENT] == []
        assert os.pread(file.fd, SEGMENT, 3 * SEGMENT) == bytes(SEGMENT)
