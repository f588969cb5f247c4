from blake3 import blake3

from services.replication.content.digests import (
    LEAF_BYTES,
    SEGMENT_BYTES,
    ZERO_LEAF,
    RootHasher,
    leaf_count,
    leaf_digest,
    packed_length,
    page_digest,
    segment_count,
    segment_digest,
    segment_length,
)


def test_a_leaf_hashes_as_plain_blake3() -> None:
    data = b"stoa" * 16384
    assert leaf_digest(data) == blake3(data).digest()
    assert leaf_digest(memoryview(data)[:5]) == blake3(b"stoas").digest()


def test_golden_digests_do_not_move() -> None:
    leaves = leaf_digest(b"a" * LEAF_BYTES) + ZERO_LEAF + leaf_digest(b"b" * 10)
    length = 2 * LEAF_BYTES + 10
    segment = segment_digest(length, leaves)
    hasher = RootHasher(1, 512, SEGMENT_BYTES + length)
    hasher.add(1, segment)
    assert segment.hex() == "9b28acb4a31d98cf90e9db07ed0e6fa38224abc471ea565169bcf90daa0a7a52"
    assert hasher.root().hex() == "ce68dd723bbe0029e264bc88eb9ef65c9403bcfd30f99fd56a4141e54c992b9c"
    assert (
        page_digest(b"page").hex()
        == "fc18e90b9d971ce0386d0914cd25153e3773595b1833f4a24367d5c2a81a177d"
    )


def test_a_segment_digest_binds_the_length_and_the_level() -> None:
    leaves = leaf_digest(b"a" * 100)
    assert segment_digest(100, leaves) != segment_digest(101, leaves)
    assert segment_digest(100, leaves) != leaf_digest(leaves)
    assert segment_digest(100, leaves) != page_digest(leaves)


def test_a_root_binds_size_format_sector_and_place() -> None:
    def root(disk_format: int, sector: int, size: int, index: int) -> bytes:
        hasher = RootHasher(disk_format, sector, size)
        hasher.add(index, b"\x07" * 32)
        return hasher.root()

    roots = {
        root(1, 512, 10, 0),
        root(2, 512, 10, 0),
        root(1, 4096, 10, 0),
        root(1, 512, 11, 0),
        root(1, 512, 10, 1),
    }
    assert len(roots) == 5


def test_counts_and_lengths_at_the_edges() -> None:
    assert [leaf_count(size) for size in (0, 1, LEAF_BYTES, LEAF_BYTES + 1)] == [0, 1, 1, 2]
    assert segment_count(SEGMENT_BYTES + 1) == 2
    assert segment_length(SEGMENT_BYTES + 1, 0) == SEGMENT_BYTES
    assert segment_length(SEGMENT_BYTES + 1, 1) == 1


def test_the_packed_length_leaves_out_zero_leaves_and_knows_the_short_one() -> None:
    one = b"\x01" * 32
    assert packed_length(2 * LEAF_BYTES + 10, one + ZERO_LEAF + one) == LEAF_BYTES + 10
    assert packed_length(2 * LEAF_BYTES + 10, ZERO_LEAF + one + ZERO_LEAF) == LEAF_BYTES
