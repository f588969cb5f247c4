"""VHDs of fixed size: which footers are believed, and which bytes are the disk's."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.replication.content.errors import SourceFormatInvalid
from services.replication.content.vhd import FixedVhd, VhdType, parse_footer
from services.replication.domain.states import DiskFormat
from services.replication.usecases.source_formats import find_format
from tests.vhd import DIFFERENCING, DYNAMIC, FIXED, FOOTER, fixed_vhd, vhd_footer

MIB = 1 << 20
SIZES = st.integers(1, 2048).map(lambda count: count * MIB)


class Bytes:
    """A source in memory."""

    pin = "pin"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        yield start, self.size

    def read_into(self, offset: int, target: memoryview) -> None:
        target[:] = self.data[offset : offset + len(target)]

    def check(self) -> None: ...

    def close(self) -> None: ...


@given(SIZES, st.sampled_from([FIXED, DYNAMIC, DIFFERENCING]), st.integers(0, 2**32 - 1))
def test_a_footer_is_read_as_it_was_made(size: int, kind: int, timestamp: int):
    found = parse_footer(vhd_footer(size, kind, timestamp=timestamp))
    assert (found.kind, found.size) == (VhdType(kind), size)


@given(SIZES, st.integers(0, FOOTER - 1), st.integers(1, 255))
def test_any_flipped_byte_of_a_footer_is_refused(size: int, at: int, flip: int):
    footer = bytearray(vhd_footer(size))
    footer[at] ^= flip
    with pytest.raises(SourceFormatInvalid):
        parse_footer(footer)


@given(st.binary(max_size=600))
def test_bytes_that_are_no_footer_are_refused(data: bytes):
    with pytest.raises(SourceFormatInvalid):
        parse_footer(data)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"version": 0x0002_0000}, "unknown version"),
        ({"version": 0}, "unknown version"),
        ({"features": 0}, "unknown version"),
    ],
)
def test_a_footer_of_another_version_is_refused(fields: dict[str, int], says: str):
    with pytest.raises(SourceFormatInvalid, match=says):
        parse_footer(vhd_footer(MIB, **fields))


def test_a_footer_of_another_disk_type_is_refused():
    with pytest.raises(SourceFormatInvalid, match="unknown disk type 5"):
        parse_footer(vhd_footer(MIB, 5))


def test_the_disk_of_a_fixed_vhd_ends_before_its_footer():
    disk = b"boot" + bytes(2 * MIB - 8) + b"last"
    found = FixedVhd(Bytes(fixed_vhd(disk)))
    assert found.size == len(disk)
    assert list(found.extents(0)) == [(0, len(disk))]
    assert list(found.extents(MIB)) == [(MIB, len(disk))]
    tail = bytearray(4)
    found.read_into(len(disk) - 4, memoryview(tail))
    assert tail == b"last"


def test_data_that_is_the_footer_alone_is_no_extent():
    class Sparse(Bytes):
        def extents(self, start: int) -> Iterator[tuple[int, int]]:
            yield self.size - FOOTER, self.size

    assert list(FixedVhd(Sparse(fixed_vhd(bytes(MIB)))).extents(0)) == []


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "too short"),
        (bytes(511), "too short"),
        (bytes(MIB), "no VHD footer"),
        (bytes(MIB) + vhd_footer(2 * MIB), "speaks of 2097152 bytes"),
        (vhd_footer(0), "not a multiple"),
        (bytes(MIB + 512) + vhd_footer(MIB + 512), "not a multiple of 1 MiB"),
        (bytes(MIB) + vhd_footer(MIB, DYNAMIC), "dynamic"),
        (bytes(MIB) + vhd_footer(MIB, DIFFERENCING), "differencing"),
        (bytes(MIB) + vhd_footer(MIB)[:511], "no VHD footer"),
    ],
)
def test_a_file_that_is_no_fixed_vhd_is_refused(file: bytes, says: str):
    with pytest.raises(SourceFormatInvalid, match=says):
        FixedVhd(Bytes(file))


@pytest.mark.parametrize(
    ("file", "form", "size", "reason"),
    [
        (b"", DiskFormat.RAW, 0, ""),
        (b"x" * 1000, DiskFormat.RAW, 1000, ""),
        (fixed_vhd(bytes(MIB)), DiskFormat.VHD_FIXED, MIB, ""),
        (bytes(MIB) + vhd_footer(7), DiskFormat.VHD_FIXED, MIB, "SOURCE_FORMAT_INVALID"),
        (
            bytes(MIB) + vhd_footer(MIB)[:-1] + b"x",
            DiskFormat.VHD_FIXED,
            MIB,
            "SOURCE_FORMAT_INVALID",
        ),
        (
            vhd_footer(8 * MIB, DYNAMIC) * 3,
            DiskFormat.VHD_DYNAMIC,
            3 * 512,
            "SOURCE_FORMAT_INVALID",
        ),
        (vhd_footer(MIB, DYNAMIC) + b"x", DiskFormat.VHD_DYNAMIC, 513, "SOURCE_FORMAT_INVALID"),
        (
            vhd_footer(8 * MIB, DIFFERENCING) * 3,
            DiskFormat.VHD_DYNAMIC,
            3 * 512,
            "SOURCE_REFERENCE_REFUSED",
        ),
        (b"vhdxfile" + bytes(600), DiskFormat.VHDX, 608, "SOURCE_FORMAT_INVALID"),
        (b"QFI\xfb" + bytes(600), DiskFormat.QCOW2, 604, "SOURCE_FORMAT_INVALID"),
        (b"KDMV" + bytes(600), DiskFormat.VMDK, 604, "SOURCE_FORMAT_INVALID"),
    ],
)
def test_a_format_is_found_in_the_bytes(file: bytes, form: DiskFormat, size: int, reason: str):
    found = find_format(Bytes(file))
    assert (found.format, found.size_bytes, found.reason) == (form, size, reason)
    assert bool(found.message) == bool(reason)
