import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.replication.content.digests import (
    LEAF_BYTES,
    SEGMENT_BYTES,
    RootHasher,
    manifest_checksum,
)
from services.replication.content.errors import InvalidEncoding
from services.replication.content.manifest import (
    GROUP_SEGMENTS,
    DiskHeader,
    Extent,
    Manifest,
    PageRef,
    Segment,
    build_manifest,
)

DIGESTS = st.binary(min_size=32, max_size=32)


def segment(index: int, *extents: Extent, digest: bytes = b"\x11" * 32) -> Segment:
    length = sum(extent.length for extent in extents) or LEAF_BYTES
    return Segment(index, digest, length, extents)


def pages_for(segments: list[Segment]) -> list[PageRef]:
    groups = sorted({item.index // GROUP_SEGMENTS for item in segments})
    return [PageRef(group, 100, bytes([group % 256]) * 32) for group in groups]


def manifest_of(segments: list[Segment], size: int = 1 << 40) -> Manifest:
    return build_manifest(DiskHeader(size), segments, pages_for(segments))


def resealed(data: bytearray) -> bytes:
    return bytes(data[:-32]) + manifest_checksum(bytes(data[:-32]))


def test_the_golden_encoding_does_not_move() -> None:
    delta = (Extent(b"\x22" * 32, 65536, LEAF_BYTES), Extent(b"\x33" * 32, 0, 10))
    manifest = manifest_of([segment(0), segment(2, *delta)], size=3 * SEGMENT_BYTES - 5)
    expected = (
        b"STOADISK"
        + struct.pack("<HHIQIIIII", 1, 1, 512, 3 * SEGMENT_BYTES - 5, 65536, 4194304, 2, 2, 1)
        + bytes(20)
        + struct.pack("<I32sIII", 0, b"\x11" * 32, LEAF_BYTES, 0, 0)
        + struct.pack("<I32sIII", 2, b"\x11" * 32, LEAF_BYTES + 10, 0, 2)
        + struct.pack("<32sQII", b"\x22" * 32, 65536, LEAF_BYTES, 0)
        + struct.pack("<32sQII", b"\x33" * 32, 0, 10, 0)
        + struct.pack("<II32s", 0, 100, bytes(32))
    )
    assert manifest.data[:-32] == expected
    assert (
        manifest.data[-32:].hex()
        == "e435c5d9198c79ee4d469652a9b1d04081654b8dcb6d0f0615e06e6b13ffe320"
    )
    assert manifest.root.hex() == "38dce5b39038e15ee4cc5c3422cd295e52ad954d8ba77639aa4d09cf9af82316"


@given(
    st.lists(st.tuples(st.integers(0, 5000), DIGESTS), unique_by=lambda pair: pair[0]),
    st.booleans(),
)
def test_what_is_built_is_found_again(pairs: list[tuple[int, bytes]], delta: bool) -> None:
    extent = (Extent(b"\x44" * 32, 4096, LEAF_BYTES),) if delta else ()
    segments = [segment(index, *extent, digest=digest) for index, digest in sorted(pairs)]
    manifest = Manifest(manifest_of(segments).data)
    found = list(manifest.segments())
    assert [(item.index, item.digest) for item in found] == sorted(pairs)
    assert all(item.is_plain is not delta for item in found)
    assert manifest.occupied_bytes == LEAF_BYTES * len(pairs)
    for index, digest in pairs:
        known = manifest.find(index)
        assert known is not None
        assert known.digest == digest
    assert manifest.find(6000) is None
    assert [item.index for item in manifest.segments(2500)] == sorted(
        index for index, _ in pairs if index >= 2500
    )


def test_extents_do_not_change_the_identity_and_plain_ones_are_canonical() -> None:
    elsewhere = segment(3, Extent(b"\x44" * 32, 4096, LEAF_BYTES))
    spelled_out = segment(3, Extent(b"\x11" * 32, 0, LEAF_BYTES))
    plain = manifest_of([segment(3)])
    assert manifest_of([elsewhere]).root == plain.root
    assert manifest_of([elsewhere]).data != plain.data
    assert manifest_of([spelled_out]).data == plain.data
    assert manifest_of([elsewhere]).as_plain().data == plain.data
    assert plain.as_plain() is plain


def test_the_root_is_over_header_and_segments_alone() -> None:
    hasher = RootHasher(1, 512, 1 << 40)
    hasher.add(3, b"\x11" * 32)
    assert manifest_of([segment(3)]).root == hasher.root()


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"X", "format version"),
        (8, b"\x02", "format version"),
        (10, b"\x09", "disk format"),
        (12, b"\x01\x02", "sector size"),
        (24, b"\x01", "unknown sizes"),
        (32, b"\x09", "another length"),
        (44, b"\x01", "reserved"),
        (64, b"\xff\xff\xff\xff", "out of order"),
        (100, b"\x00\x00\x00\x00", "out of bounds"),
        (104, b"\x01", "extents out of order"),
        (112, b"\x01", "leaf pages"),
    ],
)
def test_what_is_not_canonical_is_refused(offset: int, value: bytes, message: str) -> None:
    data = bytearray(manifest_of([segment(3)]).data)
    data[offset : offset + len(value)] = value
    with pytest.raises(InvalidEncoding, match=message):
        Manifest(resealed(data))


def test_a_flipped_bit_anywhere_is_refused() -> None:
    good = manifest_of([segment(1), segment(400)]).data
    for offset in range(len(good)):
        data = bytearray(good)
        data[offset] ^= 0x10
        with pytest.raises(InvalidEncoding):
            Manifest(bytes(data))


@pytest.mark.parametrize("length", [0, 10, 95, 130])
def test_a_truncated_manifest_is_refused(length: int) -> None:
    with pytest.raises(InvalidEncoding):
        Manifest(manifest_of([segment(1)]).data[:length])


@pytest.mark.parametrize(
    "extents",
    [
        (Extent(b"\x22" * 32, 0, 100), Extent(b"\x33" * 32, 0, LEAF_BYTES)),
        (Extent(b"\x22" * 32, 0, LEAF_BYTES), Extent(b"\x33" * 32, 0, 0)),
    ],
)
def test_extents_that_split_a_leaf_or_are_empty_are_refused(extents: tuple[Extent, ...]) -> None:
    with pytest.raises(InvalidEncoding):
        manifest_of([segment(0, *extents)])


def test_a_segment_beyond_the_disk_is_refused() -> None:
    with pytest.raises(InvalidEncoding):
        manifest_of([segment(1)], size=SEGMENT_BYTES)
