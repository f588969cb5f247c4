import pytest
from blake3 import blake3
from stoa.replication.v1.image_disk_pb2 import DiskLayout, SegmentLeaves

from cli.errors import CliError
from cli.transfer.fetching import behind, calls
from cli.transfer.proof import Proof
from cli.transfer.pull import selected
from cli.transfer.tree import ZERO_DIGEST, segment_digest

MIB = 1 << 20
LAYOUT = DiskLayout(size_bytes=25, leaf_bytes=5, segment_bytes=10)
CONTENT = b"01234" + bytes(5) + b"abcdefghijklmno"


def proof() -> Proof:
    return Proof(LAYOUT, [segment_digest(CONTENT[at : at + 10], 5) for at in (0, 10, 20)])


def test_ranges_are_cut_and_put_together_into_calls() -> None:
    assert calls([(0, MIB), (2 * MIB, 3 * MIB)]) == [[(0, MIB), (2 * MIB, 3 * MIB)]]
    assert calls([(0, 70 * MIB)]) == [
        [(0, 32 * MIB)],
        [(32 * MIB, 64 * MIB)],
        [(64 * MIB, 70 * MIB)],
    ]
    small = [(at * 2, at * 2 + 1) for at in range(1000)]
    assert [len(one) for one in calls(small)] == [512, 488]


def test_what_was_read_is_not_read_again() -> None:
    assert behind([(0, 5), (10, 20)], 5) == [(10, 20)]
    assert behind([(0, 5), (10, 20)], 15) == [(15, 20)]
    assert behind([(0, 5)], 5) == []


def test_a_disk_is_os_or_a_lun() -> None:
    assert selected("os").os
    assert selected("0").WhichOneof("disk") == "lun"
    with pytest.raises(CliError):
        selected("64")


def test_leaves_that_do_not_make_up_the_digest_of_their_segment_are_refused() -> None:
    found = proof()
    leaf = blake3(b"01234").digest()
    with pytest.raises(CliError, match="damaged"):
        found.learn(SegmentLeaves(segment=0, digests=leaf + leaf))
    found.learn(SegmentLeaves(segment=0, digests=leaf + ZERO_DIGEST))
    assert found.leaves(0) == [leaf, ZERO_DIGEST]


def test_bytes_pass_only_where_their_leaf_is_known_and_right() -> None:
    found = proof()
    data = memoryview(CONTENT)
    with pytest.raises(CliError, match="damaged"):
        list(found.checked(0, data[:10]))
    leaf = blake3(b"01234").digest()
    found.learn(SegmentLeaves(segment=0, digests=leaf + ZERO_DIGEST))
    assert [at for at, _ in found.checked(0, data[:10])] == [0, 5]
    with pytest.raises(CliError, match="damaged"):
        list(found.checked(0, memoryview(b"01235")))
    found.check_zeros(5, 5)
    with pytest.raises(CliError, match="damaged"):
        found.check_zeros(0, 5)
