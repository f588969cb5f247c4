import pytest
from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.errors import CliError
from cli.transfer.pull import runs, selected
from cli.transfer.segments import Segments
from cli.transfer.sparse import Zeros

LAYOUT = DiskLayout(size_bytes=25, leaf_bytes=5, segment_bytes=10)


def test_neighbours_are_read_by_one_stream_up_to_a_limit() -> None:
    assert runs([0, 1, 2, 5, 6]) == [range(3), range(5, 7)]
    assert [len(run) for run in runs(list(range(20)))] == [8, 8, 4]


def test_a_disk_is_os_or_a_lun() -> None:
    assert selected("os").os
    assert selected("0").WhichOneof("disk") == "lun"
    with pytest.raises(CliError):
        selected("64")


def test_pieces_of_any_length_become_whole_segments() -> None:
    segments = Segments(LAYOUT, 0)
    found = [
        *segments.add_data(0, b"abc"),
        *segments.add(Zeros(3, 9)),
        *segments.add_data(12, b"0123456789012"),
    ]
    assert [(index, bytes(data)) for index, data in found] == [
        (0, b"abc" + bytes(7)),
        (1, bytes(2) + b"01234567"),
        (2, b"89012"),
    ]


def test_a_piece_that_does_not_follow_is_refused() -> None:
    segments = Segments(LAYOUT, 10)
    with pytest.raises(CliError, match="in place of 10"):
        list(segments.add_data(11, b"x"))
